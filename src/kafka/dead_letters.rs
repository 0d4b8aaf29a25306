//! Ticks that are in no bar are kept in a topic of their own, with the reason.
//!
//! A commit waits until the letters below its cut are acknowledged, so they arrive at least once, however long the broker is
//! away: a letter is tried until it is taken. Only one that the topic takes in no length is given up (module `returned`). Memory stays
//! bounded, because new letters are refused meanwhile: the client's queue holds 10,000 letters and 16 MiB at most. Of a flood only some
//! are sent (module `sampler`).

mod letter;
mod returned;
mod sampler;
mod tally;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rustc_hash::FxHashMap;

use super::client::{self, ClientError};
use super::client_log::{ClientLog, Seldom};
use super::lost_brokers::LostBrokers;
use super::publisher::{Deliveries, NotFlushed};
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::settings::KafkaSettings;

pub use letter::{DeadLetter, KEPT_BYTES};
use returned::{Fate, Returned};
pub use sampler::{Kinds, Limit, OF_A_KIND, OF_ALL, Sampled, Sampler, cost};
use tally::{Tally, Unsettled};

/// How long a commit waits for its letters before somebody is told.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// What a delivery report is told apart by.
struct Sent {
    tally: Arc<Tally>,
    offset: i64,
}

impl DeadLetters {
    /// # Errors
    /// When the client properties are refused.
    pub fn connect(settings: &KafkaSettings, bootstrap: &str) -> Result<Self, ClientError> {
        let producer = client::create(&client::dead_letter_config(settings, bootstrap), LetterContext::default())?;
        let topic = settings.dead_letter_topic.as_str().into();
        Ok(Self { producer: Arc::new(producer), topic, tallies: Arc::default() })
    }

    /// Takes a copy of the letter, cut if need be, and returns at once.
    ///
    /// # Errors
    /// When it was not taken: the tally does not know it, so offer it again before asking [`DeadLetters::settled`].
    pub fn send(&self, letter: &DeadLetter<'_>) -> Result<(), LetterNotTaken> {
        self.send_returned()?;
        let (letter, tally) = (letter.cut(), self.tally(letter.source));
        let sent = Box::new(Sent { tally: Arc::clone(&tally), offset: letter.offset });
        let mut record =
            BaseRecord::with_opaque_to(&self.topic, sent).payload(letter.payload).headers(kafka_headers(&letter));
        record.key = letter.key;
        // Before the client knows the record: its acknowledgement must not overtake the count.
        tally.sent(letter.offset);
        self.producer.send(record).map_err(|(error, _record)| {
            tally.taken_back(letter.offset);
            self.producer.context().complain(&error);
            LetterNotTaken
        })
    }

    /// Whether every letter of the partition below `cut` has arrived. Not blocking; sends again what failed.
    pub fn settled(&self, partition: &TopicPartition, cut: NextOffset) -> bool {
        // What could not be sent again is still under way: the answer is no.
        let _full_is_said_by_the_tally = self.send_returned();
        match self.known_tally(partition).and_then(|tally| tally.unsettled(cut)) {
            None => true,
            Some(unsettled) => {
                self.producer.context().complain_of_waiting(partition, unsettled);
                false
            }
        }
    }

    /// Letters of a partition so far; those that the client gave up and that are sent again count as in flight.
    pub fn counts(&self, partition: &TopicPartition) -> Deliveries {
        self.known_tally(partition).map_or_else(Deliveries::default, |tally| tally.deliveries())
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
        let flushed = self.producer.context().lost.flush(self.producer.as_ref(), deadline);
        let failed = self.producer.context().returned().len() as u64;
        if resent && flushed && failed == 0 {
            Ok(())
        } else {
            Err(NotFlushed { in_flight: u64::try_from(self.producer.in_flight_count()).unwrap_or(0), failed })
        }
    }

    fn known_tally(&self, partition: &TopicPartition) -> Option<Arc<Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).get(partition).cloned()
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
        context.lost.find_again(self.producer.client());
        // Not holding the lock while sending: a delivery may want it.
        let mut waiting = std::mem::take(&mut *context.returned());
        while let Some(Returned { key, payload, headers, sent }) = waiting.pop_front() {
            let mut record = BaseRecord::with_opaque_to(&self.topic, sent).payload(payload.as_slice()).headers(headers);
            record.key = key.as_deref();
            let Err((error, record)) = self.producer.send(record) else { continue };
            context.came_back(&error, Returned::not_taken(record));
            context.returned().extend(waiting);
            return Err(LetterNotTaken);
        }
        Ok(())
    }
}

fn kafka_headers(letter: &DeadLetter<'_>) -> OwnedHeaders {
    letter
        .headers()
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

/// Counts deliveries on the producer's own thread.
#[derive(Default)]
struct LetterContext {
    log: ClientLog,
    failures: Seldom,
    waits: Seldom,
    given_up: Seldom,
    lost: LostBrokers,
    returned: Mutex<VecDeque<Returned>>,
}

impl LetterContext {
    fn returned(&self) -> std::sync::MutexGuard<'_, VecDeque<Returned>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn came_back(&self, error: &KafkaError, letter: Returned) {
        match Fate::of(error, &letter) {
            Fate::Again => {
                self.complain(error);
                self.returned().push_back(letter);
            }
            Fate::Shorter => self.returned().push_back(letter.shortened()),
            Fate::GivenUp => {
                letter.sent.tally.given_up(letter.sent.offset);
                self.complain_of_giving_up(error);
            }
        }
    }

    fn complain_of_giving_up(&self, error: &KafkaError) {
        if let Some(held_back) = self.given_up.turn() {
            tracing::warn!(
                %error,
                held_back,
                "a dead letter of less than 2 KiB is too large for its topic and was given up; its tick is counted all the same: raise \
                 max.message.bytes of the topic named by kafka.dead_letter_topic"
            );
        }
    }

    fn complain(&self, error: &KafkaError) {
        if let Some(held_back) = self.failures.turn() {
            tracing::warn!(%error, held_back, "a dead letter waits; commits wait for it: check kafka.dead_letter_topic");
        }
    }

    fn complain_of_waiting(&self, partition: &TopicPartition, Unsettled { letters, waiting }: Unsettled) {
        if waiting >= PATIENCE && self.waits.turn().is_some() {
            tracing::warn!(
                %partition,
                letters,
                "commits have waited {} s for dead letters, which must arrive at least once; no tick is lost, they are read \
                 again after a restart: check the broker and the topic named by kafka.dead_letter_topic",
                waiting.as_secs()
            );
        }
    }
}

impl ClientContext for LetterContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.lost.heard(error.rdkafka_error_code());
        self.log.line(RDKafkaLogLevel::Warning, "dead letters", &format!("{error}: {reason}"));
    }
}

impl ProducerContext for LetterContext {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        match result {
            Ok(_) => sent.tally.acknowledged(sent.offset),
            Err((error, message)) => self.came_back(error, Returned::of(message, sent)),
        }
    }
}
