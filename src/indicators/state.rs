//! The indicators of all stocks of a partition, and the bytes that carry them over a restart.
//!
//! The averages remember every bar since the first, so no number of bars read again brings them back exactly. The state is
//! therefore kept as bytes, bit for bit, and only when they are lost the whole history is read.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::market::bar::Bar;
use crate::market::checkpoint::CommitNumber;
use crate::market::symbol::Symbol;

pub use super::exact::DamagedState;
use super::exact::{Exact, Unread};
use super::feature_row::FeatureRow;
use super::stock::StockIndicators;

/// First byte of [`IndicatorState::to_bytes`]; goes up whenever a field changes.
const FORMAT: u8 = 1;

/// The indicators of a partition's stocks after its bars files up to [`last`](Self::last).
#[derive(Clone, Debug, PartialEq)]
pub struct IndicatorState {
    stocks: HashMap<Symbol, StockIndicators, FxBuildHasher>,
    last: CommitNumber,
}

impl IndicatorState {
    /// Before the first file of the partition.
    pub fn new() -> Self {
        Self { stocks: HashMap::default(), last: CommitNumber(0) }
    }

    /// The state after all bars of the partition's files up to `last`: one full pass, for when the bytes are missing or damaged.
    /// The bars of a stock come in the order of their windows, each once; stocks may alternate.
    ///
    /// # Errors
    /// The first that comes instead of bars.
    pub fn from_history<E>(
        last: CommitNumber,
        history: impl IntoIterator<Item = Result<Vec<Bar>, E>>,
    ) -> Result<Self, E> {
        let mut state = Self { last, ..Self::new() };
        for bars in history {
            for bar in bars? {
                state.of_stock(&bar.symbol).push(&bar);
            }
        }
        Ok(state)
    }

    /// Takes the rows of bars file `number`, sorted by (symbol, window start), and returns their features in the same order.
    /// Files without rows have a number too, but need not be pushed.
    ///
    /// # Panics
    /// If `number` is not above [`last`](Self::last): a bar taken twice would spoil every value after it.
    pub fn push_file(&mut self, number: CommitNumber, rows: &[Bar]) -> Vec<FeatureRow> {
        assert!(
            number > self.last,
            "bars file {number} came after {}, whose bars the indicators hold already",
            self.last
        );
        debug_assert!(
            rows.is_sorted_by(|a, b| (&a.symbol, a.window_start) < (&b.symbol, b.window_start)),
            "the rows of bars file {number} are not sorted by symbol and window start"
        );
        self.last = number;
        let mut features = Vec::with_capacity(rows.len());
        for bars in rows.chunk_by(|a, b| a.symbol == b.symbol) {
            let indicators = self.of_stock(&bars[0].symbol);
            features.extend(bars.iter().map(|bar| indicators.push(bar)));
        }
        features
    }

    /// The newest file whose bars are included; 0 before the first.
    pub fn last(&self) -> CommitNumber {
        self.last
    }

    /// The indicators of a stock, if it has bars.
    pub fn stock(&self, symbol: &Symbol) -> Option<&StockIndicators> {
        self.stocks.get(symbol)
    }

    /// The stocks that have bars, in no order.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.stocks.keys()
    }

    /// The state as bytes that [`from_bytes`](Self::from_bytes) brings back bit for bit, the same bytes for the same state.
    /// About 800 bytes a stock. They carry no checksum: who stores them adds one.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut stocks: Vec<_> = self.stocks.iter().collect();
        stocks.sort_unstable_by_key(|&(symbol, _)| symbol);
        let mut out = Vec::with_capacity(64 + 800 * stocks.len());
        FORMAT.write_to(&mut out);
        self.last.0.write_to(&mut out);
        (stocks.len() as u64).write_to(&mut out);
        for (symbol, indicators) in stocks {
            (symbol.as_str().len() as u8).write_to(&mut out);
            out.extend_from_slice(symbol.as_str().as_bytes());
            indicators.write_to(&mut out);
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Never panics, and allocates no more than the bytes account for.
    ///
    /// # Errors
    /// When the bytes were written by another format or cannot have been written at all.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedState> {
        let mut unread = Unread::new(bytes);
        match u8::read_from(&mut unread)? {
            FORMAT => {}
            found => return Err(DamagedState::UnknownFormat { found, expected: FORMAT }),
        }
        let mut state = Self { last: CommitNumber(u64::read_from(&mut unread)?), ..Self::new() };
        let mut previous = None;
        for _ in 0..u64::read_from(&mut unread)? {
            let symbol = take_symbol(&mut unread)?;
            if previous.as_ref().is_some_and(|previous| *previous >= symbol) {
                return Err(DamagedState::InvalidStock);
            }
            state.stocks.insert(symbol.clone(), StockIndicators::read_from(&mut unread)?);
            previous = Some(symbol);
        }
        match unread.len() {
            0 => Ok(state),
            trailing => Err(DamagedState::TrailingBytes(trailing)),
        }
    }

    fn of_stock(&mut self, symbol: &Symbol) -> &mut StockIndicators {
        self.stocks.entry(symbol.clone()).or_default()
    }
}

impl Default for IndicatorState {
    fn default() -> Self {
        Self::new()
    }
}

fn take_symbol(unread: &mut Unread<'_>) -> Result<Symbol, DamagedState> {
    let len = u8::read_from(unread)?;
    let text = std::str::from_utf8(unread.bytes(len.into())?).map_err(|_| DamagedState::InvalidStock)?;
    Symbol::new(text).map_err(|_| DamagedState::InvalidStock)
}

#[cfg(test)]
mod tests;
