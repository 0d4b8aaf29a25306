//! Where the log is cut.

use super::super::owned::MANY_BARS;
use super::super::state::BARS_UNDER_WAY;
use super::*;
use crate::market::checkpoint::Epoch;

#[actix::test]
async fn a_barrier_goes_to_the_writer_and_behind_the_ticks_to_every_window() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.script().tick(1, "MSFT", 15);
    let barrier = setup.barrier().await;
    assert_eq!((cut_and_minute(&barrier), barrier.windows, barrier.epoch), ((2, 5), 2, Epoch(1)));
    assert_eq!(barrier.checkpoint.counters.read, 2);
    let sent = setup.sent_to_windows().await;
    for name in ["AAPL", "MSFT"] {
        let of_stock: Vec<_> = sent.iter().filter(|(of, _)| of.as_str() == name).map(|(_, sent)| sent).collect();
        assert!(matches!(of_stock[..], [ToWindow::Ticks(_), ToWindow::Close(_)]), "{of_stock:?}");
    }
}

#[actix::test]
async fn one_barrier_is_in_flight_and_window_ends_passed_meanwhile_go_into_the_next() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.tick(1, 15);
    let first = setup.barrier().await;
    setup.tick(2, 20);
    setup.tick(3, 25);
    setup.tick(4, 31);
    setup.barriers.stays_silent_for(Duration::from_secs(5)).await;
    assert_eq!(setup.ticks().await, [0, 1, 2, 3, 4], "reading goes on");
    setup.commit(&first);
    let second = setup.barrier().await;
    assert_eq!((cut_and_minute(&second), second.epoch), ((5, 21), first.epoch));
    setup.commit(&second);
    setup.barriers.stays_silent_for(Duration::from_secs(5)).await;
    assert_eq!(setup.script().committed, [NextOffset(2), NextOffset(5)], "for the group's monitors");
}

#[actix::test]
async fn a_backlog_is_cut_seldom_however_fast_its_commits_are() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.tick(1, 15);
    let first = setup.barrier().await;
    setup.commit(&first);
    setup.tick(2, 31);
    setup.barriers.stays_silent_for(Duration::from_millis(200)).await;
    setup.tick(3, 46);
    let second = setup.barrier().await;
    assert_eq!((cut_and_minute(&first), cut_and_minute(&second)), ((2, 5), (4, 36)), "one barrier for two windows");
}

#[actix::test]
async fn a_commit_of_another_epoch_does_not_free_the_barrier() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.tick(1, 15);
    let mut stale = Arc::unwrap_or_clone(setup.barrier().await);
    setup.tick(2, 31);
    stale.epoch = Epoch(0);
    setup.commit(&stale);
    setup.barriers.stays_silent_for(Duration::from_secs(5)).await;
    assert!(setup.script().committed.is_empty());
}

#[actix::test]
async fn many_records_that_close_nothing_are_a_barrier_too() {
    let mut setup = Setup::new().await;
    let every = i64::try_from(COMMIT_EVERY).unwrap();
    (0..every - 1).for_each(|offset| setup.tick(offset, 1));
    setup.barriers.stays_silent_for(Duration::from_secs(1)).await;
    setup.tick(every - 1, 1);
    assert_eq!(setup.barrier().await.checkpoint.cut, NextOffset(every));
}

#[actix::test]
async fn reading_waits_when_a_barrier_stays_unanswered() {
    let mut setup = Setup::new().await;
    (0..100_000).for_each(|offset| setup.tick(offset, 1));
    let barrier = setup.barrier().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let read = setup.ticks().await.len() as u64;
    let limit = barrier.checkpoint.counters.read + 4 * COMMIT_EVERY;
    assert!((limit..limit + SLICE as u64 + 1).contains(&read), "{read}");
    setup.commit(&barrier);
    assert!(!setup.ticks().await.is_empty());
}

#[actix::test]
async fn many_bars_are_cut_at_once() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.tick(1, 15);
    let first = setup.barrier().await;
    setup.commit(&first);
    let many = i64::try_from(MANY_BARS).unwrap();
    (2..many).for_each(|offset| setup.tick(offset, 15 + 5 * offset));
    setup.barriers.stays_silent_for(Duration::from_millis(200)).await;
    (many..many + 10).for_each(|offset| setup.tick(offset, 15 + 5 * offset));
    assert_eq!(setup.barriers.so_far().await.len(), 1, "before the next is due");
}

#[actix::test]
async fn reading_waits_when_many_bars_are_not_committed() {
    let mut setup = Setup::new().await;
    (0..100_000).for_each(|offset| setup.tick(offset, 5 * offset));
    let barrier = setup.barrier().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let read = setup.ticks().await.len() as u64;
    assert!((BARS_UNDER_WAY..=BARS_UNDER_WAY + SLICE as u64).contains(&read), "{read}");
    setup.commit(&barrier);
    assert!(!setup.ticks().await.is_empty());
}

#[actix::test]
async fn there_is_no_barrier_below_the_restored_cut() {
    let mut checkpoint = genesis();
    (checkpoint.resume, checkpoint.cut) = (NextOffset(10), NextOffset(13));
    (checkpoint.counters.read, checkpoint.open_ticks) = (3, 3);
    let mut setup =
        Setup::from_checkpoint(Checkpoint { known: [(symbol("AAPL"), NextOffset(0))].into(), ..checkpoint }).await;
    setup.tick(10, 1);
    setup.tick(11, 31);
    setup.barriers.stays_silent_for(Duration::from_secs(1)).await;
    setup.tick(12, 31);
    let barrier = setup.barrier().await;
    assert_eq!((cut_and_minute(&barrier), barrier.skipped_replayed), ((13, 21), 3));
    assert_eq!(barrier.checkpoint.counters.read, 3, "they were counted before");
}
