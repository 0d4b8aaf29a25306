//! `stockstream show`: the newest bars of a lake with their features.
//!
//! Works while the system runs: nothing is locked or changed. Files are read newest first and no more of them than needed, so a
//! large lake is as quick as a small one.

mod newest;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::cli::OutputFormat;
use crate::market::checkpoint::TopicPartition;
use crate::market::symbol::Symbol;
use crate::storage::Lake;
use crate::words::counted;

/// How many of a lake's stocks the error about an unknown one lists.
const LISTED: usize = 10;

/// What to show.
#[derive(Clone, Debug)]
pub struct ShowRequest {
    /// Directory of the lake.
    pub lake: PathBuf,
    /// `None`: all stocks.
    pub symbol: Option<Symbol>,
    /// How many rows of each stock, at most.
    pub last: usize,
    pub format: OutputFormat,
}

/// Prints the newest rows, by stock and in window order.
///
/// # Errors
/// When there is no lake, it does not have the stock, a file of it cannot be read, or `out` fails.
pub fn show(request: &ShowRequest, out: &mut dyn Write) -> anyhow::Result<()> {
    let lake = Lake::open_read_only(&request.lake)?;
    let known = known_stocks(&lake)?;
    let wanted = match &request.symbol {
        Some(symbol) => only(symbol, &known, request)?,
        None => known,
    };
    let mut rows = Vec::new();
    for (partition, stocks) in &wanted {
        rows.extend(newest::rows(&lake, partition, stocks, request.last)?);
    }
    rows.sort_by(|a, b| (&a.bar.symbol, a.bar.window_start).cmp(&(&b.bar.symbol, b.bar.window_start)));
    match request.format {
        OutputFormat::Json => {
            serde_json::to_writer(&mut *out, &newest::Rows { rows: &rows }).context("cannot print the rows")?;
            writeln!(out)?;
        }
        OutputFormat::Text if rows.is_empty() => writeln!(out, "no bars yet in {}", request.lake.display())?,
        OutputFormat::Text => table::write(&rows, out)?,
    }
    Ok(())
}

/// The stocks of each partition, as its newest checkpoint knows them.
fn known_stocks(lake: &Lake) -> anyhow::Result<BTreeMap<TopicPartition, BTreeSet<Symbol>>> {
    let mut known = BTreeMap::new();
    for partition in lake.partitions()? {
        if let Some(checkpoint) = lake.newest_checkpoint(&partition)? {
            known.insert(partition, checkpoint.known.into_keys().collect());
        }
    }
    Ok(known)
}

fn only(
    symbol: &Symbol,
    known: &BTreeMap<TopicPartition, BTreeSet<Symbol>>,
    request: &ShowRequest,
) -> anyhow::Result<BTreeMap<TopicPartition, BTreeSet<Symbol>>> {
    let home = known.iter().filter(|(_, stocks)| stocks.contains(symbol));
    let wanted: BTreeMap<_, _> = home.map(|(home, _)| (home.clone(), BTreeSet::from([symbol.clone()]))).collect();
    if !wanted.is_empty() {
        return Ok(wanted);
    }
    let lake = request.lake.display();
    let stocks: BTreeSet<&str> = known.values().flatten().map(Symbol::as_str).collect();
    if stocks.is_empty() {
        bail!("the lake at {lake} has no stocks yet, so not {symbol} either; start `stockstream run` first");
    }
    let mut some: Vec<&str> = stocks.iter().copied().take(LISTED).collect();
    if stocks.len() > LISTED {
        some.push("...");
    }
    bail!("the lake at {lake} has no stock {symbol}; it has {}: {}", counted(stocks.len(), "stock"), some.join(", "))
}
