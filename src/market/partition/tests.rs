use super::*;
use crate::market::checkpoint::BarRules;
use crate::market::codec::Malformed;
use crate::market::time::{Span, WindowSize};

mod gaps;
mod idle;
mod restart;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
/// Midnight of a day, where a window begins.
const MIDNIGHT: i64 = 1_747_180_800 * SECOND;

fn minute(minutes: i64) -> EventTime {
    EventTime::from_micros(MIDNIGHT + minutes * MINUTE)
}

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

/// Five-minute windows, ten minutes of lateness, a minute ahead.
fn genesis() -> Checkpoint {
    let rules = BarRules {
        window: WindowSize::new(Span::from_secs(300)).unwrap(),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    };
    Checkpoint::genesis(rules, "cluster")
}

fn cursor() -> PartitionCursor {
    PartitionCursor::new(genesis(), [symbol("AAPL"), symbol("MSFT")])
}

fn line(name: &str, at: EventTime) -> String {
    format!("{},{name},10", at.micros())
}

/// Published long after its event time.
fn read_payload(cursor: &mut PartitionCursor, offset: i64, payload: &[u8]) -> Verdict {
    cursor.read(Record { offset, timestamp: Some(minute(100_000)), payload })
}

fn read(cursor: &mut PartitionCursor, offset: i64, name: &str, at: EventTime) -> Verdict {
    read_payload(cursor, offset, line(name, at).as_bytes())
}

fn read_aapl(cursor: &mut PartitionCursor, offset: i64, minutes: i64) -> Verdict {
    read(cursor, offset, "AAPL", minute(minutes))
}

fn is_tick(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Tick(..))
}

#[test]
fn a_tick_of_a_known_stock_goes_to_its_slot_with_its_offset() {
    let mut cursor = cursor();
    let verdict = read_payload(&mut cursor, 7, format!("{},MSFT,10.5,3", minute(1).micros()).as_bytes());
    let tick = Tick { offset: 7, event_time: minute(1), price: 10.5, volume: Some(3.0) };
    assert_eq!(verdict, Verdict::Tick(Slot(1), tick));
    assert_eq!((cursor.symbols()[1].as_str(), cursor.position()), ("MSFT", NextOffset(8)));
}

#[test]
fn late_is_a_tick_whose_window_the_watermark_has_passed() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 15);
    assert_eq!(cursor.watermark().get(), minute(5), "ten minutes behind the newest");
    let just_before_five = minute(5) - Span::from_micros(1);
    assert_eq!(read(&mut cursor, 1, "AAPL", just_before_five), Verdict::Dropped(DropReason::Late(Span::ZERO)));
    assert!(is_tick(read_aapl(&mut cursor, 2, 5)), "its window ends at ten");
    assert_eq!(read_aapl(&mut cursor, 3, -60), Verdict::Dropped(DropReason::Late(Span::from_secs(3_600))));
}

#[test]
fn late_is_judged_by_the_watermark_of_that_very_tick_and_not_by_barriers() {
    let mut cursor = cursor();
    assert!(is_tick(read_aapl(&mut cursor, 0, 1)));
    assert!(is_tick(read(&mut cursor, 1, "MSFT", minute(15))));
    assert!(!is_tick(read_aapl(&mut cursor, 2, 2)), "the other stock's tick has closed the window of the partition");
    assert!(cursor.can_close());
    cursor.cut();
    assert!(!is_tick(read_aapl(&mut cursor, 3, 2)));
    assert!(!cursor.can_close(), "a late tick opens nothing");
}

#[test]
fn out_of_order_ticks_inside_the_lateness_are_in_bars() {
    let mut cursor = cursor();
    for (offset, minutes) in [14, 2, 13, 0, 12, 1].into_iter().enumerate() {
        assert!(is_tick(read_aapl(&mut cursor, offset as i64, minutes)), "{minutes}");
    }
    assert_eq!(cursor.watermark().get(), minute(4), "it never steps back");
}

#[test]
fn the_bars_that_a_barrier_would_close_are_counted_by_stock_and_window() {
    let mut cursor = cursor();
    for (offset, name, minutes) in [(0, "AAPL", 1), (1, "AAPL", 2), (2, "MSFT", 1), (3, "AAPL", 6), (4, "AAPL", 15)] {
        read(&mut cursor, offset, name, minute(minutes));
    }
    assert_eq!(cursor.closable_bars(), 2, "the watermark has passed one window, of two stocks");
    read_aapl(&mut cursor, 5, 21);
    assert_eq!(cursor.closable_bars(), 3);
    cursor.cut();
    assert_eq!(cursor.closable_bars(), 0);
}

#[test]
fn what_cannot_be_read_is_malformed_with_the_reason() {
    let mut cursor = cursor();
    let long = [b'9'; 5_000];
    let cases: [(&[u8], Malformed); 5] = [
        (b"", Malformed::Fields),
        (b"1747180800,AAPL,-1", Malformed::Price),
        (b"yesterday,AAPL,1", Malformed::Timestamp),
        (b"1747180800,AAPL\xff,1", Malformed::NotUtf8),
        (&long, Malformed::TooLong),
    ];
    for (offset, (payload, reason)) in cases.into_iter().enumerate() {
        let verdict = read_payload(&mut cursor, offset as i64, payload);
        assert_eq!(verdict, Verdict::Dropped(DropReason::Malformed(reason)));
    }
    assert_eq!((cursor.counters().malformed, cursor.position()), (5, NextOffset(5)));
}

#[test]
fn future_is_more_than_allowed_ahead_of_the_records_own_timestamp() {
    let mut cursor = cursor();
    let mut read = |offset, ahead: i64, timestamp: Option<EventTime>| {
        let payload = line("AAPL", minute(0) + Span::from_micros(ahead));
        cursor.read(Record { offset, timestamp, payload: payload.as_bytes() })
    };
    assert!(is_tick(read(0, MINUTE, Some(minute(0)))), "exactly as much is allowed");
    let ahead = Span::from_micros(MINUTE + 1);
    assert_eq!(read(1, MINUTE + 1, Some(minute(0))), Verdict::Dropped(DropReason::Future(ahead)));
    assert!(is_tick(read(2, MINUTE + 1, None)), "without a timestamp it cannot be judged");
}

#[test]
fn a_symbol_that_is_no_stock_of_the_partition_is_unknown_also_when_late_or_ahead() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 60);
    for (offset, name, minutes) in [(1, "IBM", 60), (2, "aapl", 60), (3, "IBM", -600), (4, "IBM", 200_000)] {
        let verdict = read(&mut cursor, offset, name, minute(minutes));
        assert_eq!(verdict, Verdict::Dropped(DropReason::Unknown), "{name} at {minutes}");
    }
    assert_eq!(cursor.symbols().len(), 2, "an unknown symbol makes no stock");
}

#[test]
fn what_is_dropped_does_not_move_the_watermark() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 60);
    let before = cursor.watermark();
    read_payload(&mut cursor, 1, b"4102444800,AAPL,");
    read(&mut cursor, 2, "IBM", minute(500));
    read_aapl(&mut cursor, 3, 100_002);
    read_aapl(&mut cursor, 4, 1);
    assert_eq!(cursor.watermark(), before);
    let counters = *cursor.counters();
    assert_eq!((counters.malformed, counters.unknown, counters.future, counters.late), (1, 1, 1, 1));
    assert_eq!((counters.read, counters.in_bars), (5, 0), "what is in bars is for the commit to count");
}

#[test]
fn holes_in_the_offsets_are_no_records() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 3, 1);
    read_aapl(&mut cursor, 90, 1);
    assert_eq!((cursor.position(), cursor.counters().read), (NextOffset(91), 2));
}

#[test]
fn a_barrier_is_due_when_a_window_with_ticks_can_close_and_once() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 1);
    read_aapl(&mut cursor, 1, 14);
    assert!(!cursor.can_close());
    read_aapl(&mut cursor, 2, 15);
    assert!(cursor.can_close());
    let (checkpoint, _) = cursor.cut();
    assert_eq!((checkpoint.cut, checkpoint.watermark), (NextOffset(3), minute(5)));
    assert!(!cursor.can_close());
    read_aapl(&mut cursor, 3, 16);
    assert!(!cursor.can_close(), "the windows of minutes 10 and 15 are open, none between them ever had a tick");
}

#[test]
fn a_stock_that_is_added_is_known_from_the_position_on() {
    let mut cursor = cursor();
    assert_eq!(read(&mut cursor, 0, "IBM", minute(1)), Verdict::Dropped(DropReason::Unknown));
    assert_eq!(cursor.add_stock(symbol("IBM")), Some(Slot(2)));
    assert_eq!(cursor.add_stock(symbol("IBM")), None, "it is known already");
    assert!(is_tick(read(&mut cursor, 1, "IBM", minute(1))));
    let (checkpoint, _) = cursor.cut();
    let known: Vec<_> = checkpoint.known.iter().map(|(symbol, since)| (symbol.as_str(), since.0)).collect();
    assert_eq!(known, [("AAPL", 0), ("IBM", 1), ("MSFT", 0)]);
}
