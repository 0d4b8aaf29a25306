//! Random logs, and what happens to whoever reads them.

use proptest::prelude::*;
use stockstream::market::checkpoint::BarRules;
use stockstream::market::time::{EventTime, Span, WindowSize};

use super::support::oracle::LogRecord;

/// A quarter of an hour before a midnight.
const BEGIN: i64 = 1_747_266_300;
/// The first four may become stocks.
pub const NAMES: [&str; 6] = ["AAPL", "BRK.B", "IBM", "MSFT", "NOBODY", "lower"];

/// How one record comes about.
#[derive(Clone, Debug)]
pub struct Arrival {
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
pub enum Fault {
    None,
    Malformed(&'static [u8]),
    /// Ahead of the record's timestamp by so many microseconds more than allowed.
    Ahead(i64),
    NoTimestamp,
}

/// What happens to whoever reads the log.
#[derive(Clone, Debug)]
pub enum Act {
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
pub enum Forced {
    Next,
    All,
}

#[derive(Clone, Copy, Debug)]
pub enum Start {
    AtResume,
    /// With the record before the cut, to recognise the log.
    AtTheRecordBeforeTheCut,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub rules: BarRules,
    /// Seconds.
    pub step: i64,
    pub arrivals: Vec<Arrival>,
    pub acts: Vec<Act>,
    pub ending: Option<Forced>,
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

pub fn scenario() -> impl Strategy<Value = Scenario> {
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

pub fn log_of(scenario: &Scenario) -> Vec<LogRecord> {
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
