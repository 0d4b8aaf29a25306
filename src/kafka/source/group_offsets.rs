//! How far the lake has come, as the group's monitors are told it.
//!
//! While a commit of offsets is unanswered the client finishes no change of the assignment, and one that is answered only after its
//! generation has ended throws the member out. So one is under way at a time, for all partitions together, and only of those that
//! are ours.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::market::checkpoint::{NextOffset, TopicPartition};

/// Between two commits: nobody looks at a lag more often.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct GroupOffsets {
    waiting: BTreeMap<TopicPartition, NextOffset>,
    under_way: bool,
    not_before: Option<Instant>,
}

impl GroupOffsets {
    /// To be told with the next commit.
    pub fn set(&mut self, partition: &TopicPartition, next: NextOffset) {
        self.waiting.insert(partition.clone(), next);
    }

    /// The partition is no longer ours: its next owner tells.
    pub fn forget(&mut self, partition: &TopicPartition) {
        self.waiting.remove(partition);
    }

    /// What is to be committed now; then a commit is under way until it is [answered](Self::answered).
    pub fn due(&mut self, now: Instant) -> Option<BTreeMap<TopicPartition, NextOffset>> {
        if self.waiting.is_empty() || self.under_way || self.not_before.is_some_and(|moment| now < moment) {
            return None;
        }
        self.under_way = true;
        self.not_before = Some(now + INTERVAL);
        Some(std::mem::take(&mut self.waiting))
    }

    pub fn answered(&mut self) {
        self.under_way = false;
    }

    /// What nobody was told, at the end.
    pub fn rest(self) -> BTreeMap<TopicPartition, NextOffset> {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    fn all(offsets: &[(i32, i64)]) -> BTreeMap<TopicPartition, NextOffset> {
        offsets.iter().map(|(number, next)| (partition(*number), NextOffset(*next))).collect()
    }

    #[test]
    fn while_a_commit_is_under_way_the_newest_offsets_wait_for_the_next_one() {
        let (mut offsets, start) = (GroupOffsets::default(), Instant::now());
        assert_eq!(offsets.due(start), None);
        offsets.set(&partition(0), NextOffset(10));
        assert_eq!(offsets.due(start), Some(all(&[(0, 10)])));
        offsets.set(&partition(0), NextOffset(20));
        offsets.set(&partition(1), NextOffset(5));
        offsets.set(&partition(0), NextOffset(30));
        let later = start + 10 * INTERVAL;
        assert_eq!(offsets.due(later), None, "the first is not answered");
        offsets.answered();
        assert_eq!(offsets.due(later), Some(all(&[(0, 30), (1, 5)])));
        offsets.answered();
        assert_eq!(offsets.due(later + INTERVAL), None, "nothing is new");
    }

    #[test]
    fn commits_come_once_in_a_while() {
        let (mut offsets, start) = (GroupOffsets::default(), Instant::now());
        offsets.set(&partition(0), NextOffset(10));
        assert!(offsets.due(start).is_some());
        offsets.answered();
        offsets.set(&partition(0), NextOffset(20));
        assert_eq!(offsets.due(start + INTERVAL / 2), None);
        assert_eq!(offsets.due(start + INTERVAL), Some(all(&[(0, 20)])));
    }

    #[test]
    fn a_partition_that_is_lost_is_not_told_of() {
        let mut offsets = GroupOffsets::default();
        offsets.set(&partition(0), NextOffset(10));
        offsets.set(&partition(1), NextOffset(10));
        offsets.forget(&partition(0));
        assert_eq!(offsets.rest(), all(&[(1, 10)]));
    }
}
