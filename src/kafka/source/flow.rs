//! Whether the records of each partition flow, and from where: starts, and pauses and restarts, which the group does not notice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::member::KafkaSource;
use super::slot::Slot;
use super::{FoundLog, SourceError, SourceEvent};
use crate::kafka::bounds;
use crate::kafka::native::{Item, topic_ids};
use crate::market::checkpoint::{NextOffset, TopicId, TopicPartition};

/// The other partitions wait for a restart this long.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub(super) enum Flow {
    Pause,
    Resume,
}

/// By topic, or why nobody told.
pub(super) type TopicIds = Result<BTreeMap<String, TopicId>, String>;

impl KafkaSource {
    pub(super) fn decide_start(
        &self,
        partition: &TopicPartition,
        ids: &TopicIds,
        deadline: Instant,
    ) -> Result<NextOffset, SourceError> {
        let ids = ids.as_ref().map_err(|error| SourceError::no_answer(partition, error))?;
        let bounds = bounds::fetch_until(deadline, self.inquirer.inner(), partition)
            .map_err(|error| SourceError::no_answer(partition, &error))?;
        let log = FoundLog { bounds, topic: ids.get(&*partition.topic).cloned() };
        let start = (self.take)(partition, &log)
            .map_err(|reason| SourceError::Refused { partition: partition.clone(), reason })?;
        if bounds.hold(start.needed) {
            self.needed.begin(partition, start.needed, log.topic);
            Ok(start.wanted.min(start.needed).max(bounds.start))
        } else {
            Err(SourceError::OutsideLog { partition: partition.clone(), wanted: start.needed, log: bounds })
        }
    }

    pub(super) fn topic_ids(&self, partitions: &[TopicPartition], deadline: Instant) -> TopicIds {
        let topics = partitions.iter().map(|partition| &*partition.topic).collect();
        topic_ids(self.inquirer.inner(), &topics, deadline.saturating_duration_since(Instant::now()))
    }

    pub(super) fn set_paused<'s>(&self, slots: impl Iterator<Item = &'s Slot>, flow: Flow) {
        let mut list = TopicPartitionList::new();
        for slot in slots {
            list.add_partition(&slot.partition.topic, slot.partition.partition);
        }
        if list.count() == 0 {
            return;
        }
        let done = match flow {
            Flow::Pause => self.native.consumer().pause(&list),
            Flow::Resume => self.native.consumer().resume(&list),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "cannot pause or resume partitions");
        }
    }

    /// The records of the slots from this one on go to the queue of records.
    pub(super) fn forward(&self, first: usize, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        for Slot { partition, .. } in &self.slots.all()[first..] {
            if let Err(error) = self.native.forward(&partition.topic, partition.partition) {
                sink(SourceEvent::Error(SourceError::Fatal(format!("{partition} cannot be read in batches: {error}"))));
            }
        }
    }

    /// See [`RecordSource::restart`](super::RecordSource::restart).
    pub(super) fn take_anew(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        if self.slots.of(partition).is_none() {
            return Err(SourceError::Trouble(format!("{partition} is not assigned, and cannot be restarted")));
        }
        let deadline = Instant::now() + PATIENCE;
        let ids = self.topic_ids(std::slice::from_ref(partition), deadline);
        let next = self.decide_start(partition, &ids, deadline)?;
        self.seek(partition, next).or_else(|_| self.assign_again(partition, next))?;
        self.slots.restart(partition, next);
        if !self.paused {
            self.set_paused(self.slots.all().iter().filter(|slot| slot.partition == *partition), Flow::Resume);
        }
        Ok(())
    }

    /// Fills the intake.
    pub(super) fn take_all(&mut self, wait: Duration) {
        let (intake, slots) = (&mut self.intake, &mut self.slots);
        self.native.take_all(wait, |item| match item {
            Item::Record(record) => {
                let Some(slot) = slots.of_record(record) else { return };
                let offset = record.offset();
                if slot.admits(offset, offset + 1) {
                    let payload = record.payload().unwrap_or_default();
                    intake.add_record(slot.id, offset, record.timestamp(), record.key(), payload);
                }
            }
            Item::EndOfPartition(end) => {
                let Some(slot) = slots.of_record(end) else { return };
                if slot.admits(end.offset(), end.offset()) {
                    intake.add_end(slot.id, end.offset());
                }
            }
            Item::Failure(place, failure) => {
                if let Some(slot) = slots.of_record(place) {
                    intake.add_failure(slot.id, failure);
                }
            }
        });
        self.send_back();
    }

    /// Where the client has skipped something, it is sent back; until that has succeeded nothing is taken there.
    fn send_back(&mut self) {
        let broken = |slot: &Slot| Some((slot.partition.clone(), slot.continuity.broken_at()?));
        let broken: Vec<_> = self.slots.all().iter().filter_map(broken).collect();
        for (partition, next) in broken {
            match self.seek(&partition, next) {
                Ok(()) => {
                    tracing::debug!(%partition, %next, "sent back");
                    self.slots.of(&partition).into_iter().for_each(|slot| slot.continuity.sent_back());
                }
                Err(error) => tracing::debug!(%partition, %next, %error, "cannot be sent back yet"),
            }
        }
    }

    /// Unlike a change of the assignment this touches neither the group nor other partitions, under any protocol. The client drops what it
    /// has fetched for the old position.
    fn seek(&self, partition: &TopicPartition, next: NextOffset) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let sought = list
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(next.0))
            .and_then(|()| self.native.consumer().seek_partitions(list, PATIENCE));
        let sought = sought.and_then(|list| list.elements().iter().try_for_each(|element| element.error()));
        sought.map_err(|error| SourceError::no_answer(partition, &error))
    }

    /// The client has given up a partition whose log has moved, and does not seek there: it has to be assigned once more.
    fn assign_again(&self, again: &TopicPartition, next: NextOffset) -> Result<(), SourceError> {
        let consumer = self.native.consumer();
        let cooperative = self.native.is_cooperative();
        let mut list = TopicPartitionList::new();
        for Slot { partition, next: reached, held, .. } in self.slots.all() {
            let offset = match partition == again {
                true => Offset::Offset(next.0),
                false if cooperative => continue,
                false if *held => Offset::End,
                false => Offset::Offset(reached.0),
            };
            let added = list.add_partition_offset(&partition.topic, partition.partition, offset);
            added.map_err(|error| SourceError::no_answer(partition, &error))?;
        }
        let assigned = match cooperative {
            true => consumer.incremental_unassign(&list).and_then(|()| consumer.incremental_assign(&list)),
            false => consumer.assign(&list),
        };
        assigned.map_err(|error| SourceError::no_answer(again, &error))
    }
}
