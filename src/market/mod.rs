//! How it is decided: ticks, windows, watermark and barriers as plain types.
//!
//! Nothing here names actix, rdkafka or a clock, and all randomness is seeded. Time goes in as an argument, results come
//! back as values, so every rule can be tested by calling it.

pub mod bar;
pub mod barrier;
pub mod checkpoint;
pub mod codec;
pub mod faults;
pub mod gbm;
pub mod log_gap;
pub mod lost_commits;
pub mod pace;
pub mod partition;
pub mod retention;
pub mod sim_clock;
pub mod symbol;
pub mod tick;
pub mod time;
pub mod watermark;
pub mod window;
