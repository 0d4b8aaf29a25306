//! Reading on from a checkpoint.

use super::*;

/// Reads minutes from 0 to 15, one tick each, and cuts there: the window of minute 0 is closed, the rest open from offset 5 on.
fn cut_at_16() -> Checkpoint {
    let mut cursor = cursor();
    for minutes in 0..16 {
        assert!(is_tick(read_aapl(&mut cursor, minutes, minutes)));
    }
    let (mut checkpoint, skipped) = cursor.cut();
    assert_eq!(skipped, 0);
    checkpoint.resume = NextOffset(5);
    checkpoint
}

fn restarted(checkpoint: Checkpoint) -> PartitionCursor {
    PartitionCursor::new(checkpoint, [symbol("AAPL"), symbol("MSFT")])
}

#[test]
fn ticks_of_open_windows_are_folded_again_and_not_counted_again() {
    let mut cursor = restarted(cut_at_16());
    assert_eq!(cursor.position(), NextOffset(5));
    for minutes in 5..16 {
        assert!(cursor.is_replaying());
        assert!(is_tick(read_aapl(&mut cursor, minutes, minutes)), "{minutes}");
    }
    assert!(!cursor.is_replaying());
    assert_eq!(cursor.counters().read, 16);
    assert_eq!(cursor.cut().1, 11, "records read again");
    read_aapl(&mut cursor, 16, 16);
    assert_eq!(cursor.counters().read, 17);
}

#[test]
fn what_no_open_window_needs_is_replayed_whatever_it_was() {
    let mut checkpoint = cut_at_16();
    checkpoint.resume = NextOffset(0);
    checkpoint.cut = NextOffset(6);
    checkpoint.log.last_record = None;
    let mut cursor = restarted(checkpoint);
    let before = *cursor.counters();
    assert_eq!(read_aapl(&mut cursor, 0, 1), Verdict::Replayed, "in a closed window");
    assert_eq!(read_payload(&mut cursor, 1, b"nonsense"), Verdict::Replayed);
    assert_eq!(read(&mut cursor, 2, "IBM", minute(15)), Verdict::Replayed);
    assert_eq!(read_aapl(&mut cursor, 3, 200_000), Verdict::Replayed);
    assert_eq!((*cursor.counters(), cursor.watermark().get()), (before, minute(5)));
}

#[test]
fn there_is_no_barrier_while_reading_below_the_cut() {
    let mut cursor = restarted(cut_at_16());
    for minutes in 5..15 {
        read_aapl(&mut cursor, minutes, minutes);
        let closing = (cursor.can_close(), cursor.has_news(), cursor.end_of_stream());
        assert_eq!(closing, (false, false, None), "{minutes}");
        assert_eq!(cursor.idle_advance(Duration::MAX, 1.0, minute(1_000_000)), None);
        assert_eq!(cursor.since_barrier(), 0);
    }
    read_aapl(&mut cursor, 15, 15);
    assert_eq!(cursor.end_of_stream(), Some(minute(20)));
    assert!(!cursor.has_news(), "the checkpoint says all this");
}

#[test]
fn a_hole_over_the_cut_ends_the_replay() {
    let mut cursor = restarted(cut_at_16());
    assert!(is_tick(read_aapl(&mut cursor, 20, 16)));
    assert!(!cursor.is_replaying());
    assert_eq!(cursor.counters().read, 17);
}

#[test]
fn another_record_before_the_cut_is_another_log() {
    let remembered = |checkpoint: Checkpoint, timestamp: EventTime, payload: &str| {
        let mut cursor = restarted(checkpoint);
        cursor.read(Record { offset: 15, timestamp: Some(timestamp), payload: payload.as_bytes() })
    };
    let (published, payload) = (minute(100_000), line("AAPL", minute(15)));
    assert!(is_tick(remembered(cut_at_16(), published, &payload)));
    assert_eq!(remembered(cut_at_16(), published, &line("AAPL", minute(14))), Verdict::OtherLog);
    assert_eq!(remembered(cut_at_16(), minute(100_001), &payload), Verdict::OtherLog, "published at another time");
}

#[test]
fn a_record_of_another_log_changes_nothing() {
    let checkpoint = cut_at_16();
    let mut cursor = restarted(checkpoint.clone());
    assert_eq!(read_aapl(&mut cursor, 15, 99), Verdict::OtherLog);
    assert_eq!((*cursor.counters(), cursor.position()), (checkpoint.counters, checkpoint.resume));
    assert_eq!(cursor.watermark().get(), checkpoint.watermark);
}

#[test]
fn the_fingerprint_stays_until_a_newer_record_is_read() {
    let checkpoint = cut_at_16();
    let last = checkpoint.log.last_record;
    assert_eq!(last.map(|last| last.offset), Some(15));
    let mut cursor = restarted(Checkpoint { resume: NextOffset(16), ..checkpoint });
    assert_eq!(cursor.cut().0.log.last_record, last);
    read_aapl(&mut cursor, 16, 16);
    assert_eq!(cursor.cut().0.log.last_record.map(|last| last.offset), Some(16));
}

#[test]
fn what_was_unknown_stays_unknown_when_read_again() {
    let mut checkpoint = cut_at_16();
    checkpoint.known.insert(symbol("IBM"), NextOffset(9));
    let mut cursor = restarted(checkpoint);
    assert_eq!(read(&mut cursor, 8, "IBM", minute(15)), Verdict::Replayed);
    assert!(is_tick(read(&mut cursor, 9, "IBM", minute(15))));
}

#[test]
fn a_stock_that_the_settings_add_at_a_restart_is_known_from_the_cut() {
    let mut cursor = PartitionCursor::new(cut_at_16(), [symbol("IBM")]);
    assert_eq!(read(&mut cursor, 9, "IBM", minute(15)), Verdict::Replayed);
    assert!(is_tick(read(&mut cursor, 16, "IBM", minute(15))));
    assert!(is_tick(read_aapl(&mut cursor, 17, 15)), "and one that they have dropped stays known");
}

#[test]
fn a_stock_added_while_reading_again_is_known_from_the_cut() {
    let mut cursor = restarted(cut_at_16());
    read_aapl(&mut cursor, 5, 5);
    cursor.add_stock(symbol("IBM"));
    assert_eq!(cursor.cut().0.known[&symbol("IBM")], NextOffset(16));
}
