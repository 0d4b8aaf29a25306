//! A cluster that outlives the program: the embedded broker, hosted by the test.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use stockstream::kafka::embedded::EmbeddedBroker;
use stockstream::market::time::EventTime;

use super::oracle::LogRecord;
use super::program::PATIENCE;

pub const DEAD_LETTERS: &str = "stockstream_dead_letters";

pub struct Cluster {
    broker: EmbeddedBroker,
    producer: BaseProducer,
    /// One for all reading: to end a consumer takes a second.
    reader: BaseConsumer,
}

impl Cluster {
    /// With an empty topic for dead letters.
    pub fn start() -> Self {
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topic(DEAD_LETTERS, 1).unwrap();
        let producer = producer(broker.bootstrap_servers());
        let reader = reader(broker.bootstrap_servers());
        Self { broker, producer, reader }
    }

    pub fn bootstrap(&self) -> &str {
        self.broker.bootstrap_servers()
    }

    pub fn create_topic(&self, topic: &str, partitions: i32) {
        self.broker.create_topic(topic, partitions).unwrap();
    }

    /// Settings that lead a program here; further client properties may follow. A killed member leaves the group after two seconds.
    pub fn settings(&self) -> String {
        format!(
            "[kafka]\nmode = \"cluster\"\nbootstrap_servers = \"{}\"\n[kafka.properties]\n\"session.timeout.ms\" = 2000\n\"heartbeat.interval.ms\" = 300\n",
            self.bootstrap()
        )
    }

    /// Publishes in this order; timestamps are the wall clock's. They have arrived after [`flush`](Self::flush).
    pub fn publish<'l>(&self, topic: &str, partition: i32, lines: impl IntoIterator<Item = &'l [u8]>) {
        for line in lines {
            let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(line);
            while let Err((error, refused)) = self.producer.send(record) {
                assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
                self.producer.poll(Duration::from_millis(10));
                record = refused;
            }
        }
    }

    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }

    /// What the log of a partition holds.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<LogRecord> {
        read(&self.reader, topic, partition).into_iter().map(|(record, _)| record).collect()
    }

    /// Payloads of the dead letters, with their reasons.
    pub fn dead_letters(&self) -> Vec<(String, Vec<u8>)> {
        let letters = read(&self.reader, DEAD_LETTERS, 0);
        letters.into_iter().map(|(record, reason)| (reason.unwrap(), record.payload)).collect()
    }
}

fn producer(bootstrap: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    // One request at a time: in order also when one is repeated.
    config.set("bootstrap.servers", bootstrap).set("max.in.flight", "1").set("linger.ms", "0").create().unwrap()
}

fn reader(bootstrap: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "reader").set("enable.partition.eof", "true");
    config.set("fetch.wait.max.ms", "10").set("fetch.queue.backoff.ms", "2").set("enable.auto.commit", "false");
    config.create().unwrap()
}

/// Every record that a partition's log holds, with its header `reason`.
fn read(consumer: &BaseConsumer, topic: &str, partition: i32) -> Vec<(LogRecord, Option<String>)> {
    let (log_start, log_end) = consumer.fetch_watermarks(topic, partition, PATIENCE).expect("the broker answers");
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, partition, Offset::Offset(log_start)).unwrap();
    consumer.assign(&start).unwrap();
    let mut records: Vec<(LogRecord, Option<String>)> = Vec::new();
    while records.last().map_or(log_start, |(record, _)| record.offset + 1) < log_end {
        match consumer.poll(PATIENCE).expect("the broker answers") {
            Ok(record) => {
                let timestamp = record.timestamp().to_millis().map(|millis| EventTime::from_micros(millis * 1000));
                let payload = record.payload().unwrap_or_default().to_vec();
                let headers = record.headers().into_iter().flat_map(Headers::iter);
                let reason = headers.filter(|header| header.key == "reason").find_map(|header| header.value);
                let reason = reason.map(|reason| String::from_utf8_lossy(reason).into_owned());
                records.push((LogRecord { offset: record.offset(), timestamp, payload }, reason));
            }
            // Of an earlier reading: the end is known.
            Err(KafkaError::PartitionEOF(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    // Nothing is to be fetched until the next reading.
    consumer.unassign().unwrap();
    records
}
