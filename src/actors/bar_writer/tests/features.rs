//! How far the indicator engine is, and which entries may go.

use super::*;

impl Setup {
    /// So many entries in the chain: the fence, and commits of one bar of one tick.
    async fn with_entries(entries: u64) -> Self {
        let mut setup = Self::new().await;
        for read in 1..i64::try_from(entries).unwrap() {
            setup.close(read, &[bar("AAPL", 5 * read, 1)]);
            setup.committed.next().await;
        }
        setup
    }

    async fn engine_has(&mut self, published: u64, saved: u64, epoch: u64) {
        self.writer.do_send(FeaturesPublished {
            partition: partition(),
            epoch: Epoch(epoch),
            published: CommitNumber(published),
            saved: CommitNumber(saved),
            rows: 3,
        });
        all_done().await;
    }
}

#[actix::test]
async fn the_engine_is_asked_to_restore_before_it_hears_of_any_file() {
    let mut setup = Setup::new().await;
    let restore = setup.restore.next().await;
    assert_eq!((restore.partition, restore.epoch), (partition(), Epoch(1)));
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.committed.next().await;
    let rows = FeaturesPublished {
        partition: partition(),
        epoch: Epoch(1),
        published: CommitNumber(2),
        saved: CommitNumber(2),
        rows: 1,
    };
    restore.reply_to.do_send(rows);
    all_done().await;
    assert_eq!(setup.summary().await.feature_rows, 1, "its replies come to the writer");
}

#[actix::test]
async fn entries_go_only_when_their_features_are_published_and_in_the_saved_state() {
    let mut setup = Setup::with_entries(12).await;
    let all: Vec<u64> = (1..=12).collect();
    assert_eq!(setup.entries(), all, "the engine has said nothing yet");
    setup.engine_has(12, 0, 1).await;
    assert_eq!(setup.entries(), all, "published, but not saved");
    setup.engine_has(12, 5, 1).await;
    assert_eq!(setup.entries(), (6..=12).collect::<Vec<_>>());
    setup.engine_has(12, 12, 1).await;
    assert_eq!(setup.entries(), (9..=12).collect::<Vec<_>>(), "the last few stay");
}

#[actix::test]
async fn what_an_engine_of_another_epoch_says_lets_nothing_go() {
    let mut setup = Setup::with_entries(12).await;
    setup.engine_has(12, 12, 0).await;
    assert_eq!(setup.entries().len(), 12);
}

#[actix::test]
async fn commits_wait_for_an_engine_that_is_many_files_behind() {
    // With the fence, which counts too.
    let entries = FILES_BEHIND as u64 + 1;
    let mut setup = Setup::with_entries(entries).await;
    setup.close(i64::try_from(entries).unwrap(), &[bar("AAPL", 5_000, 1)]);
    setup.committed.stays_silent_for(Duration::from_secs(60)).await;
    setup.engine_has(2, 0, 1).await;
    setup.committed.next().await;
}

#[actix::test]
async fn commits_of_a_partition_wait_for_an_engine_that_is_many_rows_behind_and_those_of_others_go_on() {
    let mut setup = Setup::with_entries(2).await;
    // All windows of a day.
    let of_stock = |stock: usize| (0..DAY / 5).map(move |window| bar(&format!("S{stock:03}"), DAY + 5 * window, 1));
    let rows: Vec<Bar> = (0..).flat_map(of_stock).take(ROWS_BEHIND).collect();
    let read = 1 + i64::try_from(rows.len()).unwrap();
    setup.close(read, &rows);
    setup.committed.next().await;
    setup.close(read + 1, &[bar("AAPL", 3 * DAY, 1)]);
    setup.committed.stays_silent_for(Duration::from_secs(60)).await;
    let other = TopicPartition::new("other", 0);
    let (chain, checkpoint) = take(&setup.lake, &other);
    let (reply_to, mut committed) = probe();
    setup.writer.do_send(PartitionTaken { epoch: Epoch(1), chain, checkpoint, reply_to });
    let barrier = Barrier { partition: other, ..barrier(1, 1, 10 * DAY) };
    setup.open(&barrier);
    setup.answer(&barrier, &[bar("IBM", DAY, 1)], 0);
    assert_eq!(committed.next().await.cut, NextOffset(1), "the features of another partition may be stuck");
    setup.committed.stays_silent_for(Duration::from_secs(60)).await;
    setup.engine_has(5, 0, 1).await;
    setup.committed.next().await;
}

#[actix::test]
async fn what_an_earlier_run_left_stays_until_the_engine_has_completed_it() {
    let mut setup = Setup::with_entries(12).await;
    let (chain, checkpoint) = take(&setup.lake, &partition());
    let (reply_to, mut committed) = probe();
    setup.writer.do_send(PartitionTaken { epoch: Epoch(2), chain, checkpoint, reply_to });
    for read in 12..20 {
        let barrier = Barrier { epoch: Epoch(2), ..barrier(1, read, 10 * DAY) };
        setup.open(&barrier);
        setup.answer(&barrier, &[bar("AAPL", 5 * read, 1)], 0);
        committed.next().await;
    }
    assert_eq!(setup.entries(), (1..=21).collect::<Vec<_>>());
    setup.engine_has(21, 13, 2).await;
    assert_eq!(setup.entries(), (14..=21).collect::<Vec<_>>());
}
