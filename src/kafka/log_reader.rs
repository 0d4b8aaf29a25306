//! The log of a partition from its oldest record on, for who looks at it from outside: no group is joined, nothing is committed.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::bounds;
use super::client::{self, ClientError};
use super::client_log::QuietContext;
use super::ends_aside::EndsAside;
use super::native::topic_ids;
use super::source::LogBounds;
use crate::market::checkpoint::{NextOffset, TopicId, TopicPartition};
use crate::market::partition::Record;
use crate::market::time::EventTime;
use crate::settings::KafkaSettings;

/// How long the broker may stay silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one poll waits for a record.
const MOMENT: Duration = Duration::from_millis(200);

/// Why a log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogReadError {
    #[error("cannot read {partition} at offset {at}: {reason}; is the broker up?")]
    NoAnswer { partition: TopicPartition, at: NextOffset, reason: String },
    /// Reading again from the new start helps.
    #[error("the broker deleted offset {at} of {partition} while it was being read")]
    Overtaken { partition: TopicPartition, at: NextOffset },
    #[error("cannot read {partition} at or after offset {at}: {reason}")]
    Unreadable { partition: TopicPartition, at: NextOffset, reason: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Reads logs, one after the other.
pub struct LogReader {
    /// Asks where logs begin and end.
    asking: BaseConsumer<QuietContext>,
    config: ClientConfig,
}

impl LogReader {
    /// # Errors
    /// When the client refuses the settings. The broker is not asked yet.
    pub fn new(settings: &KafkaSettings) -> Result<Self, ClientError> {
        let config = client::consumer_config(settings, &settings.bootstrap_servers);
        Ok(Self { asking: client::create(&config, QuietContext::default())?, config })
    }

    /// Start and end of a log, `None` when there is no such partition. Blocks, up to half a minute.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub fn bounds(&self, partition: &TopicPartition) -> Result<Option<(NextOffset, NextOffset)>, LogReadError> {
        let deadline = Instant::now() + PATIENCE;
        let bounds = bounds::fetch_if_there(deadline, self.asking.client(), partition).map_err(|error| {
            let (partition, reason) = (partition.clone(), error.to_string());
            LogReadError::NoAnswer { partition, at: NextOffset(0), reason }
        })?;
        Ok(bounds.map(|LogBounds { start, end }| (start, end)))
    }

    /// The id of a partition's topic; `None` where brokers give none. Blocks, up to half a minute.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub fn topic_id(&self, partition: &TopicPartition) -> Result<Option<TopicId>, LogReadError> {
        let ids = topic_ids(self.asking.client(), &BTreeSet::from([&*partition.topic]), PATIENCE);
        let mut ids = ids.map_err(|reason| {
            let partition = partition.clone();
            LogReadError::NoAnswer { partition, at: NextOffset(0), reason }
        })?;
        Ok(ids.remove(&*partition.topic))
    }

    /// Gives the records from `from` up to `until` to `sink`, in order, until that breaks. Memory is bounded by what the client
    /// fetches ahead.
    ///
    /// # Errors
    /// When the broker stays silent, deletes what is being read, or sends what nobody can read.
    pub fn read(
        &self,
        partition: &TopicPartition,
        (from, until): (NextOffset, NextOffset),
        sink: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), LogReadError> {
        // A client of its own: an end of partition names no topic, so one that an assignment of before has left in the queue, where
        // each stock's topic has a partition 0, would end the reading of the next log too early.
        let consumer: BaseConsumer<QuietContext> = client::create(&self.config, QuietContext::default())?;
        // Its end takes as long as a short reading.
        let consumer = EndsAside::new(consumer);
        let mut at = from;
        let mut heard = Instant::now();
        let no_answer = |at, reason: String| Err(LogReadError::NoAnswer { partition: partition.clone(), at, reason });
        let mut list = TopicPartitionList::with_capacity(1);
        let assigned = list
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(from.0))
            .and_then(|()| consumer.assign(&list));
        if let Err(error) = assigned {
            return no_answer(at, error.to_string());
        }
        while at < until {
            match consumer.poll(MOMENT) {
                Some(Ok(record)) if record.offset() >= until.0 => return Ok(()),
                Some(Ok(record)) => {
                    heard = Instant::now();
                    at = NextOffset(record.offset() + 1);
                    let timestamp = record.timestamp().to_millis().map(|millis| millis.saturating_mul(1000));
                    let timestamp = timestamp.map(EventTime::from_micros);
                    let payload = record.payload().unwrap_or_default();
                    if sink(Record { offset: record.offset(), timestamp, payload }).is_break() {
                        return Ok(());
                    }
                }
                // transaction markers can hold the last offsets
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                        return Err(LogReadError::Overtaken { partition: partition.clone(), at });
                    }
                    Some(Code::BadMessage | Code::BadCompression | Code::Underflow | Code::InvalidMessage) => {
                        let (partition, reason) = (partition.clone(), error.to_string());
                        return Err(LogReadError::Unreadable { partition, at, reason });
                    }
                    _ if heard.elapsed() > PATIENCE => return no_answer(at, error.to_string()),
                    _ => {}
                },
                None if heard.elapsed() > PATIENCE => return no_answer(at, format!("silent for {PATIENCE:?}")),
                None => {}
            }
        }
        Ok(())
    }
}
