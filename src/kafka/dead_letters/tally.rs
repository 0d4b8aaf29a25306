//! Which letters of a partition are under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::kafka::publisher::Deliveries;
use crate::market::checkpoint::NextOffset;

/// Letters of one partition. Bounded by what the client takes.
#[derive(Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    sent: u64,
    acknowledged: u64,
    given_up: u64,
    /// Source offset, and how many letters of it: one that is read again may be under way twice.
    under_way: BTreeMap<i64, u32>,
    /// Since when a commit has been waiting.
    waited_for_since: Option<Instant>,
}

/// Letters that a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsettled {
    pub letters: usize,
    pub waiting: Duration,
}

impl Tally {
    pub fn sent(&self, offset: i64) {
        let mut counts = self.counts();
        counts.sent += 1;
        *counts.under_way.entry(offset).or_default() += 1;
    }

    /// It was not sent after all.
    pub fn taken_back(&self, offset: i64) {
        let mut counts = self.counts();
        counts.sent -= 1;
        counts.arrived(offset);
    }

    pub fn acknowledged(&self, offset: i64) {
        let mut counts = self.counts();
        counts.acknowledged += 1;
        counts.arrived(offset);
    }

    /// It cannot arrive, whatever is done.
    pub fn given_up(&self, offset: i64) {
        let mut counts = self.counts();
        counts.given_up += 1;
        counts.arrived(offset);
    }

    /// What is still to arrive of the letters below `cut`.
    pub fn unsettled(&self, cut: NextOffset) -> Option<Unsettled> {
        let mut counts = self.counts();
        let letters = counts.under_way.range(..cut.0).count();
        if letters == 0 {
            counts.waited_for_since = None;
            return None;
        }
        let waiting = counts.waited_for_since.get_or_insert_with(Instant::now).elapsed();
        Some(Unsettled { letters, waiting })
    }

    pub fn deliveries(&self) -> Deliveries {
        let counts = self.counts();
        Deliveries { sent: counts.sent, acknowledged: counts.acknowledged, failed: counts.given_up }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn arrived(&mut self, offset: i64) {
        if let Some(letters) = self.under_way.get_mut(&offset) {
            *letters -= 1;
            if *letters == 0 {
                self.under_way.remove(&offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_waits_for_the_letters_below_it_only() {
        let tally = Tally::default();
        [3, 7, 7, 9].into_iter().for_each(|offset| tally.sent(offset));
        let below = |cut| tally.unsettled(NextOffset(cut)).map(|unsettled| unsettled.letters);
        assert_eq!((below(3), below(4), below(100)), (None, Some(1), Some(3)));
        tally.acknowledged(3);
        tally.acknowledged(7);
        assert_eq!((below(7), below(8)), (None, Some(1)), "the second letter of the same offset is still under way");
        tally.acknowledged(7);
        assert_eq!((below(9), below(10)), (None, Some(1)));
        tally.taken_back(9);
        assert_eq!((below(i64::MAX), tally.deliveries().sent, tally.deliveries().acknowledged), (None, 3, 3));
    }
}
