//! The same things against a real Apache Kafka: what the embedded broker cannot show.
//!
//! Runs when `STOCKSTREAM_TEST_KAFKA` holds a bootstrap address (`tests/kafka/kafka.sh start DIR` prints one); else each test
//! says that it was skipped, or fails if `STOCKSTREAM_REQUIRE_KAFKA=1`.

mod kafka_support;
#[path = "kafka_support/tails.rs"]
mod tails;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use kafka_support::skip::real_kafka;
use kafka_support::*;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use stockstream::kafka::dead_letters::{DeadLetter, DeadLetters};
use stockstream::kafka::publisher::Publisher;
use stockstream::kafka::retention::{NeededOffsets, RetentionWatch, Seen as SeenByWatch};
use stockstream::kafka::source::{LogBounds, RecordSource, SourceError, Start};
use stockstream::kafka::topics::{Topics, TopicsError, topic_of};
use stockstream::market::checkpoint::{NextOffset, TopicPartition};
use stockstream::market::retention::RetentionLimits;
use stockstream::market::symbol::Symbol;
use stockstream::settings::{KafkaSettings, Layout};
use tails::tails;

/// The broker's address and settings with names that no other run uses; `None`: skip.
fn kafka() -> Option<(String, KafkaSettings)> {
    let bootstrap = real_kafka("STOCKSTREAM_TEST_KAFKA")?;
    let run = format!("{:08x}", rand::random::<u32>());
    let mut settings = settings();
    settings.topic_template = format!("test_{run}.{{symbol}}");
    settings.topic = format!("test_{run}_keyed");
    settings.dead_letter_topic = format!("test_{run}_dead");
    settings.group_id = format!("test_{run}");
    Some((bootstrap, settings))
}

/// A topic of one partition with that many records.
fn filled(bootstrap: &str, settings: &KafkaSettings, records: i64) -> TopicPartition {
    let symbol = Symbol::new("BRK.B").unwrap();
    Topics::of_cluster(settings, bootstrap).ensure(std::slice::from_ref(&symbol)).unwrap();
    let topic = topic_of(settings, &symbol);
    let publisher = Publisher::connect(settings, bootstrap, None).unwrap();
    publish_numbers(&publisher, &topic, 0..records);
    TopicPartition::new(&topic, 0)
}

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap()
}

async fn delete_below(bootstrap: &str, partition: &TopicPartition, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset)).unwrap();
    admin(bootstrap).delete_records(&list, &AdminOptions::new()).await.unwrap();
}

#[actix::test]
async fn topics_get_the_retention_of_the_settings() {
    let Some((bootstrap, mut settings)) = kafka() else { return };
    let symbol = Symbol::new("BRK.B").unwrap();
    let symbols = [symbol.clone(), Symbol::new("EURUSD=X").unwrap()];
    for _ in 0..2 {
        assert_eq!(Topics::of_cluster(&settings, &bootstrap).ensure(&symbols), Ok(()));
    }
    let topic = topic_of(&settings, &symbol);
    let described =
        admin(&bootstrap).describe_configs(&[ResourceSpecifier::Topic(&topic)], &AdminOptions::new()).await.unwrap();
    let entries = described[0].as_ref().unwrap().entry_map();
    assert_eq!(entries["retention.ms"].value.as_deref(), Some("259200000"));
    assert_eq!(entries["retention.bytes"].value.as_deref(), Some("123456789"));
    assert_eq!(entries["segment.ms"].value.as_deref(), Some("32400000"), "an eighth");
    assert_eq!(entries["segment.bytes"].value.as_deref(), Some("15432098"));

    settings.layout = Layout::Keyed;
    assert_eq!(Topics::of_cluster(&settings, &bootstrap).ensure(&symbols), Ok(()));
    settings.partitions += 1;
    let refused = Topics::of_cluster(&settings, &bootstrap).ensure(&symbols);
    assert!(matches!(refused, Err(TopicsError::OtherPartitionCount { wanted: 8, found: 7, .. })), "{refused:?}");
}

#[test]
fn what_a_topic_keeps_is_asked_of_its_broker() {
    let Some((bootstrap, settings)) = kafka() else { return };
    let partition = filled(&bootstrap, &settings, 10);
    let needed = NeededOffsets::default();
    needed.begin(&partition, NextOffset(3), None);
    // Its broker knows better than these.
    let others = KafkaSettings { retention: Duration::from_secs(60), retention_bytes: 1 << 20, ..settings };
    let (tell, told) = mpsc::channel();
    let report = Box::new(move |seen| tell.send(seen).unwrap_or_default());
    let watch = RetentionWatch::start(&others, &bootstrap, needed, Duration::from_millis(10), report).unwrap();
    let SeenByWatch::Nearest(nearest) = told.recv_timeout(Duration::from_secs(60)).unwrap() else {
        panic!("made anew")
    };
    let limits = RetentionLimits { age: Some(Duration::from_secs(259_200)), bytes: Some(123_456_789) };
    assert_eq!((nearest.partition, nearest.distance.limits), (partition, limits));
    drop(watch);
}

#[test]
fn records_come_from_the_start_that_the_caller_says() {
    let Some((bootstrap, settings)) = kafka() else { return };
    let partition = filled(&bootstrap, &settings, 10_000);
    let mut reader =
        Reader::new(&settings, &bootstrap, &[&*partition.topic], Box::new(|_, _| Ok(Start::at(NextOffset(4_000)))));
    let end = Seen::End(partition.clone(), NextOffset(10_000));
    reader.until(|seen| seen.contains(&end));
    assert_eq!(reader.offsets(&partition), (4_000..10_000).collect::<Vec<_>>());
    assert_eq!(tails(&settings, &bootstrap, [partition.clone()], 1), [[b"payload-9999".to_vec()]]);
    assert_eq!(reader.source.log_end(&partition, PATIENCE), Ok(NextOffset(10_000)));
    reader.close();
}

#[actix::test]
async fn what_was_deleted_unread_is_an_error_at_the_start_and_while_reading() {
    let Some((bootstrap, settings)) = kafka() else { return };
    let partition = filled(&bootstrap, &settings, 100);
    let mut reader = Reader::new(&settings, &bootstrap, &[&*partition.topic], from_the_start());
    let end = Seen::End(partition.clone(), NextOffset(100));
    reader.until(|seen| seen.contains(&end));
    reader.source.pause();
    publish_numbers(&Publisher::connect(&settings, &bootstrap, None).unwrap(), &partition.topic, 100..200);
    delete_below(&bootstrap, &partition, 150).await;
    reader.source.resume();
    reader.until(|seen| matches!(seen.last(), Some(Seen::Error(_))));
    let moved = SourceError::LogMoved { partition: partition.clone(), next: NextOffset(100) };
    assert_eq!(reader.seen.last(), Some(&Seen::Error(moved)));
    assert_eq!(reader.offsets(&partition), (0..100).collect::<Vec<_>>());
    reader.close();

    let mut reader = Reader::new(&settings, &bootstrap, &[&*partition.topic], from_the_start());
    reader.until(|seen| !seen.is_empty());
    let log = LogBounds { start: NextOffset(150), end: NextOffset(200) };
    assert_eq!(reader.seen[0], Seen::Error(SourceError::OutsideLog { partition, wanted: NextOffset(0), log }));
    reader.close();
}

#[test]
fn pauses_skip_nothing_before_the_end_of_a_transaction() {
    let Some((bootstrap, settings)) = kafka() else { return };
    let partition = filled(&bootstrap, &settings, 0);
    let (transactions, records) = (100, 20);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("transactional.id", &settings.group_id)
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    let mut reader = Reader::new(&settings, &bootstrap, &[&*partition.topic], from_the_start());
    reader.until(|seen| seen.contains(&Seen::Assigned(partition.clone())));
    for transaction in 0..transactions {
        producer.begin_transaction().unwrap();
        for _ in 0..records {
            let record = BaseRecord::<(), [u8]>::to(&partition.topic).partition(0).payload(b"tick".as_slice());
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.commit_transaction(PATIENCE).unwrap();
        // What was fetched meanwhile is thrown away, but for the end of the transaction; the second pause takes that for the place to go
        // on from.
        reader.source.pause();
        reader.poll();
        reader.source.pause();
        reader.source.resume();
        let read = (transaction + 1) * records;
        if transaction % 3 == 0 {
            reader.until(|seen| seen.iter().filter(|seen| matches!(seen, Seen::Record { .. })).count() >= read);
        }
    }
    // The end of each stands at an offset of its own.
    let (records, end) = (records as i64, ((records + 1) * transactions) as i64);
    let wanted: Vec<i64> = (0..end).filter(|offset| offset % (records + 1) != records).collect();
    let last = Seen::End(partition.clone(), NextOffset(end));
    reader.until(|seen| seen.contains(&last));
    assert_eq!(reader.offsets(&partition), wanted);
    reader.close();
}

#[test]
fn the_group_learns_how_far_the_lake_is() {
    let Some((bootstrap, settings)) = kafka() else { return };
    let partition = filled(&bootstrap, &settings, 100);
    let mut reader = Reader::new(&settings, &bootstrap, &[&*partition.topic], from_the_start());
    let end = Seen::End(partition.clone(), NextOffset(100));
    reader.until(|seen| seen.contains(&end));
    reader.source.commit_async(&partition, NextOffset(60));
    let monitor: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &bootstrap).set("group.id", &settings.group_id).create().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let committed = || {
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.partition);
        monitor.committed_offsets(list, Duration::from_secs(5)).unwrap().elements()[0].offset()
    };
    while committed() != Offset::Offset(60) {
        assert!(Instant::now() < deadline);
        reader.poll();
    }
    reader.close();
}

#[test]
fn the_cluster_has_one_id() {
    let Some((bootstrap, settings)) = kafka() else { return };
    let id = || Topics::of_cluster(&settings, &bootstrap).cluster_id();
    assert!(id().is_ok_and(|id| !id.is_empty()));
    assert_eq!(id(), id());
}

#[test]
fn dead_letters_arrive() {
    let Some((bootstrap, settings)) = kafka() else { return };
    let source = filled(&bootstrap, &settings, 0);
    let letters = DeadLetters::connect(&settings, &bootstrap).unwrap();
    for offset in 0..500 {
        letters.send(&DeadLetter::new("late", &source, offset, b"x")).unwrap();
    }
    letters.flush(PATIENCE).unwrap();
    assert!(letters.settled(&source, NextOffset(500)));
    let dead = TopicPartition::new(&settings.dead_letter_topic, 0);
    assert_eq!(tails(&settings, &bootstrap, [dead], 1000).map(|tail| tail.len()), [500]);
}
