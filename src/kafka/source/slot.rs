//! Which records of a partition are given, and which are left over from an old assignment or position.

use rustc_hash::FxHashMap;

use super::continuity::Continuity;
use super::intake::SlotId;
use super::{SourceError, SourceEvent};
use crate::kafka::native::Record;
use crate::market::checkpoint::{NextOffset, TopicPartition};

/// A partition as this member reads it.
pub(super) struct Slot {
    pub id: SlotId,
    pub partition: TopicPartition,
    /// The offset to be read next, or a later one if the log has no record there.
    pub next: NextOffset,
    /// In name only: not read until it is restarted.
    pub held: bool,
    /// Where a restart has gone back from, until the first record from before there comes. What was fetched for the old position lies at
    /// or above it, and would look like the next record after a gap.
    pub back_from: Option<NextOffset>,
    pub continuity: Continuity,
}

impl Slot {
    /// Whether what the client gives is to be taken; see [`Continuity::admits`].
    pub fn admits(&mut self, offset: i64, behind: i64) -> bool {
        !self.held && self.continuity.admits(offset, behind)
    }

    /// Whether this is what is to be read next, and not what is left of an old assignment or position.
    pub fn takes(&mut self, offset: i64) -> bool {
        if self.held || offset < self.next.0 || self.back_from.is_some_and(|from| offset >= from.0) {
            return false;
        }
        self.back_from = None;
        self.next = NextOffset(offset + 1);
        true
    }

    /// The log has no more than this, as of when it was looked at: what to tell, if anything.
    pub fn ended(&mut self, end: NextOffset) -> Option<SourceEvent<'_>> {
        if self.held || end < self.next {
            return None;
        }
        // What had been read before is no longer there.
        if self.back_from.is_some() {
            self.held = true;
            let (partition, next) = (self.partition.clone(), self.next);
            return Some(SourceEvent::Error(SourceError::LogMoved { partition, next }));
        }
        Some(SourceEvent::EndOfPartition(&self.partition, end))
    }

    /// Goes on here, perhaps back.
    pub fn restart(&mut self, next: NextOffset) {
        let newest = self.back_from.map_or(self.next, |from| from.max(self.next));
        self.back_from = (next < newest).then_some(newest);
        self.next = next;
        self.held = false;
        self.continuity = Continuity::new(next);
    }
}

/// All partitions of the assignment.
#[derive(Default)]
pub(super) struct Slots {
    /// By ascending id.
    all: Vec<Slot>,
    newest: u64,
    /// By topic and number as librdkafka tells them; emptied when the assignment changes.
    ids: FxHashMap<(usize, i32), SlotId>,
    /// Records come in runs of one partition: the one that was asked for last, by either.
    last_id: Option<((usize, i32), SlotId)>,
    last_index: usize,
}

impl Slots {
    pub fn all(&self) -> &[Slot] {
        &self.all
    }

    pub fn add(&mut self, partition: TopicPartition, next: NextOffset, held: bool) {
        self.forget_ids();
        self.newest += 1;
        let (id, continuity) = (SlotId(self.newest), Continuity::new(next));
        self.all.push(Slot { id, partition, next, held, back_from: None, continuity });
    }

    pub fn remove(&mut self, topic: &str, number: i32) -> Option<Slot> {
        self.forget_ids();
        let index = self.index(topic, number)?;
        Some(self.all.remove(index))
    }

    /// Goes on there; what was taken from the client before is left over.
    pub fn restart(&mut self, partition: &TopicPartition, next: NextOffset) {
        if let Some(mut slot) = self.remove(&partition.topic, partition.partition) {
            slot.restart(next);
            self.newest += 1;
            slot.id = SlotId(self.newest);
            self.all.push(slot);
        }
    }

    pub fn find(&mut self, topic: &str, number: i32) -> Option<&mut Slot> {
        let index = self.index(topic, number)?;
        self.all.get_mut(index)
    }

    pub fn of(&mut self, partition: &TopicPartition) -> Option<&mut Slot> {
        self.find(&partition.topic, partition.partition)
    }

    pub fn get(&mut self, id: SlotId) -> Option<&mut Slot> {
        if self.all.get(self.last_index).is_none_or(|slot| slot.id != id) {
            self.last_index = self.all.binary_search_by_key(&id, |slot| slot.id).ok()?;
        }
        self.all.get_mut(self.last_index)
    }

    /// The client may have been paused.
    pub fn doubt(&mut self) {
        self.all.iter_mut().for_each(|slot| slot.continuity.doubt());
    }

    pub fn of_record(&mut self, record: Record<'_>) -> Option<&mut Slot> {
        let id = self.id_of(record)?;
        self.get(id)
    }

    fn id_of(&mut self, record: Record<'_>) -> Option<SlotId> {
        let place = (record.topic_id(), record.partition());
        if let Some((_, id)) = self.last_id.filter(|(last, _)| *last == place) {
            return Some(id);
        }
        let id = match self.ids.get(&place) {
            Some(id) => *id,
            None => {
                let id = self.find(record.topic(), record.partition())?.id;
                self.ids.insert(place, id);
                id
            }
        };
        self.last_id = Some((place, id));
        Some(id)
    }

    fn index(&self, topic: &str, number: i32) -> Option<usize> {
        self.all.iter().position(|slot| slot.partition.partition == number && &*slot.partition.topic == topic)
    }

    fn forget_ids(&mut self) {
        self.ids.clear();
        self.last_id = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(next: i64) -> Slot {
        let (id, partition, next) = (SlotId(1), TopicPartition::new("t", 0), NextOffset(next));
        Slot { id, partition, next, held: false, back_from: None, continuity: Continuity::new(next) }
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
