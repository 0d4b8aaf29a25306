//! What the Kafka tests share: settings, a source that remembers what it gave.

#[path = "../support/skip.rs"]
pub mod skip;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stockstream::kafka::publisher::{Outgoing, Publish, PublishRefused, Publisher};
use stockstream::kafka::source::{KafkaSource, RecordSource, SourceError, SourceEvent, Start, TakePartition};
use stockstream::market::checkpoint::{NextOffset, TopicPartition};
use stockstream::settings::{KafkaMode, KafkaSettings, Layout, OnGap, SecuritySettings};

/// Longer than any step of these tests takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn settings() -> KafkaSettings {
    KafkaSettings {
        mode: KafkaMode::Cluster,
        bootstrap_servers: String::new(),
        layout: Layout::PerStock,
        topic_template: "stock_topic.{symbol}".into(),
        topic: "stock_ticks".into(),
        partitions: 7,
        group_id: "test".into(),
        retention: Duration::from_secs(3 * 86_400),
        retention_bytes: 123_456_789,
        on_gap: OnGap::Stop,
        dead_letter_topic: "dead_letters".into(),
        security: SecuritySettings {
            protocol: "plaintext".into(),
            sasl_mechanism: None,
            username: None,
            password: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            key_password: None,
        },
        properties: BTreeMap::new(),
    }
}

/// What a source gave, copied.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Assigned(TopicPartition),
    Revoked(TopicPartition),
    Record { partition: TopicPartition, offset: i64, millis: Option<i64>, key: Option<Vec<u8>>, payload: Vec<u8> },
    End(TopicPartition, NextOffset),
    Error(SourceError),
}

impl From<SourceEvent<'_>> for Seen {
    fn from(event: SourceEvent<'_>) -> Self {
        match event {
            SourceEvent::Assigned(partition) => Seen::Assigned(partition.clone()),
            SourceEvent::Revoked(partition) => Seen::Revoked(partition),
            SourceEvent::Record { partition, offset, timestamp, key, payload } => Seen::Record {
                partition: partition.clone(),
                offset,
                millis: timestamp.map(|time| time.micros() / 1000),
                key: key.map(<[u8]>::to_vec),
                payload: payload.to_vec(),
            },
            SourceEvent::EndOfPartition(partition, next) => Seen::End(partition.clone(), next),
            SourceEvent::Error(error) => Seen::Error(error),
        }
    }
}

pub struct Reader {
    pub source: Box<KafkaSource>,
    pub seen: Vec<Seen>,
}

impl Reader {
    /// Joins the group and begins every partition where `take` says.
    pub fn new(settings: &KafkaSettings, bootstrap: &str, topics: &[&str], take: TakePartition) -> Self {
        let mut source = Box::new(KafkaSource::connect(settings, bootstrap, take).unwrap());
        source.subscribe(&topics.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        Self { source, seen: Vec::new() }
    }

    pub fn poll(&mut self) {
        let seen = &mut self.seen;
        self.source.poll(1000, Duration::from_millis(50), &mut |event| seen.push(event.into()));
    }

    /// Polls until what was seen is enough.
    pub fn until(&mut self, enough: impl Fn(&[Seen]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !enough(&self.seen) {
            assert!(Instant::now() < deadline, "not enough: {} events, first {:?}", self.seen.len(), self.seen.first());
            self.poll();
        }
    }

    /// Offsets given of a partition, in order.
    pub fn offsets(&self, wanted: &TopicPartition) -> Vec<i64> {
        let offset = |seen: &Seen| match seen {
            Seen::Record { partition, offset, .. } if partition == wanted => Some(*offset),
            _ => None,
        };
        self.seen.iter().filter_map(offset).collect()
    }

    pub fn close(self) {
        self.source.close(PATIENCE).unwrap();
    }
}

pub fn from_the_start() -> TakePartition {
    Box::new(|_, _| Ok(Start::at(NextOffset(0))))
}

/// Publishes with back-pressure.
pub fn publish(publisher: &Publisher, record: &Outgoing<'_>) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = publisher.publish(record) {
        assert_eq!(error, PublishRefused::Full);
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

/// Publishes `payload-0`, `payload-1`, ... to partition 0.
pub fn publish_numbers(publisher: &Publisher, topic: &str, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let payload = format!("payload-{number}");
        publish(publisher, &Outgoing { topic, partition: Some(0), key: b"KEY", payload: payload.as_bytes() });
    }
    publisher.flush(PATIENCE).unwrap();
}
