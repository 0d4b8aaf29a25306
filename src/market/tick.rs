//! Ticks: one trade or quote of one stock.

use super::time::EventTime;

/// A tick as it stands in a record, borrowed from the record's payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WireTick<'a> {
    /// When the trade happened.
    pub event_time: EventTime,
    /// As written; whether it is a known stock is the consumer's question.
    pub symbol: &'a str,
    /// Finite and above 0.
    pub price: f64,
    /// Finite and at least 0, or absent.
    pub volume: Option<f64>,
}

/// A tick of a known stock, with its place in the log: what a window folds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    pub offset: i64,
    pub event_time: EventTime,
    pub price: f64,
    pub volume: Option<f64>,
}
