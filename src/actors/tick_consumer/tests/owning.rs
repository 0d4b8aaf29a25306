//! Partitions that come and go, stocks that come, and what ends the run.

use super::*;
use crate::kafka::source::SourceError;
use crate::market::checkpoint::{Epoch, Fingerprint};

#[actix::test]
async fn an_assigned_partition_is_taken_and_the_writer_told_first() {
    let mut setup = Setup::new().await;
    let taken = setup.taken.next().await;
    assert_eq!((taken.epoch, taken.chain.partition(), taken.checkpoint), (Epoch(1), &partition(), genesis()));
    setup.tick(0, 1);
    setup.tick(1, 15);
    let barrier = setup.barrier().await;
    setup.tick(2, 31);
    let (partition, cut) = (barrier.partition.clone(), barrier.checkpoint.cut);
    taken.reply_to.do_send(BarrierCommitted { partition, epoch: barrier.epoch, resume: cut, cut });
    assert_eq!(setup.barrier().await.checkpoint.cut, NextOffset(3), "the reply came to the consumer");
}

#[actix::test]
async fn a_revoked_partition_is_lost_and_its_ticks_go_nowhere() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.script().give(Given::Revoked(partition()));
    setup.tick(1, 1);
    setup.tick(2, 60);
    let lost = setup.lost.next().await;
    assert_eq!((lost.partition, lost.epoch), (partition(), Epoch(1)));
    assert!(setup.ticks().await.is_empty(), "also those of the slice in which it went");
    assert!(setup.barriers.so_far().await.is_empty());
    setup.tick(3, 60);
    assert!(setup.ticks().await.is_empty());
}

#[actix::test]
async fn a_partition_that_comes_back_has_a_new_epoch_and_new_windows() {
    let mut setup = Setup::new().await;
    setup.tick(0, 1);
    setup.tick(1, 15);
    let old = setup.barrier().await;
    setup.script().give(Given::Revoked(partition()));
    setup.script().give(Given::Assigned(partition()));
    setup.tick(0, 1);
    setup.tick(1, 15);
    let new = setup.barrier().await;
    assert_eq!((old.epoch, new.epoch), (Epoch(1), Epoch(2)));
    assert_eq!((&new.checkpoint, new.windows), (&old.checkpoint, 2), "decided alike");
    setup.commit(&old);
    setup.tick(2, 31);
    setup.barriers.stays_silent_for(Duration::from_secs(5)).await;
}

#[actix::test]
async fn a_stock_followed_later_is_known_from_there_on() {
    let mut setup = Setup::new().await;
    setup.script().tick(0, "IBM", 1);
    all_done().await;
    setup.follow(&["AAPL", "IBM", "MSFT"], []);
    all_done().await;
    setup.script().tick(1, "IBM", 1);
    setup.script().tick(2, "IBM", 15);
    let barrier = setup.barrier().await;
    assert_eq!((barrier.windows, barrier.checkpoint.counters.unknown), (3, 1));
    assert_eq!(barrier.checkpoint.known[&symbol("IBM")], NextOffset(1));
    assert_eq!(setup.ticks().await, [1, 2]);
    assert_eq!(setup.script().topics, [[partition().topic.to_string()]], "the topic was subscribed to already");
}

#[actix::test]
async fn a_stock_of_a_new_topic_is_subscribed_to_beside_the_others() {
    let setup = Setup::new().await;
    let stocks = vec![(symbol("IBM"), TopicPartition::new("stock_topic.IBM", 0))];
    setup.consumer.do_send(FollowStocks { stocks, fed: [].into() });
    all_done().await;
    let topics = setup.script().topics.clone();
    assert_eq!(topics.last().unwrap(), &["stock_topic.AAPL", "stock_topic.IBM"]);
}

#[actix::test]
async fn a_topic_that_cannot_be_subscribed_to_fails_the_run() {
    let mut setup = Setup::unassigned(genesis(), COMMIT_EVERY);
    setup.script().refuse_topics = true;
    setup.follow(&["AAPL"], []);
    assert!(setup.failure().await.contains("no such topic"));
}

#[actix::test]
async fn a_fatal_error_of_the_source_fails_the_run_and_trouble_does_not() {
    let mut setup = Setup::new().await;
    setup.script().give(Given::Error(SourceError::Trouble("the broker is away".into())));
    setup.tick(0, 1);
    assert_eq!(setup.ticks().await, [0]);
    assert!(setup.failed.so_far().await.is_empty());
    setup.script().give(Given::Error(SourceError::Fatal("wrong password".into())));
    assert!(setup.failure().await.contains("wrong password"));
}

#[actix::test]
async fn a_record_of_another_log_fails_the_run_and_nothing_of_the_partition_is_committed() {
    let mut checkpoint = genesis();
    (checkpoint.resume, checkpoint.cut) = (NextOffset(5), NextOffset(5));
    checkpoint.log.last_record = Some(Fingerprint { offset: 4, crc: 1 });
    let mut setup = Setup::from_checkpoint(checkpoint).await;
    for (offset, minutes) in [(4, 1), (5, 1), (6, 60)] {
        setup.tick(offset, minutes);
    }
    let failure = setup.failure().await;
    assert!(failure.contains("offset 4 of stock_topic.AAPL-0"), "{failure}");
    assert_eq!(setup.lost.next().await.epoch, Epoch(1));
    assert!(setup.ticks().await.is_empty() && setup.barriers.so_far().await.is_empty());
    assert!(setup.failed.so_far().await.is_empty(), "said once");
}
