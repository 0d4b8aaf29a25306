//! Advances without a tick.

use super::*;

const FAR_AWAY: EventTime = EventTime::from_micros(MIDNIGHT + 100_000 * MINUTE);

#[test]
fn an_idle_partition_closes_its_next_window_when_event_time_would_have_passed_it() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 1);
    read_aapl(&mut cursor, 1, 6);
    let advance = |seconds, speed| cursor.idle_advance(Duration::from_secs(seconds), speed, FAR_AWAY);
    assert_eq!(advance(9 * 60 - 1, 1.0), None);
    assert_eq!(advance(9 * 60, 1.0), Some(minute(5)), "end and lateness are past");
    assert_eq!(advance(53, 10.0), None, "ten event seconds a second");
    assert_eq!(advance(54, 10.0), Some(minute(5)), "one window at a time");
}

#[test]
fn an_idle_partition_is_never_taken_beyond_the_wall_clock() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 1);
    let silence = Duration::from_secs(1_000_000);
    assert_eq!(cursor.idle_advance(silence, 10.0, minute(15) - Span::from_micros(1)), None);
    assert_eq!(cursor.idle_advance(silence, 10.0, minute(15)), Some(minute(5)));
}

#[test]
fn a_partition_without_an_open_window_has_nothing_to_advance_for() {
    let mut cursor = cursor();
    assert_eq!(cursor.idle_advance(Duration::MAX, 1.0, FAR_AWAY), None);
    assert_eq!(cursor.end_of_stream(), None);
    read_payload(&mut cursor, 0, b"nonsense");
    assert_eq!((cursor.end_of_stream(), cursor.has_news()), (None, true));
}

#[test]
fn the_end_of_the_stream_passes_every_window() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 14);
    read_aapl(&mut cursor, 1, 6);
    let end = cursor.end_of_stream().unwrap();
    assert_eq!(end, minute(15));
    cursor.force(end);
    assert!(cursor.can_close());
    cursor.cut();
    assert_eq!((cursor.end_of_stream(), cursor.can_close(), cursor.has_news()), (None, false, false));
}

#[test]
fn after_a_forced_advance_older_ticks_are_late() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 1);
    cursor.force(minute(5));
    cursor.cut();
    assert_eq!(read_aapl(&mut cursor, 1, 4), Verdict::Dropped(DropReason::Late(Span::ZERO)));
    assert!(is_tick(read_aapl(&mut cursor, 2, 5)));
}

#[test]
fn a_checkpoint_lists_the_forced_advances_by_the_offset_before_which_they_came() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 1);
    read_aapl(&mut cursor, 1, 6);
    cursor.force(minute(5));
    cursor.cut();
    cursor.force(minute(10));
    cursor.cut();
    read_aapl(&mut cursor, 2, 21);
    cursor.force(minute(25));
    let forced = |offset, minutes| ForcedAdvance { offset: NextOffset(offset), watermark: minute(minutes) };
    assert_eq!(cursor.cut().0.forced, [forced(2, 10), forced(3, 25)], "two at one offset are one");
}

#[test]
fn an_advance_never_takes_the_watermark_back() {
    let mut cursor = cursor();
    read_aapl(&mut cursor, 0, 60);
    cursor.force(minute(5));
    assert_eq!(cursor.watermark().get(), minute(50));
    assert_eq!(cursor.cut().0.forced[0].watermark, minute(50));
}

#[test]
fn the_list_of_forced_advances_is_bounded() {
    let mut cursor = cursor();
    for at in 0..1_200 {
        read_aapl(&mut cursor, at, at * 60);
        let end = cursor.end_of_stream().unwrap();
        cursor.force(end);
        cursor.cut();
    }
    let forced = cursor.cut().0.forced;
    assert_eq!((forced.len(), forced[0].offset), (1_000, NextOffset(201)), "the newest stay");
}
