use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use tempfile::TempDir;
use tokio::time::Instant;

use super::owned::FILES_BEHIND;
use super::*;
use crate::actors::testing::{
    Probe, Trouble, all_done, bar, barrier, failing_lake, lake, minute, open_lake, partition, probe, shared, take,
};
use crate::market::bar::Bar;
use crate::market::barrier::{Barrier, WindowAnswer};
use crate::market::checkpoint::{CommitNumber, NextOffset};
use crate::market::window::{ClosedBar, StillOpen};
use crate::messages::commits::BarrierCommitted;
use crate::storage::Lake;
use crate::storage::testing::bars_of;

mod disk;
mod features;

/// Minutes of a day.
const DAY: i64 = 1_440;

struct Setup {
    writer: Addr<BarWriter>,
    lake: Lake,
    trouble: Trouble,
    settled: Arc<AtomicBool>,
    restore: Probe<RestoreIndicators>,
    bars: Probe<BarsCommitted>,
    lost: Probe<PartitionLost>,
    restart: Probe<RestartPartition>,
    committed: Probe<BarrierCommitted>,
    dir: TempDir,
}

impl Setup {
    /// A writer that owns the partition in epoch 1, with commit 1 as its fence.
    async fn new() -> Self {
        tokio::time::pause();
        let (_, dir) = lake();
        let trouble = Trouble::default();
        let lake = failing_lake(dir.path(), &trouble);
        let settled = Arc::new(AtomicBool::new(true));
        let (restore, restore_probe) = probe();
        let (bars, bars_probe) = probe();
        let (lost, lost_probe) = probe();
        let (restart, restart_probe) = probe();
        let are_settled = settled.clone();
        let letters = Box::new(move |_: &TopicPartition, _| are_settled.load(Ordering::SeqCst));
        let writer =
            BarWriter::new(WriterOutputs { restore, bars, lost, restart }, letters, Credits::new(ROWS_BEHIND)).start();
        let (reply_to, committed) = probe();
        let (chain, checkpoint) = take(&lake, &partition());
        writer.do_send(PartitionTaken { epoch: Epoch(1), chain, checkpoint, reply_to });
        all_done().await;
        Self {
            writer,
            lake,
            trouble,
            settled,
            restore: restore_probe,
            bars: bars_probe,
            lost: lost_probe,
            restart: restart_probe,
            committed,
            dir,
        }
    }

    fn open(&self, barrier: &Barrier) {
        self.writer.do_send(BarrierOpened { barrier: shared(barrier), at: Instant::now() });
    }

    /// Answers with these bars and so many ticks in windows that stay open, the first of them the record before the cut.
    fn answer(&self, barrier: &Barrier, closed: &[Bar], open: u64) {
        let cut = barrier.checkpoint.cut;
        let closed = closed.iter().map(|bar| ClosedBar { bar: bar.clone(), first_offset: cut.0 - 2 }).collect();
        let oldest_offset = (open > 0).then_some(cut.0 - 1);
        let answer = WindowAnswer { closed, still_open: StillOpen { oldest_offset, ticks: open } };
        let (partition, epoch) = (barrier.partition.clone(), barrier.epoch);
        self.writer.do_send(WindowsAnswered { partition, epoch, cut, answer });
    }

    /// A barrier of one window that has closed these bars, and all that was read is in them and in those of before.
    fn close(&self, read: i64, closed: &[Bar]) {
        let barrier = barrier(1, read, 10 * DAY);
        self.open(&barrier);
        self.answer(&barrier, closed, 0);
    }

    fn published(&self) -> Vec<Bar> {
        bars_of(&self.lake, &partition())
    }

    fn entries(&self) -> Vec<u64> {
        self.lake.entries(&partition()).unwrap().into_iter().map(|number| number.0).collect()
    }

    async fn summary(&self) -> RunSummary {
        self.writer.send(ReportSummary).await.unwrap().summary
    }

    /// Nothing was committed, nobody told, and the writer lives.
    async fn assert_nothing_happened(&mut self) {
        assert!(self.committed.so_far().await.is_empty() && self.bars.so_far().await.is_empty());
        assert!(self.published().is_empty());
        assert_eq!(self.summary().await, RunSummary::default());
    }
}

#[actix::test]
async fn a_barrier_is_committed_when_all_have_answered_and_not_before() {
    let mut setup = Setup::new().await;
    let barrier = barrier(2, 10, 5);
    setup.open(&barrier);
    setup.answer(&barrier, &[bar("MSFT", 0, 3)], 0);
    setup.assert_nothing_happened().await;
    setup.answer(&barrier, &[bar("AAPL", 0, 5)], 2);
    let committed = setup.committed.next().await;
    assert_eq!((committed.partition, committed.epoch), (partition(), Epoch(1)));
    assert_eq!((committed.resume, committed.cut), (NextOffset(9), NextOffset(10)));
    let rows = [bar("AAPL", 0, 5), bar("MSFT", 0, 3)];
    assert_eq!(setup.published(), rows);
    let told = setup.bars.next().await;
    assert_eq!((&told.rows[..], told.file.number, told.epoch), (&rows[..], CommitNumber(2), Epoch(1)));
}

#[actix::test]
async fn answers_of_another_epoch_or_cut_are_ignored() {
    let mut setup = Setup::new().await;
    let expected = barrier(1, 10, 5);
    setup.open(&expected);
    setup.answer(&Barrier { epoch: Epoch(0), ..expected.clone() }, &[bar("AAPL", 0, 10)], 0);
    setup.answer(&barrier(1, 9, 5), &[bar("AAPL", 0, 10)], 0);
    setup.assert_nothing_happened().await;
    setup.answer(&expected, &[bar("AAPL", 0, 9)], 1);
    setup.committed.next().await;
    assert_eq!(setup.published()[0].ticks, 9);
}

#[actix::test]
async fn a_barrier_of_another_epoch_or_partition_is_ignored() {
    let mut setup = Setup::new().await;
    let old = Barrier { epoch: Epoch(0), ..barrier(0, 0, 5) };
    let foreign = Barrier { partition: TopicPartition::new("other", 0), ..barrier(0, 0, 5) };
    setup.open(&old);
    setup.open(&foreign);
    setup.assert_nothing_happened().await;
}

#[actix::test]
async fn a_partition_without_windows_is_committed_at_once_and_without_a_file() {
    let mut setup = Setup::new().await;
    setup.open(&barrier(0, 0, 5));
    setup.committed.next().await;
    assert!(setup.bars.so_far().await.is_empty());
    assert_eq!(setup.entries(), [1, 2]);
}

#[actix::test]
async fn bars_of_several_dates_are_one_commit_a_date_and_answered_after_the_last() {
    let mut setup = Setup::new().await;
    setup.trouble.after(2, 3, Errno::NOSPC);
    setup.close(10, &[bar("AAPL", 5, 4), bar("AAPL", DAY, 4), bar("AAPL", DAY + 5, 2)]);
    let first = setup.bars.next().await;
    assert_eq!((first.file.date.as_str(), first.rows.len()), ("2025-05-14", 1));
    assert!(setup.committed.so_far().await.is_empty(), "the second date is not in the lake yet");
    setup.committed.next().await;
    let second = setup.bars.next().await;
    assert_eq!((second.file.date.as_str(), second.rows.len(), second.file.number.0), ("2025-05-15", 2, 3));
    let between = setup.lake.read_entry(&partition(), first.file.number).unwrap().checkpoint;
    assert_eq!((between.watermark, between.resume, between.open_ticks), (minute(DAY), NextOffset(8), 6));
}

#[actix::test]
async fn a_commit_waits_until_the_dead_letters_have_arrived() {
    let mut setup = Setup::new().await;
    setup.settled.store(false, Ordering::SeqCst);
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.committed.stays_silent_for(Duration::from_secs(60)).await;
    setup.assert_nothing_happened().await;
    setup.settled.store(true, Ordering::SeqCst);
    setup.committed.next().await;
    assert_eq!(setup.published().len(), 1);
}

#[actix::test]
async fn ticks_that_are_not_accounted_for_restart_the_partition_and_nothing_is_committed() {
    let mut setup = Setup::new().await;
    setup.close(10, &[bar("AAPL", 0, 9)]);
    let RestartPartition { reason, .. } = setup.restart.next().await;
    assert!(matches!(&reason, RestartReason::Broken(text) if text.contains("10 ticks read")), "{reason}");
    setup.assert_nothing_happened().await;
    assert_eq!((setup.entries(), setup.lost.so_far().await.len()), (vec![1], 1));
}

#[actix::test]
async fn a_lost_partition_is_forgotten_with_what_was_prepared() {
    let mut setup = Setup::new().await;
    setup.settled.store(false, Ordering::SeqCst);
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.writer.do_send(PartitionLost { partition: partition(), epoch: Epoch(0) });
    assert!(setup.lost.so_far().await.is_empty(), "of an ownership that is over");
    setup.writer.do_send(PartitionLost { partition: partition(), epoch: Epoch(1) });
    assert_eq!(setup.lost.next().await.epoch, Epoch(1), "the indicator engine forgets it too");
    setup.settled.store(true, Ordering::SeqCst);
    setup.committed.stays_silent_for(Duration::from_secs(10)).await;
    setup.assert_nothing_happened().await;
}

#[actix::test]
async fn a_fenced_partition_is_dropped_and_that_is_no_failure() {
    let mut setup = Setup::new().await;
    take(&open_lake(setup.dir.path()), &partition());
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.committed.stays_silent_for(Duration::from_secs(10)).await;
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.assert_nothing_happened().await;
    let told = RestartPartition { partition: partition(), epoch: Epoch(1), reason: RestartReason::Fenced };
    assert_eq!(setup.restart.so_far().await, [told], "said once");
    assert_eq!(setup.lost.so_far().await.len(), 1, "the indicator engine forgets it too");
}

#[actix::test]
async fn restarts_are_in_the_summary() {
    let setup = Setup::new().await;
    setup.writer.do_send(PartitionRestarts);
    setup.writer.do_send(PartitionRestarts);
    assert_eq!(setup.summary().await.restarts, 2);
}

#[actix::test]
async fn a_partition_taken_again_goes_on_in_its_new_epoch() {
    let mut setup = Setup::new().await;
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.committed.next().await;
    let (chain, checkpoint) = take(&setup.lake, &partition());
    let (reply_to, mut committed) = probe();
    setup.writer.do_send(PartitionTaken { epoch: Epoch(2), chain, checkpoint, reply_to });
    setup.close(15, &[bar("AAPL", 5, 5)]);
    let barrier = Barrier { epoch: Epoch(2), ..barrier(1, 15, 10) };
    setup.open(&barrier);
    setup.answer(&barrier, &[bar("AAPL", 5, 5)], 0);
    assert_eq!(committed.next().await.cut, NextOffset(15));
    assert!(setup.committed.so_far().await.is_empty(), "the old epoch is over");
    assert_eq!(setup.published().len(), 2);
}

#[actix::test]
async fn the_summary_adds_up() {
    let mut setup = Setup::new().await;
    let mut first = barrier(1, 20, 5);
    let counters = &mut first.checkpoint.counters;
    (counters.late, counters.malformed, counters.future, counters.unknown) = (1, 2, 3, 4);
    setup.open(&first);
    setup.answer(&first, &[bar("AAPL", 0, 7)], 3);
    let mut second = barrier(1, 25, 10);
    (second.checkpoint.counters, second.skipped_replayed) = (first.checkpoint.counters, 6);
    second.checkpoint.counters.read = 25;
    setup.committed.next().await;
    setup.open(&second);
    setup.answer(&second, &[bar("AAPL", 5, 2), bar("AAPL", DAY, 5)], 1);
    setup.committed.next().await;
    let s = setup.summary().await;
    assert_eq!((s.read, s.in_bars, s.open, s.skipped_replayed), (31, 14, 1, 6));
    assert_eq!((s.late, s.malformed, s.future, s.unknown), (1, 2, 3, 4));
    assert_eq!((s.bars, s.commits), (3, 3));
    let parts = s.in_bars + s.open.unsigned_abs() + s.late + s.malformed + s.future + s.unknown + s.skipped_replayed;
    assert_eq!(s.read, parts);
}
