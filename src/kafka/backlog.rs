//! How far the reader is behind the publishers, for a broker that forgets.
//!
//! The embedded broker drops what nobody has read yet as readily as what everybody has. So nothing is published to a partition
//! while its reader is more than half of what the broker keeps behind; the other half is for reading again after a restart.
//! Every record is counted as a batch of its own: more than the truth, never less.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustc_hash::FxHashMap;

use super::embedded::{RETAINED_BATCHES, RETAINED_BYTES};
use super::partitioner::partition_of_key;
use crate::market::checkpoint::{NextOffset, TopicPartition};

/// Bytes of a batch that holds one record, besides its key and value: 61 for the batch, the rest for lengths and timestamps.
const RECORD_OVERHEAD: u64 = 100;

/// Offsets between two marks.
const MARK_EVERY: i64 = 64;

/// Publishing stops when the reader is behind by more than this part of what the broker keeps ...
const HOLD_BACK: u64 = 2;
/// ... and goes on at this part: so that it goes on in large batches. Let go record by record, each fetch would bring a few.
const LET_GO: u64 = 4;

/// The account of every topic that is published to and read here. Cheap to clone.
#[derive(Clone, Default)]
pub struct Backlog {
    topics: Arc<RwLock<FxHashMap<String, Accounts>>>,
}

/// Of one topic, by the number of the partition.
type Accounts = Box<[Mutex<Account>]>;

/// One partition. Offsets come from the broker, so records of other publishers and doubled ones are counted too.
#[derive(Default)]
struct Account {
    /// Accepted for publishing, not yet in the log.
    in_flight: u64,
    in_flight_bytes: u64,
    log_end: i64,
    /// Bytes of the records that were seen to arrive, ever.
    bytes: u64,
    /// (log end, `bytes` up to there), ascending, back to somewhat before what the broker keeps.
    marks: VecDeque<(i64, u64)>,
    position: i64,
    held_back: bool,
}

impl Account {
    fn arrived(&mut self, offset: i64, bytes: u64) {
        self.log_end = self.log_end.max(offset + 1);
        self.bytes += bytes;
        if self.marks.back().is_none_or(|(marked, _)| self.log_end - marked >= MARK_EVERY) {
            self.marks.push_back((self.log_end, self.bytes));
        }
        // One mark at or before the start of what is kept must stay.
        while self.marks.get(1).is_some_and(|(_, bytes)| self.bytes - bytes > RETAINED_BYTES) {
            self.marks.pop_front();
        }
    }

    fn behind(&self) -> Behind {
        let records = u64::try_from(self.log_end - self.position).unwrap_or(0);
        let up_to_position =
            self.marks.iter().rev().find(|(end, _)| *end <= self.position).map_or(0, |(_, bytes)| *bytes);
        let bytes = if records == 0 { 0 } else { self.bytes - up_to_position };
        Behind { records: records + self.in_flight, bytes: bytes + self.in_flight_bytes }
    }
}

/// What has been published to a partition and not been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    pub records: u64,
    /// As the broker counts them, or somewhat more.
    pub bytes: u64,
}

impl Behind {
    /// More than the `part`-th part of what the broker keeps.
    fn exceeds(self, part: u64) -> bool {
        self.records > RETAINED_BATCHES / part || self.bytes > RETAINED_BYTES / part
    }
}

/// Bytes that a record takes in the broker's log, at most.
pub(super) fn size_in_log(key: &[u8], payload: &[u8]) -> u64 {
    key.len() as u64 + payload.len() as u64 + RECORD_OVERHEAD
}

impl Backlog {
    /// Begins to count for a topic; nothing changes if it is known. Topics that are not added are never held back.
    pub fn add_topic(&self, topic: &str, partitions: i32) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic.to_owned()).or_insert_with(|| (0..partitions).map(|_| Mutex::default()).collect());
    }

    /// The reader has read everything below `next`, or goes back to it after a restart.
    pub fn read_up_to(&self, partition: &TopicPartition, next: NextOffset) {
        self.with(&partition.topic, partition.partition, |account| account.position = next.0);
    }

    /// How far the reader of a partition is behind; zero for a topic that is not counted.
    pub fn behind(&self, partition: &TopicPartition) -> Behind {
        self.with(&partition.topic, partition.partition, |account| account.behind()).unwrap_or_default()
    }

    /// Whether a record may be published to the partition now; true for a topic that is not counted.
    pub fn may_publish(&self, partition: &TopicPartition) -> bool {
        !self.behind(partition).exceeds(HOLD_BACK)
    }

    /// The partition that a keyed record goes to; `None` for a topic that is not counted.
    pub(super) fn partition_of(&self, topic: &str, key: &[u8]) -> Option<i32> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let partitions = i32::try_from(topics.get(topic)?.len()).expect("was an i32 in `add_topic`");
        Some(partition_of_key(key, partitions))
    }

    /// Counts a record as on its way, unless the reader is too far behind.
    pub(super) fn reserve(&self, topic: &str, partition: i32, bytes: u64) -> bool {
        let reserve = |account: &mut Account| {
            account.held_back = account.behind().exceeds(if account.held_back { LET_GO } else { HOLD_BACK });
            if account.held_back {
                return false;
            }
            account.in_flight += 1;
            account.in_flight_bytes += bytes;
            true
        };
        self.with(topic, partition, reserve).unwrap_or(true)
    }

    /// A reserved record has arrived at `offset`, or (`None`) never will.
    pub(super) fn settle(&self, topic: &str, partition: i32, bytes: u64, offset: Option<i64>) {
        self.with(topic, partition, |account| {
            account.in_flight = account.in_flight.saturating_sub(1);
            account.in_flight_bytes = account.in_flight_bytes.saturating_sub(bytes);
            if let Some(offset) = offset {
                account.arrived(offset, bytes);
            }
        });
    }

    fn with<T>(&self, topic: &str, partition: i32, work: impl FnOnce(&mut Account) -> T) -> Option<T> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let account = topics.get(topic)?.get(usize::try_from(partition).ok()?)?;
        let mut account: MutexGuard<'_, Account> = account.lock().unwrap_or_else(PoisonError::into_inner);
        Some(work(&mut account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "t";

    fn backlog() -> (Backlog, TopicPartition) {
        let backlog = Backlog::default();
        backlog.add_topic(TOPIC, 2);
        (backlog, TopicPartition::new(TOPIC, 1))
    }

    fn publish(backlog: &Backlog, offset: i64, bytes: u64) -> bool {
        let reserved = backlog.reserve(TOPIC, 1, bytes);
        if reserved {
            backlog.settle(TOPIC, 1, bytes, Some(offset));
        }
        reserved
    }

    #[test]
    fn publishing_stops_at_half_of_the_batches_and_goes_on_when_they_are_read() {
        let (backlog, partition) = backlog();
        let accepted = (0..).take_while(|offset| publish(&backlog, *offset, 1)).count();
        assert_eq!(accepted, 50_001);
        assert!(!backlog.may_publish(&partition));
        assert!(backlog.may_publish(&TopicPartition::new(TOPIC, 0)), "partitions are counted one by one");
        backlog.read_up_to(&partition, NextOffset(1));
        assert!(backlog.may_publish(&partition));
    }

    #[test]
    fn publishing_stops_at_half_of_the_bytes() {
        let (backlog, partition) = backlog();
        let accepted = (0..).take_while(|offset| publish(&backlog, *offset, 1000)).count() as u64;
        assert_eq!(accepted, RETAINED_BYTES / 2 / 1000 + 1);
        assert_eq!(backlog.behind(&partition), Behind { records: accepted, bytes: accepted * 1000 });
    }

    #[test]
    fn large_records_after_many_small_ones_count_as_large() {
        let (backlog, partition) = backlog();
        (0..40_000).for_each(|offset| assert!(publish(&backlog, offset, 10)));
        backlog.read_up_to(&partition, NextOffset(40_000));
        (40_000..40_100).for_each(|offset| assert!(publish(&backlog, offset, 4_000)));
        let behind = backlog.behind(&partition);
        assert_eq!(behind.records, 100);
        assert!((400_000..=400_000 + 64 * 10).contains(&behind.bytes), "{behind:?}");
    }

    #[test]
    fn a_reader_that_goes_back_is_behind_again() {
        let (backlog, partition) = backlog();
        (0..1_000).for_each(|offset| assert!(publish(&backlog, offset, 500)));
        backlog.read_up_to(&partition, NextOffset(1_000));
        assert_eq!(backlog.behind(&partition), Behind::default());
        backlog.read_up_to(&partition, NextOffset(200));
        let behind = backlog.behind(&partition);
        assert_eq!(behind.records, 800);
        assert!(behind.bytes >= 800 * 500, "{behind:?}");
    }

    #[test]
    fn a_record_in_flight_counts_until_it_fails() {
        let (backlog, partition) = backlog();
        assert!(backlog.reserve(TOPIC, 1, 300));
        assert_eq!(backlog.behind(&partition), Behind { records: 1, bytes: 300 });
        backlog.settle(TOPIC, 1, 300, None);
        assert_eq!(backlog.behind(&partition), Behind::default());
    }

    #[test]
    fn marks_do_not_grow_without_bound() {
        let (backlog, partition) = backlog();
        for offset in 0..500_000 {
            backlog.read_up_to(&partition, NextOffset(offset));
            assert!(publish(&backlog, offset, 160));
        }
        let marks = backlog.with(TOPIC, 1, |account| account.marks.len()).unwrap();
        assert!(marks as u64 <= RETAINED_BYTES / 160 / 64 + 3, "{marks}");
    }
}
