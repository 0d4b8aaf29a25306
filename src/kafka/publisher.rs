//! The producer side: idempotent, counted, and never more than the reader of a forgetful broker can bear.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::backlog::{Backlog, size_in_log};
use super::client::{self, ClientError};
use super::client_log::{ClientLog, Seldom};
use super::lost_brokers::LostBrokers;
use crate::settings::KafkaSettings;
use crate::words::counted;

/// A record to be published; its timestamp is the wall clock's, always: brokers delete by it.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub topic: &'a str,
    /// `None`: by the hash of the key.
    pub partition: Option<i32>,
    pub key: &'a [u8],
    pub payload: &'a [u8],
}

/// Why a record was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishRefused {
    /// The queue is full, or the reader is too far behind. Offer the **same** record again before any other.
    #[error("the queue to the broker is full, offer the record again")]
    Full,
    /// Offering it again does not help.
    #[error("cannot publish: {0}")]
    Failed(String),
}

/// Takes records; a test can count them.
pub trait Publish: Send + Sync {
    /// Takes a copy of the record and returns at once.
    ///
    /// # Errors
    /// See [`PublishRefused`].
    fn publish(&self, record: &Outgoing<'_>) -> Result<(), PublishRefused>;
}

/// What became of the records that were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    pub sent: u64,
    pub acknowledged: u64,
    /// Given up by the client.
    pub failed: u64,
}

impl Deliveries {
    /// Neither acknowledged nor failed.
    pub fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.acknowledged + self.failed)
    }
}

/// Not everything that was sent has been acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} not acknowledged in time and {failed} failed: is the broker up?", counted(*in_flight, "record"))]
pub struct NotFlushed {
    pub in_flight: u64,
    pub failed: u64,
}

/// A producer for ticks. Clones share it; the last one to go drops what is not flushed.
#[derive(Clone)]
pub struct Publisher {
    producer: Arc<ThreadedProducer<Counting>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    backlog: Option<Backlog>,
}

impl Publisher {
    /// Makes the client; an unreachable broker shows later, by counts that stand still. With a `backlog` (embedded broker) a
    /// record is refused while its partition's reader is too far behind.
    ///
    /// # Errors
    /// When the properties are refused.
    pub fn connect(settings: &KafkaSettings, bootstrap: &str, backlog: Option<Backlog>) -> Result<Self, ClientError> {
        let counts = Arc::new(Counts { backlog, ..Counts::default() });
        let context = Counting { counts: Arc::clone(&counts), ..Counting::default() };
        let producer = client::create(&client::producer_config(settings, bootstrap), context)?;
        Ok(Self { producer: Arc::new(producer), counts })
    }

    /// Counts since the start; `sent` is read last, so that nothing in flight is missed.
    pub fn counts(&self) -> Deliveries {
        let acknowledged = self.counts.acknowledged.load(Ordering::Acquire);
        let failed = self.counts.failed.load(Ordering::Acquire);
        Deliveries { sent: self.counts.sent.load(Ordering::Acquire), acknowledged, failed }
    }

    /// Waits until everything sent is acknowledged.
    ///
    /// # Errors
    /// When it is not within `deadline`, or the client has given some up.
    pub fn flush(&self, deadline: Duration) -> Result<(), NotFlushed> {
        let flushed = self.producer.context().lost.flush(self.producer.as_ref(), deadline);
        let counts = self.counts();
        if flushed && counts.acknowledged == counts.sent {
            Ok(())
        } else {
            Err(NotFlushed { in_flight: counts.in_flight(), failed: counts.failed })
        }
    }

    fn enqueue(&self, record: &Outgoing<'_>, partition: Option<i32>) -> Result<(), PublishRefused> {
        let mut base = BaseRecord::to(record.topic).key(record.key).payload(record.payload);
        base.partition = partition;
        // Before the client knows the record: its acknowledgement must not overtake the count.
        self.counts.sent.fetch_add(1, Ordering::AcqRel);
        self.producer.send(base).map_err(|(error, _same_record)| {
            self.counts.sent.fetch_sub(1, Ordering::AcqRel);
            match error {
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => PublishRefused::Full,
                other => PublishRefused::Failed(other.to_string()),
            }
        })
    }
}

impl Publish for Publisher {
    fn publish(&self, record: &Outgoing<'_>) -> Result<(), PublishRefused> {
        self.producer.context().lost.find_again(self.producer.client());
        let Some(backlog) = &self.counts.backlog else { return self.enqueue(record, record.partition) };
        let Some(partition) = record.partition.or_else(|| backlog.partition_of(record.topic, record.key)) else {
            return self.enqueue(record, None);
        };
        let bytes = size_in_log(record.key, record.payload);
        if !backlog.reserve(record.topic, partition, bytes) {
            return Err(PublishRefused::Full);
        }
        self.enqueue(record, Some(partition)).inspect_err(|_| backlog.settle(record.topic, partition, bytes, None))
    }
}

/// Counts deliveries on the producer's own thread.
#[derive(Default)]
struct Counting {
    counts: Arc<Counts>,
    log: ClientLog,
    failures: Seldom,
    lost: LostBrokers,
}

impl ClientContext for Counting {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.lost.heard(error.rdkafka_error_code());
        self.log.line(RDKafkaLogLevel::Warning, "producer", &format!("{error}: {reason}"));
    }
}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message = match result {
            Ok(message) => message,
            Err((error, message)) => {
                if let Some(held_back) = self.failures.turn() {
                    tracing::error!(topic = message.topic(), %error, held_back, "a record was not published");
                }
                message
            }
        };
        if let Some(backlog) = &self.counts.backlog {
            let bytes = size_in_log(message.key().unwrap_or_default(), message.payload().unwrap_or_default());
            let offset = result.is_ok().then(|| message.offset()).filter(|offset| *offset >= 0);
            backlog.settle(message.topic(), message.partition(), bytes, offset);
        }
        let counter = if result.is_ok() { &self.counts.acknowledged } else { &self.counts.failed };
        counter.fetch_add(1, Ordering::AcqRel);
    }
}
