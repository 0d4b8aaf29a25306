//! The pure core from end to end against the oracle: reading, windows, barriers and commits of one partition, glued together as the
//! actors do it, over random logs, batches, barriers and crashes.

mod support;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use stockstream::market::bar::Bar;
use stockstream::market::barrier::{Assembly, Barrier, WindowAnswer};
use stockstream::market::checkpoint::{BarRules, Checkpoint, Commit, Counters, Epoch, NextOffset, TopicPartition};
use stockstream::market::partition::{PartitionCursor, Record, Verdict};
use stockstream::market::symbol::Symbol;
use stockstream::market::tick::Tick;
use stockstream::market::time::{EventTime, Span, WindowSize};
use stockstream::market::window::StockWindows;
use support::oracle::{Counts, Facts, LogRecord, one_pass};

/// A quarter of an hour before a midnight.
const BEGIN: i64 = 1_747_266_300;
/// The first four may become stocks.
const NAMES: [&str; 6] = ["AAPL", "BRK.B", "IBM", "MSFT", "NOBODY", "lower"];

/// So long that event time would have passed every window.
const SILENCE: Duration = Duration::from_secs(10_000_000);

/// How one record comes about.
#[derive(Clone, Debug)]
struct Arrival {
    name: usize,
    /// How far the stream goes on, and how far behind it this tick is, in steps of the scenario.
    on: i64,
    behind: i64,
    price: u32,
    volume: Option<u32>,
    fault: Fault,
    /// Offsets up to this record: more than 1 leaves a hole.
    offsets: i64,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Malformed(&'static [u8]),
    /// Ahead of the record's timestamp by so many microseconds more than allowed.
    Ahead(i64),
    NoTimestamp,
}

/// What happens to whoever reads the log.
#[derive(Clone, Debug)]
enum Act {
    /// Reads so many records and sends them on as batches.
    Read(usize),
    Barrier,
    /// The watermark goes to the next window end, or to the last, without a tick.
    Force(Forced),
    /// So many commits of the barrier in flight get into the chain.
    Land(usize),
    Add(usize),
    /// Dropped from the settings.
    Remove(usize),
    /// Restarts, so many commits earlier.
    Crash(usize, Start),
}

#[derive(Clone, Copy, Debug)]
enum Forced {
    Next,
    All,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    AtResume,
    /// With the record before the cut, to recognise the log.
    AtTheRecordBeforeTheCut,
}

#[derive(Clone, Debug)]
struct Scenario {
    rules: BarRules,
    /// Seconds.
    step: i64,
    arrivals: Vec<Arrival>,
    acts: Vec<Act>,
    ending: Option<Forced>,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let fault = prop_oneof![
        12 => Just(Fault::None),
        1 => prop::sample::select(vec![&b"x"[..], b"", b"1747266300,AAPL,-1", b"\xff,AAPL,1", &[b'9'; 4097]]).prop_map(Fault::Malformed),
        1 => (-1..2_i64).prop_map(Fault::Ahead),
        1 => Just(Fault::NoTimestamp),
    ];
    let behind = prop_oneof![3 => Just(0_i64), 2 => 0..4_i64, 1 => 0..60_i64];
    let volume = prop::option::of(0..4_u32);
    (prop_oneof![8 => 0..4_usize, 1 => 4..6_usize], 0..3_i64, behind, 1..2_000_u32, volume, fault, 1..3_i64).prop_map(
        |(name, on, behind, price, volume, fault, offsets)| Arrival { name, on, behind, price, volume, fault, offsets },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let forced = prop_oneof![Just(Forced::Next), Just(Forced::All)];
    let start = prop_oneof![Just(Start::AtResume), Just(Start::AtTheRecordBeforeTheCut)];
    prop_oneof![
        6 => (1..12_usize).prop_map(Act::Read),
        3 => Just(Act::Barrier),
        1 => forced.prop_map(Act::Force),
        2 => (0..4_usize).prop_map(Act::Land),
        1 => (0..4_usize).prop_map(Act::Add),
        1 => (0..4_usize).prop_map(Act::Remove),
        2 => (0..3_usize, start).prop_map(|(lost, start)| Act::Crash(lost, start)),
    ]
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let window = prop::sample::select(vec![60_i64, 300, 3_600, 86_400]);
    let lateness = prop::sample::select(vec![0_i64, 45, 600, 7_200]);
    let step = prop::sample::select(vec![1_i64, 37, 600, 5_000, 40_000]);
    let (arrivals, acts) = (prop::collection::vec(arrival(), 0..120), prop::collection::vec(act(), 0..40));
    (window, lateness, step, arrivals, acts, prop::option::of(Just(Forced::All))).prop_map(
        |(window, lateness, step, arrivals, acts, ending)| {
            let window = WindowSize::new(Span::from_secs(window)).expect("it divides the day");
            let rules = BarRules { window, lateness: Span::from_secs(lateness), max_ahead: Span::from_secs(60) };
            Scenario { rules, step, arrivals, acts, ending }
        },
    )
}

fn log_of(scenario: &Scenario) -> Vec<LogRecord> {
    let (mut now, mut offset) = (BEGIN, -1);
    let mut log = Vec::new();
    for arrival in &scenario.arrivals {
        offset += arrival.offsets;
        now += arrival.on * scenario.step;
        let event_time = EventTime::from_micros((now - arrival.behind * scenario.step) * 1_000_000);
        let mut payload = format!("{},{},{}", event_time.micros(), NAMES[arrival.name], f64::from(arrival.price) / 7.0);
        if let Some(volume) = arrival.volume {
            payload += &format!(",{}", f64::from(volume) * 0.3);
        }
        let mut record = LogRecord { offset, timestamp: Some(event_time), payload: payload.into_bytes() };
        match arrival.fault {
            Fault::None => {}
            Fault::Malformed(line) => record.payload = line.to_vec(),
            Fault::NoTimestamp => record.timestamp = None,
            Fault::Ahead(by) => record.timestamp = Some(event_time - scenario.rules.max_ahead - Span::from_micros(by)),
        }
        log.push(record);
    }
    log
}

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
