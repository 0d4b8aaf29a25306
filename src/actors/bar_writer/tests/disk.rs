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
    assert!(setup.failed.so_far().await.is_empty());
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
async fn a_disk_that_will_not_mend_fails_the_run() {
    let mut setup = Setup::new().await;
    setup.trouble.after(0, usize::MAX, Errno::ACCESS);
    setup.close(10, &[bar("AAPL", 0, 10)]);
    let PipelineFailed(reason) = setup.failed.next().await;
    assert!(reason.contains("000000002.parquet") && reason.contains("right to write"), "{reason}");
    setup.committed.stays_silent_for(Duration::from_secs(60)).await;
    assert!(setup.failed.so_far().await.is_empty(), "said once");
}
