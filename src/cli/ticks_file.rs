//! A file of ticks, as `replay` is given one: plain or gzipped, or stdin.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;

use crate::actors::replay_producer::read_bounded_line;
use crate::market::codec::{self, LineContent};
use crate::market::symbol::Symbol;
use crate::market::tick::WireTick;
use crate::words::counted;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 1 << 20;
/// More different stocks than this in one file are rather a mistake.
const MOST_STOCKS: usize = 20_000;

/// What was seen of a file besides its ticks.
pub struct Looked {
    /// How many were read.
    pub lines: u64,
    pub first_malformed: Option<String>,
}

/// A file that can be read several times.
pub struct TicksFile {
    name: PathBuf,
    file: File,
}

impl TicksFile {
    /// Opens the file. `-` is stdin, which is kept in a temporary file, because it is read twice.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let file = if path == Path::new("-") {
            let mut spool = tempfile::tempfile().context("cannot make a temporary file for stdin; set TMPDIR")?;
            io::copy(&mut io::stdin().lock(), &mut spool).context("cannot keep stdin in a temporary file")?;
            spool
        } else {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
                bail!("{} is not a file; a stream can be given as `-`", path.display());
            }
            file
        };
        Ok(Self { name: path.to_owned(), file })
    }

    /// Its lines from the beginning, unpacked.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn lines(&self) -> Result<Box<dyn BufRead + Send>> {
        let unreadable = || format!("cannot read {}", self.name.display());
        let mut file = self.file.try_clone().with_context(unreadable)?;
        file.rewind().with_context(unreadable)?;
        let mut magic = Vec::new();
        (&mut file).take(2).read_to_end(&mut magic).with_context(unreadable)?;
        file.rewind().with_context(unreadable)?;
        Ok(if magic == GZIP {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::with_capacity(BUFFER, file))
        })
    }

    /// The stocks of all well-formed ticks: a pass over the whole file.
    ///
    /// # Errors
    /// When it cannot be read, or holds no tick at all.
    pub fn symbols(&self) -> Result<Vec<Symbol>> {
        let mut symbols = BTreeSet::new();
        let mut first_other = None;
        let Looked { lines, first_malformed } = self.each_tick(|tick| {
            if !symbols.contains(tick.symbol) {
                match Symbol::new(tick.symbol) {
                    Ok(symbol) => drop(symbols.insert(symbol)),
                    Err(error) if first_other.is_none() => first_other = Some(error.to_string()),
                    Err(_) => {}
                }
            }
            if symbols.len() > MOST_STOCKS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if symbols.len() > MOST_STOCKS {
            bail!("{} holds more than {MOST_STOCKS} stocks; choose some with --symbols", self.name.display());
        }
        if symbols.is_empty() {
            let reason = first_other.or(first_malformed).map_or_else(String::new, |reason| format!("{reason}; "));
            bail!(
                "no tick in {} ({}): {reason}each line must be `timestamp,symbol,price[,volume]`, such as `2025-05-14 15:30:00,AAPL,211.45`",
                self.name.display(),
                counted(lines, "line")
            );
        }
        Ok(symbols.into_iter().collect())
    }

    /// Shows all well-formed ticks from the beginning, until it is enough.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn each_tick(&self, mut see: impl FnMut(&WireTick<'_>) -> ControlFlow<()>) -> Result<Looked> {
        let mut lines = self.lines()?;
        let mut line = Vec::new();
        let (mut number, mut first_malformed) = (0, None);
        while read_bounded_line(&mut lines, &mut line)
            .with_context(|| format!("cannot read {} after line {number}", self.name.display()))?
        {
            number += 1;
            let LineContent::Payload(payload) = codec::file_line(&line, number).content else { continue };
            match codec::decode(payload) {
                Ok(tick) if see(&tick).is_break() => break,
                Ok(_) => {}
                Err(reason) if first_malformed.is_none() => {
                    first_malformed = Some(format!("line {number} is malformed: {reason}"));
                }
                Err(_) => {}
            }
        }
        Ok(Looked { lines: number, first_malformed })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const LINES: &str = "timestamp,symbol,price\n2025-05-14 15:30:00,IBM,1\nbroken\n2025-05-14 15:30:00,AAPL,2\n";

    fn file(bytes: &[u8]) -> (tempfile::NamedTempFile, TicksFile) {
        let mut named = tempfile::NamedTempFile::new().unwrap();
        named.write_all(bytes).unwrap();
        let ticks = TicksFile::open(named.path()).unwrap();
        (named, ticks)
    }

    #[test]
    fn stocks_are_those_of_the_ticks_also_in_a_gzipped_file() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(LINES.as_bytes()).unwrap();
        for bytes in [LINES.as_bytes().to_vec(), packed.finish().unwrap()] {
            let (_kept, ticks) = file(&bytes);
            let symbols = ticks.symbols().unwrap();
            assert_eq!(symbols.iter().map(Symbol::as_str).collect::<Vec<_>>(), ["AAPL", "IBM"]);
            assert_eq!(ticks.lines().unwrap().lines().count(), 4, "the file can be read again");
        }
    }

    #[test]
    fn a_file_without_ticks_says_what_a_line_must_look_like() {
        let why = |bytes| file(bytes).1.symbols().unwrap_err().to_string();
        assert!(why(b"a;b;c\n").contains("line 1 is malformed: not `timestamp,symbol,price[,volume]`"));
        assert!(why(b"2025-05-14 15:30:00,AAPL,x\n").contains("line 1 is malformed: the price"));
        assert!(why(b"2025-05-14 15:30:00,aapl,1\n").contains("`aapl`"));
        assert!(why(b"").contains("each line must be `timestamp,symbol,price[,volume]`"));
    }

    #[test]
    fn a_directory_is_no_file_of_ticks() {
        let dir = tempfile::tempdir().unwrap();
        assert!(TicksFile::open(dir.path()).err().unwrap().to_string().contains("not a file"));
    }
}
