//! What cargo and its users give every benchmark.

use clap::Args;

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
