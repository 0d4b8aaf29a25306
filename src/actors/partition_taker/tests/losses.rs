//! Commits that were unreadable when their partition was taken: which of them a checkpoint lists, until when, and as what.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::indicators::state::IndicatorState;
use crate::market::bar::Bar;
use crate::market::barrier::{Assembly, Barrier, WindowAnswer};
use crate::market::checkpoint::Epoch;
use crate::market::symbol::Symbol;
use crate::market::window::{ClosedBar, StillOpen};
use crate::settings::Compression;
use crate::storage::{LakeIdentity, Sharing, layout};

const WINDOW: i64 = 300_000_000;
const NONE: [u64; 0] = [];

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn lake() -> (TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let identity = LakeIdentity { group: "g".into(), cluster: "embedded".into(), layout: "keyed".into() };
    let lake = Lake::open(dir.path(), Compression::Zstd, Sharing::Exclusive, &identity).unwrap();
    (dir, lake)
}

/// One process on the embedded broker, with a log of its own.
struct Process {
    lake: Lake,
    taker: PartitionTaker,
    log_end: i64,
}

/// An ownership of the partition.
struct Owner {
    lake: Lake,
    chain: Chain,
    checkpoint: Checkpoint,
}

impl Process {
    fn start(lake: &Lake, cluster: &str) -> Self {
        let log = LogOfRun::Embedded { cluster: cluster.into() };
        let rules = TakeRules { bars: rules(600), log, on_gap: OnGap::Stop };
        Self { lake: lake.clone(), taker: PartitionTaker::new(lake.clone(), rules), log_end: 0 }
    }

    fn take(&self) -> Owner {
        self.taker.take(&partition(), &bounds(0, self.log_end)).unwrap();
        let (chain, checkpoint) = self.taker.collect(&partition()).unwrap();
        Owner { lake: self.lake.clone(), chain, checkpoint }
    }
}

impl Owner {
    /// Reads one tick of this window, which closes it.
    fn commit(&mut self, window: i64) {
        let mut checkpoint = self.checkpoint.clone();
        let first_offset = checkpoint.cut.0;
        checkpoint.cut.0 += 1;
        checkpoint.counters.read += 1;
        checkpoint.watermark = EventTime::from_micros((window + 1) * WINDOW);
        let in_bars = checkpoint.counters.in_bars;
        let barrier = Barrier { partition: partition(), epoch: Epoch(1), windows: 1, checkpoint, skipped_replayed: 0 };
        let mut assembly = Assembly::new(Arc::new(barrier));
        let closed = vec![ClosedBar { bar: bar(window), first_offset }];
        assembly.answer(WindowAnswer { closed, still_open: StillOpen::default() });
        for commit in assembly.into_commits(in_bars).unwrap() {
            let file = self.chain.commit(&commit).unwrap().unwrap();
            let features = IndicatorState::new().push_file(file.number, &commit.rows);
            self.lake.publish_features(&file, &features).unwrap();
            self.checkpoint = commit.checkpoint;
        }
    }

    /// The commits that the checkpoint lists.
    fn listed(&self) -> Vec<u64> {
        self.checkpoint.lost.iter().map(|lost| lost.last.0).collect()
    }
}

fn bar(window: i64) -> Bar {
    Bar {
        symbol: Symbol::new("AAPL").unwrap(),
        window_start: EventTime::from_micros(window * WINDOW),
        open: 1.0,
        high: 1.0,
        low: 1.0,
        close: 1.0,
        volume: None,
        vwap: None,
        ticks: 1,
    }
}

fn tear(dir: &TempDir, number: u64) {
    std::fs::write(dir.path().join(layout::entry(&partition(), CommitNumber(number))), "torn").unwrap();
}

/// A process that has read its log to the end, and whose commits 3 and 4, of windows 1 and 2, are torn.
fn torn() -> (TempDir, Lake, Process) {
    let (dir, lake) = lake();
    let mut process = Process::start(&lake, "one");
    let mut owner = process.take();
    (0..3).for_each(|window| owner.commit(window));
    process.log_end = 3;
    [3, 4].into_iter().for_each(|number| tear(&dir, number));
    (dir, lake, process)
}

#[test]
fn what_the_log_has_given_again_before_it_ends_is_not_lost_and_the_rest_is() {
    let (_dir, lake, process) = torn();
    let mut owner = process.take();
    owner.commit(1);
    assert_eq!(Process::start(&lake, "two").take().listed(), [4], "only the bar of window 1 was made again");
}

#[test]
fn what_the_log_has_given_again_is_listed_no_more() {
    let (_dir, lake, process) = torn();
    let mut owner = process.take();
    (1..3).for_each(|window| owner.commit(window));
    assert_eq!(owner.listed(), NONE);
    assert_eq!(Process::start(&lake, "two").take().listed(), NONE);
}

#[test]
fn all_is_lost_when_the_process_ends_before_the_log_has_given_any_of_it_again() {
    let (_dir, lake, process) = torn();
    process.take();
    process.take();
    assert_eq!(Process::start(&lake, "two").take().listed(), [3, 4]);
}

#[test]
fn all_is_lost_also_when_the_process_ends_before_a_checkpoint_says_so() {
    let (_dir, lake, _process) = torn();
    lake.take(&partition(), |_, _| Err(StorageError::NoLake { path: "refused".into() })).err().unwrap();
    assert_eq!(Process::start(&lake, "two").take().listed(), [3, 4]);
}

#[test]
fn what_an_earlier_process_made_is_lost_at_once_and_for_good() {
    let (_dir, lake, _process) = torn();
    let mut owner = Process::start(&lake, "two").take();
    assert_eq!(owner.listed(), [3, 4]);
    (3..5).for_each(|window| owner.commit(window));
    assert_eq!(owner.listed(), [3, 4]);
}

#[test]
fn the_first_entry_of_a_process_holds_no_bars_that_could_be_lost() {
    for earlier in [0, 3] {
        let (dir, lake) = lake();
        let mut one = Process::start(&lake, "one").take();
        (0..earlier).for_each(|window| one.commit(window));
        let mut two = Process::start(&lake, "two");
        let fence = two.take().chain.last();
        two.log_end = 3;
        tear(&dir, fence.0);
        assert_eq!(two.take().listed(), NONE);
        assert_eq!(Process::start(&lake, "three").take().listed(), NONE);
    }
}

#[test]
fn what_this_process_made_its_log_gives_again_also_where_no_commit_is_readable() {
    let (dir, lake) = lake();
    let mut process = Process::start(&lake, "one");
    process.take().commit(0);
    process.log_end = 1;
    [1, 2].into_iter().for_each(|number| tear(&dir, number));
    let mut owner = process.take();
    owner.commit(0);
    assert_eq!(owner.listed(), NONE);
}
