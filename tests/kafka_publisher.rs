//! Publishing, topics and dead letters, against the embedded broker.

mod kafka_support;

use std::time::{Duration, Instant};

use kafka_support::*;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use stockstream::kafka::backlog::Backlog;
use stockstream::kafka::dead_letters::{DeadLetter, DeadLetters, KEPT_BYTES, LetterNotTaken};
use stockstream::kafka::embedded::EmbeddedBroker;
use stockstream::kafka::publisher::{Deliveries, NotFlushed, Outgoing, Publish, PublishRefused, Publisher};
use stockstream::kafka::topics::{Topics, TopicsError, partition_of_key};
use stockstream::market::checkpoint::{NextOffset, TopicPartition};
use stockstream::market::symbol::Symbol;
use stockstream::market::time::Span;
use stockstream::settings::Layout;

/// Nobody listens here.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn a_key_goes_to_the_partition_that_librdkafka_chooses() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("keyed", 7).unwrap();
    let publisher = Publisher::connect(&settings(), broker.bootstrap_servers(), None).unwrap();
    for number in 0..500 {
        let key = format!("{:X}", number * 7919);
        publish(&publisher, &Outgoing { topic: "keyed", partition: None, key: key.as_bytes(), payload: b"x" });
    }
    publisher.flush(PATIENCE).unwrap();
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["keyed"], from_the_start());
    let records = |seen: &[Seen]| seen.iter().filter(|seen| matches!(seen, Seen::Record { .. })).count();
    reader.until(|seen| records(seen) == 500);
    for seen in &reader.seen {
        if let Seen::Record { partition, key: Some(key), .. } = seen {
            assert_eq!(partition.partition, partition_of_key(key, 7), "{key:?}");
        }
    }
    reader.close();
}

#[test]
fn a_flush_waits_until_everything_sent_is_acknowledged() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    let publisher = Publisher::connect(&settings(), broker.bootstrap_servers(), None).unwrap();
    publish_numbers(&publisher, "t", 0..1_000);
    assert_eq!(publisher.counts(), Deliveries { sent: 1_000, acknowledged: 1_000, failed: 0 });
}

#[test]
fn a_full_queue_refuses_the_record_and_counts_it_not() {
    let mut settings = settings();
    settings.properties.insert("queue.buffering.max.messages".into(), "10".into());
    let publisher = Publisher::connect(&settings, NOWHERE, None).unwrap();
    let record = Outgoing { topic: "t", partition: Some(0), key: b"K", payload: b"x" };
    (0..10).for_each(|_| assert_eq!(publisher.publish(&record), Ok(())));
    assert_eq!(publisher.publish(&record), Err(PublishRefused::Full));
    assert_eq!(publisher.publish(&record), Err(PublishRefused::Full));
    assert_eq!(publisher.counts(), Deliveries { sent: 10, acknowledged: 0, failed: 0 });
    let flushed = publisher.flush(Duration::from_millis(100));
    assert_eq!(flushed, Err(NotFlushed { in_flight: 10, failed: 0 }));
}

#[test]
fn a_record_that_is_given_up_is_counted_as_failed() {
    let mut settings = settings();
    settings.properties.insert("delivery.timeout.ms".into(), "300".into());
    let publisher = Publisher::connect(&settings, NOWHERE, None).unwrap();
    publish(&publisher, &Outgoing { topic: "t", partition: Some(0), key: b"K", payload: b"x" });
    let deadline = Instant::now() + PATIENCE;
    while publisher.counts().failed == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(publisher.counts(), Deliveries { sent: 1, acknowledged: 0, failed: 1 });
    assert_eq!(publisher.flush(Duration::ZERO), Err(NotFlushed { in_flight: 0, failed: 1 }));
}

#[test]
fn nobody_outruns_the_reader_of_the_embedded_broker() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    let backlog = Backlog::default();
    backlog.add_topic("t", 1);
    let publisher = Publisher::connect(&settings(), broker.bootstrap_servers(), Some(backlog.clone())).unwrap();
    let payload = [b'x'; 4_000];
    let record = Outgoing { topic: "t", partition: None, key: b"K", payload: &payload };
    let mut sent = 0;
    while publisher.publish(&record).is_ok() {
        sent += 1;
    }
    publisher.flush(PATIENCE).unwrap();
    assert_eq!(publisher.publish(&record), Err(PublishRefused::Full));
    let partition = TopicPartition::new("t", 0);
    assert_eq!(backlog.behind(&partition).records, sent);

    // Nothing was lost: all of it can be read from the start.
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["t"], from_the_start());
    let end = Seen::End(partition.clone(), NextOffset(sent as i64));
    reader.until(|seen| seen.contains(&end));
    assert_eq!(reader.offsets(&partition).len() as u64, sent);
    backlog.read_up_to(&partition, NextOffset(sent as i64));
    assert_eq!(publisher.publish(&record), Ok(()));
    reader.close();
}

#[test]
fn topics_are_created_once_and_checked_afterwards() {
    let broker = EmbeddedBroker::start().unwrap();
    let symbols = ["AAPL", "BRK.B"].map(|symbol| Symbol::new(symbol).unwrap());
    let per_stock = settings();
    let mut keyed = settings();
    keyed.layout = Layout::Keyed;
    for _ in 0..2 {
        assert_eq!(Topics::of_embedded(&per_stock, &broker).ensure(&symbols), Ok(()));
        assert_eq!(Topics::of_embedded(&keyed, &broker).ensure(&symbols), Ok(()));
    }
    keyed.partitions = 8;
    let (topic, wanted, found) = (keyed.topic.clone(), 8, 7);
    let refused = TopicsError::OtherPartitionCount { topic, wanted, found };
    assert_eq!(Topics::of_embedded(&keyed, &broker).ensure(&symbols), Err(refused));
    assert!(broker.create_topic("stock_topic.BRK_2eB", 1).is_err(), "exists already");
}

#[test]
fn an_unreachable_broker_is_named_within_seconds() {
    let started = Instant::now();
    let settings = settings();
    let error = Topics::of_cluster(&settings, NOWHERE).ensure(&[]).unwrap_err();
    assert!(error.to_string().contains(NOWHERE), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// Above every letter.
const EVERYTHING: NextOffset = NextOffset(i64::MAX);

#[test]
fn a_dead_letter_tells_where_it_comes_from_and_why() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("dead_letters", 1).unwrap();
    let letters = DeadLetters::connect(&settings(), broker.bootstrap_servers()).unwrap();
    let source = TopicPartition::new("stock_topic.A", 3);
    let payload = vec![b'y'; KEPT_BYTES + 1];
    let late_by = Some(Span::from_micros(250));
    letters.send(&DeadLetter { late_by, key: Some(b"A"), ..DeadLetter::new("late", &source, 42, b"x") }).unwrap();
    letters.send(&DeadLetter { suppressed: 12, ..DeadLetter::new("malformed", &source, 43, &payload) }).unwrap();
    until_settled(&letters, &source);
    assert_eq!(letters.counts(&source), Deliveries { sent: 2, acknowledged: 2, failed: 0 });
    assert!(
        letters.settled(&TopicPartition::new("other", 0), EVERYTHING),
        "a partition without letters waits for none"
    );

    let read = read_with_headers(broker.bootstrap_servers(), 2);
    let common = "source_topic=stock_topic.A source_partition=3 source_offset";
    assert_eq!(read[0].0, format!("reason=late {common}=42 late_by_us=250"));
    assert_eq!((read[0].1.as_deref(), read[0].2), (Some(b"A".as_slice()), 1));
    assert_eq!(read[1].0, format!("reason=malformed {common}=43 cut_from_bytes={} suppressed=12", KEPT_BYTES + 1));
    assert_eq!((read[1].1.as_deref(), read[1].2), (None, KEPT_BYTES));
}

/// Headers as text, key, and length of the payload, of the first records of the dead-letter topic.
fn read_with_headers(bootstrap: &str, count: usize) -> Vec<(String, Option<Vec<u8>>, usize)> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "look").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset("dead_letters", 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut read = Vec::new();
    while read.len() < count {
        assert!(Instant::now() < deadline);
        let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let headers: Vec<String> = record
            .headers()
            .unwrap()
            .iter()
            .map(|header| format!("{}={}", header.key, std::str::from_utf8(header.value.unwrap()).unwrap()))
            .collect();
        read.push((headers.join(" "), record.key().map(<[u8]>::to_vec), record.payload_len()));
    }
    read
}

#[test]
fn letters_wait_in_bounded_memory_while_the_broker_is_away() {
    let letters = DeadLetters::connect(&settings(), NOWHERE).unwrap();
    let source = TopicPartition::new("t", 0);
    let letter = DeadLetter::new("future", &source, 1, b"x");
    let taken = (0..20_000).take_while(|_| letters.send(&letter).is_ok()).count();
    assert_eq!(taken, 10_000);
    assert_eq!(letters.send(&letter), Err(LetterNotTaken));
    assert_eq!(letters.counts(&source).sent, 10_000);
    assert!(!letters.settled(&source, EVERYTHING));
    assert!(letters.settled(&source, NextOffset(1)), "a commit does not wait for letters above its cut");
    assert!(letters.flush(Duration::from_millis(50)).is_err());
    letters.forget(&source);
    assert!(letters.settled(&source, EVERYTHING));
}

/// Whether all its letters are settled in time.
#[track_caller]
fn until_settled(letters: &DeadLetters, source: &TopicPartition) {
    let deadline = Instant::now() + PATIENCE;
    while !letters.settled(source, EVERYTHING) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_letter_that_is_too_large_for_its_topic_arrives_shortened_or_is_given_up() {
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    for (refusals, delivered) in [
        (1, Deliveries { sent: 2, acknowledged: 2, failed: 0 }),
        (2, Deliveries { sent: 2, acknowledged: 1, failed: 1 }),
    ] {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("dead_letters", 1, 1).unwrap();
        cluster.request_errors(RDKafkaApiKey::Produce, &[too_large, too_large][..refusals]);
        let letters = DeadLetters::connect(&settings(), &cluster.bootstrap_servers()).unwrap();
        let source = TopicPartition::new("t", 0);
        letters
            .send(&DeadLetter {
                key: Some(&[b'K'; 3_000]),
                ..DeadLetter::new("malformed", &source, 7, &[b'y'; 90_000])
            })
            .unwrap();
        until_settled(&letters, &source);
        // The way is free for the next one.
        letters.send(&DeadLetter::new("late", &source, 8, b"x")).unwrap();
        until_settled(&letters, &source);
        assert_eq!(letters.counts(&source), delivered);
        let read = read_with_headers(&cluster.bootstrap_servers(), delivered.acknowledged as usize);
        let of_source = "source_topic=t source_partition=0 source_offset";
        if refusals == 1 {
            assert_eq!(read[0].0, format!("reason=malformed {of_source}=7 cut_from_bytes=90000"));
            assert_eq!((read[0].1.as_ref().map(Vec::len), read[0].2), (Some(256), 1_024));
        }
        assert_eq!(read.last().unwrap().0, format!("reason=late {of_source}=8"));
    }
}

#[test]
fn a_letter_that_the_broker_refused_is_sent_again_until_it_arrives() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("dead_letters", 1, 1).unwrap();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refusal, refusal]);
    let letters = DeadLetters::connect(&settings(), &cluster.bootstrap_servers()).unwrap();
    let source = TopicPartition::new("t", 0);
    let letter = DeadLetter { key: Some(b"K"), ..DeadLetter::new("late", &source, 7, b"x") };
    letters.send(&letter).unwrap();
    let refused = letters.flush(PATIENCE).unwrap_err();
    assert_eq!(refused, NotFlushed { in_flight: 0, failed: 1 });
    until_settled(&letters, &source);
    assert_eq!(letters.counts(&source), Deliveries { sent: 1, acknowledged: 1, failed: 0 });
    let read = read_with_headers(&cluster.bootstrap_servers(), 1);
    assert_eq!(read[0].0, "reason=late source_topic=t source_partition=0 source_offset=7");
    assert_eq!((read[0].1.as_deref(), read[0].2), (Some(b"K".as_slice()), 1));
}
