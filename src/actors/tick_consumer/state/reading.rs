//! From the events of the source to the partitions.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{ConsumerState, OwnedPartition};
use crate::fail_points::Place;
use crate::kafka::dead_letters::{DeadLetter, Sampled};
use crate::kafka::source::{RecordSource, SourceError, SourceEvent};
use crate::market::checkpoint::TopicPartition;
use crate::market::partition::{DropReason, Record, Verdict};
use crate::messages::lifecycle::PipelineFailed;
use crate::supervision::panicked;

impl ConsumerState {
    /// Reads a slice of events. Returns how many records came.
    pub fn read(&mut self, source: &mut dyn RecordSource, max: usize, wait: Duration) -> usize {
        let mut records = 0;
        let mut at = usize::MAX;
        let now = Instant::now();
        self.letters.slice_begins(now);
        // The partition whose record is being judged: whose panic it is.
        let judged = Cell::new(None);
        let mut sink = |event: SourceEvent<'_>| match event {
            SourceEvent::Record { partition, offset, timestamp, key, payload } => {
                records += 1;
                // Records come in runs of one partition.
                if self.owned.get(at).is_none_or(|owned| owned.partition != *partition) {
                    match self.owned.iter().position(|owned| owned.partition == *partition) {
                        Some(found) => at = found,
                        None => return,
                    }
                    self.owned[at].is_not_silent(now);
                }
                if self.owned[at].ends_before(offset) {
                    return;
                }
                judged.set(Some(at));
                Place::ConsumerRead.reached();
                match self.owned[at].read(Record { offset, timestamp, payload }) {
                    Verdict::Tick(..) | Verdict::Replayed => {}
                    Verdict::Dropped(reason) => self.dropped(at, reason, key, offset, payload, now),
                    Verdict::OtherLog => {
                        self.is_of_another_log(partition, offset);
                        at = usize::MAX;
                    }
                }
                judged.set(None);
            }
            other => {
                at = usize::MAX;
                self.on_event(other);
            }
        };
        let polled = catch_unwind(AssertUnwindSafe(|| source.poll(max, wait, &mut sink)));
        if let Err(panic) = polled {
            // The source had counted the record as given before the sink saw it, and is whole.
            match judged.get().map(|at| self.owned[at].partition.clone()) {
                Some(partition) => self.restart(&partition, panicked(panic.as_ref())),
                None => resume_unwind(panic),
            }
        }
        if records > 0 && !self.has_read {
            self.has_read = true;
            // Perhaps of what the lake has already, to be sure that it is the same log.
            info!("reading has begun");
        }
        records
    }

    fn on_event(&mut self, event: SourceEvent<'_>) {
        match event {
            SourceEvent::Assigned(partition) => {
                self.restarts.forget(partition);
                self.take(partition);
            }
            SourceEvent::Revoked(partition) => {
                self.restarts.forget(&partition);
                self.lose(&partition);
            }
            SourceEvent::EndOfPartition(partition, end) => {
                if let Some(owned) = self.find(partition) {
                    owned.reached_end(end);
                }
            }
            SourceEvent::Error(error) => self.failed(&error),
            SourceEvent::Record { .. } => {}
        }
    }

    /// Whatever the source could not do: it is tried again, or said, or the end.
    pub fn failed(&mut self, error: &SourceError) {
        match (error.may_be_taken_again(), error.partition()) {
            (Some(reason), Some(partition)) => self.restart(partition, reason),
            _ if error.is_fatal() => self.fail(error),
            _ if self.seldom.may_say("trouble", Instant::now()) => warn!(%error, "kafka is in trouble; going on"),
            _ => {}
        }
    }

    /// Nothing of it may be committed on top of what the lake has.
    fn is_of_another_log(&mut self, partition: &TopicPartition, offset: i64) {
        self.lose(partition);
        let reason = format!(
            "the record at offset {offset} of {partition} is not the one the lake was made from: the topic was deleted and made anew; use another topic, or another lake directory"
        );
        self.outputs.failed.do_send(PipelineFailed(reason));
    }

    fn dropped(
        &mut self,
        at: usize,
        reason: DropReason,
        key: Option<&[u8]>,
        offset: i64,
        payload: &[u8],
        now: Instant,
    ) {
        let OwnedPartition { partition, letters, .. } = &mut self.owned[at];
        let name = reason.name();
        if self.seldom.may_say(name, now) {
            let text = String::from_utf8_lossy(&payload[..payload.len().min(80)]).into_owned();
            warn!(%partition, offset, text, "a tick is {name}; counted, more of the kind are not shown");
        }
        let late_by = match reason {
            DropReason::Late(by) => Some(by),
            DropReason::Unknown => return,
            DropReason::Malformed(_) | DropReason::Future(_) => None,
        };
        let size = DeadLetter::size_when_cut(key, payload);
        if let Sampled::Send { suppressed } = self.letters.sample(letters, name, size) {
            let letter = DeadLetter::new(name, partition, offset, payload);
            self.letters.send(&DeadLetter { late_by, key, suppressed, ..letter });
        }
    }
}
