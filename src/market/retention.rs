//! How near the deletion of old records has come to what is still needed of a log.

use std::collections::BTreeMap;
use std::time::Duration;

use super::checkpoint::{NextOffset, TopicPartition};

/// Below this share of what is left there is reason to worry: of the records that the broker has not deleted yet,
const NEAR_DELETION: f64 = 0.2;
/// and of the age or size at which it deletes whole segments of them, so that the first deletion can take much at once.
const NEAR_LIMIT: f64 = 0.5;
/// What a tick takes in a log, about: less in large compressed batches, more in small ones.
const TICK_BYTES: u64 = 40;

/// How old and how large the log of a partition may become before its broker deletes the oldest records; `None`: as it likes, or unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionLimits {
    pub age: Option<Duration>,
    pub bytes: Option<u64>,
}

/// A log that loses its oldest records, and the oldest offset of it that is still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionDistance {
    pub log_start: NextOffset,
    pub log_end: NextOffset,
    /// Where a restart would begin to read.
    pub resume: NextOffset,
    /// For how long that has been so, at least.
    pub needed_for: Duration,
    pub limits: RetentionLimits,
}

impl RetentionDistance {
    /// How many offsets the broker may delete before it takes what is needed.
    pub fn offsets_left(&self) -> u64 {
        (self.resume.0 - self.log_start.0).max(0).unsigned_abs()
    }

    /// The least of what is left of all that a broker goes by, 0 to 1. A log of which nothing is needed has all of it left, however short it
    /// is.
    pub fn share_left(&self) -> f64 {
        self.shares().fold(1.0, |least, (left, _)| least.min(left))
    }

    /// Whether the broker may soon delete what is needed.
    pub fn is_near(&self) -> bool {
        self.shares().any(|(left, near)| left < near)
    }

    /// What is left, each with the share below which it is near.
    fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let count = |from: NextOffset| (self.log_end.0 - from.0).max(0).unsigned_abs();
        let needed = count(self.resume);
        // A log that has never lost a record does not tell by that how many it keeps.
        let deletes = (self.log_start > NextOffset(0)).then_some(());
        let by_deletion = deletes.map(|()| self.offsets_left() as f64 / count(self.log_start).max(1) as f64);
        let left = |used: f64, limit: f64| (1.0 - used / limit).max(0.0);
        let by_age = self.limits.age.map(|age| left(self.needed_for.as_secs_f64(), age.as_secs_f64()));
        let by_size = self.limits.bytes.map(|bytes| left(needed.saturating_mul(TICK_BYTES) as f64, bytes as f64));
        let shares = [(by_deletion, NEAR_DELETION), (by_age, NEAR_LIMIT), (by_size, NEAR_LIMIT)];
        shares.into_iter().filter(move |_| needed > 0).filter_map(|(left, near)| Some((left?, near)))
    }
}

/// Since when the oldest needed offset of each partition has been the same.
#[derive(Debug, Default)]
pub struct StandingStill(BTreeMap<TopicPartition, (NextOffset, Duration)>);

impl StandingStill {
    /// How long it has been this one, while there was something behind it. `now` is the time since any fixed moment.
    pub fn observe(
        &mut self,
        partition: &TopicPartition,
        resume: NextOffset,
        log_end: NextOffset,
        now: Duration,
    ) -> Duration {
        match self.0.get(partition) {
            Some((same, since)) if *same == resume && resume < log_end => now.saturating_sub(*since),
            _ => {
                self.0.insert(partition.clone(), (resume, now));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(log_start: i64, resume: i64, log_end: i64) -> RetentionDistance {
        let [log_start, resume, log_end] = [log_start, resume, log_end].map(NextOffset);
        let (needed_for, limits) = (Duration::ZERO, RetentionLimits::default());
        RetentionDistance { log_start, log_end, resume, needed_for, limits }
    }

    /// Of a log that has never lost a record.
    fn limited(resume: i64, log_end: i64, needed_hours: u64, limits: RetentionLimits) -> RetentionDistance {
        let needed_for = Duration::from_secs(needed_hours * 3_600);
        RetentionDistance { needed_for, limits, ..distance(0, resume, log_end) }
    }

    #[test]
    fn a_lake_that_keeps_up_is_far_from_any_loss() {
        let keeps_up = distance(1_000, 1_990, 2_000);
        assert_eq!((keeps_up.offsets_left(), keeps_up.share_left()), (990, 0.99));
        assert!(!keeps_up.is_near());
    }

    #[test]
    fn the_nearer_the_deletion_comes_the_less_is_left() {
        let shares: Vec<f64> =
            [1_000, 1_400, 1_600, 1_800].map(|start| distance(start, 1_800, 2_000).share_left()).into();
        assert!(shares.is_sorted_by(|a, b| a > b), "{shares:?}");
        assert!(!distance(1_000, 1_200, 2_000).is_near(), "a fifth is enough");
        assert!(distance(1_000, 1_199, 2_000).is_near());
    }

    #[test]
    fn what_is_lost_already_is_near_and_not_negative() {
        let lost = distance(1_500, 1_200, 2_000);
        assert_eq!((lost.offsets_left(), lost.share_left()), (0, 0.0));
        assert!(lost.is_near());
    }

    #[test]
    fn a_log_that_never_lost_a_record_is_no_reason_to_worry() {
        assert!(!distance(0, 0, 1_000_000).is_near());
    }

    #[test]
    fn an_empty_rest_of_which_nothing_is_needed_is_no_reason_to_worry() {
        for (start, end) in [(2_000, 2_000), (1_990, 2_000)] {
            let idle = distance(start, 2_000, end);
            assert_eq!((idle.share_left(), idle.is_near()), (1.0, false), "{start}");
        }
    }

    #[test]
    fn what_will_be_too_old_or_too_much_is_near_before_the_first_deletion() {
        let day = RetentionLimits { age: Some(Duration::from_secs(86_400)), bytes: None };
        let by_age = [0, 11, 13, 30].map(|hours| limited(0, 10, hours, day));
        assert_eq!(by_age.map(|distance| distance.is_near()), [false, false, true, true]);
        assert_eq!((by_age[0].share_left(), by_age[3].share_left()), (1.0, 0.0));
        assert!(!limited(10, 10, 30, day).is_near(), "nothing is needed");
        let megabyte = RetentionLimits { age: None, bytes: Some(1_000_000) };
        let by_size = [1_000, 12_000, 13_000].map(|records| limited(500, 500 + records, 0, megabyte).is_near());
        assert_eq!(by_size, [false, false, true]);
    }

    #[test]
    fn an_offset_stands_still_while_it_is_needed_and_the_same() {
        let (mut still, partition) = (StandingStill::default(), TopicPartition::new("t", 0));
        let observed = [(5, 9, 10), (5, 12, 40), (6, 12, 50), (6, 12, 70), (12, 12, 90), (12, 13, 95), (12, 20, 100)]
            .map(|(resume, end, now)| {
                let now = Duration::from_secs(now);
                still.observe(&partition, NextOffset(resume), NextOffset(end), now).as_secs()
            });
        assert_eq!(observed, [0, 30, 0, 20, 0, 5, 10]);
    }
}
