//! The consumer's partitions and what is done with each event of its source.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use actix::Recipient;
use tokio::time::Instant;
use tracing::{info, warn};

use super::letters::{LetterBox, Letters};
use super::owned::{OwnedPartition, Step, StepRules};
use super::restarts::Restarts;
use super::seldom::Seldom;
use super::{ConsumerOutputs, ConsumerParams};
use crate::fail_points::Place;
use crate::kafka::dead_letters::DeadLetter;
use crate::kafka::source::{RecordSource, SourceError, SourceEvent};
use crate::market::checkpoint::{Checkpoint, Epoch, TopicPartition};
use crate::market::partition::{DropReason, PartitionCursor, Record, Verdict};
use crate::market::symbol::Symbol;
use crate::messages::commits::BarrierCommitted;
use crate::messages::credit::Credits;
use crate::messages::lifecycle::{DrainStream, Drained, PipelineFailed, ReadUntil};
use crate::messages::live::LagMeasured;
use crate::messages::ownership::{PartitionLost, PartitionTaken};
use crate::messages::stocks::FollowStocks;
use crate::storage::Chain;
use crate::supervision::{guarded, panicked};

/// Hands over what was taken when the source assigned a partition.
pub type TakenPartition = Box<dyn Fn(&TopicPartition) -> Option<(Chain, Checkpoint)> + Send>;

/// A partition whose barrier is not answered is read on for this many times `commit_every`, then waits.
const AHEAD_OF_COMMITS: u64 = 4;
/// Between two measurements of the lag.
const LAG_INTERVAL: Duration = Duration::from_millis(500);
/// How long the broker may take to tell the end of a log.
const LOG_END_PATIENCE: Duration = Duration::from_secs(5);

pub struct ConsumerState {
    pub(super) params: ConsumerParams,
    pub(super) outputs: ConsumerOutputs,
    /// The consumer's own address, known once it runs.
    replies: Option<Recipient<BarrierCommitted>>,
    pub(super) owned: Vec<OwnedPartition>,
    epoch: Epoch,
    /// Partition of every stock that was ever followed: a removed one's open windows still close.
    stocks: BTreeMap<Symbol, TopicPartition>,
    topics: BTreeSet<String>,
    fed: BTreeSet<TopicPartition>,
    draining: Option<DrainStream>,
    pub(super) drained: bool,
    lag_due: Instant,
    letters: Letters,
    seldom: Seldom,
    pub(super) restarts: Restarts,
}

impl ConsumerState {
    pub fn new(params: ConsumerParams, letters: LetterBox, outputs: ConsumerOutputs) -> Self {
        let restarts = Restarts::new(params.after_fencing);
        Self {
            params,
            outputs,
            replies: None,
            owned: Vec::new(),
            epoch: Epoch(0),
            stocks: BTreeMap::new(),
            topics: BTreeSet::new(),
            fed: BTreeSet::new(),
            draining: None,
            drained: false,
            lag_due: Instant::now(),
            letters: Letters::new(letters),
            seldom: Seldom::default(),
            restarts,
        }
    }

    pub fn replies_come_to(&mut self, own: Recipient<BarrierCommitted>) {
        self.replies = Some(own);
    }

    /// Reads a slice of events. Returns how many records came.
    pub fn read(&mut self, source: &mut dyn RecordSource, max: usize, wait: Duration) -> usize {
        let mut records = 0;
        let mut at = usize::MAX;
        let now = Instant::now();
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
                    Verdict::Dropped(reason) => self.dropped(at, reason, key, offset, payload),
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
    pub(super) fn failed(&mut self, error: &SourceError) {
        match (error.may_be_taken_again(), error.partition()) {
            (Some(reason), Some(partition)) => self.restart(partition, reason),
            _ if error.is_fatal() => self.fail(error),
            _ if self.seldom.may_say("trouble") => warn!(%error, "kafka is in trouble; going on"),
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

    fn dropped(&mut self, at: usize, reason: DropReason, key: Option<&[u8]>, offset: i64, payload: &[u8]) {
        let partition = self.owned[at].partition.clone();
        if self.seldom.may_say(reason.name()) {
            let text = String::from_utf8_lossy(&payload[..payload.len().min(80)]).into_owned();
            warn!(%partition, offset, text, "a tick is {}; counted, more of the kind are not shown", reason.name());
        }
        let late_by = match reason {
            DropReason::Late(by) => Some(by),
            DropReason::Unknown => return,
            DropReason::Malformed(_) | DropReason::Future(_) => None,
        };
        let letter = DeadLetter { reason: reason.name(), source: &partition, offset, late_by, key, payload };
        self.letters.send(&letter);
    }

    pub(super) fn take(&mut self, partition: &TopicPartition) {
        let Some((chain, checkpoint)) = (self.params.collect)(partition) else {
            let reason = format!("{partition} was assigned but not taken");
            return self.outputs.failed.do_send(PipelineFailed(reason));
        };
        self.epoch = Epoch(self.epoch.0 + 1);
        info!(%partition, resume = %checkpoint.resume, cut = %checkpoint.cut, watermark = %checkpoint.watermark, "partition taken");
        let stocks = self.stocks.iter().filter(|(_, of)| *of == partition).map(|(symbol, _)| symbol.clone());
        let cursor = PartitionCursor::new(checkpoint.clone(), stocks);
        let owned = OwnedPartition::new(partition.clone(), self.epoch, cursor, &self.params.spawn_window);
        self.owned.push(owned);
        if let Some(reply_to) = self.replies.clone() {
            self.outputs.taken.do_send(PartitionTaken { epoch: self.epoch, chain, checkpoint, reply_to });
        }
    }

    pub(super) fn lose(&mut self, partition: &TopicPartition) {
        let Some(at) = self.owned.iter().position(|owned| owned.partition == *partition) else { return };
        let owned = self.owned.remove(at);
        info!(%partition, position = %owned.cursor.position(), "partition lost; its open windows are dropped, not committed");
        self.letters.forget(partition);
        self.outputs.lost.do_send(PartitionLost { partition: owned.partition, epoch: owned.epoch });
    }

    fn find(&mut self, partition: &TopicPartition) -> Option<&mut OwnedPartition> {
        self.owned.iter_mut().find(|owned| owned.partition == *partition)
    }

    pub fn flush(&mut self, credits: &Credits) {
        let backlog = &self.params.backlog;
        let mut failed = Vec::new();
        for owned in &mut self.owned {
            let flushed = guarded(|| {
                owned.flush(credits);
                if let Some(backlog) = backlog {
                    backlog.read_up_to(&owned.partition, owned.cursor.position());
                }
            });
            failed.extend(flushed.err().map(|reason| (owned.partition.clone(), reason)));
        }
        self.restart_each(failed);
    }

    /// Whether dead letters or commits are so far behind that reading on would only fill memory.
    pub fn is_held_up(&self) -> bool {
        let limit = self.params.commit_every.saturating_mul(AHEAD_OF_COMMITS);
        !self.letters.all_sent()
            || self.owned.iter().any(|owned| owned.barrier_in_flight && owned.cursor.since_barrier() > limit)
    }

    /// Between two slices: barriers, idle partitions, the end of a drain, the lag.
    pub fn advance(&mut self, source: &mut dyn RecordSource) {
        let now = Instant::now();
        self.find_ends(source);
        self.letters.send_again();
        let rules = StepRules {
            commit_every: self.params.commit_every,
            idle: self.params.idle,
            wall: self.params.wall.now(),
            draining: self.draining.map(|drain| drain.open_windows),
            is_fed: &|partition| self.fed.contains(partition),
        };
        let barriers = &self.outputs.barriers;
        let mut finished = 0;
        let mut failed = Vec::new();
        for owned in &mut self.owned {
            let stepped = guarded(|| match owned.next_step(&rules, now) {
                Step::ReadOn => {}
                Step::Finished => finished += 1,
                // A commit counts the dead letters below its cut: they go first.
                _ if !self.letters.all_sent() => {}
                Step::Barrier => owned.send_barrier(barriers, now),
                Step::EndOfStream(to) => owned.force_barrier(to, barriers, now),
                // Reading may have been paused, or the broker away: then silence says nothing.
                Step::Idle(to) => match source.log_end(&owned.partition, LAG_INTERVAL) {
                    Ok(end) if owned.is_read_to(end) => owned.force_barrier(to, barriers, now),
                    _ => owned.is_not_silent(now),
                },
            });
            failed.extend(stepped.err().map(|reason| (owned.partition.clone(), reason)));
        }
        self.restart_each(failed);
        if self.draining.is_some() && !self.drained && finished == self.owned.len() && self.has_all_expected() {
            self.drained = true;
            self.outputs.drained.do_send(Drained);
        }
        if now >= self.lag_due {
            self.lag_due = now + LAG_INTERVAL;
            self.measure_lag(source);
        }
    }

    /// Whether no partition is still to come that a drain to the end has to read.
    fn has_all_expected(&self) -> bool {
        let expected = || self.stocks.values().collect::<BTreeSet<_>>().len();
        self.draining.is_none_or(|drain| drain.read != ReadUntil::End) || self.owned.len() >= expected()
    }

    /// Where a drain ends is asked once a partition, when it begins or when the partition comes.
    fn find_ends(&mut self, source: &mut dyn RecordSource) {
        let Some(drain) = self.draining else { return };
        for owned in self.owned.iter_mut().filter(|owned| owned.read_until.is_none()) {
            owned.read_until = match drain.read {
                ReadUntil::Here => Some(owned.cursor.position()),
                ReadUntil::End => match source.log_end(&owned.partition, LOG_END_PATIENCE) {
                    Ok(end) => Some(end),
                    Err(error) => {
                        warn!(%error, "asking again");
                        None
                    }
                },
            };
        }
    }

    fn measure_lag(&self, source: &dyn RecordSource) {
        let behind = |owned: &OwnedPartition| {
            let end = source.fetched_end(&owned.partition).unwrap_or_default();
            (end.0 - owned.cursor.position().0).max(0).unsigned_abs()
        };
        self.outputs.lag.do_send(LagMeasured { records: self.owned.iter().map(behind).sum() });
    }

    /// The stocks as the settings have them now. Returns the topics to subscribe to, if they changed.
    pub fn follow(&mut self, follow: FollowStocks) -> Option<Vec<String>> {
        self.fed = follow.fed;
        let before = self.topics.len();
        for (symbol, partition) in follow.stocks {
            if let Some(owned) = self.owned.iter_mut().find(|owned| owned.partition == partition) {
                owned.add_stock(symbol.clone(), &self.params.spawn_window);
            }
            self.topics.insert(partition.topic.to_string());
            self.stocks.insert(symbol, partition);
        }
        (self.topics.len() != before).then(|| self.topics.iter().cloned().collect())
    }

    /// Returns whether it is a partition of ours.
    pub fn barrier_committed(&mut self, committed: &BarrierCommitted) -> bool {
        match self.find(&committed.partition) {
            Some(owned) if owned.epoch == committed.epoch => {
                owned.barrier_in_flight = false;
                true
            }
            _ => false,
        }
    }

    /// Where a drain before this one was to end stays the end, unless this one ends here: nothing was read beyond.
    pub fn drain(&mut self, drain: DrainStream) {
        self.draining = Some(drain);
        self.drained = false;
        if drain.read == ReadUntil::Here {
            self.owned.iter_mut().for_each(|owned| owned.read_until = Some(owned.cursor.position()));
        }
    }

    pub fn fail(&self, error: &SourceError) {
        self.outputs.failed.do_send(PipelineFailed(error.to_string()));
    }
}
