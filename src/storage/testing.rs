//! What the tests of this folder share: commits, lakes in a temporary directory, a store that fails when told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::Action;
use super::posix::PosixStore;
use super::store::{Beside, Publish, Put, Store};
use super::{Chain, CommitError, Dataset, Lake, LakeIdentity, Sharing, StorageError};
use crate::indicators::feature_row::FeatureRow;
use crate::market::bar::Bar;
use crate::market::checkpoint::{BarRules, Checkpoint, Commit, CommitNumber, NextOffset, TopicPartition};
use crate::market::lost_commits::LostCommits;
use crate::market::symbol::Symbol;
use crate::market::time::{EventTime, MICROS_PER_DAY, Span, WindowSize};
use crate::settings::Compression;

/// 2025-05-14T00:00:00Z.
pub const DAY_ZERO: i64 = 1_747_180_800_000_000;
const WINDOW: i64 = 300_000_000;

pub fn partition() -> TopicPartition {
    TopicPartition::new("stock_topic.AAPL", 0)
}

pub fn identity() -> LakeIdentity {
    LakeIdentity { group: "g".into(), cluster: "embedded".into(), layout: "per_stock".into() }
}

pub fn open(dir: &Path, sharing: Sharing) -> Lake {
    Lake::open(dir, Compression::Zstd, sharing, &identity()).unwrap()
}

pub fn genesis() -> Checkpoint {
    let rules = BarRules {
        window: WindowSize::new(Span::from_micros(WINDOW)).unwrap(),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    };
    Checkpoint::genesis(rules, "log")
}

/// Goes on from the newest checkpoint, from the beginning where there is none.
pub fn go_on(newest: Option<Checkpoint>, _: &[LostCommits]) -> Result<Checkpoint, StorageError> {
    Ok(newest.unwrap_or_else(genesis))
}

pub fn bar(symbol: &str, window: i64) -> Bar {
    Bar {
        symbol: Symbol::new(symbol).unwrap(),
        window_start: EventTime::from_micros(DAY_ZERO + window * WINDOW),
        open: 10.0 + window as f64,
        high: 12.5,
        low: 9.25,
        close: 11.0,
        volume: (window % 2 == 0).then_some(100.0),
        vwap: (window % 2 == 0).then_some(10.5),
        ticks: 7,
    }
}

/// Commit number `step` of a made-up stream: two windows each, 20 commits a day. Its cut tells it apart.
pub fn step(step: i64) -> Commit {
    let window = step / 20 * (MICROS_PER_DAY / WINDOW) + step % 20 * 2;
    let rows = vec![bar("AAPL", window), bar("AAPL", window + 1), bar("MSFT", window)];
    let mut checkpoint = genesis();
    checkpoint.cut = NextOffset((step + 1) * 100);
    checkpoint.counters.in_bars =
        (step + 1).unsigned_abs() * rows.iter().map(|bar| bar.ticks.unsigned_abs()).sum::<u64>();
    checkpoint.counters.read = checkpoint.counters.in_bars;
    checkpoint.watermark = EventTime::from_micros(DAY_ZERO + (window + 2) * WINDOW);
    Commit { rows: rows.into(), checkpoint }
}

/// The next commit of the stream after a checkpoint.
pub fn next_step(checkpoint: &Checkpoint) -> i64 {
    checkpoint.cut.0 / 100
}

pub fn features_of(commit: &Commit) -> Vec<FeatureRow> {
    let feature = |bar: &Bar| FeatureRow {
        window_start: bar.window_start,
        symbol: bar.symbol.clone(),
        open: bar.open,
        high: bar.high,
        low: bar.low,
        close: bar.close,
        williams_r: None,
        ultimate_osc: Some(-12.0),
        rsi: Some(55.0),
        ema: None,
        close_lags: [Some(1.0), None, None, None, None],
    };
    commit.rows.iter().map(feature).collect()
}

pub fn lake() -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path(), Sharing::Shared);
    (dir, lake)
}

pub fn take(lake: &Lake) -> (Chain, Checkpoint) {
    lake.take(&partition(), go_on).unwrap()
}

/// Takes the partition and commits what is missing of the first `steps` commits.
pub fn finish(lake: &Lake, steps: i64) -> Result<(), CommitError> {
    let (mut chain, checkpoint) = lake.take(&partition(), go_on)?;
    for n in next_step(&checkpoint)..steps {
        chain.commit(&step(n))?;
        chain.prune(chain.last())?;
    }
    Ok(())
}

pub fn entry_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(super::layout::entry(&partition(), CommitNumber(number)))
}

/// The published bars of a partition, sorted by (symbol, window start).
pub fn bars_of(lake: &Lake, partition: &TopicPartition) -> Vec<Bar> {
    let dates = lake.bars_by_date(partition, CommitNumber(u64::MAX)).unwrap();
    let mut bars: Vec<Bar> = dates.flat_map(Result::unwrap).collect();
    bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
    bars
}

/// Every published bar is one of the first `steps` commits, once, and nothing half-written is left.
pub fn assert_holds_exactly(lake: &Lake, dir: &Path, steps: i64) {
    let mut expected: Vec<Bar> = (0..steps).flat_map(|n| step(n).rows.to_vec()).collect();
    expected.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
    assert_eq!(bars_of(lake, &partition()), expected);
    for dir in [dir.join("state"), dir.join("state").join(partition().to_string())] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with(".tmp-"), "left behind: {name}");
        }
    }
}

pub fn published(dir: &Path, dataset: Dataset) -> Vec<PathBuf> {
    Lake::open_read_only(dir).unwrap().files(dataset).unwrap().into_iter().map(|file| file.path).collect()
}

/// When a [`FaultyStore`] fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation is not done, and none after it: the process is dead.
    DeathBefore,
    /// The operation is done, but never answered.
    DeathAfter,
    /// The operation is not done; the next ones work again.
    Refusal,
    /// The operation is done and reports an error; the next ones work again.
    LateRefusal,
}

/// A store whose operation number `at` fails.
pub struct FaultyStore {
    pub store: PosixStore,
    pub fault: Fault,
    pub at: usize,
    pub count: Arc<AtomicUsize>,
}

impl FaultyStore {
    /// One that only counts.
    pub fn counting(store: PosixStore, count: &Arc<AtomicUsize>) -> Self {
        Self { store, fault: Fault::Refusal, at: usize::MAX, count: count.clone() }
    }
}

impl FaultyStore {
    fn run<T>(&self, path: &str, operation: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let error = || {
            let source = std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
            StorageError::Io { action: Action::Write, path: path.into(), source }
        };
        match self.fault {
            Fault::DeathBefore | Fault::DeathAfter if number > self.at => Err(error()),
            Fault::DeathBefore | Fault::Refusal if number == self.at => Err(error()),
            Fault::DeathAfter | Fault::LateRefusal if number == self.at => operation().and(Err(error())),
            _ => operation(),
        }
    }
}

impl Store for FaultyStore {
    fn locate(&self, path: &str) -> PathBuf {
        self.store.locate(path)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        self.run(dir, || self.store.list(dir))
    }
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.run(path, || self.store.get(path))
    }
    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        self.run(path, || self.store.exists(path))
    }
    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put, StorageError> {
        self.run(path, || self.store.put_if_absent(path, bytes))
    }
    fn settle(&self, dir: &str) -> Result<(), StorageError> {
        self.run(dir, || self.store.settle(dir))
    }
    fn remove(&self, path: &str) -> Result<(), StorageError> {
        self.run(path, || self.store.remove(path))
    }
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.run(path, || self.store.replace(path, bytes))
    }
    fn set_aside(&self, path: &str, to: &str) -> Result<(), StorageError> {
        self.run(path, || self.store.set_aside(path, to))
    }
    fn publish(&self, from: &str, to: &str) -> Result<Publish, StorageError> {
        self.run(to, || self.store.publish(from, to))
    }
    fn publish_beside(&self, to: &str, bytes: &[u8], beside: &str) -> Result<Beside, StorageError> {
        self.run(to, || self.store.publish_beside(to, bytes, beside))
    }
    fn retract(&self, path: &str) -> Result<(), StorageError> {
        self.run(path, || self.store.retract(path))
    }
    fn sweep(&self, dir: &str) -> Result<(), StorageError> {
        self.run(dir, || self.store.sweep(dir))
    }
}

/// Runs the steps over a store that fails at operation `at`; whether it got that far.
pub fn run_with_fault(dir: &Path, fault: Fault, at: usize, run: impl FnOnce(&Lake)) -> bool {
    let count = Arc::new(AtomicUsize::new(0));
    let store = PosixStore::open(dir, Sharing::Exclusive).unwrap();
    let faulty = FaultyStore { store, fault, at, count: count.clone() };
    if let Ok(lake) = Lake::over(Box::new(faulty), Compression::Zstd, &identity()) {
        run(&lake);
    }
    count.load(Ordering::SeqCst) > at
}
