//! A cluster that outlives the program: mock brokers hosted by the test, or a real Kafka.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use stockstream::market::time::EventTime;

use super::brokers::Brokers;
use super::oracle::LogRecord;
use super::program::PATIENCE;

pub const DEAD_LETTERS: &str = "stockstream_dead_letters";

pub struct Cluster {
    /// `None`: a real Kafka.
    brokers: Option<Brokers>,
    bootstrap: String,
    producer: BaseProducer,
    /// One for all reading: to end a consumer takes a second.
    reader: Mutex<BaseConsumer>,
}

impl Cluster {
    /// One broker, with an empty topic for dead letters.
    pub fn start() -> Self {
        Self::of(1)
    }

    /// So many brokers.
    pub fn of(count: i32) -> Self {
        let brokers = Brokers::start(count);
        brokers.create_topic(DEAD_LETTERS, 1);
        let bootstrap = brokers.bootstrap();
        let (producer, reader) = (producer(&bootstrap), reader(&bootstrap));
        Self { brokers: Some(brokers), bootstrap, producer, reader: Mutex::new(reader) }
    }

    /// A real Kafka at this address; the program makes the topics.
    pub fn real(bootstrap: &str) -> Self {
        let (producer, reader) = (producer(bootstrap), reader(bootstrap));
        Self { brokers: None, bootstrap: bootstrap.to_owned(), producer, reader: Mutex::new(reader) }
    }

    /// The mock brokers.
    #[track_caller]
    pub fn brokers(&self) -> &Brokers {
        self.brokers.as_ref().expect("not of a real Kafka")
    }

    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Nothing on a real Kafka: the program makes its topics there.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        if let Some(brokers) = &self.brokers {
            brokers.create_topic(topic, partitions);
        }
    }

    /// Settings that lead a program here; further client properties may follow. A killed member leaves the group after two seconds,
    /// of a real Kafka after six: it allows no less.
    pub fn settings(&self) -> String {
        let session = if self.brokers.is_some() { 2000 } else { 6000 };
        format!(
            "[kafka]\nmode = \"cluster\"\nbootstrap_servers = \"{}\"\n[kafka.properties]\n\"session.timeout.ms\" = {session}\n\"heartbeat.interval.ms\" = 300\n",
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
        self.log_from(0, topic, partition)
    }

    /// Without what is below this offset: a mock broker looks for each fetch from its log's start on.
    pub fn log_from(&self, offset: i64, topic: &str, partition: i32) -> Vec<LogRecord> {
        self.read(offset, topic, partition).into_iter().map(|(record, _)| record).collect()
    }

    /// Payloads of the dead letters, with their reasons.
    pub fn dead_letters(&self) -> Vec<(String, Vec<u8>)> {
        let letters = self.read(0, DEAD_LETTERS, 0);
        letters.into_iter().map(|(record, reason)| (reason.unwrap(), record.payload)).collect()
    }

    /// Every record that a partition's log holds at or above this offset, with its header `reason`.
    fn read(&self, from: i64, topic: &str, partition: i32) -> Vec<(LogRecord, Option<String>)> {
        let mut consumer = self.reader.lock().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let (log_start, log_end) = loop {
            match consumer.fetch_watermarks(topic, partition, PATIENCE / 10) {
                Ok(bounds) => break bounds,
                // An outage may just be over; a client that has sat through many does not always find back.
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            *consumer = reader(&self.bootstrap);
        };
        let from = log_start.max(from);
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(topic, partition, Offset::Offset(from)).unwrap();
        consumer.assign(&start).unwrap();
        let mut records: Vec<(LogRecord, Option<String>)> = Vec::new();
        while records.last().map_or(from, |(record, _)| record.offset + 1) < log_end {
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
                // Of an outage that is over: the client connects again by itself.
                Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut,
                )) => {}
                Err(error) => panic!("{error}"),
            }
        }
        // Nothing is to be fetched until the next reading.
        consumer.unassign().unwrap();
        records
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
