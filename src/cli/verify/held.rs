//! Which rows a file held that is damaged or gone, as another file still tells. Pure.

use std::fmt;

use crate::indicators::feature_row::FeatureRow;
use crate::market::bar::Bar;
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;
use crate::words::counted;

/// The file that tells what another one held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The features file of a bars file.
    Features,
    /// The entry of the chain that a bars file is published from.
    Entry,
    /// The published copy of an entry.
    Copy,
    /// The bars file of a features file.
    Bars,
    /// The bars file, in what is said of itself.
    Itself,
    /// The entry of the chain that holds the bars of a features file.
    EntryOfBars,
}

/// The rows that a file held.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    witness: Witness,
    rows: usize,
    first: Row,
    last: Row,
}

type Row = (Symbol, EventTime);

impl Held {
    /// As bars tell; `None`: there were none.
    pub fn in_bars(witness: Witness, bars: &[Bar]) -> Option<Self> {
        let row = |bar: &Bar| (bar.symbol.clone(), bar.window_start);
        Some(Self { witness, rows: bars.len(), first: row(bars.first()?), last: row(bars.last()?) })
    }

    /// As features tell of their bars; `None`: there were none.
    pub fn in_features(rows: &[FeatureRow]) -> Option<Self> {
        let row = |row: &FeatureRow| (row.symbol.clone(), row.window_start);
        Some(Self { witness: Witness::Features, rows: rows.len(), first: row(rows.first()?), last: row(rows.last()?) })
    }

    /// Stock and window of the first row.
    pub fn first(&self) -> &(Symbol, EventTime) {
        &self.first
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = match self.witness {
            Witness::Features => "its features file tells what it held: ",
            Witness::Entry => "its entry in the chain tells what it held: ",
            Witness::Copy => "its published copy tells what it held: ",
            Witness::Bars => "its bars file tells what it held: features of ",
            Witness::Itself => "it tells what belongs there: features of ",
            Witness::EntryOfBars => "the chain's entry of its bars tells what it held: features of ",
        };
        let Self { rows, first, last, .. } = self;
        write!(f, "{told}{}, {} at {}", counted(*rows, "bar"), first.0, first.1)?;
        match rows {
            1 => Ok(()),
            _ => write!(f, " first, {} at {} last", last.0, last.1),
        }
    }
}
