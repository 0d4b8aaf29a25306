//! How indicators are computed from closed bars: one indicator a file, and the feature row that holds them.
//!
//! The reference is the Python library `ta` 0.11.0 over the whole history of a stock. Nothing here names actix, rdkafka or a
//! clock.

pub mod feature_row;
