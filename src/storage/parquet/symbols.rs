//! The column of symbols. A file is sorted by stock, so it is kept, checked and compared in runs of equal ones.

use super::pages::{broken, split_at};
use super::{Unreadable, damaged};
use crate::market::symbol::Symbol;

/// As many repetitions go into a checksum at once.
const AT_ONCE: usize = 1024;

/// The symbol of each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Symbols {
    runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq)]
struct Run {
    symbol: Symbol,
    /// The row behind its last.
    end: usize,
}

impl Symbols {
    pub fn len(&self) -> usize {
        self.runs.last().map_or(0, |run| run.end)
    }

    /// Adds so many rows, at least one.
    pub fn push(&mut self, symbol: &Symbol, rows: usize) {
        let end = self.len() + rows;
        match self.runs.last_mut() {
            Some(run) if run.symbol == *symbol => run.end = end,
            _ => self.runs.push(Run { symbol: symbol.clone(), end }),
        }
    }

    /// Each run with its length.
    fn runs(&self) -> impl Iterator<Item = (&Symbol, usize)> {
        let mut start = 0;
        self.runs.iter().map(move |run| (&run.symbol, run.end - std::mem::replace(&mut start, run.end)))
    }

    /// For rows asked for in order.
    pub fn in_order(&self) -> impl FnMut(usize) -> Symbol {
        let mut runs = &self.runs[..];
        move |row| {
            while runs[0].end <= row {
                runs = &runs[1..];
            }
            runs[0].symbol.clone()
        }
    }

    /// The least and the greatest.
    pub fn bounds(&self) -> Option<(&Symbol, &Symbol)> {
        let symbols = || self.runs.iter().map(|run| &run.symbol);
        Some((symbols().min()?, symbols().max()?))
    }

    /// Each behind a one and its length in eight bytes.
    pub fn update(&self, crc: &mut crc32fast::Hasher) {
        let mut bytes = Vec::new();
        for (symbol, mut length) in self.runs() {
            let text = symbol.as_str().as_bytes();
            let value = [&[1], &(text.len() as u64).to_le_bytes()[..], text].concat();
            while length > 0 {
                let now = length.min(AT_ONCE);
                append_times(&mut bytes, &value, now);
                length -= now;
                if bytes.len() >= AT_ONCE {
                    crc.update(&bytes);
                    bytes.clear();
                }
            }
        }
        crc.update(&bytes);
    }

    /// Plain: each behind its length in four bytes.
    pub fn write(&self, page: &mut Vec<u8>) {
        for (symbol, length) in self.runs() {
            let text = symbol.as_str().as_bytes();
            append_times(page, &[&(text.len() as u32).to_le_bytes(), text].concat(), length);
        }
    }

    /// Takes so many plain symbols off the front.
    ///
    /// # Errors
    /// When they are not there, or no symbols.
    pub fn read(&mut self, mut rows: usize, values: &mut &[u8]) -> Result<(), Unreadable> {
        while rows > 0 {
            let mut behind = *values;
            let symbol = first(&mut behind)?;
            let plain = &values[..values.len() - behind.len()];
            let mut length = 1;
            while length < rows && behind.starts_with(plain) {
                behind = &behind[plain.len()..];
                length += 1;
            }
            self.push(&symbol, length);
            rows -= length;
            *values = behind;
        }
        Ok(())
    }
}

/// Behind its length.
fn first(values: &mut &[u8]) -> Result<Symbol, Unreadable> {
    let length = split_at(values, 4)?.try_into().map_err(|_| broken())?;
    let text = split_at(values, u32::from_le_bytes(length) as usize)?;
    let text = std::str::from_utf8(text).map_err(|_| broken())?;
    Symbol::new(text).map_err(|why| damaged(why.to_string()))
}

/// Doubles what is there already: a copy of many bytes costs little more than one of few.
fn append_times(into: &mut Vec<u8>, bytes: &[u8], times: usize) {
    let (start, end) = (into.len(), into.len() + times * bytes.len());
    into.extend_from_slice(bytes);
    while into.len() < end {
        let more = (into.len() - start).min(end - into.len());
        into.extend_from_within(start..start + more);
    }
}
