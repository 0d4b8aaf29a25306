//! A source that is a member of a consumer group.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use rustc_hash::FxHashMap;

use super::ends_aside::EndsAside;
use super::{RecordSource, SourceError, SourceEvent, TakePartition};
use crate::kafka::client::{self, ClientError};
use crate::kafka::client_log::QuietContext;
use crate::kafka::native::{AT_THE_END, Failure, Kind, NativeConsumer, Partitions, Record};
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::market::time::EventTime;
use crate::settings::KafkaSettings;

/// How long an assignment may wait for the brokers, for all its partitions together.
const ASSIGN_PATIENCE: Duration = Duration::from_secs(30);

/// The same for a restart: the other partitions wait meanwhile.
const RESTART_PATIENCE: Duration = Duration::from_secs(3);

/// A pause between two tries.
const MOMENT: Duration = Duration::from_millis(50);

struct Slot {
    partition: TopicPartition,
    next: NextOffset,
    /// In name only: not read until it is restarted.
    held: bool,
    /// Where a restart has gone back from, until the first record from before there comes. What was fetched for the old position lies at
    /// or above it, and would look like the next record after a gap.
    back_from: Option<NextOffset>,
}

impl Slot {
    /// Whether this is what is to be read next, and not what is left of an old assignment or position.
    fn takes(&mut self, offset: i64) -> bool {
        if self.held || offset < self.next.0 || self.back_from.is_some_and(|from| offset >= from.0) {
            return false;
        }
        self.back_from = None;
        self.next = NextOffset(offset + 1);
        true
    }

    /// Goes on here, perhaps back.
    fn restart(&mut self, next: NextOffset) {
        let newest = self.back_from.map_or(self.next, |from| from.max(self.next));
        self.back_from = (next < newest).then_some(newest);
        self.next = next;
        self.held = false;
    }
}

/// A member of a consumer group.
pub struct KafkaSource {
    native: EndsAside<NativeConsumer<QuietContext>>,
    /// Asks for the bounds of logs. Not the consumer: its questions wait behind a fetch that waits for records, half a second each.
    inquirer: AdminClient<QuietContext>,
    take: TakePartition,
    slots: Vec<Slot>,
    /// By topic and number as librdkafka tells them; emptied when the assignment changes.
    by_id: FxHashMap<(usize, i32), usize>,
    last: Option<((usize, i32), usize)>,
    paused: bool,
}

impl KafkaSource {
    /// Makes the client; nothing is read before [`RecordSource::subscribe`].
    ///
    /// # Errors
    /// When the properties are refused. An unreachable broker is none: it shows as [`SourceError::Trouble`] later.
    pub fn connect(settings: &KafkaSettings, bootstrap: &str, take: TakePartition) -> Result<Self, ClientError> {
        let config = client::consumer_config(settings, bootstrap);
        let consumer = client::create(&config, QuietContext::default())?;
        let native = NativeConsumer::new(consumer)
            .ok_or_else(|| ClientError::Creation(String::from("the consumer has no group: set kafka.group_id")))?;
        let inquirer = client::create(&client::common_config(settings, bootstrap), QuietContext::default())?;
        let native = EndsAside::new(native);
        Ok(Self { native, inquirer, take, slots: Vec::new(), by_id: FxHashMap::default(), last: None, paused: false })
    }

    fn on_record(&mut self, record: Record<'_>, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        let id = (record.topic_id(), record.partition());
        let index = match self.last {
            Some((last, index)) if last == id => index,
            _ => match self.find(id, record.topic()) {
                Some(index) => index,
                None => return,
            },
        };
        let slot = &mut self.slots[index];
        if !slot.takes(record.offset()) {
            return;
        }
        sink(SourceEvent::Record {
            partition: &slot.partition,
            offset: record.offset(),
            timestamp: record.timestamp().map(|millis| EventTime::from_micros(millis.saturating_mul(1000))),
            key: record.key(),
            payload: record.payload().unwrap_or_default(),
        });
    }

    fn find(&mut self, id: (usize, i32), topic: &str) -> Option<usize> {
        let index = match self.by_id.get(&id) {
            Some(index) => *index,
            None => {
                let index = self.index_of(topic, id.1)?;
                self.by_id.insert(id, index);
                index
            }
        };
        self.last = Some((id, index));
        Some(index)
    }

    fn index_of(&self, topic: &str, number: i32) -> Option<usize> {
        self.slots.iter().position(|slot| slot.partition.partition == number && &*slot.partition.topic == topic)
    }

    fn forget_ids(&mut self) {
        self.by_id.clear();
        self.last = None;
    }

    fn on_assign(&mut self, mut list: Partitions<'_>, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        self.forget_ids();
        let deadline = Instant::now() + ASSIGN_PATIENCE;
        let partitions: Vec<_> = list.iter().map(|(topic, number)| TopicPartition::new(topic, number)).collect();
        let first = self.slots.len();
        for (index, partition) in partitions.into_iter().enumerate() {
            let (next, held) = match self.decide_start(&partition, deadline) {
                Ok(next) => {
                    list.set_offset(index, next.0);
                    sink(SourceEvent::Assigned(&partition));
                    (next, false)
                }
                Err(error) => {
                    list.set_offset(index, AT_THE_END);
                    sink(SourceEvent::Error(error));
                    (NextOffset(0), true)
                }
            };
            self.slots.push(Slot { partition, next, held, back_from: None });
        }
        if let Err(error) = self.native.assign(&list) {
            sink(SourceEvent::Error(SourceError::Fatal(format!("the assignment was refused: {error}"))));
        }
        // A pause outlives an assignment inside librdkafka: say again for each what is meant now.
        let new = &self.slots[first..];
        self.set_paused(new.iter().filter(|slot| self.paused || slot.held), Flow::Pause);
        self.set_paused(new.iter().filter(|slot| !self.paused && !slot.held), Flow::Resume);
    }

    fn decide_start(&self, partition: &TopicPartition, deadline: Instant) -> Result<NextOffset, SourceError> {
        let start =
            (self.take)(partition).map_err(|reason| SourceError::Refused { partition: partition.clone(), reason })?;
        let (log_start, log_end) = self.log_bounds(partition, deadline)?;
        if log_start <= start.needed && start.needed <= log_end {
            Ok(start.wanted.min(start.needed).max(log_start))
        } else {
            Err(SourceError::OutsideLog { partition: partition.clone(), wanted: start.needed, log_start, log_end })
        }
    }

    /// Tries until the deadline: a leader may be moving at this very moment.
    fn log_bounds(
        &self,
        partition: &TopicPartition,
        deadline: Instant,
    ) -> Result<(NextOffset, NextOffset), SourceError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).clamp(MOMENT, Duration::from_secs(5));
            match self.inquirer.inner().fetch_watermarks(&partition.topic, partition.partition, left) {
                Ok((start, end)) => return Ok((NextOffset(start), NextOffset(end))),
                Err(_) if Instant::now() < deadline => thread::sleep(MOMENT),
                Err(error) => return Err(SourceError::no_answer(partition, &error)),
            }
        }
    }

    fn on_revoke(&mut self, list: &Partitions<'_>, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        self.forget_ids();
        for (topic, number) in list.iter() {
            if let Some(index) = self.index_of(topic, number) {
                let slot = self.slots.swap_remove(index);
                sink(SourceEvent::Revoked(slot.partition));
            }
        }
        if let Err(error) = self.native.unassign(list) {
            sink(SourceEvent::Error(SourceError::Fatal(format!("the revocation was refused: {error}"))));
        }
    }

    fn on_end(&mut self, topic: &str, number: i32, offset: i64, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        let Some(slot) = self.index_of(topic, number).map(|index| &mut self.slots[index]) else { return };
        if slot.held || offset < slot.next.0 {
            return;
        }
        // What had been read before is no longer there.
        if slot.back_from.is_some() {
            slot.held = true;
            let (partition, next) = (slot.partition.clone(), slot.next);
            return sink(SourceEvent::Error(SourceError::LogMoved { partition, next }));
        }
        sink(SourceEvent::EndOfPartition(&slot.partition, NextOffset(offset)));
    }

    fn on_failure(&mut self, failure: Failure, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        let index = failure.partition.as_ref().and_then(|(topic, number)| self.index_of(topic, *number));
        let slot = index.map(|index| &mut self.slots[index]);
        let next = slot.as_ref().map(|slot| (slot.partition.clone(), slot.next));
        let error = SourceError::classify(failure, next);
        if let (Some(slot), true) = (slot, error.ends_partition()) {
            if slot.held {
                return;
            }
            slot.held = true;
        }
        sink(SourceEvent::Error(error));
    }

    /// Unlike a change of the assignment this touches neither the group nor other partitions, under any protocol. The client drops what it
    /// has fetched for the old position.
    fn seek(&self, partition: &TopicPartition, next: NextOffset) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let sought = list
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(next.0))
            .and_then(|()| self.native.consumer().seek_partitions(list, RESTART_PATIENCE));
        let sought = sought.and_then(|list| list.elements().iter().try_for_each(|element| element.error()));
        sought.map_err(|error| SourceError::no_answer(partition, &error))
    }

    fn set_paused<'s>(&self, slots: impl Iterator<Item = &'s Slot>, flow: Flow) {
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
}

#[derive(Clone, Copy)]
enum Flow {
    Pause,
    Resume,
}

impl RecordSource for KafkaSource {
    fn subscribe(&mut self, topics: &[String]) -> Result<(), SourceError> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let done = self.native.consumer().subscribe(&names);
        done.map_err(|error| SourceError::Fatal(format!("cannot subscribe: {error}")))
    }

    fn poll(&mut self, max: usize, timeout: Duration, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        let mut wait = timeout;
        for _ in 0..max {
            let Some(event) = self.native.poll(wait) else { return };
            wait = Duration::ZERO;
            match event.kind() {
                Kind::Record(record) => self.on_record(record, sink),
                Kind::EndOfPartition { topic, partition, offset } => self.on_end(&topic, partition, offset, sink),
                Kind::Assign(list) => self.on_assign(list, sink),
                Kind::Revoke(list) => self.on_revoke(&list, sink),
                Kind::Failure(failure) => self.on_failure(failure, sink),
                Kind::CommitFailed(error) => {
                    tracing::warn!(%error, "the group did not take the offsets (lag monitors only)")
                }
                Kind::Log { level, facility, text } => self.native.consumer().context().log(level, facility, text),
                Kind::Other => {}
            }
        }
    }

    fn pause(&mut self) {
        self.paused = true;
        self.set_paused(self.slots.iter(), Flow::Pause);
    }

    fn resume(&mut self) {
        self.paused = false;
        self.set_paused(self.slots.iter().filter(|slot| !slot.held), Flow::Resume);
    }

    fn hold(&mut self, partition: &TopicPartition) {
        if let Some(index) = self.index_of(&partition.topic, partition.partition) {
            self.slots[index].held = true;
            self.set_paused(self.slots[index..=index].iter(), Flow::Pause);
        }
    }

    fn restart(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        let Some(index) = self.index_of(&partition.topic, partition.partition) else {
            return Err(SourceError::Trouble(format!("{partition} is not assigned, and cannot be restarted")));
        };
        let next = self.decide_start(partition, Instant::now() + RESTART_PATIENCE)?;
        self.seek(partition, next)?;
        self.slots[index].restart(next);
        if !self.paused {
            self.set_paused(self.slots[index..=index].iter(), Flow::Resume);
        }
        Ok(())
    }

    fn commit_async(&mut self, partition: &TopicPartition, next: NextOffset) {
        let mut list = TopicPartitionList::with_capacity(1);
        let done = list
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(next.0))
            .and_then(|()| self.native.consumer().commit(&list, CommitMode::Async));
        if let Err(error) = done {
            tracing::warn!(%partition, %error, "cannot tell the group how far it is (lag monitors only)");
        }
    }

    fn fetched_end(&self, partition: &TopicPartition) -> Option<NextOffset> {
        self.native.fetched_end(&partition.topic, partition.partition).map(NextOffset)
    }

    fn log_end(&mut self, partition: &TopicPartition, timeout: Duration) -> Result<NextOffset, SourceError> {
        let bounds = self.inquirer.inner().fetch_watermarks(&partition.topic, partition.partition, timeout);
        bounds.map(|(_, end)| NextOffset(end)).map_err(|error| SourceError::no_answer(partition, &error))
    }

    fn close(self: Box<Self>, patience: Duration) -> Result<(), SourceError> {
        let Self { native, .. } = *self;
        native.consumer().unsubscribe();
        if native.end(patience) { Ok(()) } else { Err(SourceError::NotClosed { patience }) }
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
