use std::sync::Arc;

use rustix::io::Errno;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::actors::testing::{Probe, Trouble, all_done, bar, failing_lake, partition, probe, take};
use crate::indicators::feature_row::FeatureRow;
use crate::indicators::state::IndicatorState;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Commit, CommitNumber};
use crate::storage::{BarsFile, Chain, Dataset};

mod restart;

/// A lake and the right to commit to it, over any number of engines.
struct Setup {
    lake: Lake,
    chain: Chain,
    trouble: Trouble,
    dir: TempDir,
}

/// One engine on the lake.
struct Running {
    engine: Addr<IndicatorEngine>,
    epoch: Epoch,
    reply_to: Recipient<FeaturesPublished>,
    published: Probe<FeaturesPublished>,
    computed: Probe<FeaturesComputed>,
    restart: Probe<RestartPartition>,
}

impl Setup {
    /// The fence is commit 1.
    fn new() -> Self {
        tokio::time::pause();
        let dir = tempfile::tempdir().unwrap();
        let trouble = Trouble::default();
        let lake = failing_lake(dir.path(), &trouble);
        let chain = take(&lake, &partition()).0;
        Self { lake, chain, trouble, dir }
    }

    /// Puts these rows into the chain and says what is to be told to the engine.
    fn commit(&mut self, rows: &[Bar]) -> (BarsFile, Arc<[Bar]>) {
        let mut checkpoint = self.lake.newest_checkpoint(&partition()).unwrap().unwrap();
        let ticks: u64 = rows.iter().map(|bar| bar.ticks.unsigned_abs()).sum();
        checkpoint.counters.in_bars += ticks;
        checkpoint.counters.read += ticks;
        let commit = Commit { rows: rows.into(), checkpoint };
        let file = self.chain.commit(&commit).unwrap().expect("it has rows");
        (file, commit.rows)
    }

    /// An engine that is not asked for anything yet.
    fn engine(&self, epoch: u64) -> Running {
        let (computed, computed_probe) = probe();
        let (restart, restart_probe) = probe();
        let (reply_to, published) = probe();
        let engine = IndicatorEngine::new(self.lake.clone(), EngineOutputs { computed, restart }).start();
        let epoch = Epoch(epoch);
        Running { engine, epoch, reply_to, published, computed: computed_probe, restart: restart_probe }
    }

    /// An engine that has restored the partition, and what it said then.
    async fn restored(&self) -> (Running, FeaturesPublished) {
        let mut running = self.engine(1);
        running.restore(1);
        let published = running.published.next().await;
        (running, published)
    }

    /// All feature rows in the lake in the order of the files.
    fn features(&self) -> Vec<FeatureRow> {
        let files = self.lake.files(Dataset::Features).unwrap();
        files.iter().flat_map(|file| self.lake.read_features(file).unwrap().unwrap()).collect()
    }
}

impl Running {
    fn restore(&self, epoch: u64) {
        let (partition, reply_to) = (partition(), self.reply_to.clone());
        self.engine.do_send(RestoreIndicators { partition, epoch: Epoch(epoch), reply_to });
    }

    fn tell(&self, (file, rows): (BarsFile, Arc<[Bar]>)) {
        self.engine.do_send(BarsCommitted { epoch: self.epoch, file, rows });
    }

    fn lose(&self, epoch: u64) {
        self.engine.do_send(PartitionLost { partition: partition(), epoch: Epoch(epoch) });
    }
}

/// The rows of file `n` of a stream of two stocks.
fn rows(n: i64) -> Vec<Bar> {
    vec![bar("AAPL", 10 * n, 3), bar("AAPL", 10 * n + 5, 3), bar("MSFT", 10 * n, 2)]
}

/// What an engine makes of the first files of that stream that never stops.
fn expected(files: i64) -> Vec<FeatureRow> {
    let mut state = IndicatorState::new();
    (0..files).flat_map(|n| state.push_file(CommitNumber(n as u64 + 1), &rows(n))).collect()
}

#[actix::test]
async fn every_bars_file_gets_its_features_beside_it() {
    let mut setup = Setup::new();
    let (mut running, first) = setup.restored().await;
    assert_eq!((first.published, first.saved, first.rows), (CommitNumber(1), CommitNumber(1), 0));
    for n in 0..3 {
        let committed = setup.commit(&rows(n));
        let file = committed.0.clone();
        running.tell(committed);
        let published = running.published.next().await;
        assert_eq!((published.partition, published.epoch), (partition(), Epoch(1)));
        assert_eq!((published.published, published.rows), (file.number, 3));
        assert!(setup.lake.has_features(&file));
        assert_eq!(running.computed.next().await.0[..], expected(n + 1)[3 * n as usize..]);
    }
    assert_eq!(setup.features(), expected(3));
}

#[actix::test]
async fn the_features_of_one_file_let_the_bars_of_other_partitions_go_first() {
    let mut setup = Setup::new();
    let (mut running, _) = setup.restored().await;
    let told = Instant::now();
    running.tell(setup.commit(&rows(0)));
    assert!(running.published.so_far().await.is_empty());
    assert_eq!(running.published.next().await.rows, 3);
    assert!(told.elapsed() >= AFTER_BARS);
}

#[actix::test]
async fn a_partition_that_catches_up_does_not_wait_for_its_features() {
    let mut setup = Setup::new();
    let (mut running, _) = setup.restored().await;
    let told = Instant::now();
    (0..2).for_each(|n| running.tell(setup.commit(&rows(n))));
    assert_eq!(running.published.next().await.rows, 6);
    assert!(told.elapsed() < AFTER_BARS);
}

#[actix::test]
async fn the_state_is_saved_now_and_then_and_when_asked() {
    let mut setup = Setup::new();
    let (mut running, _) = setup.restored().await;
    let mut saved = Vec::new();
    for n in 0..=64 {
        running.tell(setup.commit(&rows(n)));
        saved.push(running.published.next().await.saved.0);
    }
    assert_eq!((saved[0], saved[62], saved[63], saved[64]), (1, 1, 65, 65));
    running.engine.send(SaveIndicators).await.unwrap().unwrap();
    assert_eq!(running.published.next().await.published, CommitNumber(66));
    let bytes = setup.lake.load_indicators(&partition()).unwrap().unwrap();
    assert_eq!(IndicatorState::from_bytes(&bytes).unwrap().last(), CommitNumber(66));
}

#[actix::test]
async fn files_of_another_epoch_or_before_the_restore_are_ignored() {
    let mut setup = Setup::new();
    let mut running = setup.engine(1);
    running.tell(setup.commit(&rows(0)));
    assert!(running.published.so_far().await.is_empty());
    running.restore(1);
    assert_eq!(running.published.next().await.rows, 3, "the restore finds it in the chain");
    running.epoch = Epoch(0);
    running.tell(setup.commit(&rows(1)));
    tokio::time::sleep(AFTER_BARS).await;
    assert!(running.published.so_far().await.is_empty());
    assert_eq!(setup.features().len(), 3);
}

#[actix::test]
async fn a_file_told_twice_counts_once() {
    let mut setup = Setup::new();
    let (running, _) = setup.restored().await;
    let (file, bars) = setup.commit(&rows(0));
    running.tell((file.clone(), bars.clone()));
    running.tell((file, bars));
    running.tell(setup.commit(&rows(1)));
    tokio::time::sleep(AFTER_BARS).await;
    all_done().await;
    assert_eq!(setup.features(), expected(2));
}

#[actix::test]
async fn a_full_disk_is_waited_for_in_order_and_every_row_is_reported_once() {
    let mut setup = Setup::new();
    let (mut running, _) = setup.restored().await;
    let files: Vec<_> = (0..4).map(|n| setup.commit(&rows(n))).collect();
    setup.trouble.after(1, 5, Errno::NOSPC);
    files.into_iter().for_each(|file| running.tell(file));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let published = running.published.so_far().await;
    assert_eq!(published.iter().map(|published| published.rows).sum::<usize>(), 12);
    assert_eq!(published.last().unwrap().published, CommitNumber(5));
    assert_eq!(setup.features(), expected(4));
    let computed: Vec<FeatureRow> = running.computed.so_far().await.iter().flat_map(|file| file.0.to_vec()).collect();
    assert_eq!(computed, expected(4));
    assert!(running.restart.so_far().await.is_empty());
}

#[actix::test]
async fn rows_published_before_a_disk_was_full_are_reported_too() {
    let mut setup = Setup::new();
    (0..4).for_each(|n| drop(setup.commit(&rows(n))));
    setup.trouble.after(2, 3, Errno::NOSPC);
    let (_, published) = setup.restored().await;
    assert_eq!((published.rows, setup.features()), (12, expected(4)));
}

#[actix::test]
async fn a_disk_that_fails_restarts_the_partition_and_the_end_makes_what_is_missing() {
    let mut setup = Setup::new();
    let (mut running, _) = setup.restored().await;
    let file = setup.commit(&rows(0));
    setup.trouble.after(0, usize::MAX, Errno::ACCESS);
    running.tell(file);
    let RestartPartition { epoch, reason, .. } = running.restart.next().await;
    assert_eq!(epoch, Epoch(1));
    assert!(matches!(&reason, RestartReason::Storage(text) if text.contains("features/date=2025-05-14")), "{reason}");
    let refused = running.engine.send(SaveIndicators).await.unwrap();
    assert!(refused.is_err_and(|reason| reason.contains("right to write")));
    setup.trouble.after(0, 0, Errno::ACCESS);
    running.restore(2);
    assert_eq!(running.published.next().await.epoch, Epoch(2));
    assert_eq!(setup.features(), expected(1));
}

#[actix::test]
async fn what_a_partition_that_failed_has_not_computed_is_made_before_the_end() {
    let mut setup = Setup::new();
    let (mut running, _) = setup.restored().await;
    let file = setup.commit(&rows(0));
    setup.trouble.after(0, 1, Errno::IO);
    running.tell(file);
    running.restart.next().await;
    running.tell(setup.commit(&rows(1)));
    assert!(running.restart.so_far().await.is_empty(), "until it has restarted nothing more is computed");
    running.engine.send(SaveIndicators).await.unwrap().unwrap();
    assert_eq!(setup.features(), expected(2));
}

#[actix::test]
async fn a_lost_partition_is_forgotten_and_one_of_an_older_epoch_is_not() {
    let mut setup = Setup::new();
    let (mut running, _) = setup.restored().await;
    running.lose(0);
    running.tell(setup.commit(&rows(0)));
    running.published.next().await;
    running.lose(1);
    running.tell(setup.commit(&rows(1)));
    tokio::time::sleep(AFTER_BARS).await;
    assert!(running.published.so_far().await.is_empty());
    assert_eq!(setup.features().len(), 3);
}
