//! A source that is a member of a consumer group.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use rustc_hash::FxHashMap;

use super::ends_aside::EndsAside;
use super::slot::Slot;
use super::{LogBounds, RecordSource, SourceError, SourceEvent, TakePartition};
use crate::kafka::bounds;
use crate::kafka::client::{self, ClientError};
use crate::kafka::client_log::QuietContext;
use crate::kafka::native::{AT_THE_END, Failure, Kind, NativeConsumer, Partitions, Record};
use crate::kafka::retention::NeededOffsets;
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::market::time::EventTime;
use crate::settings::KafkaSettings;

/// How long an assignment may wait for the brokers, for all its partitions together.
const ASSIGN_PATIENCE: Duration = Duration::from_secs(30);

/// The same for a restart: the other partitions wait meanwhile.
const RESTART_PATIENCE: Duration = Duration::from_secs(1);

/// A pause between two tries.
const MOMENT: Duration = Duration::from_millis(50);

/// A member of a consumer group.
pub struct KafkaSource {
    native: EndsAside<NativeConsumer<QuietContext>>,
    /// Asks for the bounds of logs. Not the consumer: its questions wait behind a fetch that waits for records, half a second each.
    inquirer: AdminClient<QuietContext>,
    take: TakePartition,
    needed: NeededOffsets,
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
        Ok(Self {
            native,
            inquirer,
            take,
            needed: NeededOffsets::default(),
            slots: Vec::new(),
            by_id: FxHashMap::default(),
            last: None,
            paused: false,
        })
    }

    /// The oldest offset that each assigned partition still needs, kept up to date.
    pub fn needed(&self) -> NeededOffsets {
        self.needed.clone()
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
        tracing::info!(partitions = partitions.len(), "assigned by the group");
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
        let log = self.log_bounds(partition, deadline)?;
        let start = (self.take)(partition, log)
            .map_err(|reason| SourceError::Refused { partition: partition.clone(), reason })?;
        if log.hold(start.needed) {
            self.needed.set(partition, start.needed);
            Ok(start.wanted.min(start.needed).max(log.start))
        } else {
            Err(SourceError::OutsideLog { partition: partition.clone(), wanted: start.needed, log })
        }
    }

    /// Tries until the deadline: a leader may be moving at this very moment.
    fn log_bounds(&self, partition: &TopicPartition, deadline: Instant) -> Result<LogBounds, SourceError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).clamp(MOMENT, Duration::from_secs(5));
            match bounds::fetch(self.inquirer.inner(), &partition.topic, partition.partition, left) {
                Ok((start, end)) => return Ok(LogBounds { start: NextOffset(start), end: NextOffset(end) }),
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
                self.needed.forget(&slot.partition);
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

    /// The client has given up a partition whose log has moved, and does not seek there: it has to be assigned once more.
    fn assign_again(&self, index: usize, next: NextOffset) -> Result<(), SourceError> {
        let consumer = self.native.consumer();
        let cooperative = self.native.is_cooperative();
        let mut list = TopicPartitionList::new();
        for (at, Slot { partition, next: reached, held, .. }) in self.slots.iter().enumerate() {
            let offset = match at == index {
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
        assigned.map_err(|error| SourceError::no_answer(&self.slots[index].partition, &error))
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
        self.seek(partition, next).or_else(|_| self.assign_again(index, next))?;
        self.slots[index].restart(next);
        if !self.paused {
            self.set_paused(self.slots[index..=index].iter(), Flow::Resume);
        }
        Ok(())
    }

    fn commit_async(&mut self, partition: &TopicPartition, next: NextOffset) {
        self.needed.set(partition, next);
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
