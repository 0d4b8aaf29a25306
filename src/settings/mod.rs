//! What the user chose: files, environment and command line become one validated [`Settings`], or a list of everything that is
//! wrong with them.
//!
//! ```text
//! default.toml, files ──document──┐
//! STOCKSTREAM__ variables ────────┤ layers, every value checked against `schema`
//! command line ───────────────────┘      │
//!                                        ▼
//!                     config: merged, each value with its origin ──► Effective (what `check` prints)
//!                                        │
//!                                        ▼
//!                        Raw (serde) ──rules (several keys)──► Settings ──► ReloadPlan (old against new)
//! ```
//!
//! The crate `config` merges the layers and deserialises the result. It does not read them: its environment source knows neither
//! the variable a value came from nor its type, its TOML source no lines, and its numbers are lenient (4.7 partitions would
//! become 5). Nor can it tell more than the first error.

mod client_properties;
mod document;
mod effective;
mod errors;
mod kind;
mod load;
mod place;
mod plan;
mod raw;
mod restart_keys;
mod rules;
mod schema;
mod sources;
mod text;
mod types;
mod watch;

pub use client_properties::{CLIENT_PROPERTIES, ClientScope};
pub use effective::{Effective, EffectiveValue};
pub use errors::{Problem, SettingsErrors};
pub use load::{Loaded, load};
pub use plan::{ReloadPlan, RestartNeeded, StockChange};
pub use schema::keys;
pub use sources::{Override, Sources};
pub use types::*;
pub use watch::SettingsWatcher;

/// The embedded `settings/default.toml`: every key, its comment and its default.
pub const DEFAULT_TOML: &str = include_str!("../../settings/default.toml");
