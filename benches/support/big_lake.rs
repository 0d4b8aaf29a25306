//! A lake as the program leaves it after a long time, made by the program's own storage.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow};

use stockstream::kafka::topics::Topics;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::{Checkpoint, Commit, CommitNumber, NextOffset, TopicPartition};
use stockstream::market::symbol::Symbol;
use stockstream::market::time::{EventTime, MICROS_PER_DAY};
use stockstream::settings::Settings;
use stockstream::storage::{FeatureFlow, Lake, LakeIdentity, Sharing, StorageError};

use super::filled_topics::FilledTopics;
use super::work::{FIRST_TICK_SECS, KEYED_PARTITIONS, Universe, Work};

/// Windows of a trading day of 6.5 hours.
const WINDOWS_A_DAY: i64 = 78;
/// An hour and a bit a commit.
const WINDOWS_A_COMMIT: i64 = 13;
/// 14:30, when New York opens.
const OPENING_SECS: i64 = (14 * 60 + 30) * 60;

/// How much there is in the lake.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Up to the day before the first tick of [`Work`].
    pub days: u32,
}

/// What was made.
pub struct Made {
    pub bars: u64,
    /// Bars files; there are as many of features.
    pub files: u64,
}

/// Makes the lake: all stocks of the keyed work, each with every bar of every day but one of each partition, which is known and never had
/// a bar.
///
/// # Errors
/// When the disk refuses.
pub fn make_lake(dir: &Path, group: &str, topics: &FilledTopics<'_>, shape: Shape) -> Result<Made> {
    let settings = &topics.settings;
    let identity = LakeIdentity {
        group: group.to_owned(),
        cluster: Topics::of_cluster(&settings.kafka, topics.broker.address()).cluster_id()?,
        layout: format!("keyed, {KEYED_PARTITIONS} partitions"),
    };
    let lake = Lake::open(dir, settings.lake.compression, Sharing::Exclusive, &identity)?;
    let (bars, files) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let of = |index| {
            let (lake, identity, bars, files) = (&lake, &identity, &bars, &files);
            scope.spawn(move || fill_partition((lake, &identity.cluster), settings, index, shape, (bars, files)))
        };
        let threads: Vec<_> = (0..KEYED_PARTITIONS).map(of).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    Ok(Made { bars: bars.into_inner(), files: files.into_inner() })
}

fn fill_partition(
    (lake, cluster): (&Lake, &String),
    settings: &Settings,
    index: i32,
    shape: Shape,
    (bars, files): (&AtomicU64, &AtomicU64),
) -> Result<()> {
    let partition = TopicPartition::new(&settings.kafka.topic, index);
    let rules = settings.market.rules;
    let (window, cluster) = (rules.window.span().micros(), cluster.as_str());
    let (mut chain, mut checkpoint) = lake.take(&partition, |newest: Option<Checkpoint>, _: &[_]| {
        Ok::<_, StorageError>(newest.unwrap_or_else(|| Checkpoint::genesis(rules, cluster)))
    })?;
    let mut features = FeatureFlow::restore(lake, &partition)?;
    let mut symbols = Work::of_one_partition(Universe::of(settings.kafka.layout), index).symbols;
    symbols.sort();
    checkpoint.known = symbols.iter().map(|symbol| (symbol.clone(), NextOffset(0))).collect();
    symbols.pop();
    for day in (1..=i64::from(shape.days)).rev() {
        let opening = FIRST_TICK_SECS * 1_000_000 - day * MICROS_PER_DAY + OPENING_SECS * 1_000_000;
        for first in (0..WINDOWS_A_DAY).step_by(WINDOWS_A_COMMIT as usize) {
            let start = |number: i64| EventTime::from_micros(opening + number * window);
            let rows: Vec<Bar> = symbols
                .iter()
                .flat_map(|symbol| {
                    (first..first + WINDOWS_A_COMMIT).map(move |number| bar(symbol, day, number, start(number)))
                })
                .collect();
            checkpoint.counters.read += rows.len() as u64;
            checkpoint.counters.in_bars += rows.len() as u64;
            checkpoint.watermark = start(first + WINDOWS_A_COMMIT);
            bars.fetch_add(rows.len() as u64, Ordering::Relaxed);
            files.fetch_add(1, Ordering::Relaxed);
            let commit = Commit { rows: rows.into(), checkpoint: checkpoint.clone() };
            let file = chain.commit(&commit)?.context("a commit with rows has a file")?;
            features.take_in(file.number, &commit.rows);
            let progress = features.publish_all(|_| {})?;
            chain.prune(CommitNumber(progress.saved.0 + 1))?;
        }
    }
    features.save()?;
    Ok(())
}

fn bar(symbol: &Symbol, day: i64, number: i64, window_start: EventTime) -> Bar {
    let price = 100.0 + ((day * 31 + number * 7) % 97) as f64 / 8.0;
    Bar {
        symbol: symbol.clone(),
        window_start,
        open: price,
        high: price + 0.5,
        low: price - 0.25,
        close: price + 0.125,
        volume: None,
        vwap: None,
        ticks: 1,
    }
}
