//! A source that is a member of a consumer group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::consumer::Consumer;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::flow::Flow;
use super::group_offsets::GroupOffsets;
use super::intake::{Given, Intake};
use super::slot::Slots;
use super::{RecordSource, SourceError, SourceEvent, TakePartition};
use crate::kafka::bounds;
use crate::kafka::client::{self, ClientError};
use crate::kafka::client_log::QuietContext;
use crate::kafka::ends_aside::EndsAside;
use crate::kafka::native::{Event, Failure, NativeConsumer};
use crate::kafka::retention::NeededOffsets;
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::market::time::EventTime;
use crate::settings::KafkaSettings;

/// How long an assignment may wait for the brokers, for all its partitions together.
pub const ASSIGN_PATIENCE: Duration = Duration::from_secs(30);

/// How often records are forwarded to their queue once more. The client ends a forward when it stops to fetch a partition, and where a
/// partition is assigned again at once, that is some time after it was forwarded.
const FORWARD_AGAIN: Duration = Duration::from_secs(1);

/// A member of a consumer group.
pub struct KafkaSource {
    pub(super) native: EndsAside<NativeConsumer<QuietContext>>,
    /// Asks for the bounds of logs. Not the consumer: its questions wait behind a fetch that waits for records, half a second each.
    pub(super) inquirer: AdminClient<QuietContext>,
    pub(super) take: TakePartition,
    pub(super) needed: NeededOffsets,
    offsets: GroupOffsets,
    pub(super) slots: Slots,
    pub(super) paused: bool,
    pub(super) intake: Intake,
    forward_due: Instant,
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
            slots: Slots::default(),
            paused: false,
            intake: Intake::default(),
            forward_due: Instant::now(),
        })
    }

    /// The oldest offset that each assigned partition still needs, kept up to date.
    pub fn needed(&self) -> NeededOffsets {
        self.needed.clone()
    }

    fn on_assign(&mut self, partitions: Vec<TopicPartition>, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        self.slots.doubt();
        let deadline = Instant::now() + ASSIGN_PATIENCE;
        tracing::info!(partitions = partitions.len(), "assigned by the group");
        let first = self.slots.all().len();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        let mut refused = None;
        let ids = self.topic_ids(&partitions, deadline);
        for partition in partitions {
            let (next, begin, held) = match self.decide_start(&partition, &ids, deadline) {
                Ok(next) => {
                    sink(SourceEvent::Assigned(&partition));
                    (next, Offset::Offset(next.0), false)
                }
                Err(error) => {
                    sink(SourceEvent::Error(error));
                    // taken in name only
                    (NextOffset(0), Offset::End, true)
                }
            };
            refused = list.add_partition_offset(&partition.topic, partition.partition, begin).err().or(refused);
            self.slots.add(partition, next, held);
        }
        self.forward(first, sink);
        let assigned = refused.map_or_else(|| self.native.assign(&list), |error| Err(error.to_string()));
        if let Err(error) = assigned {
            sink(SourceEvent::Error(SourceError::Fatal(format!("the assignment was refused: {error}"))));
        }
        // A pause outlives an assignment inside librdkafka: say again for each what is meant now.
        let new = &self.slots.all()[first..];
        self.set_paused(new.iter().filter(|slot| self.paused || slot.held), Flow::Pause);
        self.set_paused(new.iter().filter(|slot| !self.paused && !slot.held), Flow::Resume);
    }

    fn on_revoke(&mut self, partitions: &[TopicPartition], sink: &mut dyn FnMut(SourceEvent<'_>)) {
        self.slots.doubt();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
            if let Some(slot) = self.slots.remove(&partition.topic, partition.partition) {
                self.needed.forget(&slot.partition);
                self.offsets.forget(&slot.partition);
                sink(SourceEvent::Revoked(slot.partition));
            }
        }
        if let Err(error) = self.native.unassign(&list) {
            sink(SourceEvent::Error(SourceError::Fatal(format!("the revocation was refused: {error}"))));
        }
    }

    fn on_failure(&mut self, failure: Failure, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        self.native.consumer().context().lost.heard(Some(failure.code));
        let place = failure.partition.as_ref();
        let slot = place.and_then(|(topic, number)| self.slots.find(topic, *number));
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
        let now = Instant::now();
        if let Some(due) = self.offsets.due(now)
            && !commit(&self.native, &due)
        {
            self.offsets.answered();
        }
        if now >= self.forward_due {
            self.forward_due = now + FORWARD_AGAIN;
            self.forward(0, sink);
            let consumer = self.native.consumer();
            consumer.context().lost.find_again(consumer.client());
        }
        // Without partitions only the group can have something to say.
        let mut wait = if self.slots.all().is_empty() { timeout } else { Duration::ZERO };
        let mut given = 0;
        while given < max {
            let Some(event) = self.native.poll(wait) else { break };
            (given, wait) = (given + 1, Duration::ZERO);
            match event {
                Event::Assign(partitions) => self.on_assign(partitions, sink),
                Event::Revoke(partitions) => self.on_revoke(&partitions, sink),
                Event::Failure(failure) => self.on_failure(failure, sink),
                Event::CommitAnswered(answer) => {
                    self.offsets.answered();
                    // A rebalance takes the right to commit away from offsets that are under way.
                    if let Err(error) = answer {
                        tracing::debug!(%error, "the group did not take the offsets (lag monitors only)");
                    }
                }
                Event::Stray => {
                    let reason = String::from("the client gave a record past the queue of records");
                    sink(SourceEvent::Error(SourceError::Fatal(reason)));
                }
                Event::Log { level, facility, text } => self.native.consumer().context().log(level, &facility, &text),
                Event::Other => {}
            }
        }
        if self.intake.is_empty() {
            self.intake.clear();
            let wait = if given > 0 || self.slots.all().is_empty() { Duration::ZERO } else { timeout };
            self.take_all(wait);
        }
        // During a pause what was taken before it waits.
        while given < max && !self.paused {
            let Some(next) = self.intake.pop() else { return };
            given += 1;
            match next {
                Given::Failure { slot, failure } => {
                    if self.slots.get(slot).is_some() {
                        self.on_failure(failure, sink);
                    }
                }
                Given::Record { slot, offset, timestamp, key, payload } => {
                    let Some(slot) = self.slots.get(slot) else { continue };
                    if !slot.takes(offset) {
                        continue;
                    }
                    sink(SourceEvent::Record {
                        partition: &slot.partition,
                        offset,
                        timestamp: timestamp.map(|millis| EventTime::from_micros(millis.saturating_mul(1000))),
                        key,
                        payload,
                    });
                }
                Given::EndOfPartition { slot, offset } => {
                    let Some(slot) = self.slots.get(slot) else { continue };
                    if let Some(event) = slot.ended(NextOffset(offset)) {
                        sink(event);
                    }
                }
            }
        }
    }

    fn pause(&mut self) {
        self.paused = true;
        self.set_paused(self.slots.all().iter(), Flow::Pause);
    }

    fn resume(&mut self) {
        self.paused = false;
        self.slots.doubt();
        self.set_paused(self.slots.all().iter().filter(|slot| !slot.held), Flow::Resume);
    }

    fn hold(&mut self, partition: &TopicPartition) {
        if let Some(slot) = self.slots.of(partition) {
            slot.held = true;
            let id = slot.id;
            self.set_paused(self.slots.all().iter().filter(|slot| slot.id == id), Flow::Pause);
        }
    }

    fn restart(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.take_anew(partition)
    }

    fn commit_async(&mut self, partition: &TopicPartition, next: NextOffset) {
        if self.slots.of(partition).is_some() {
            self.needed.set(partition, next);
            self.offsets.set(partition, next);
        }
    }

    fn fetched_end(&self, partition: &TopicPartition) -> Option<NextOffset> {
        self.native.fetched_end(&partition.topic, partition.partition).map(NextOffset)
    }

    fn log_end(&mut self, partition: &TopicPartition, timeout: Duration) -> Result<NextOffset, SourceError> {
        let bounds = bounds::ask(self.inquirer.inner(), &partition.topic, partition.partition, timeout);
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
