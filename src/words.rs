//! Numbers in sentences.

use std::fmt::Display;

/// `1 bar`, `2 bars`, `0 bars`. For nouns whose plural is made with an s.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    if count == N::from(1) { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_every_other_number_plural() {
        let said = [counted(0_u64, "bar"), counted(1_usize, "bar"), counted(2_i64, "feature row")];
        assert_eq!(said, ["0 bars", "1 bar", "2 feature rows"]);
    }
}
