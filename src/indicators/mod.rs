//! How indicators are computed from closed bars: one indicator a file, and the feature row that holds them.
//!
//! The reference is the Python library `ta` 0.11.0 over the whole history of a stock. Nothing here names actix, rdkafka or a
//! clock.
//!
//! Every indicator is a small struct that takes one bar after the other ([`stock::StockIndicators`] holds those of one stock,
//! [`state::IndicatorState`] those of a partition). Rows are bars that exist, in window order: a window without a tick is no
//! row. What comes out is never NaN, infinite or -0.0.
//!
//! Beware: averages and Williams %R are equal to `ta` bit for bit, so the order of the operations matters. Terms must not be
//! rearranged and `mul_add` must not be used, however equal it looks on paper.

pub mod close_lags;
pub mod ema;
pub mod ewm;
mod exact;
pub mod feature_row;
pub mod rsi;
pub mod state;
pub mod stock;
pub mod ultimate_osc;
mod warm_up;
pub mod williams_r;

/// A value as a feature row may hold it: `None` if it is no finite number, 0.0 for -0.0.
fn storable(value: f64) -> Option<f64> {
    value.is_finite().then_some(value + 0.0)
}
