//! A source that is a member of a consumer group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::consumer::Consumer;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use rustc_hash::FxHashMap;

use super::ends_aside::EndsAside;
use super::flow::Flow;
use super::group_offsets::GroupOffsets;
use super::slot::Slot;
use super::{RecordSource, SourceError, SourceEvent, TakePartition};
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

/// A member of a consumer group.
pub struct KafkaSource {
    pub(super) native: EndsAside<NativeConsumer<QuietContext>>,
    /// Asks for the bounds of logs. Not the consumer: its questions wait behind a fetch that waits for records, half a second each.
    inquirer: AdminClient<QuietContext>,
    take: TakePartition,
    needed: NeededOffsets,
    offsets: GroupOffsets,
    pub(super) slots: Vec<Slot>,
    /// By topic and number as librdkafka tells them; emptied when the assignment changes.
    by_id: FxHashMap<(usize, i32), usize>,
    last: Option<((usize, i32), usize)>,
    pub(super) paused: bool,
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
            offsets: GroupOffsets::default(),
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

    pub(super) fn index_of(&self, topic: &str, number: i32) -> Option<usize> {
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

    pub(super) fn decide_start(
        &self,
        partition: &TopicPartition,
        deadline: Instant,
    ) -> Result<NextOffset, SourceError> {
        let log = bounds::fetch_until(deadline, self.inquirer.inner(), partition, |_| false)
            .map_err(|error| SourceError::no_answer(partition, &error))?;
        let start = (self.take)(partition, log)
            .map_err(|reason| SourceError::Refused { partition: partition.clone(), reason })?;
        if log.hold(start.needed) {
            self.needed.set(partition, start.needed);
            Ok(start.wanted.min(start.needed).max(log.start))
        } else {
            Err(SourceError::OutsideLog { partition: partition.clone(), wanted: start.needed, log })
        }
    }

    fn on_revoke(&mut self, list: &Partitions<'_>, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        self.forget_ids();
        for (topic, number) in list.iter() {
            if let Some(index) = self.index_of(topic, number) {
                let slot = self.slots.swap_remove(index);
                self.needed.forget(&slot.partition);
                self.offsets.forget(&slot.partition);
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
}

/// Returns whether there will be an answer.
fn commit(native: &NativeConsumer<QuietContext>, offsets: &BTreeMap<TopicPartition, NextOffset>) -> bool {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    let added = offsets.iter().try_for_each(|(partition, next)| {
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(next.0))
    });
    let asked = added.map_err(|error| error.to_string()).and_then(|()| native.commit(&list));
    if let Err(error) = &asked {
        tracing::warn!(error, "cannot tell the group how far the lake is (lag monitors only)");
    }
    asked.is_ok()
}

impl RecordSource for KafkaSource {
    fn subscribe(&mut self, topics: &[String]) -> Result<(), SourceError> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let done = self.native.consumer().subscribe(&names);
        done.map_err(|error| SourceError::Fatal(format!("cannot subscribe: {error}")))
    }

    fn poll(&mut self, max: usize, timeout: Duration, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        if let Some(due) = self.offsets.due(Instant::now())
            && !commit(&self.native, &due)
        {
            self.offsets.answered();
        }
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
                Kind::CommitAnswered(answer) => {
                    self.offsets.answered();
                    if let Err(error) = answer {
                        tracing::warn!(%error, "the group did not take the offsets (lag monitors only)");
                    }
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
        self.take_anew(partition)
    }

    fn commit_async(&mut self, partition: &TopicPartition, next: NextOffset) {
        if self.index_of(&partition.topic, partition.partition).is_some() {
            self.needed.set(partition, next);
            self.offsets.set(partition, next);
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
        let Self { native, offsets, .. } = *self;
        let rest = offsets.rest();
        if !rest.is_empty() {
            commit(&native, &rest);
        }
        native.consumer().unsubscribe();
        if native.end(patience) { Ok(()) } else { Err(SourceError::NotClosed { patience }) }
    }
}
