//! The newest records of partitions: where producers that start again go on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::bounds::of_many::{Untold, fetch_those_there};
use super::client::{self, ClientError};
use super::client_log::QuietContext;
use super::ends_aside::EndsAside;
use super::native::{Event, Failure, Item, NativeConsumer, Record};
use super::source::LogBounds;
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::settings::KafkaSettings;

/// For all of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long records are waited for before the client is asked what else there is.
const MOMENT: Duration = Duration::from_millis(100);

/// Why the newest records are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// Of this partition; of others, too, perhaps.
    #[error("cannot read the end of {partition}: {reason}; is the broker up?")]
    NoAnswer { partition: TopicPartition, reason: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl From<Untold> for TailError {
    fn from(Untold { partition, reason }: Untold) -> Self {
        Self::NoAnswer { partition, reason }
    }
}

/// Gives the payloads of the newest records of each of these partitions to `sink`, oldest first: at most `max_records`, none of an empty or
/// missing one. Blocks, up to ten seconds. Joins no group and commits nothing.
///
/// One client reads all partitions at once. What is in memory is what it fetches ahead, some 10 MiB, for one partition as for a thousand;
/// a thousand with a thousand records each are a million records to read, a second or two.
///
/// # Errors
/// When no broker answers in time.
pub fn read_tails(
    settings: &KafkaSettings,
    bootstrap: &str,
    partitions: &BTreeSet<TopicPartition>,
    max_records: usize,
    sink: &mut dyn FnMut(&TopicPartition, &[u8]),
) -> Result<(), TailError> {
    let deadline = Instant::now() + PATIENCE;
    let mut config = client::consumer_config(settings, bootstrap);
    // What is deleted between the question and the answer is passed over: it is not of the newest.
    config.set("auto.offset.reset", "earliest");
    let native = NativeConsumer::new(client::create(&config, QuietContext::default())?)
        .ok_or_else(|| ClientError::Creation(String::from("the consumer has no group: set kafka.group_id")))?;
    // Its end takes as long as all that is done here.
    let native = EndsAside::new(native);
    let bounds = fetch_those_there(deadline, native.consumer(), partitions)?;
    let max_records = i64::try_from(max_records).unwrap_or(i64::MAX);
    let mut unread = Unread::default();
    for (partition, bounds) in bounds {
        unread.add(partition, bounds, max_records);
    }
    unread.assign_to(&native)?;
    while let Some(tail) = unread.any() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(tail.no_answer(format!("at offset {} of {} after {PATIENCE:?}", tail.next, tail.end)));
        }
        native.take_all(left.min(MOMENT), |item| unread.take(item, sink));
        while let Some(event) = native.poll(Duration::ZERO) {
            match event {
                Event::Failure(Failure { text, is_fatal: true, .. }) => {
                    return unread.any().map_or(Ok(()), |tail| Err(tail.no_answer(text)));
                }
                Event::Failure(Failure { text, .. }) => tracing::debug!(text, "while reading the ends"),
                Event::Log { level, facility, text } => native.consumer().context().log(level, &facility, &text),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Where the logs of these partitions begin and end; missing ones are left out. Blocks, up to ten seconds.
///
/// # Errors
/// When no broker answers in time.
pub fn bounds_of(
    settings: &KafkaSettings,
    bootstrap: &str,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, LogBounds>, TailError> {
    let config = client::consumer_config(settings, bootstrap);
    let asking: BaseConsumer<QuietContext> = client::create(&config, QuietContext::default())?;
    let asking = EndsAside::new(asking);
    Ok(fetch_those_there(Instant::now() + PATIENCE, &asking, partitions)?)
}

/// Partitions whose ends have not been reached yet, by topic and number. Empty ones never are in it: a fetch that holds them too would
/// wait for records.
#[derive(Default)]
struct Unread(HashMap<Arc<str>, HashMap<i32, Tail>>);

struct Tail {
    partition: TopicPartition,
    next: i64,
    end: i64,
}

impl Tail {
    fn no_answer(&self, reason: String) -> TailError {
        TailError::NoAnswer { partition: self.partition.clone(), reason }
    }
}

impl Unread {
    fn add(&mut self, partition: TopicPartition, LogBounds { start, end }: LogBounds, max_records: i64) {
        let (NextOffset(start), NextOffset(end)) = (start, end);
        let next = start.max(end.saturating_sub(max_records));
        if next < end {
            let tails = self.0.entry(partition.topic.clone()).or_default();
            tails.insert(partition.partition, Tail { partition, next, end });
        }
    }

    fn any(&self) -> Option<&Tail> {
        self.all().next()
    }

    fn all(&self) -> impl Iterator<Item = &Tail> {
        self.0.values().flat_map(HashMap::values)
    }

    fn assign_to(&self, native: &NativeConsumer<QuietContext>) -> Result<(), TailError> {
        let mut list = TopicPartitionList::with_capacity(self.all().count());
        for tail in self.all() {
            let TopicPartition { topic, partition } = &tail.partition;
            list.add_partition_offset(topic, *partition, Offset::Offset(tail.next))
                .map_err(|error| tail.no_answer(error.to_string()))?;
            native.forward(topic, *partition).map_err(|reason| tail.no_answer(reason))?;
        }
        let refused = |error| self.any().map_or(Ok(()), |tail| Err(tail.no_answer(error)));
        native.consumer().assign(&list).map_err(|error| error.to_string()).or_else(refused)
    }

    fn take(&mut self, item: Item<'_>, sink: &mut dyn FnMut(&TopicPartition, &[u8])) {
        match item {
            Item::Record(record) => {
                let Some(tail) = self.of(record) else { return };
                // What is beyond the end that was told is newer than the question.
                if record.offset() < tail.end {
                    tail.next = record.offset() + 1;
                    sink(&tail.partition, record.payload().unwrap_or_default());
                }
                if record.offset() + 1 >= tail.end {
                    self.finish(record);
                }
            }
            // Transaction markers can hold the last offsets; there is nothing more then.
            Item::EndOfPartition(record) => self.finish(record),
            Item::Failure(_, Failure { text, .. }) => tracing::debug!(text, "while reading the ends"),
        }
    }

    fn of(&mut self, record: Record<'_>) -> Option<&mut Tail> {
        self.0.get_mut(record.topic())?.get_mut(&record.partition())
    }

    fn finish(&mut self, record: Record<'_>) {
        if let Some(tails) = self.0.get_mut(record.topic()) {
            tails.remove(&record.partition());
        }
    }
}
