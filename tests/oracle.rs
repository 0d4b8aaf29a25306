//! The oracle itself, by hand-made logs, and its reading of lines against the program's.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use stockstream::market::checkpoint::{BarRules, Checkpoint, NextOffset};
use stockstream::market::codec;
use stockstream::market::faults::FaultInjector;
use stockstream::market::symbol::Symbol;
use stockstream::market::tick::WireTick;
use stockstream::market::time::{EventTime, Span, WindowSize};
use stockstream::settings::FaultDials;
use support::oracle::{Counts, Facts, LogRecord, Outcome, one_pass, parse};

const MINUTE: i64 = 60_000_000;

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

fn rules() -> BarRules {
    let window = WindowSize::new(Span::from_secs(300)).unwrap();
    BarRules { window, lateness: Span::from_secs(600), max_ahead: Span::from_secs(60) }
}

/// Five-minute windows, ten minutes of lateness, AAPL known from the start.
fn facts() -> Facts {
    let mut checkpoint = Checkpoint::genesis(rules(), "cluster");
    checkpoint.known.insert(symbol("AAPL"), NextOffset(0));
    Facts::of(&checkpoint)
}

fn minute(minutes: i64) -> EventTime {
    EventTime::from_micros(minutes * MINUTE)
}

/// A log of lines from offset 0 on, published far later than their event times.
fn log<T: AsRef<[u8]>>(lines: &[T]) -> Vec<LogRecord> {
    let record = |(offset, line): (usize, &T)| LogRecord {
        offset: offset as i64,
        timestamp: Some(EventTime::from_micros(4_000_000_000_000_000)),
        payload: line.as_ref().to_vec(),
    };
    lines.iter().enumerate().map(record).collect()
}

fn pass(lines: &[&str], facts: &Facts) -> Outcome {
    one_pass(&log(lines), facts)
}

#[test]
fn a_bar_is_closed_when_the_watermark_reaches_its_end() {
    let lines = ["1970-01-01 00:01:00,AAPL,10", "1970-01-01 00:04:00,AAPL,12", "1970-01-01 00:15:00,AAPL,11"];
    let before = pass(&lines[..2], &facts());
    assert_eq!((before.bars.len(), before.counts.open, before.watermark), (0, 2, minute(-6)));
    let after = pass(&lines, &facts());
    assert_eq!(after.watermark, minute(5));
    assert_eq!(after.counts, Counts { read: 3, in_bars: 2, open: 1, ..Counts::default() });
    let bar = &after.bars[0];
    assert_eq!((bar.window_start, bar.open, bar.high, bar.low, bar.close), (minute(0), 10.0, 12.0, 10.0, 12.0));
    assert_eq!((bar.volume, bar.vwap, bar.ticks), (None, None, 2));
}

#[test]
fn open_and_close_follow_event_time_then_offset_and_sums_the_offset() {
    let lines = ["120,AAPL,10,1", "60,AAPL,20,2", "60,AAPL,30", "120,AAPL,40,5", "1200,AAPL,1"];
    let bar = pass(&lines, &facts()).bars.remove(0);
    assert_eq!((bar.open, bar.high, bar.low, bar.close), (20.0, 40.0, 10.0, 40.0));
    assert_eq!((bar.volume, bar.vwap, bar.ticks), (Some(8.0), Some((10.0 + 40.0 + 200.0) / 8.0), 4));
}

#[test]
fn a_volume_of_0_has_no_vwap() {
    let bar = pass(&["60,AAPL,10,0", "1200,AAPL,1"], &facts()).bars.remove(0);
    assert_eq!((bar.volume, bar.vwap), (Some(0.0), None));
}

#[test]
fn a_tick_of_a_closed_window_is_late_and_moves_nothing() {
    let outcome = pass(&["1200,AAPL,10", "599,AAPL,11", "600,AAPL,12"], &facts());
    assert_eq!(outcome.counts, Counts { read: 3, late: 1, open: 2, ..Counts::default() });
    assert_eq!(outcome.watermark, minute(10));
}

#[test]
fn malformed_unknown_and_future_ticks_do_not_move_the_watermark() {
    let known = BTreeMap::from([(symbol("AAPL"), 0), (symbol("MSFT"), 3)]);
    let mut log = log(&["nothing", "9000,NVDA,1", "9000,MSFT,1", "60,MSFT,1", "9000,AAPL,1", "180,AAPL,1"]);
    log[4].timestamp = Some(EventTime::from_micros(9000 * 1_000_000 - MINUTE - 1));
    log[5].timestamp = Some(minute(2));
    let outcome = one_pass(&log, &Facts { known, ..facts() });
    let counts = Counts { read: 6, malformed: 1, unknown: 2, future: 1, open: 2, ..Counts::default() };
    assert_eq!((outcome.counts, outcome.watermark), (counts, minute(-7)));
}

#[test]
fn a_forced_advance_closes_windows_before_the_record_at_its_offset() {
    let lines = ["60,AAPL,10", "61,AAPL,11", "301,AAPL,12"];
    let forced = |offset| pass(&lines, &Facts { forced: vec![(offset, minute(5))], ..facts() });
    assert_eq!(forced(1).counts, Counts { read: 3, in_bars: 1, late: 1, open: 1, ..Counts::default() });
    assert_eq!(forced(2).counts, Counts { read: 3, in_bars: 2, open: 1, ..Counts::default() });
    assert_eq!(forced(3).bars, forced(2).bars);
}

#[test]
fn the_bars_are_sorted_by_symbol_and_window() {
    let known = BTreeMap::from([(symbol("AAPL"), 0), (symbol("MSFT"), 0)]);
    let end = vec![(i64::MAX, minute(1_000_000))];
    let lines = ["301,MSFT,1", "1,MSFT,1", "302,AAPL,1", "2,AAPL,1"];
    let bars = pass(&lines, &Facts { known, forced: end, ..facts() }).bars;
    let keys: Vec<_> = bars.iter().map(|bar| (bar.symbol.as_str(), bar.window_start)).collect();
    assert_eq!(keys, [("AAPL", minute(0)), ("AAPL", minute(5)), ("MSFT", minute(0)), ("MSFT", minute(5))]);
}

/// The program's reading of a line in the oracle's terms.
fn assert_same_reading(payload: &[u8]) -> Result<(), TestCaseError> {
    let bits = |number: f64| number.to_bits();
    let program = codec::decode(payload).ok();
    let program = program.map(|t| (t.event_time, t.symbol.to_owned(), bits(t.price), t.volume.map(bits)));
    let oracle = parse(payload).map(|t| (t.event_time, t.symbol, bits(t.price), t.volume.map(bits)));
    prop_assert_eq!(program, oracle, "{:?}", String::from_utf8_lossy(payload));
    Ok(())
}

fn any_line() -> impl Strategy<Value = String> {
    let date_time = "[0-9]{4}-[01][0-9]-[0-3][0-9][ Tt][0-2][0-9]:[0-5][0-9]:[0-6][0-9]";
    let timestamp = prop_oneof![
        (date_time, "(\\.[0-9]{0,10})?", "(Z|z|[+-][0-2][0-9]:[0-6][0-9])?").prop_map(|(a, b, c)| format!("{a}{b}{c}")),
        "[0-9]{1,20}",
    ];
    let symbol = "[A-Z0-9.^=_-]{1,5}";
    let number = "[+-]?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?|inf|NaN";
    (timestamp, symbol, number, prop::option::of(number), "(\r|\n|\r\n)?").prop_map(|(t, s, p, v, end)| match v {
        Some(v) => format!("{t},{s},{p},{v}{end}"),
        None => format!("{t},{s},{p}{end}"),
    })
}

proptest! {
    #[test]
    fn the_program_and_the_oracle_read_every_line_alike(line in any_line()) {
        assert_same_reading(line.as_bytes())?;
    }

    #[test]
    fn also_a_line_with_one_wrong_byte(line in any_line(), at: prop::sample::Index, byte: u8) {
        let mut line = line.into_bytes();
        let at = at.index(line.len());
        line[at] = byte;
        assert_same_reading(&line)?;
    }

    #[test]
    fn it_counts_what_the_fault_dials_have_sent(seed: u64, share in 0.0_f64..0.25, step in 1_i64..700, count in 0..300_i64) {
        let dials = FaultDials { late: share, out_of_order: share, duplicate: share, corrupt: share };
        let mut injector = FaultInjector::new(dials, rules(), seed, &symbol("AAPL"), None);
        let mut lines = Vec::new();
        for k in 0..count {
            let event_time = EventTime::from_micros(1_747_236_600_000_000 + k * step * 1_000_000);
            lines.extend(injector.spoil(&WireTick { event_time, symbol: "AAPL", price: 1.0 + k as f64, volume: None }));
        }
        lines.extend(injector.finish());
        let payloads: Vec<Vec<u8>> = lines.into_iter().map(|line| line.payload).collect();
        let (tally, counts) = (injector.tally(), one_pass(&log(&payloads), &facts()).counts);
        prop_assert_eq!((counts.late, counts.malformed), (tally.late, tally.corrupt));
        prop_assert_eq!(counts.in_bars + counts.open, tally.honest + tally.out_of_order + tally.duplicate);
        prop_assert_eq!((counts.future, counts.unknown), (0, 0));
    }
}
