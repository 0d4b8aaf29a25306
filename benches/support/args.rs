//! Arguments of several benchmarks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use stockstream::kafka::embedded::EmbeddedBroker;

use super::environment::Environment;
use super::filled_topics::Broker;

/// What cargo and its users give every benchmark.
#[derive(Args)]
pub struct CargoArgs {
    /// Only tries whether everything works
    #[arg(long)]
    pub test: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    pub bench: bool,
    /// Does nothing unless the name of this benchmark contains it
    #[arg(hide = true)]
    filter: Option<String>,
}

impl CargoArgs {
    /// Whether the benchmark of this name is meant.
    pub fn mean(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.contains(filter))
    }

    /// Whether nobody wants figures: `cargo test --benches` says neither.
    pub fn is_smoke(&self) -> bool {
        self.test || !self.bench
    }
}

/// Of benchmarks that measure rounds against a broker.
#[derive(Args)]
pub struct RoundsArgs {
    /// Address of a running Kafka [default: few ticks on the embedded broker]
    #[arg(long)]
    broker: Option<String>,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Writes the figures here
    #[arg(long)]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub cargo: CargoArgs,
}

impl RoundsArgs {
    /// The broker to measure against, and whether it is only for a smoke run: none was given, or nobody wants figures.
    ///
    /// # Errors
    /// When the embedded broker does not start.
    pub fn broker(&self) -> Result<(Broker, bool)> {
        match self.broker.clone().filter(|_| !self.cargo.is_smoke()) {
            Some(address) => Ok((Broker::Cluster(address), false)),
            None => Ok((Broker::Embedded(EmbeddedBroker::start()?), true)),
        }
    }
}

/// Writes figures to the file that was asked for, if any, with what they were measured on.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(figures: &impl Serialize, file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text = json!({ "environment": Environment::here(), "figures": figures }).to_string();
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
