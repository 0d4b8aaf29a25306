//! The newest records of a partition: where a producer that starts again goes on.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::bounds;
use super::client::{self, ClientError};
use super::client_log::QuietContext;
use super::source::LogBounds;
use crate::market::checkpoint::TopicPartition;
use crate::settings::KafkaSettings;

/// For all of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the newest records are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    #[error("cannot read the end of {partition}: {reason}; is the broker up?")]
    NoAnswer { partition: TopicPartition, reason: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Payloads of the newest records, oldest first: at most `max_records`, none for an empty or missing topic. Blocks, up to ten
/// seconds. Joins no group and commits nothing.
///
/// # Errors
/// When no broker answers in time.
pub fn last_ticks(
    settings: &KafkaSettings,
    bootstrap: &str,
    partition: &TopicPartition,
    max_records: usize,
) -> Result<Vec<Vec<u8>>, TailError> {
    let deadline = Instant::now() + PATIENCE;
    let failed = |reason: String| TailError::NoAnswer { partition: partition.clone(), reason };
    let consumer: BaseConsumer<QuietContext> =
        client::create(&client::consumer_config(settings, bootstrap), QuietContext::default())?;
    let bounds = bounds::fetch_if_there(deadline, consumer.client(), partition);
    let Some(LogBounds { start, end }) = bounds.map_err(|error| failed(error.to_string()))? else {
        return Ok(Vec::new());
    };
    let (start, end) = (start.0, end.0);
    let wanted = i64::try_from(max_records).unwrap_or(i64::MAX);
    let mut next = start.max(end.saturating_sub(wanted));
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(next))
        .and_then(|()| consumer.assign(&list))
        .map_err(|error| failed(error.to_string()))?;
    let mut payloads = Vec::new();
    while next < end {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(format!("at offset {next} of {end} after {PATIENCE:?}")));
        }
        match consumer.poll(left) {
            // Beyond the end that we saw: newer than the question.
            Some(Ok(record)) if record.offset() >= end => break,
            Some(Ok(record)) => {
                next = record.offset() + 1;
                payloads.push(record.payload().unwrap_or_default().to_vec());
            }
            // Transaction markers can hold the last offsets; there is nothing more then.
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(failed(error.to_string())),
            Some(Err(error)) => tracing::debug!(%partition, %error, "while reading the end"),
            None => {}
        }
    }
    Ok(payloads)
}
