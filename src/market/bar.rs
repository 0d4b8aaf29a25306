//! A closed bar: one row of the `bars` dataset.

use super::symbol::Symbol;
use super::time::EventTime;

/// Open, high, low, close, volume, vwap and tick count of one stock in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub symbol: Symbol,
    /// Start of the window; the column `timestamp`.
    pub window_start: EventTime,
    /// Price of the tick with the least (event time, offset).
    pub open: f64,
    pub high: f64,
    pub low: f64,
    /// Price of the tick with the greatest (event time, offset).
    pub close: f64,
    /// Sum over the ticks that have a volume; `None` when none has.
    pub volume: Option<f64>,
    /// Volume-weighted price over those ticks; `None` when none has a volume or their sum is 0.
    pub vwap: Option<f64>,
    pub ticks: i64,
}
