//! Lines of a file that nobody has checked.

use std::io::{self, BufRead, Read};

use crate::market::codec::MAX_PAYLOAD;

/// What is kept of a line: more than a tick may have, the byte-order mark that a file may begin with, and a line end.
const KEPT: u64 = MAX_PAYLOAD as u64 + 6;

/// Reads the next line into `line`, its end included; `false` at the end of the file. A line without an end must not fill the
/// memory: what is over [`KEPT`] is skipped.
///
/// # Errors
/// When the file cannot be read.
pub fn read_bounded_line(lines: &mut (impl BufRead + ?Sized), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = Read::take(&mut *lines, KEPT).read_until(b'\n', line)?;
    if line.last() != Some(&b'\n') {
        lines.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let text = [vec![b'x'; 100_000], b"\nshort\nlast".to_vec()].concat();
        let mut lines = text.as_slice();
        let mut line = Vec::new();
        assert!(read_bounded_line(&mut lines, &mut line).unwrap());
        assert_eq!(line.len() as u64, KEPT);
        assert!(read_bounded_line(&mut lines, &mut line).unwrap());
        assert_eq!(line, b"short\n");
        assert!(read_bounded_line(&mut lines, &mut line).unwrap());
        assert_eq!(line, b"last");
        assert!(!read_bounded_line(&mut lines, &mut line).unwrap());
    }
}
