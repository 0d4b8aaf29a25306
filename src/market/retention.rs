//! How near the deletion of old records has come to what is still needed of a log.

use super::checkpoint::NextOffset;

/// Below this share of the log there is reason to worry.
const NEAR: f64 = 0.2;

/// A log that loses its oldest records, and the oldest offset of it that is still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionDistance {
    pub log_start: NextOffset,
    pub log_end: NextOffset,
    /// Where a restart would begin to read.
    pub resume: NextOffset,
}

impl RetentionDistance {
    /// How many offsets the broker may delete before it takes what is needed.
    pub fn offsets_left(&self) -> u64 {
        (self.resume.0 - self.log_start.0).max(0).unsigned_abs()
    }

    /// The same as a share of the log, 0 to 1. A log of which nothing is needed has all of it left, however short it is.
    pub fn share_left(&self) -> f64 {
        let kept = (self.log_end.0 - self.log_start.0).max(0).unsigned_abs();
        if self.resume >= self.log_end { 1.0 } else { self.offsets_left() as f64 / kept.max(1) as f64 }
    }

    /// Whether the broker deletes records of this log and little of it is left. A log that has never lost a record tells nothing
    /// about how long it keeps them.
    pub fn is_near(&self) -> bool {
        self.log_start > NextOffset(0) && self.share_left() < NEAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(log_start: i64, resume: i64, log_end: i64) -> RetentionDistance {
        let [log_start, resume, log_end] = [log_start, resume, log_end].map(NextOffset);
        RetentionDistance { log_start, log_end, resume }
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
}
