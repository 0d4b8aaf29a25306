//! Small lakes for the tests of `show` and `verify`, made as the system makes them, and ways to damage them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

use crate::indicators::feature_row::FeatureRow;
use crate::indicators::state::IndicatorState;
use crate::market::bar::Bar;
use crate::market::checkpoint::{BarRules, Checkpoint, Commit, CommitNumber, NextOffset, TopicPartition};
use crate::market::lost_commits::LostCommits;
use crate::market::symbol::Symbol;
use crate::market::time::{EventTime, Span, WindowSize};
use crate::settings::Compression;
use crate::storage::parquet;
use crate::storage::{BarsFile, Chain, Dataset, Lake, LakeIdentity, Sharing, StorageError};

/// 2025-05-13T22:00:00Z; windows from 24 on are of the next date.
const BEGIN: i64 = 1_747_173_600_000_000;
pub const WINDOW: i64 = 300_000_000;

/// A lake in a temporary directory, open for writing.
pub struct Sample {
    pub dir: TempDir,
    lake: Lake,
    owned: BTreeMap<TopicPartition, Owned>,
}

struct Owned {
    chain: Chain,
    checkpoint: Checkpoint,
    indicators: IndicatorState,
    /// Committed, features not published.
    behind: Vec<(BarsFile, Arc<[Bar]>)>,
}

/// What is done after a commit.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    PublishFeatures,
    /// As if the engine was behind, or the process died.
    Nothing,
}

/// A lake at rest: AAPL with its own partition, IBM and MSFT in another; 60 windows over two dates. Made once, then copied.
pub fn at_rest() -> TempDir {
    static FILES: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let mut sample = Sample::new();
        sample.fill(60);
        let lake = sample.stop();
        let mut files = Vec::new();
        read_all(lake.path(), Path::new(""), &mut files);
        files
    });
    let copy = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = copy.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    copy
}

/// A lake whose commit 7 of AAPL, the newest at that time, was torn. A start has put it aside, goes on from the checkpoint that
/// `going_on` makes of the one before, and commits the window of this number and the next one.
pub fn set_aside(window: i64, going_on: impl Fn(Checkpoint, &[LostCommits]) -> Checkpoint) -> TempDir {
    let mut sample = Sample::new();
    sample.fill(12);
    let dir = sample.stop();
    let entry = dir.path().join("state/stock_topic.AAPL-0/000000007.parquet");
    fs::write(entry, "torn").unwrap();
    let mut sample = Sample::open(dir);
    let go_on = |newest: Option<Checkpoint>, aside: &[LostCommits]| {
        Ok::<_, StorageError>(going_on(newest.expect("only the newest entry is torn"), aside))
    };
    let (chain, checkpoint) = sample.lake.take(&apple(), go_on).unwrap();
    let indicators = of_history(chain.last(), (0..10).map(|window| bar("AAPL", window)).collect());
    sample.owned.insert(apple(), Owned { chain, checkpoint, indicators, behind: Vec::new() });
    sample.commit(&apple(), &["AAPL"], window, Then::PublishFeatures);
    sample.stop()
}

fn read_all(root: &Path, below: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read_all(root, &path, files);
        } else {
            files.push((path, fs::read(entry.path()).unwrap()));
        }
    }
}

impl Sample {
    pub fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    fn open(dir: TempDir) -> Self {
        let identity = LakeIdentity { group: "g".into(), cluster: "log".into(), layout: "keyed".into() };
        let lake = Lake::open(dir.path(), Compression::Zstd, Sharing::Exclusive, &identity).unwrap();
        Self { dir, lake, owned: BTreeMap::new() }
    }

    pub fn fill(&mut self, windows: i64) {
        for window in (0..windows).step_by(2) {
            self.commit(&apple(), &["AAPL"], window, Then::PublishFeatures);
            self.commit(&others(), &["IBM", "MSFT"], window, Then::PublishFeatures);
        }
    }

    /// Commits two windows of some stocks.
    pub fn commit(&mut self, partition: &TopicPartition, stocks: &[&str], window: i64, then: Then) -> BarsFile {
        let owned = self.owned.entry(partition.clone()).or_insert_with(|| take(&self.lake, partition));
        let rows: Vec<Bar> = stocks.iter().flat_map(|stock| [bar(stock, window), bar(stock, window + 1)]).collect();
        let ticks: u64 = rows.iter().map(|bar| bar.ticks.unsigned_abs()).sum();
        let checkpoint = &mut owned.checkpoint;
        checkpoint.counters.read += ticks + 3;
        checkpoint.counters.in_bars += ticks;
        checkpoint.counters.late += 2;
        checkpoint.counters.unknown += 1;
        checkpoint.cut = NextOffset(checkpoint.cut.0 + ticks as i64 + 3);
        checkpoint.watermark = EventTime::from_micros(BEGIN + (window + 2) * WINDOW);
        checkpoint.known.extend(stocks.iter().map(|stock| (Symbol::new(stock).unwrap(), NextOffset(0))));
        let commit = Commit { rows: rows.into(), checkpoint: checkpoint.clone() };
        let file = owned.chain.commit(&commit).unwrap().unwrap();
        owned.behind.push((file.clone(), commit.rows));
        if then == Then::PublishFeatures {
            self.catch_up();
        }
        file
    }

    /// As if the broker had deleted so many records that nobody had read.
    pub fn lose_offsets(&mut self, partition: &TopicPartition, records: i64) {
        let checkpoint = &mut self.owned.get_mut(partition).unwrap().checkpoint;
        let log_start = NextOffset(checkpoint.cut.0 + records);
        *checkpoint = checkpoint.clone().over_gap(log_start);
    }

    /// Publishes the features that are behind.
    pub fn catch_up(&mut self) {
        for owned in self.owned.values_mut() {
            for (file, rows) in owned.behind.drain(..) {
                let features = owned.indicators.push_file(file.number, &rows);
                self.lake.publish_features(&file, &features).unwrap();
            }
        }
    }

    /// Saves the indicators, forgets old entries.
    pub fn save(&mut self) {
        for (partition, owned) in &mut self.owned {
            self.lake.save_indicators(partition, &owned.indicators.to_bytes()).unwrap();
            owned.chain.prune(owned.indicators.last()).unwrap();
        }
    }

    /// As a clean stop does.
    pub fn stop(mut self) -> TempDir {
        self.save();
        self.dir
    }
}

fn take(lake: &Lake, partition: &TopicPartition) -> Owned {
    let rules = BarRules {
        window: WindowSize::new(Span::from_micros(WINDOW)).unwrap(),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    };
    let go_on = |newest: Option<Checkpoint>, _: &[_]| {
        Ok::<_, StorageError>(newest.unwrap_or_else(|| Checkpoint::genesis(rules, "log")))
    };
    let (chain, checkpoint) = lake.take(partition, go_on).unwrap();
    Owned { chain, checkpoint, indicators: IndicatorState::new(), behind: Vec::new() }
}

/// The indicators after these bars.
pub fn of_history(last: CommitNumber, bars: Vec<Bar>) -> IndicatorState {
    let Ok(state) = IndicatorState::from_history::<Infallible>(last, [Ok(bars)]);
    state
}

pub fn apple() -> TopicPartition {
    TopicPartition::new("stock_topic.AAPL", 0)
}

pub fn others() -> TopicPartition {
    TopicPartition::new("ticks", 1)
}

/// Prices that go up and down without a pattern.
pub fn bar(stock: &str, window: i64) -> Bar {
    let mut crc = crc32fast::Hasher::new();
    crc.update(stock.as_bytes());
    crc.update(&window.to_le_bytes());
    let noise = crc.finalize();
    let cents = |shift: u32| f64::from((noise >> shift) & 0xff) / 100.0;
    let (open, close) = (100.0 + cents(0), 100.0 + cents(8));
    Bar {
        symbol: Symbol::new(stock).unwrap(),
        window_start: EventTime::from_micros(BEGIN + window * WINDOW),
        open,
        high: open.max(close) + cents(16),
        low: open.min(close) - cents(24),
        close,
        volume: (window % 3 != 0).then_some(1200.0),
        vwap: (window % 3 != 0).then_some((open + close) / 2.0),
        ticks: 1 + i64::from(noise % 9),
    }
}

/// File number `n` (from 0) of a partition in a dataset, over all dates.
pub fn nth(dir: &Path, dataset: Dataset, partition: &TopicPartition, n: usize) -> PathBuf {
    let files = Lake::open_read_only(dir).unwrap().files(dataset).unwrap();
    let ours = files.into_iter().filter(|file| file.commit().is_some_and(|(of, _)| of == *partition));
    ours.map(|file| file.path).nth(n).unwrap()
}

/// Replaces a bars file by one with other content and good checksums; its entry in the chain stays as it is.
pub fn rewrite_bars(path: &Path, edit: impl FnOnce(&mut Vec<Bar>, &mut Checkpoint)) {
    let parquet::CommitFile { partition, number, mut commit } =
        parquet::decode_commit(&fs::read(path).unwrap()).unwrap();
    let mut rows = commit.rows.to_vec();
    edit(&mut rows, &mut commit.checkpoint);
    commit.rows = rows.into();
    replace(path, &parquet::encode_commit(&partition, number, &commit, Compression::Zstd).unwrap());
}

/// The same with a features file.
pub fn rewrite_features(path: &Path, edit: impl FnOnce(&mut Vec<FeatureRow>)) {
    let mut file = parquet::decode_features(&fs::read(path).unwrap()).unwrap();
    edit(&mut file.rows);
    replace(path, &parquet::encode_features(&file.partition, file.number, &file.rows, Compression::Zstd).unwrap());
}

/// Flips a bit in the middle of a file.
pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    replace(path, &bytes);
}

/// Makes the lake another's, as a start on that would have recorded it.
pub fn rewrite_identity(dir: &Path, from: &str, to: &str) {
    let path = dir.join("state/lake.json");
    let before = fs::read_to_string(&path).unwrap();
    let after: String =
        before.lines().filter(|line| !line.contains("checksum")).map(|line| line.replace(from, to) + "\n").collect();
    assert!(after.contains(to), "{before}");
    fs::write(path, after).unwrap();
}

/// Not into the same file: an entry of the chain may be another name of it.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A features file with some other rows under another name.
pub fn features_under(file: &Path, to: &Path, number: u64, edit: impl FnOnce(&mut Vec<FeatureRow>)) {
    let mut content = parquet::decode_features(&fs::read(file).unwrap()).unwrap();
    edit(&mut content.rows);
    let number = CommitNumber(number);
    fs::write(to, parquet::encode_features(&content.partition, number, &content.rows, Compression::Zstd).unwrap())
        .unwrap();
}

/// The first `rows` of a commit under another number.
pub fn commit_under(bytes: &[u8], to: &Path, number: u64, rows: usize) {
    let parquet::CommitFile { partition, mut commit, .. } = parquet::decode_commit(bytes).unwrap();
    commit.rows = commit.rows[..rows].into();
    let number = CommitNumber(number);
    fs::write(to, parquet::encode_commit(&partition, number, &commit, Compression::Zstd).unwrap()).unwrap();
}
