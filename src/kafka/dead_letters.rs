//! Ticks that are in no bar are kept in a topic of their own, with the reason.
//!
//! A commit waits until the letters below its cut are acknowledged, so they arrive at least once, however long the broker is
//! away: a letter is tried until it is taken. Memory stays bounded, because new letters are refused meanwhile.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedHeaders, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rustc_hash::FxHashMap;

use super::client::{self, ClientError};
use super::client_log::{ClientLog, Seldom};
use super::publisher::{Deliveries, NotFlushed};
use crate::market::checkpoint::TopicPartition;
use crate::market::time::Span;
use crate::settings::KafkaSettings;

/// Longer keys and payloads are cut to this many bytes: a broker refuses huge records, and a letter must arrive.
pub const KEPT_BYTES: usize = 64 * 1024;

/// A tick that is in no bar.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// `late`, `malformed` or `future`.
    pub reason: &'static str,
    pub source: &'a TopicPartition,
    pub offset: i64,
    /// How far its window was behind the watermark.
    pub late_by: Option<Span>,
    pub key: Option<&'a [u8]>,
    pub payload: &'a [u8],
}

/// The queue is full: offer the letter again before the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue of dead letters is full, offer the letter again")]
pub struct LetterNotTaken;

/// Sends dead letters. Clones share the producer.
#[derive(Clone)]
pub struct DeadLetters {
    producer: Arc<ThreadedProducer<LetterContext>>,
    topic: Arc<str>,
    tallies: Arc<Mutex<FxHashMap<TopicPartition, Arc<Tally>>>>,
}

/// Letters of one partition.
#[derive(Default)]
pub struct Tally {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

/// A letter that the client gave up, to be sent again.
struct Returned {
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
    headers: OwnedHeaders,
    tally: Arc<Tally>,
}

impl DeadLetters {
    /// # Errors
    /// When the client properties are refused.
    pub fn connect(settings: &KafkaSettings, bootstrap: &str) -> Result<Self, ClientError> {
        let producer = client::create(&client::dead_letter_config(settings, bootstrap), LetterContext::default())?;
        let topic = settings.dead_letter_topic.as_str().into();
        Ok(Self { producer: Arc::new(producer), topic, tallies: Arc::default() })
    }

    /// Takes a copy of the letter and returns at once.
    ///
    /// # Errors
    /// When it was not taken: the tally does not know it, so offer it again before asking [`DeadLetters::acknowledged`].
    pub fn send(&self, letter: &DeadLetter<'_>) -> Result<(), LetterNotTaken> {
        self.send_returned()?;
        let tally = self.tally(letter.source);
        let cut = |bytes: &'_ [u8]| bytes.len().min(KEPT_BYTES);
        let mut record = BaseRecord::with_opaque_to(&self.topic, Arc::clone(&tally))
            .payload(&letter.payload[..cut(letter.payload)])
            .headers(headers(letter));
        record.key = letter.key.map(|key| &key[..cut(key)]);
        // Before the client knows the record: its acknowledgement must not overtake the count.
        tally.sent.fetch_add(1, Ordering::AcqRel);
        self.producer.send(record).map_err(|(error, _record)| {
            tally.sent.fetch_sub(1, Ordering::AcqRel);
            self.producer.context().complain(&error);
            LetterNotTaken
        })
    }

    /// Whether every letter of the partition has arrived. Not blocking; sends again what failed.
    pub fn acknowledged(&self, partition: &TopicPartition) -> bool {
        // What could not be sent again is still counted as sent: the answer is no.
        let _full_is_said_by_the_tally = self.send_returned();
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies
            .get(partition)
            .is_none_or(|tally| tally.acknowledged.load(Ordering::Acquire) == tally.sent.load(Ordering::Acquire))
    }

    /// Letters of a partition so far; ones given up and sent again count as in flight.
    pub fn counts(&self, partition: &TopicPartition) -> Deliveries {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.get(partition).map_or_else(Deliveries::default, |tally| Deliveries {
            acknowledged: tally.acknowledged.load(Ordering::Acquire),
            sent: tally.sent.load(Ordering::Acquire),
            failed: 0,
        })
    }

    /// The partition is no longer ours: whoever has it reads the ticks again and sends the letters again.
    pub fn forget(&self, partition: &TopicPartition) {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).remove(partition);
    }

    /// Waits until everything sent has arrived.
    ///
    /// # Errors
    /// When it has not within `deadline`.
    pub fn flush(&self, deadline: Duration) -> Result<(), NotFlushed> {
        let resent = self.send_returned().is_ok();
        let flushed = self.producer.flush(deadline).is_ok();
        let failed = self.producer.context().returned().len() as u64;
        if resent && flushed && failed == 0 {
            Ok(())
        } else {
            Err(NotFlushed { in_flight: u64::try_from(self.producer.in_flight_count()).unwrap_or(0), failed })
        }
    }

    fn tally(&self, partition: &TopicPartition) -> Arc<Tally> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        match tallies.get(partition) {
            Some(tally) => Arc::clone(tally),
            None => Arc::clone(tallies.entry(partition.clone()).or_default()),
        }
    }

    fn send_returned(&self) -> Result<(), LetterNotTaken> {
        let context = self.producer.context();
        // Not holding the lock while sending: a delivery may want it.
        let mut waiting = std::mem::take(&mut *context.returned());
        while let Some(Returned { key, payload, headers, tally }) = waiting.pop_front() {
            let mut record =
                BaseRecord::with_opaque_to(&self.topic, tally).payload(payload.as_slice()).headers(headers);
            record.key = key.as_deref();
            let Err((error, record)) = self.producer.send(record) else { continue };
            let (headers, tally) = (record.headers.expect("was set above"), record.delivery_opaque);
            context.complain(&error);
            waiting.push_front(Returned { key, payload, headers, tally });
            context.returned().extend(waiting);
            return Err(LetterNotTaken);
        }
        Ok(())
    }
}

fn headers(letter: &DeadLetter<'_>) -> OwnedHeaders {
    let (partition, offset) = (letter.source.partition.to_string(), letter.offset.to_string());
    let late_by = letter.late_by.map(|late_by| late_by.micros().to_string());
    let length = (letter.payload.len() > KEPT_BYTES).then(|| letter.payload.len().to_string());
    let required = [
        ("reason", Some(letter.reason)),
        ("source_topic", Some(&*letter.source.topic)),
        ("source_partition", Some(&partition)),
        ("source_offset", Some(&offset)),
        ("late_by_us", late_by.as_deref()),
        ("cut_from_bytes", length.as_deref()),
    ];
    let mut headers = OwnedHeaders::new_with_capacity(required.len());
    for (key, value) in required.into_iter().filter(|(_, value)| value.is_some()) {
        headers = headers.insert(Header { key, value });
    }
    headers
}

/// Counts deliveries on the producer's own thread.
#[derive(Default)]
struct LetterContext {
    log: ClientLog,
    failures: Seldom,
    returned: Mutex<VecDeque<Returned>>,
}

impl LetterContext {
    fn returned(&self) -> std::sync::MutexGuard<'_, VecDeque<Returned>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, error: &KafkaError) {
        if let Some(held_back) = self.failures.turn() {
            tracing::warn!(%error, held_back, "a dead letter waits; commits wait for it: check kafka.dead_letter_topic");
        }
    }
}

impl ClientContext for LetterContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.line(RDKafkaLogLevel::Warning, "dead letters", &format!("{error}: {reason}"));
    }
}

impl ProducerContext for LetterContext {
    type DeliveryOpaque = Arc<Tally>;

    fn delivery(&self, result: &DeliveryResult<'_>, tally: Arc<Tally>) {
        match result {
            Ok(_) => {
                tally.acknowledged.fetch_add(1, Ordering::AcqRel);
            }
            Err((error, message)) => {
                self.complain(error);
                self.returned().push_back(Returned {
                    key: message.key().map(<[u8]>::to_vec),
                    payload: message.payload().unwrap_or_default().to_vec(),
                    headers: message.headers().map_or_else(OwnedHeaders::new, BorrowedHeaders::detach),
                    tally,
                });
            }
        }
    }
}
