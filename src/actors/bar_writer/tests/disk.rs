//! Disks that refuse.

use super::*;

#[actix::test]
async fn a_full_disk_is_waited_for_and_nothing_is_lost() {
    let mut setup = Setup::new().await;
    setup.trouble.after(0, 12, Errno::NOSPC);
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.committed.stays_silent_for(Duration::from_secs(20)).await;
    setup.assert_nothing_happened().await;
    setup.committed.next().await;
    assert_eq!(setup.published(), [bar("AAPL", 0, 10)]);
    assert_eq!((setup.bars.so_far().await.len(), setup.summary().await.commits), (1, 1), "counted and told once");
    assert!(setup.restart.so_far().await.is_empty());
}

#[actix::test]
async fn the_wait_for_a_disk_grows_and_is_bounded() {
    let mut setup = Setup::new().await;
    let begin = tokio::time::Instant::now();
    setup.trouble.after(0, 20, Errno::NOSPC);
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.committed.next().await;
    // 0.1 + 0.2 + ... + 3.2 s, then 5 s each of 14 times
    let waited = begin.elapsed().as_secs_f64();
    assert!((76.0..77.5).contains(&waited), "{waited}");
}

#[actix::test]
async fn an_entry_that_is_in_the_chain_but_not_public_is_completed_not_doubled() {
    let mut setup = Setup::new().await;
    setup.trouble.after(1, 2, Errno::NOSPC);
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.committed.next().await;
    assert_eq!((setup.entries(), setup.published().len()), (vec![1, 2], 1));
}

#[actix::test]
async fn a_disk_that_fails_restarts_the_partition_once_with_what_to_do() {
    let mut setup = Setup::new().await;
    setup.trouble.after(0, usize::MAX, Errno::ACCESS);
    setup.close(10, &[bar("AAPL", 0, 10)]);
    let RestartPartition { epoch, reason, .. } = setup.restart.next().await;
    let text = reason.to_string();
    assert!(matches!(reason, RestartReason::Storage(_)) && epoch == Epoch(1), "{text}");
    assert!(text.contains("000000002.parquet") && text.contains("right to write"), "{text}");
    setup.committed.stays_silent_for(Duration::from_secs(60)).await;
    assert!(setup.restart.so_far().await.is_empty(), "said once");
}

#[actix::test]
async fn a_commit_that_an_error_left_half_done_is_completed_when_the_partition_is_taken_again() {
    let mut setup = Setup::new().await;
    setup.trouble.after(1, 1, Errno::IO);
    setup.close(10, &[bar("AAPL", 0, 10)]);
    setup.restart.next().await;
    assert_eq!((setup.entries(), setup.published().len()), (vec![1, 2], 0), "in the chain, not public");
    let (chain, checkpoint) = take(&setup.lake, &partition());
    assert_eq!((checkpoint.cut, setup.published().len()), (NextOffset(10), 1), "it counts");
    let (reply_to, mut committed) = probe();
    setup.writer.do_send(PartitionTaken { epoch: Epoch(2), chain, checkpoint, reply_to });
    let barrier = Barrier { epoch: Epoch(2), ..barrier(1, 15, 10) };
    setup.open(&barrier);
    setup.answer(&barrier, &[bar("AAPL", 5, 5)], 0);
    assert_eq!(committed.next().await.cut, NextOffset(15));
    assert_eq!(setup.published(), [bar("AAPL", 0, 10), bar("AAPL", 5, 5)], "each once");
}
