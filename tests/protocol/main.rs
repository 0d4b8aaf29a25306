//! The commit protocol as a model: the product's own code, over a storage that can lose what was not made durable, in every order
//! of a few steps and in many random orders of many. And the same with one rule broken, which must be found: a test that cannot
//! fail shows nothing. `docs/PROTOCOL.md` says what is covered.

mod actors;
mod audit;
mod core_broken;
mod core_search;
mod disk;
mod disk_broken;
mod mending;
mod model_store;
mod names;
mod reader;
mod steps;
mod store_rules;
mod storm;
#[path = "../support/mod.rs"]
mod support;
mod turn;
mod world;

use stockstream::market::checkpoint::BarRules;
use stockstream::market::time::{Span, WindowSize};

const HOUR: i64 = 3_600;

/// Three windows a date and a watermark one window behind: as small as it can be without losing a case.
pub fn rules() -> BarRules {
    let window = WindowSize::new(Span::from_secs(8 * HOUR)).expect("it divides the day");
    BarRules { window, lateness: Span::from_secs(8 * HOUR), max_ahead: Span::from_secs(60) }
}
