//! A lake, read as a stranger would, and what must hold of every lake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stockstream::indicators::feature_row::FeatureRow;
use stockstream::indicators::stock::StockIndicators;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::{Checkpoint, TopicPartition};
use stockstream::market::symbol::Symbol;
use stockstream::market::time::EventTime;
use stockstream::storage::{Dataset, Lake, StorageError};

/// All bars, sorted by (symbol, window start). Holds the lake to its promises: rows sorted within a file and of the date of its
/// directory, no bar twice, a features file for every bars file, and features as they follow from the bars.
#[track_caller]
pub fn bars(dir: &Path) -> Vec<Bar> {
    let lake = Lake::open_read_only(dir).unwrap();
    let files = lake.files(Dataset::Bars).unwrap();
    let (mut bars, mut features) = (BTreeMap::new(), BTreeMap::new());
    for file in &files {
        let rows = lake.read_bars(file).unwrap().unwrap().bars;
        assert!(rows.is_sorted_by_key(key), "{}", file.path.display());
        for bar in rows {
            assert_eq!(bar.window_start.date(), file.date, "{}", file.path.display());
            let twice = bars.insert(key(&bar), bar);
            assert_eq!(twice, None, "a bar stands twice, also in {}", file.path.display());
        }
    }
    let feature_files = lake.files(Dataset::Features).unwrap();
    let names = |files: &[stockstream::storage::PublishedFile]| -> Vec<(String, String)> {
        files.iter().map(|file| (file.date.clone(), file.name.clone())).collect()
    };
    assert_eq!(names(&feature_files), names(&files), "a features file for every bars file");
    for file in &feature_files {
        for row in lake.read_features(file).unwrap().unwrap() {
            features.insert((row.symbol.clone(), row.window_start), row);
        }
    }
    let bars: Vec<Bar> = bars.into_values().collect();
    assert_same("features", &features.into_values().collect::<Vec<_>>(), &features_of(&bars));
    bars
}

fn key(bar: &Bar) -> (Symbol, EventTime) {
    (bar.symbol.clone(), bar.window_start)
}

/// What the indicators say over these bars, from nothing.
fn features_of(bars: &[Bar]) -> Vec<FeatureRow> {
    let mut indicators: BTreeMap<&Symbol, StockIndicators> = BTreeMap::new();
    bars.iter().map(|bar| indicators.entry(&bar.symbol).or_default().push(bar)).collect()
}

/// Equal to the bit: the printed form of a number is the shortest that reads back as the same one.
#[track_caller]
pub fn assert_same<T: std::fmt::Debug>(what: &str, found: &[T], wanted: &[T]) {
    let print = |rows: &[T]| rows.iter().map(|row| format!("{row:?}")).collect::<Vec<_>>();
    let (found, wanted) = (print(found), print(wanted));
    let differs = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
    if let Some(at) = differs {
        panic!("{what}: row {at} is\n{}\nand must be\n{}", found[at], wanted[at]);
    }
    assert_eq!(found.len(), wanted.len(), "{what}: rows; the first {} are the same", found.len().min(wanted.len()));
}

/// The bars of a stock.
pub fn of<'b>(bars: &'b [Bar], symbol: &str) -> Vec<&'b Bar> {
    bars.iter().filter(|bar| bar.symbol.as_str() == symbol).collect()
}

/// The bars that the lake holds at this moment, while a program may be writing, in the order of its files; none while there is no lake.
pub fn bars_so_far(dir: &Path) -> Vec<Bar> {
    let read = || {
        let lake = Lake::open_read_only(dir)?;
        let mut bars = Vec::new();
        for file in lake.files(Dataset::Bars)? {
            bars.extend(lake.read_bars(&file)?.into_iter().flat_map(|content| content.bars));
        }
        Ok::<_, StorageError>(bars)
    };
    read().unwrap_or_default()
}

/// How many of them are of a stock.
pub fn count_of(dir: &Path, symbol: &str) -> usize {
    of(&bars_so_far(dir), symbol).len()
}

/// The newest checkpoint of every partition.
pub fn checkpoints(dir: &Path) -> BTreeMap<TopicPartition, Checkpoint> {
    let lake = Lake::open_read_only(dir).unwrap();
    let newest = |partition| {
        let checkpoint = lake.newest_checkpoint(&partition).unwrap().unwrap();
        (partition, checkpoint)
    };
    lake.partitions().unwrap().into_iter().map(newest).collect()
}

/// How many commits there have been, in all partitions; 0 while there is no lake.
pub fn commits(dir: &Path) -> u64 {
    let count = || {
        let lake = Lake::open_read_only(dir)?;
        let mut sum = 0;
        for partition in lake.partitions()? {
            sum += lake.entries(&partition)?.last().map_or(0, |number| number.0);
        }
        Ok::<_, stockstream::storage::StorageError>(sum)
    };
    count().unwrap_or(0)
}

/// Files below the lake that are not finished.
pub fn temporaries(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            found.push(path);
        } else if path.is_dir() {
            found.extend(temporaries(&path));
        }
    }
    found
}
