//! Which records of a partition are given, and which are left over from an old assignment or position.

use crate::market::checkpoint::{NextOffset, TopicPartition};

/// A partition as this member reads it.
pub(super) struct Slot {
    pub partition: TopicPartition,
    /// The offset to be read next, or a later one if the log has no record there.
    pub next: NextOffset,
    /// In name only: not read until it is restarted.
    pub held: bool,
    /// Where a restart has gone back from, until the first record from before there comes. What was fetched for the old position lies at
    /// or above it, and would look like the next record after a gap.
    pub back_from: Option<NextOffset>,
}

impl Slot {
    /// Whether this is what is to be read next, and not what is left of an old assignment or position.
    pub fn takes(&mut self, offset: i64) -> bool {
        if self.held || offset < self.next.0 || self.back_from.is_some_and(|from| offset >= from.0) {
            return false;
        }
        self.back_from = None;
        self.next = NextOffset(offset + 1);
        true
    }

    /// Goes on here, perhaps back.
    pub fn restart(&mut self, next: NextOffset) {
        let newest = self.back_from.map_or(self.next, |from| from.max(self.next));
        self.back_from = (next < newest).then_some(newest);
        self.next = next;
        self.held = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(next: i64) -> Slot {
        Slot { partition: TopicPartition::new("t", 0), next: NextOffset(next), held: false, back_from: None }
    }

    /// Which of these records are given.
    fn taken(slot: &mut Slot, offsets: impl IntoIterator<Item = i64>) -> Vec<i64> {
        offsets.into_iter().filter(|offset| slot.takes(*offset)).collect()
    }

    #[test]
    fn what_was_fetched_for_the_old_position_does_not_get_through_after_a_step_back() {
        let mut slot = slot(0);
        assert_eq!(taken(&mut slot, 0..100), (0..100).collect::<Vec<_>>());
        slot.restart(NextOffset(40));
        assert!(taken(&mut slot, 100..200).is_empty(), "fetched before the restart");
        assert_eq!(taken(&mut slot, 40..200), (40..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_second_restart_before_a_record_has_come_remembers_how_far_the_first_went_back() {
        let mut slot = slot(100);
        slot.restart(NextOffset(40));
        slot.restart(NextOffset(40));
        assert!(taken(&mut slot, 100..110).is_empty());
        assert_eq!(taken(&mut slot, 40..43), [40, 41, 42]);
    }

    #[test]
    fn the_first_record_after_a_restart_may_lie_behind_a_hole_in_the_offsets() {
        let mut slot = slot(100);
        slot.restart(NextOffset(40));
        assert_eq!(taken(&mut slot, [55, 56, 99, 100]), [55, 56, 99, 100]);
    }

    #[test]
    fn a_restart_further_on_skips_what_is_below() {
        let mut slot = slot(100);
        slot.restart(NextOffset(120));
        assert_eq!(taken(&mut slot, 100..125), [120, 121, 122, 123, 124]);
    }

    #[test]
    fn nothing_is_taken_while_it_is_held() {
        let mut slot = slot(0);
        slot.held = true;
        assert!(taken(&mut slot, 0..10).is_empty());
        slot.restart(NextOffset(0));
        assert_eq!(taken(&mut slot, 0..3), [0, 1, 2]);
    }
}
