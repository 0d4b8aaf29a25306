//! The end of a run.

use super::*;

#[actix::test]
async fn to_drain_to_the_end_reads_everything_closes_everything_and_says_so_once() {
    let mut setup = Setup::new().await;
    (0..9_000).for_each(|offset| setup.tick(offset, 1));
    setup.drain(OpenWindows::Close, ReadUntil::End);
    let barrier = setup.barrier().await;
    assert_eq!(cut_and_minute(&barrier), (9_000, 5));
    setup.drained.stays_silent_for(Duration::from_secs(5)).await;
    setup.commit(&barrier);
    setup.drained.next().await;
    setup.drained.stays_silent_for(Duration::from_secs(5)).await;
    assert!(setup.barriers.so_far().await.is_empty());
}

#[actix::test]
async fn windows_that_are_kept_stay_open_behind_a_last_barrier() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    all_done().await;
    setup.drain(OpenWindows::Keep, ReadUntil::Here);
    let barrier = setup.barrier().await;
    assert_eq!((cut_and_minute(&barrier), barrier.checkpoint.forced.len()), ((1, -9), 0));
    setup.commit(&barrier);
    setup.drained.next().await;
}

#[actix::test]
async fn a_window_end_that_was_passed_is_committed_before_the_end_of_the_stream() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.tick(1, 15);
    let first = setup.barrier().await;
    setup.tick(2, 20);
    setup.drain(OpenWindows::Close, ReadUntil::End);
    all_done().await;
    setup.commit(&first);
    let last = setup.barrier().await;
    assert_eq!((cut_and_minute(&first), cut_and_minute(&last)), ((2, 5), (3, 25)));
    setup.commit(&last);
    setup.drained.next().await;
}

#[actix::test]
async fn a_consumer_with_nothing_new_is_drained_at_once() {
    let mut setup = Setup::new().await;
    setup.script().log_end = Some(NextOffset(0));
    setup.drain(OpenWindows::Close, ReadUntil::End);
    setup.drained.next().await;
    assert!(setup.barriers.so_far().await.is_empty());
}

#[actix::test]
async fn a_partition_without_a_stock_has_an_end_too() {
    let mut setup = Setup::new().await;
    setup.script().log_end = Some(NextOffset(0));
    setup.script().events.push_front(Given::Assigned(TopicPartition::new("stock_ticks", 7)));
    all_done().await;
    setup.drain(OpenWindows::Close, ReadUntil::End);
    setup.drained.next().await;
}

#[actix::test]
async fn a_drain_to_the_end_waits_for_partitions_that_are_still_to_come() {
    let mut setup = Setup::unassigned(genesis(), COMMIT_EVERY);
    setup.follow(&["AAPL"], []);
    setup.drain(OpenWindows::Close, ReadUntil::End);
    setup.drained.stays_silent_for(Duration::from_secs(5)).await;
    setup.tick(0, 1);
    setup.script().events.push_front(Given::Assigned(partition()));
    let barrier = setup.barrier().await;
    setup.commit(&barrier);
    setup.drained.next().await;
}

#[actix::test]
async fn a_drain_to_the_end_waits_until_other_members_have_committed_theirs() {
    let mut setup = Setup::unassigned(genesis(), COMMIT_EVERY);
    let stocks = vec![(symbol("AAPL"), partition()), (symbol("MSFT"), TopicPartition::new("another", 0))];
    setup.consumer.do_send(FollowStocks { stocks, fed: Default::default() });
    setup.script().give(Given::Assigned(partition()));
    setup.tick(0, 1);
    setup.drain(OpenWindows::Keep, ReadUntil::End);
    let barrier = setup.barrier().await;
    setup.commit(&barrier);
    setup.drained.stays_silent_for(Duration::from_secs(5)).await;
    *setup.held.lock().unwrap() = Some(NextOffset(1));
    setup.drained.next().await;
}

#[actix::test]
async fn the_end_of_the_log_is_asked_for_until_a_broker_answers() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.script().log_end = None;
    setup.drain(OpenWindows::Close, ReadUntil::End);
    setup.drained.stays_silent_for(Duration::from_secs(5)).await;
    setup.script().log_end = Some(NextOffset(1));
    let barrier = setup.barrier().await;
    setup.commit(&barrier);
    setup.drained.next().await;
}

#[actix::test]
async fn a_drain_to_the_end_does_not_follow_a_log_that_goes_on() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.drain(OpenWindows::Keep, ReadUntil::End);
    let barrier = setup.barrier().await;
    setup.tick(1, 2);
    setup.tick(2, 3);
    setup.commit(&barrier);
    setup.drained.next().await;
    assert_eq!((barrier.checkpoint.cut, setup.ticks().await), (NextOffset(1), vec![0]));
}

#[actix::test]
async fn a_drain_here_reads_nothing_more() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    all_done().await;
    setup.drain(OpenWindows::Keep, ReadUntil::Here);
    let barrier = setup.barrier().await;
    setup.tick(1, 60);
    setup.commit(&barrier);
    setup.drained.next().await;
    assert_eq!(setup.ticks().await, [0]);
}

#[actix::test]
async fn a_second_drain_reads_no_further_than_the_first() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.drain(OpenWindows::Keep, ReadUntil::End);
    let barrier = setup.barrier().await;
    setup.tick(1, 2);
    all_done().await;
    setup.script().log_end = Some(NextOffset(3));
    setup.drain(OpenWindows::Keep, ReadUntil::End);
    setup.tick(2, 3);
    setup.commit(&barrier);
    setup.drained.next().await;
    assert_eq!(setup.ticks().await, [0], "what lies between was not read");
}

#[actix::test]
async fn a_log_whose_last_offsets_hold_no_record_is_drained() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.script().log_end = Some(NextOffset(5));
    setup.script().end();
    setup.drain(OpenWindows::Close, ReadUntil::End);
    let barrier = setup.barrier().await;
    setup.commit(&barrier);
    setup.drained.next().await;
}
