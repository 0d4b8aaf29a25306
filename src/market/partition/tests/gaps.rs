//! Reading on behind a gap of the log.

use super::*;

/// Minutes 0 to 15, one tick each, are read; the window of minute 0 is closed, the rest open from offset 5 on: 11 ticks.
fn cut_at_16() -> Checkpoint {
    let mut cursor = cursor();
    for minutes in 0..16 {
        assert!(is_tick(read_aapl(&mut cursor, minutes, minutes)));
    }
    let (mut checkpoint, _) = cursor.cut();
    (checkpoint.resume, checkpoint.open_ticks, checkpoint.counters.in_bars) = (NextOffset(5), 11, 5);
    checkpoint
}

fn behind_gap(to: i64) -> PartitionCursor {
    PartitionCursor::new(cut_at_16().over_gap(NextOffset(to)), [symbol("AAPL"), symbol("MSFT")])
}

#[test]
fn what_is_left_below_the_cut_is_folded_again_and_the_rest_leaves_the_ticks_read() {
    let mut cursor = behind_gap(9);
    for minutes in 9..16 {
        assert!(cursor.is_replaying());
        assert!(is_tick(read_aapl(&mut cursor, minutes, minutes)));
    }
    read_aapl(&mut cursor, 16, 16);
    let (checkpoint, replayed) = cursor.cut();
    assert_eq!((checkpoint.counters.read, replayed), (16 - 4 + 1, 7), "ticks 5 to 8 are gone");
    assert_eq!(checkpoint.gaps[0].open_ticks_lost, Some(4));
    assert_eq!(checkpoint.gaps[0].next_tick, Some(minute(9)));
    assert_eq!(cursor.cut().0.counters, checkpoint.counters, "it is said once");
}

#[test]
fn records_below_the_gaps_end_that_are_dropped_do_not_count_as_ticks_that_are_left() {
    let mut cursor = behind_gap(9);
    read_payload(&mut cursor, 9, b"nonsense");
    read_aapl(&mut cursor, 10, 0);
    for minutes in 11..16 {
        read_aapl(&mut cursor, minutes, minutes);
    }
    let (checkpoint, _) = cursor.cut();
    assert_eq!((checkpoint.counters.read, checkpoint.gaps[0].open_ticks_lost), (16 - 6, Some(6)));
}

#[test]
fn behind_the_cut_reading_goes_on_fresh_with_the_watermark_as_it_was() {
    let mut cursor = behind_gap(100);
    assert!(!cursor.is_replaying());
    assert_eq!(cursor.watermark().get(), minute(5));
    read_payload(&mut cursor, 100, b"nonsense");
    assert_eq!(cursor.cut().0.gaps[0].next_tick, None, "no tick yet");
    assert!(is_tick(read_aapl(&mut cursor, 101, 7)));
    assert!(is_tick(read_aapl(&mut cursor, 102, 40)));
    let (checkpoint, _) = cursor.cut();
    assert_eq!(checkpoint.counters.read, 16 - 11 + 3);
    assert_eq!(checkpoint.gaps[0].next_tick, Some(minute(7)));
}

#[test]
fn a_restart_before_the_first_commit_behind_a_gap_finds_the_same() {
    let first = cut_at_16().over_gap(NextOffset(9));
    let mut again = PartitionCursor::new(first.clone(), []);
    (9..16).for_each(|minutes| assert!(is_tick(read_aapl(&mut again, minutes, minutes))));
    let settled = again.cut().0;
    let mut third = PartitionCursor::new(Checkpoint { open_ticks: 7, resume: NextOffset(9), ..settled.clone() }, []);
    (9..16).for_each(|minutes| assert!(is_tick(read_aapl(&mut third, minutes, minutes))));
    assert_eq!(third.cut().0.counters, settled.counters, "what is settled is not settled again");
}
