//! One row of the `features` dataset.

use crate::market::symbol::Symbol;
use crate::market::time::EventTime;

/// How many earlier closes a row carries.
pub const CLOSE_LAGS: usize = 5;

/// A bar's prices and the indicators as of that bar; an indicator is `None` until enough history exists.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureRow {
    /// The column `timestamp`.
    pub window_start: EventTime,
    /// The column `company`.
    pub symbol: Symbol,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub williams_r: Option<f64>,
    pub ultimate_osc: Option<f64>,
    pub rsi: Option<f64>,
    pub ema: Option<f64>,
    /// `close_lags[k - 1]` is the close k rows earlier.
    pub close_lags: [Option<f64>; CLOSE_LAGS],
}
