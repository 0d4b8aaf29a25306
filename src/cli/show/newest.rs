//! The newest rows of a partition's stocks, read backwards from its newest file.

use std::collections::{BTreeSet, HashMap};

use anyhow::bail;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::indicators::feature_row::FeatureRow;
use crate::market::bar::Bar;
use crate::market::checkpoint::TopicPartition;
use crate::market::symbol::Symbol;
use crate::storage::{Dataset, Lake, PublishedFile, StorageError};

/// How often a partition is read again when a file that was listed is gone.
const ATTEMPTS: u32 = 20;

/// A bar, with its features if they have been computed already.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub bar: Bar,
    pub features: Option<FeatureRow>,
}

/// What `--json` prints.
#[derive(Serialize)]
pub struct Rows<'a> {
    pub rows: &'a [Row],
}

impl Serialize for Row {
    /// Under the names of the columns; all of them always, `null` where there is no value.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (bar, features) = (&self.bar, self.features.as_ref());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &bar.window_start.to_string())?;
        map.serialize_entry("company", &bar.symbol)?;
        for (name, price) in [("open", bar.open), ("high", bar.high), ("low", bar.low), ("close", bar.close)] {
            map.serialize_entry(name, &price)?;
        }
        map.serialize_entry("volume", &bar.volume)?;
        map.serialize_entry("vwap", &bar.vwap)?;
        map.serialize_entry("ticks", &bar.ticks)?;
        map.serialize_entry("williams_r", &features.and_then(|row| row.williams_r))?;
        map.serialize_entry("ultimate_osc", &features.and_then(|row| row.ultimate_osc))?;
        map.serialize_entry("rsi", &features.and_then(|row| row.rsi))?;
        map.serialize_entry("ema", &features.and_then(|row| row.ema))?;
        map.end()
    }
}

/// The newest rows of some stocks of a partition, at most `last` of each, in no order.
///
/// # Errors
/// When a file cannot be read, or the lake changes all the time.
pub fn rows(
    lake: &Lake,
    partition: &TopicPartition,
    stocks: &BTreeSet<Symbol>,
    last: usize,
) -> anyhow::Result<Vec<Row>> {
    for _ in 0..ATTEMPTS {
        let mut search = Search { missing: stocks.iter().map(|stock| (stock, last)).collect(), rows: Vec::new() };
        if search.walk(lake, partition)? == Walk::Complete {
            return Ok(search.rows);
        }
    }
    bail!("files of {partition} come and go all the time, so its newest rows cannot be told; try again")
}

#[derive(PartialEq)]
enum Walk {
    Complete,
    /// A file was gone since it was listed.
    Disturbed,
}

struct Search<'a> {
    /// How many rows a stock still lacks; a stock that lacks none is not in it.
    missing: HashMap<&'a Symbol, usize>,
    rows: Vec<Row>,
}

impl Search<'_> {
    fn walk(&mut self, lake: &Lake, partition: &TopicPartition) -> Result<Walk, StorageError> {
        self.missing.retain(|_, rows| *rows > 0);
        let mut files = lake.newest_first(partition)?;
        while !self.missing.is_empty()
            && let Some(file) = files.next().transpose()?
        {
            let Some(bars) = lake.read_bars(&file)? else { return Ok(Walk::Disturbed) };
            self.take(bars.bars, || lake.read_features(&beside(&file)))?;
        }
        Ok(Walk::Complete)
    }

    fn take(
        &mut self,
        bars: Vec<Bar>,
        features: impl FnOnce() -> Result<Option<Vec<FeatureRow>>, StorageError>,
    ) -> Result<(), StorageError> {
        let mut wanted = Vec::new();
        for bar in bars.into_iter().rev() {
            if let Some(missing) = self.missing.get_mut(&bar.symbol) {
                *missing -= 1;
                if *missing == 0 {
                    self.missing.remove(&bar.symbol);
                }
                wanted.push(bar);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let mut features: HashMap<_, _> = features()?
            .unwrap_or_default()
            .into_iter()
            .map(|row| ((row.symbol.clone(), row.window_start), row))
            .collect();
        self.rows.extend(wanted.into_iter().map(|bar| {
            let features = features.remove(&(bar.symbol.clone(), bar.window_start));
            Row { bar, features }
        }));
        Ok(())
    }
}

/// The features file of a bars file; it may not be there yet.
fn beside(bars: &PublishedFile) -> PublishedFile {
    let in_features = |path: &std::path::Path| {
        let lake = path.ancestors().nth(3).unwrap_or(path);
        lake.join(Dataset::Features.date_dir(&bars.date)).join(&bars.name)
    };
    PublishedFile { dataset: Dataset::Features, path: in_features(&bars.path), ..bars.clone() }
}
