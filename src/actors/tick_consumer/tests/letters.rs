//! Ticks that are in no bar.

use super::*;

#[actix::test]
async fn late_malformed_and_future_ticks_are_lettered_with_the_reason_and_unknown_ones_only_counted() {
    let mut setup = Setup::new().await;
    setup.tick(0, 15);
    setup.tick(1, 1);
    setup.script().line(2, "nonsense");
    setup.tick(3, 900_002);
    setup.script().tick(4, "IBM", 15);
    setup.tick(5, 20);
    setup.tick(6, 31);
    let barrier = setup.barrier().await;
    assert_eq!(setup.letters().sent, [("late", 1), ("malformed", 2), ("future", 3)]);
    let counters = barrier.checkpoint.counters;
    assert_eq!((counters.read, counters.late, counters.malformed), (7, 1, 1));
    assert_eq!((counters.future, counters.unknown), (1, 1));
    assert_eq!(setup.ticks().await, [0, 5, 6]);
}

#[actix::test]
async fn a_refused_letter_is_offered_again_before_any_barrier_and_nothing_is_read_meanwhile() {
    let mut setup = Setup::new().await;
    setup.letters().refuse = true;
    setup.tick(0, 15);
    setup.script().line(1, "nonsense");
    setup.tick(2, 2);
    setup.tick(3, 30);
    all_done().await;
    setup.tick(4, 31);
    setup.barriers.stays_silent_for(Duration::from_secs(5)).await;
    assert_eq!(setup.ticks().await, [0, 3], "what was read in that slice, no more");
    assert!(setup.script().paused);
    setup.letters().refuse = false;
    let barrier = setup.barrier().await;
    assert_eq!(setup.letters().sent, [("malformed", 1), ("late", 2)], "in their order, each once");
    assert_eq!(cut_and_minute(&barrier), (4, 20));
    assert_eq!(setup.ticks().await, [4]);
}

#[actix::test]
async fn what_is_read_again_is_not_lettered_again() {
    let mut checkpoint = genesis();
    (checkpoint.resume, checkpoint.cut, checkpoint.watermark) = (NextOffset(0), NextOffset(2), minute(5));
    let mut setup = Setup::from_checkpoint(checkpoint).await;
    setup.script().line(0, "nonsense");
    setup.tick(1, 1);
    setup.tick(2, 2);
    assert!(setup.ticks().await.is_empty());
    assert_eq!(setup.letters().sent, [("late", 2)]);
}

#[actix::test]
async fn of_a_flood_some_letters_are_sent_the_next_tells_how_many_were_not_and_every_tick_is_counted() {
    let mut setup = Setup::new().await;
    for offset in 0..12_000 {
        setup.script().line(offset, "nonsense");
    }
    setup.tick(12_000, 15);
    setup.tick(12_001, 31);
    let barrier = setup.barrier().await;
    assert_eq!((barrier.checkpoint.counters.malformed, barrier.checkpoint.counters.read), (12_000, 12_002));
    assert_eq!(setup.letters().sent.len(), 2_000);
    assert_eq!(setup.letters().suppressed, 0);
    setup.tick(12_002, 1);
    all_done().await;
    assert_eq!(setup.letters().sent.last(), Some(&("late", 12_002)), "a flood of one kind hides no other");
    tokio::time::advance(Duration::from_secs(1)).await;
    setup.script().line(12_003, "nonsense");
    all_done().await;
    assert_eq!(setup.letters().sent.last(), Some(&("malformed", 12_003)));
    assert_eq!(setup.letters().suppressed, 10_000);
}

#[actix::test]
async fn what_waits_for_the_broker_is_bounded_in_bytes() {
    let mut setup = Setup::new().await;
    setup.letters().refuse = true;
    let huge = "x".repeat(63 * 1024);
    for offset in 0..100 {
        setup.script().line(offset, &huge);
    }
    all_done().await;
    setup.letters().refuse = false;
    setup.tick(100, 15);
    setup.tick(101, 31);
    let barrier = setup.barrier().await;
    assert_eq!(barrier.checkpoint.counters.malformed, 100);
    assert_eq!(setup.letters().sent.len(), 2_000 / 64, "each counts once, and once more for each KiB");
    tokio::time::advance(Duration::from_secs(1)).await;
    setup.script().line(102, "nonsense");
    all_done().await;
    assert_eq!(setup.letters().suppressed as usize, 100 - 2_000 / 64);
}
