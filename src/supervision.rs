//! When a partition that has failed is taken again, and when the process gives up instead.
//!
//! A restart is the same path as a rebalance: the partition is dropped with everything that was not committed, taken anew (which
//! fences whoever still acts for it) and read on from its checkpoint. The others go on meanwhile. What repeats is not mended by that:
//! so every restart waits longer than the one before, and more than a few in a minute end the process.

use std::any::Any;
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::market::checkpoint::TopicPartition;

/// Restarts of the whole process within [`SPAN`] that are put up with.
const BUDGET: usize = 5;
/// What is longer ago is forgiven; of what the disk failed only when it has failed nothing for so long, for a disk can take its time to fail.
const SPAN: Duration = Duration::from_secs(60);
/// Failures of several partitions within this time have one cause where they share what failed: the disk.
const ONE_CAUSE: Duration = Duration::from_secs(1);
/// Wait before a partition is taken again: first, and longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Whoever waited in vain to take a partition does other work for so many times as long.
const REST: u32 = 4;

/// Why a partition is dropped and taken again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartReason {
    /// A defect, or a fail point.
    #[error("a panic: {0}")]
    Panic(String),
    /// The disk refused, and doing the same again would not be right.
    #[error("the lake cannot be written: {0}")]
    Storage(String),
    /// An actor does not get around to its messages.
    #[error("stuck: {0}")]
    Stuck(String),
    /// Something that must hold does not.
    #[error("a broken invariant, which is a defect: {0}")]
    Broken(String),
    /// The log has lost what was to be read next. Taking it again decides what becomes of it: the loss is refused for good, or recorded.
    /// Retention can overtake all partitions at once, and that is no failure of ours.
    #[error("{0}")]
    LogMoved(String),
    /// Another process has taken the partition. No failure: if the group still has it here after a while, it is taken back.
    #[error("another process has taken it")]
    Fenced,
    /// It could not be taken, because a broker does not answer or the disk is full. It is tried again for ever.
    #[error("it cannot be taken now: {0}")]
    NotYet(String),
}

impl RestartReason {
    /// Whether it counts against the budget, and in the summary of the run.
    pub fn counts(&self) -> bool {
        match self {
            Self::Panic(_) | Self::Storage(_) | Self::Stuck(_) | Self::Broken(_) => true,
            Self::LogMoved(_) | Self::Fenced | Self::NotYet(_) => false,
        }
    }
}

/// More failures than restarts can mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{partition} failed again, after {BUDGET} restarts within {SPAN:?}: {reason}; what is committed is right, and a new start goes on from there"
)]
pub struct OverBudget {
    pub partition: TopicPartition,
    pub reason: RestartReason,
}

/// Counts the restarts of a process, and says how long each waits.
#[derive(Debug)]
pub struct RestartBudget {
    /// The last counted ones, oldest first.
    spent: VecDeque<Spent>,
    waits: HashMap<TopicPartition, (Instant, Duration)>,
    after_fencing: Duration,
}

/// A counted failure.
#[derive(Debug)]
struct Spent {
    at: Instant,
    /// Those that the disk failed, which fails all partitions at about the same time. No partition joins twice: what fails again
    /// after its restart was not mended by it.
    by_disk: HashSet<TopicPartition>,
}

impl Spent {
    fn joins(&mut self, partition: &TopicPartition, now: Instant) -> bool {
        let is_same_time = now.saturating_duration_since(self.at) < ONE_CAUSE;
        is_same_time && !self.by_disk.is_empty() && self.by_disk.insert(partition.clone())
    }
}

impl RestartBudget {
    /// `after_fencing`: how long the group may take to tell a member that a partition is another's.
    pub fn new(after_fencing: Duration) -> Self {
        Self { spent: VecDeque::new(), waits: HashMap::new(), after_fencing }
    }

    /// A failure of this partition uses one restart up, unless the disk has just failed another one, too.
    ///
    /// # Errors
    /// When there is none left.
    pub fn spend(
        &mut self,
        partition: &TopicPartition,
        reason: &RestartReason,
        now: Instant,
    ) -> Result<(), OverBudget> {
        if !reason.counts() {
            return Ok(());
        }
        let is_recent = |spent: &Spent| now.duration_since(spent.at) < SPAN;
        let disk_fails = self.spent.iter().any(|spent| !spent.by_disk.is_empty() && is_recent(spent));
        self.spent.retain(|spent| is_recent(spent) || (disk_fails && !spent.by_disk.is_empty()));
        let by_disk = matches!(reason, RestartReason::Storage(_));
        if by_disk && self.spent.back_mut().is_some_and(|newest| newest.joins(partition, now)) {
            return Ok(());
        }
        if self.spent.len() >= BUDGET {
            return Err(OverBudget { partition: partition.clone(), reason: reason.clone() });
        }
        let by_disk = by_disk.then(|| partition.clone());
        self.spent.push_back(Spent { at: now, by_disk: by_disk.into_iter().collect() });
        Ok(())
    }

    /// How long to wait before the partition is taken again: longer each time, until it has been well for a while.
    pub fn wait_of(&mut self, partition: &TopicPartition, reason: &RestartReason, now: Instant) -> Duration {
        if *reason == RestartReason::Fenced {
            return self.after_fencing;
        }
        let wait = match self.waits.get(partition) {
            Some((last, wait)) if now.duration_since(*last) < SPAN => (*wait * 2).min(LONGEST_WAIT),
            _ => FIRST_WAIT,
        };
        self.waits.insert(partition.clone(), (now, wait));
        wait
    }
}

/// Spaces out vain waits that block a thread, so that most of the time is left for other work.
#[derive(Debug, Default)]
pub struct Rest {
    until: Option<Instant>,
}

impl Rest {
    pub fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// The thread was blocked from `began` to `ended`, and then there was this reason to try again. One that counts must come again
    /// soon: spaced out by the slowness of a failing disk, its failures would never be more than the budget.
    pub fn after(&mut self, reason: &RestartReason, began: Instant, ended: Instant) {
        if !reason.counts() {
            self.until = Some(ended + ended.saturating_duration_since(began) * REST);
        }
    }
}

/// Does a piece of work for one partition; a panic in it becomes the reason to restart that partition alone.
///
/// # Errors
/// [`RestartReason::Panic`]. What the work had in hand may be half-changed: the caller must drop all state of the partition.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, RestartReason> {
    // Unwind safe, because nobody looks at the partition's state any more: see above. What partitions share is counters and
    // addresses, which no panic leaves half-changed.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panicked(panic.as_ref()))
}

/// The reason that a caught panic is.
pub fn panicked(panic: &(dyn Any + Send)) -> RestartReason {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    RestartReason::Panic(text.unwrap_or("without a message").to_owned())
}

#[cfg(test)]
mod tests;
