//! Where it goes: the lake, a directory of Parquet files that anybody can read, and the chains of commits behind it.
//!
//! # Layout
//!
//! - [`lake`]: a lake opened by one process: identity, locks, what a partition has.
//! - [`chain`]: ownership of one partition's numbered chain. Taking it, committing, forgetting.
//! - [`mending`]: what a taker does about a damaged or missing newest entry.
//! - [`features`]: features files and saved indicator state; [`feature_flow`]: how they follow a chain.
//! - [`reader`]: published files, for `show`, `verify` and starts.
//! - [`repair`]: what `verify --repair` does to a lake that it has for itself.
//! - [`layout`]: every path and name of the lake.
//! - [`store`]: the few operations all of the above is made of; [`posix`]: those on a local file system.
//! - [`parquet`]: rows to bytes and back. Nothing outside it names arrow2 or parquet2.
//!
//! Beware: the order of steps in [`chain`] is the exactly-once promise. Nothing there may rely on more than [`store::Store`]
//! promises.

pub mod chain;
pub mod error;
pub mod feature_flow;
pub mod features;
pub mod identity;
pub mod lake;
pub mod layout;
pub mod mending;
mod newest;
pub mod parquet;
pub mod posix;
mod public_tops;
pub mod reader;
pub mod repair;
pub mod store;

#[cfg(test)]
pub(crate) mod testing;

pub use chain::{Chain, CommitError};
pub use error::StorageError;
pub use feature_flow::{FeatureFlow, FeatureProgress};
pub use features::FeaturesOutcome;
pub use identity::LakeIdentity;
pub use lake::{Lake, Sharing};
pub use layout::{BarsFile, Dataset};
pub use posix::{ProducersLock, Simulating, take_producers_lock};
pub use reader::PublishedFile;
