//! The pure core from end to end against the oracle: reading, windows, barriers and commits of one partition, glued together as the
//! actors do it, over random logs, batches, barriers and crashes.

mod scenario;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use scenario::{Act, Forced, NAMES, Scenario, Start, log_of, scenario};
use stockstream::market::bar::Bar;
use stockstream::market::barrier::{Assembly, Barrier, WindowAnswer};
use stockstream::market::checkpoint::{Checkpoint, Commit, Counters, Epoch, NextOffset, TopicPartition};
use stockstream::market::partition::{PartitionCursor, Record, Verdict};
use stockstream::market::symbol::Symbol;
use stockstream::market::tick::Tick;
use stockstream::market::time::EventTime;
use stockstream::market::window::StockWindows;
use support::oracle::{Counts, Facts, LogRecord, one_pass};

/// So long that event time would have passed every window.
const SILENCE: Duration = Duration::from_secs(10_000_000);

/// What outlives a crash.
struct Durable {
    chain: Vec<Commit>,
    genesis: Checkpoint,
    settings: BTreeSet<Symbol>,
}

impl Durable {
    fn newest(&self) -> &Checkpoint {
        self.chain.last().map_or(&self.genesis, |commit| &commit.checkpoint)
    }

    fn append(&mut self, commit: Commit) {
        let (before, after) = (self.newest(), &commit.checkpoint);
        assert!(after.resume <= after.cut && before.cut <= after.cut, "{after:?}");
        assert!(before.watermark <= after.watermark, "the watermark stepped back: {before:?} {after:?}");
        self.chain.push(commit);
    }
}

/// The consumer's and the windows' state of one ownership.
struct Reader {
    cursor: PartitionCursor,
    windows: Vec<StockWindows>,
    /// Index into the log.
    next: usize,
    in_flight: VecDeque<Commit>,
}

impl Reader {
    fn start(durable: &Durable, log: &[LogRecord], start: Start) -> Self {
        let checkpoint = durable.newest().clone();
        let first = match (start, checkpoint.log.last_record) {
            (Start::AtTheRecordBeforeTheCut, Some(last)) => checkpoint.resume.min(NextOffset(last.offset)),
            _ => checkpoint.resume,
        };
        let next = log.partition_point(|record| record.offset < first.0);
        let cursor = PartitionCursor::new(checkpoint, durable.settings.iter().cloned());
        let mut reader = Self { cursor, windows: Vec::new(), next, in_flight: VecDeque::new() };
        reader.open_windows(durable);
        reader
    }

    fn open_windows(&mut self, durable: &Durable) {
        for symbol in &self.cursor.symbols()[self.windows.len()..] {
            self.windows.push(StockWindows::new(symbol.clone(), durable.genesis.rules.window));
        }
    }

    fn read(&mut self, log: &[LogRecord], records: usize) {
        let mut batches: Vec<Vec<Tick>> = vec![Vec::new(); self.windows.len()];
        for record in log.iter().skip(self.next).take(records) {
            self.next += 1;
            let LogRecord { offset, timestamp, payload } = record;
            match self.cursor.read(Record { offset: *offset, timestamp: *timestamp, payload }) {
                Verdict::Tick(slot, tick) => batches[slot.0].push(tick),
                Verdict::Dropped(_) | Verdict::Replayed => {}
                Verdict::OtherLog => panic!("offset {offset} was taken for a record of another log"),
            }
        }
        for (windows, batch) in self.windows.iter_mut().zip(&batches) {
            batch.iter().for_each(|tick| windows.fold(tick));
        }
    }

    /// One barrier is in flight at a time: that of before gets into the chain first.
    fn barrier(&mut self, durable: &mut Durable, forced: Option<Forced>) {
        self.land(durable, usize::MAX);
        if self.cursor.is_replaying() {
            return;
        }
        let to = forced.and_then(|forced| match forced {
            Forced::Next => self.cursor.idle_advance(SILENCE, 1.0, EventTime::from_micros(i64::MAX)),
            Forced::All => self.cursor.end_of_stream(),
        });
        to.into_iter().for_each(|to| self.cursor.force(to));
        let (checkpoint, skipped_replayed) = self.cursor.cut();
        let partition = TopicPartition::new("t", 0);
        let windows = self.windows.len();
        let barrier = Arc::new(Barrier { partition, epoch: Epoch(1), windows, checkpoint, skipped_replayed });
        let mut assembly = Assembly::new(barrier);
        for windows in &mut self.windows {
            let closed = windows.close(self.cursor.watermark());
            assembly.answer(WindowAnswer { closed, still_open: windows.still_open() });
        }
        let commits = assembly.into_commits(durable.newest().counters.in_bars);
        self.in_flight.extend(commits.expect("all ticks are accounted for"));
    }

    fn land(&mut self, durable: &mut Durable, commits: usize) {
        let commits = commits.min(self.in_flight.len());
        self.in_flight.drain(..commits).for_each(|commit| durable.append(commit));
    }
}

/// Plays the scenario to its end and returns what is in the chain.
fn play(scenario: &Scenario, log: &[LogRecord]) -> Durable {
    let symbol = |at: usize| Symbol::new(NAMES[at]).expect("the first four are symbols");
    let settings = BTreeSet::from([symbol(0), symbol(1)]);
    let genesis = Checkpoint::genesis(scenario.rules, "cluster");
    let mut durable = Durable { chain: Vec::new(), genesis, settings };
    let mut reader = Reader::start(&durable, log, Start::AtResume);
    for act in &scenario.acts {
        match act {
            Act::Read(records) => reader.read(log, *records),
            Act::Barrier => reader.barrier(&mut durable, None),
            Act::Force(forced) => reader.barrier(&mut durable, Some(*forced)),
            Act::Land(commits) => reader.land(&mut durable, *commits),
            Act::Add(at) => {
                durable.settings.insert(symbol(*at));
                reader.cursor.add_stock(symbol(*at));
                reader.open_windows(&durable);
            }
            Act::Remove(at) => {
                durable.settings.remove(&symbol(*at));
            }
            Act::Crash(lost, start) => {
                durable.chain.truncate(durable.chain.len().saturating_sub(*lost));
                reader = Reader::start(&durable, log, *start);
            }
        }
    }
    reader.read(log, usize::MAX);
    reader.barrier(&mut durable, scenario.ending);
    reader.land(&mut durable, usize::MAX);
    durable
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn bars_and_counters_equal_one_plain_pass_however_the_log_was_read(scenario in scenario()) {
        let log = log_of(&scenario);
        let durable = play(&scenario, &log);
        let newest = durable.newest();
        let below_cut = log.partition_point(|record| record.offset < newest.cut.0);
        prop_assert_eq!(below_cut, log.len(), "not read to the end");
        let expected = one_pass(&log, &Facts::of(newest));
        let mut bars: Vec<Bar> = durable.chain.iter().flat_map(|commit| commit.rows.to_vec()).collect();
        bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
        prop_assert_eq!(bars, expected.bars);
        prop_assert_eq!(newest.watermark, expected.watermark);
        let Counters { read, in_bars, late, malformed, future, unknown } = newest.counters;
        let counts = Counts { read, in_bars, open: newest.open_ticks, late, malformed, future, unknown };
        prop_assert_eq!(counts, expected.counts);
    }
}
