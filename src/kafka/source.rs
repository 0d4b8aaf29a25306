//! The consumer side: records, assignments and ends of partitions in the order in which they happened.
//!
//! Reading begins where the caller says (the lake's checkpoint), never where the group's committed offset or a reset would: the
//! start goes into the assignment itself, after a check that the log still holds it. A partition that may not be read is held: kept
//! in name only, so that the group does not stall; an error tells why, and a restart takes it anew.

use std::fmt;
use std::time::Duration;

use crate::market::checkpoint::{NextOffset, TopicId, TopicPartition};
use crate::market::time::EventTime;

mod continuity;
mod error;
mod flow;
mod group_offsets;
mod intake;
mod member;
mod slot;
pub use error::{SourceError, TakeRefused};
pub use member::{ASSIGN_PATIENCE, KafkaSource};

/// Called on the polling thread when a partition is assigned, with its log as it was found: takes it and says where reading begins.
pub type TakePartition = Box<dyn Fn(&TopicPartition, &FoundLog) -> Result<Start, TakeRefused> + Send + Sync>;

/// A partition's log, as the brokers have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLog {
    pub bounds: LogBounds,
    /// `None` where brokers give no ids.
    pub topic: Option<TopicId>,
}

/// What a partition's log holds: the offsets from `start` up to, and without, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    pub start: NextOffset,
    pub end: NextOffset,
}

impl LogBounds {
    /// Whether reading may begin here without skipping a record.
    pub fn hold(&self, offset: NextOffset) -> bool {
        self.start <= offset && offset <= self.end
    }
}

impl fmt::Display for LogBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.start, self.end)
    }
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The log must still hold this offset; without it records would be skipped.
    pub needed: NextOffset,
    /// An older offset, at most `needed`, to begin at if the log still holds it.
    pub wanted: NextOffset,
}

impl Start {
    pub fn at(offset: NextOffset) -> Self {
        Self { needed: offset, wanted: offset }
    }
}

/// What a poll gives.
#[derive(Debug)]
pub enum SourceEvent<'a> {
    /// The partition is ours; its start is decided and checked.
    Assigned(&'a TopicPartition),
    /// The partition is no longer ours; no record of it follows.
    Revoked(TopicPartition),
    Record {
        partition: &'a TopicPartition,
        offset: i64,
        /// When it was published, by the publisher's clock (or the broker's, if its topic says so).
        timestamp: Option<EventTime>,
        key: Option<&'a [u8]>,
        /// Empty also for a record without a value.
        payload: &'a [u8],
    },
    /// All records of the partition below this offset have been given, and the log had no more when it was looked at.
    EndOfPartition(&'a TopicPartition, NextOffset),
    Error(SourceError),
}

/// Where records come from; a test can script one.
pub trait RecordSource: Send {
    /// Reads from these topics and no others; partitions arrive as [`SourceEvent::Assigned`].
    ///
    /// # Errors
    /// When the client refuses (a topic name that cannot be).
    fn subscribe(&mut self, topics: &[String]) -> Result<(), SourceError>;

    /// Gives at most `max` events, waiting at most `timeout` for the first. To be called at least every few seconds, also
    /// while paused: the group takes a member that does not poll for dead.
    fn poll(&mut self, max: usize, timeout: Duration, sink: &mut dyn FnMut(SourceEvent<'_>));

    /// Stops the records of all partitions, also of those that are assigned later.
    fn pause(&mut self);

    /// Goes on after the last record that was given.
    fn resume(&mut self);

    /// Stops the records of one partition until it is restarted.
    fn hold(&mut self, partition: &TopicPartition);

    /// Takes a partition of the assignment anew and begins to read it where the taker says now; the group and the other partitions do
    /// not notice. Blocks, a few seconds at most.
    ///
    /// # Errors
    /// As an assignment has them; the partition then stays held.
    fn restart(&mut self, partition: &TopicPartition) -> Result<(), SourceError>;

    /// Tells the group's monitors how far the lake has come, with one of the next polls. Never read back; failures are logged only.
    fn commit_async(&mut self, partition: &TopicPartition, next: NextOffset);

    /// The end of the log as of the newest fetch; costs nothing. `None` before the first.
    fn fetched_end(&self, partition: &TopicPartition) -> Option<NextOffset>;

    /// The end of the log at this moment. Waits for a broker, behind a fetch that is under way.
    ///
    /// # Errors
    /// When no broker answers in time; try again.
    fn log_end(&mut self, partition: &TopicPartition, timeout: Duration) -> Result<NextOffset, SourceError>;

    /// Leaves the group and ends the client; gives up waiting after `patience` (the client's own end can hang).
    ///
    /// # Errors
    /// [`SourceError::NotClosed`]; its thread ends with the process.
    fn close(self: Box<Self>, patience: Duration) -> Result<(), SourceError>;
}
