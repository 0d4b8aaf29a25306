//! Partitions on which nothing comes.

use super::*;

/// The tick of minute 1 is in a window that ends at 5 and may close at 15: after 1.4 seconds at the speed of these tests, but the rule
/// asks for 3 of silence.
const SILENCE: Duration = Duration::from_secs(3);

async fn with_a_tick_at_the_end() -> Setup {
    let setup = Setup::new().await;
    setup.tick(0, 1);
    setup.script().end();
    all_done().await;
    setup
}

#[actix::test]
async fn an_idle_partition_closes_its_window_by_a_barrier_of_its_own() {
    let mut setup = with_a_tick_at_the_end().await;
    setup.barriers.stays_silent_for(SILENCE - Duration::from_secs(1)).await;
    let barrier = setup.barrier().await;
    assert_eq!(cut_and_minute(&barrier), (1, 5));
    assert_eq!(barrier.checkpoint.forced.len(), 1);
    setup.commit(&barrier);
    setup.tick(1, 4);
    all_done().await;
    assert_eq!(setup.letters().sent, [("late", 1)], "a replay decides the same");
}

#[actix::test]
async fn windows_of_an_idle_partition_close_one_after_the_other() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.tick(1, 6);
    setup.script().end();
    let first = setup.barrier().await;
    setup.barriers.stays_silent_for(SILENCE).await;
    setup.commit(&first);
    let second = setup.barrier().await;
    assert_eq!((cut_and_minute(&first), cut_and_minute(&second)), ((2, 5), (2, 10)));
}

#[actix::test]
async fn a_partition_that_is_not_read_to_its_end_is_not_idle() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.barriers.stays_silent_for(2 * SILENCE).await;
}

#[actix::test]
async fn a_partition_that_a_producer_of_ours_feeds_is_slow_and_not_idle() {
    let mut setup = with_a_tick_at_the_end().await;
    setup.follow(&["AAPL", "MSFT"], [partition()]);
    setup.barriers.stays_silent_for(2 * SILENCE).await;
    setup.follow(&["MSFT"], []);
    let barrier = setup.barrier().await;
    assert_eq!((cut_and_minute(&barrier), barrier.windows), ((1, 5), 2), "a removed stock's window closes");
}

#[actix::test]
async fn a_partition_on_which_ticks_come_seldom_is_not_idle() {
    let mut setup = with_a_tick_at_the_end().await;
    for offset in 1..8 {
        setup.barriers.stays_silent_for(SILENCE - Duration::from_secs(2)).await;
        setup.tick(offset, 1);
        setup.script().end();
    }
    assert_eq!(setup.ticks().await.len(), 8);
}

#[actix::test]
async fn silence_says_nothing_while_no_broker_answers() {
    let mut setup = with_a_tick_at_the_end().await;
    setup.script().log_end = None;
    setup.barriers.stays_silent_for(3 * SILENCE).await;
    setup.script().log_end = Some(NextOffset(1));
    let barrier = setup.barrier().await;
    assert_eq!(cut_and_minute(&barrier), (1, 5));
}

#[actix::test]
async fn silence_says_nothing_while_the_log_has_more_than_was_read() {
    let mut setup = with_a_tick_at_the_end().await;
    setup.script().log_end = Some(NextOffset(2));
    setup.barriers.stays_silent_for(3 * SILENCE).await;
    setup.tick(1, 2);
    assert_eq!(setup.ticks().await, [0, 1]);
    assert!(setup.letters().sent.is_empty());
}

#[actix::test]
async fn a_partition_whose_windows_are_all_closed_is_left_alone() {
    let mut setup = with_a_tick_at_the_end().await;
    let barrier = setup.barrier().await;
    setup.commit(&barrier);
    setup.barriers.stays_silent_for(2 * SILENCE).await;
}
