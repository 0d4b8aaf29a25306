//! Partitions that fail and are taken again.

use super::*;
use crate::kafka::source::{SourceError, TakeRefused};
use crate::market::checkpoint::Epoch;
use crate::supervision::RestartReason;

impl Setup {
    /// What the writer or the engine of this epoch says.
    fn ask_restart(&self, epoch: u64, reason: RestartReason) {
        let (partition, epoch) = (partition(), Epoch(epoch));
        self.consumer.do_send(RestartPartition { partition, epoch, reason });
    }

    async fn epoch_taken(&mut self) -> u64 {
        self.taken.next().await.epoch.0
    }
}

fn broken() -> RestartReason {
    RestartReason::Broken("as the test wants it".into())
}

#[actix::test]
async fn a_partition_that_failed_is_dropped_held_and_taken_again_from_its_checkpoint() {
    let mut setup = Setup::new().await;
    assert_eq!(setup.epoch_taken().await, 1);
    setup.tick(0, 1);
    setup.ticks().await;
    setup.ask_restart(1, broken());
    let lost = setup.lost.next().await;
    assert_eq!((lost.partition, lost.epoch), (partition(), Epoch(1)));
    all_done().await;
    let held = setup.script().held.clone();
    assert_eq!(held, [partition()], "until its time has come");
    assert_eq!(setup.script().restarted, 0);
    assert_eq!(setup.epoch_taken().await, 2);
    assert!(setup.script().held.is_empty());
    for (offset, minutes) in [(0, 1), (1, 15)] {
        setup.tick(offset, minutes);
    }
    let barrier = setup.barrier().await;
    assert_eq!((barrier.epoch, barrier.checkpoint.counters.read), (Epoch(2), 2), "counted once");
    assert_eq!((setup.restarts.so_far().await.len(), setup.failed.so_far().await.len()), (1, 0));
}

#[actix::test]
async fn a_window_that_dies_restarts_its_partition() {
    let mut setup = Setup::new().await;
    setup.epoch_taken().await;
    let line = format!("{},AAPL,{DEADLY}", minute(1).micros());
    setup.script().line(0, &line);
    assert_eq!(setup.epoch_taken().await, 2);
    setup.tick(0, 1);
    assert_eq!(setup.ticks().await, [0], "by a window of its own");
    assert_eq!(setup.restarts.so_far().await.len(), 1);
}

#[actix::test]
async fn what_an_owner_of_before_says_is_ignored() {
    let mut setup = Setup::new().await;
    setup.ask_restart(0, broken());
    setup.ask_restart(2, broken());
    setup.lost.stays_silent_for(Duration::from_secs(10)).await;
}

#[actix::test]
async fn a_fenced_partition_is_taken_back_if_the_group_still_leaves_it_here() {
    let mut setup = Setup::new().await;
    setup.epoch_taken().await;
    setup.ask_restart(1, RestartReason::Fenced);
    setup.taken.stays_silent_for(SESSION - Duration::from_millis(100)).await;
    assert_eq!(setup.epoch_taken().await, 2);
    assert!(setup.restarts.so_far().await.is_empty(), "no failure");
}

#[actix::test]
async fn a_partition_that_is_revoked_while_it_waits_is_forgotten() {
    let mut setup = Setup::new().await;
    setup.epoch_taken().await;
    setup.ask_restart(1, RestartReason::Fenced);
    all_done().await;
    setup.script().give(Given::Revoked(partition()));
    setup.taken.stays_silent_for(SESSION * 10).await;
    assert_eq!((setup.lost.so_far().await.len(), setup.script().restarted), (1, 0));
}

#[actix::test]
async fn a_partition_that_is_assigned_anew_while_it_waits_is_taken_once() {
    let mut setup = Setup::new().await;
    setup.epoch_taken().await;
    setup.ask_restart(1, RestartReason::Fenced);
    all_done().await;
    setup.script().give(Given::Revoked(partition()));
    setup.script().give(Given::Assigned(partition()));
    assert_eq!(setup.epoch_taken().await, 2);
    setup.taken.stays_silent_for(SESSION * 10).await;
}

#[actix::test]
async fn the_sixth_failure_in_a_minute_fails_the_run_and_says_what_failed() {
    let mut setup = Setup::new().await;
    for epoch in 1..=6 {
        assert_eq!(setup.epoch_taken().await, epoch);
        assert!(setup.failed.so_far().await.is_empty());
        setup.ask_restart(epoch, broken());
    }
    let failure = setup.failure().await;
    assert!(failure.contains("stock_topic.AAPL-0") && failure.contains("as the test wants it"), "{failure}");
    assert_eq!(setup.restarts.so_far().await.len(), 5);
    setup.taken.stays_silent_for(Duration::from_secs(60)).await;
}

#[actix::test]
async fn a_partition_that_cannot_be_taken_now_is_tried_again_for_ever_and_free_of_charge() {
    let mut setup = Setup::new().await;
    setup.epoch_taken().await;
    let no_answer = || SourceError::NoAnswer { partition: partition(), reason: "nobody there".into() };
    setup.script().refuse_restarts = (0..50).map(|_| no_answer()).collect();
    setup.ask_restart(1, broken());
    assert_eq!(setup.epoch_taken().await, 2);
    assert_eq!((setup.restarts.so_far().await.len(), setup.failed.so_far().await.len()), (1, 0));
}

#[actix::test]
async fn a_partition_that_the_disk_kept_from_being_assigned_is_taken_again() {
    let mut setup = Setup::unassigned(genesis(), COMMIT_EVERY);
    setup.follow(&["AAPL"], []);
    let reason = TakeRefused::ByDisk("fsync failed".into());
    setup.script().give(Given::Error(SourceError::Refused { partition: partition(), reason }));
    assert_eq!(setup.epoch_taken().await, 1);
    assert_eq!(setup.restarts.so_far().await.len(), 1);
}

#[actix::test]
async fn a_refusal_that_a_restart_would_not_mend_fails_the_run_at_once() {
    let mut setup = Setup::new().await;
    setup.epoch_taken().await;
    let reason = TakeRefused::ForGood("another lateness".into());
    setup.script().refuse_restarts.push_back(SourceError::Refused { partition: partition(), reason });
    setup.ask_restart(1, broken());
    assert!(setup.failure().await.contains("another lateness"));
    setup.taken.stays_silent_for(Duration::from_secs(60)).await;
}

#[actix::test]
async fn windows_that_are_stuck_are_left_behind_with_their_credit() {
    let (mut setup, held) = reading::starved().await;
    setup.epoch_taken().await;
    setup.script().events.clear();
    setup.stuck.store(true, Ordering::SeqCst);
    assert_eq!(setup.epoch_taken().await, 2);
    setup.tick(0, 1);
    assert!(setup.ticks().await.contains(&0), "though the old windows never give their credit back");
    assert_eq!((setup.restarts.so_far().await.len(), setup.failed.so_far().await.len()), (1, 0));
    drop(held);
}

#[actix::test]
async fn a_stop_does_not_wait_for_a_partition_that_waits() {
    let mut setup = Setup::new().await;
    setup.epoch_taken().await;
    setup.ask_restart(1, RestartReason::Fenced);
    all_done().await;
    setup.drain(OpenWindows::Keep, ReadUntil::Here);
    all_done().await;
    assert_eq!(setup.drained.so_far().await.len(), 1);
}
