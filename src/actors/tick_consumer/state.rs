//! The consumer's partitions: taking and losing them, and what each does between two slices.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::Recipient;
use tokio::time::Instant;
use tracing::{info, warn};

use super::letters::{LetterBox, Letters};
use super::owned::{OwnedPartition, Step, StepRules};
use super::restarts::Restarts;
use super::seldom::Seldom;
use super::{ConsumerOutputs, ConsumerParams};
use crate::kafka::source::{RecordSource, SourceError};
use crate::market::checkpoint::{Checkpoint, Epoch, TopicPartition};
use crate::market::partition::PartitionCursor;
use crate::market::symbol::Symbol;
use crate::messages::commits::BarrierCommitted;
use crate::messages::credit::Credits;
use crate::messages::lifecycle::{DrainStream, Drained, OpenWindows, PipelineFailed, ReadUntil};
use crate::messages::live::LagMeasured;
use crate::messages::ownership::{PartitionLost, PartitionTaken};
use crate::messages::stocks::FollowStocks;
use crate::storage::Chain;
use crate::supervision::guarded;

mod reading;

/// Hands over what was taken when the source assigned a partition.
pub type TakenPartition = Box<dyn Fn(&TopicPartition) -> Option<(Chain, Checkpoint)> + Send>;

/// Partitions whose barriers are not answered are read on for this many times `commit_every` records together, then all wait.
const AHEAD_OF_COMMITS: u64 = 4;
/// The same for bars: where a tick or two make one, bars take more memory than their ticks, for they are rows, columns and pages in turn.
pub(super) const BARS_UNDER_WAY: u64 = 32_768;
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
    /// When it last looked at what had come: who sleeps does not hear that nothing comes.
    looked_at: Instant,
    has_read: bool,
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
            looked_at: Instant::now(),
            has_read: false,
            letters: Letters::new(letters),
            seldom: Seldom::default(),
            restarts,
        }
    }

    pub fn replies_come_to(&mut self, own: Recipient<BarrierCommitted>) {
        self.replies = Some(own);
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
        let writer = (self.params.writer_of)(partition);
        let owned = OwnedPartition::new(partition.clone(), self.epoch, cursor, writer, &self.params.spawn_window);
        if let Some(reply_to) = self.replies.clone() {
            owned.writer.taken.do_send(PartitionTaken { epoch: self.epoch, chain, checkpoint, reply_to });
        }
        self.owned.push(owned);
    }

    pub(super) fn lose(&mut self, partition: &TopicPartition) {
        let Some(at) = self.owned.iter().position(|owned| owned.partition == *partition) else { return };
        let owned = self.owned.remove(at);
        info!(%partition, position = %owned.cursor.position(), "partition lost; its open windows are dropped, not committed");
        self.letters.forget(partition);
        owned.writer.lost.do_send(PartitionLost { partition: owned.partition, epoch: owned.epoch });
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
        let waiting = || self.owned.iter().filter(|owned| owned.is_in_flight());
        !self.letters.all_sent()
            || waiting().map(|owned| owned.cursor.since_barrier()).sum::<u64>() > limit
            || waiting().map(OwnedPartition::bars_under_way).sum::<u64>() > BARS_UNDER_WAY
    }

    /// Between two slices: barriers, idle partitions, the end of a drain, the lag.
    pub fn advance(&mut self, source: &mut dyn RecordSource) {
        let now = Instant::now();
        let unheard = now.duration_since(std::mem::replace(&mut self.looked_at, now));
        if unheard > self.params.idle.longest_inattention() {
            self.owned.iter_mut().for_each(|owned| owned.is_not_silent(now));
        }
        self.find_ends(source);
        self.letters.send_again();
        let rules = StepRules {
            commit_every: self.params.commit_every,
            idle: self.params.idle,
            wall: self.params.wall.now(),
            draining: self.draining.map(|drain| drain.open_windows),
            is_fed: &|partition| self.fed.contains(partition),
        };
        let mut finished = 0;
        let mut failed = Vec::new();
        for owned in &mut self.owned {
            let stepped = guarded(|| match owned.next_step(&rules, now) {
                Step::ReadOn => {}
                Step::Finished => finished += 1,
                // A commit counts the dead letters below its cut: they go first.
                _ if !self.letters.all_sent() => {}
                Step::Barrier => owned.send_barrier(now),
                Step::EndOfStream(to) => owned.force_barrier(to, now),
                // Reading may have been paused, or the broker away: then silence says nothing.
                Step::Idle(to) => match source.log_end(&owned.partition, LAG_INTERVAL) {
                    Ok(end) if owned.is_read_to(end) => owned.force_barrier(to, now),
                    _ => owned.is_not_silent(now),
                },
            });
            failed.extend(stepped.err().map(|reason| (owned.partition.clone(), reason)));
        }
        self.restart_each(failed);
        if self.draining.is_some() && !self.drained && finished == self.owned.len() && self.nothing_is_missing() {
            self.drained = true;
            self.outputs.drained.do_send(Drained);
        }
        if now >= self.lag_due {
            self.lag_due = now + LAG_INTERVAL;
            self.measure_lag(source);
        }
    }

    /// Whether no partition is still to come that a drain to the end has to read, or others have to.
    fn nothing_is_missing(&mut self) -> bool {
        let Some(DrainStream { read: ReadUntil::End, open_windows }) = self.draining else { return true };
        let expected: BTreeSet<&TopicPartition> = self.stocks.values().collect();
        if self.owned.len() >= expected.len() || open_windows == OpenWindows::Close {
            return self.owned.len() >= expected.len();
        }
        let is_ours = |partition: &TopicPartition| self.owned.iter().any(|owned| owned.partition == *partition);
        let missing = expected.into_iter().filter(|partition| !is_ours(partition)).cloned();
        self.params.ends.are_reached(missing, self.epoch.0, Instant::now())
    }

    /// Where a drain ends is asked once a partition, when it begins.
    fn find_ends(&mut self, source: &mut dyn RecordSource) {
        let Some(drain) = self.draining else { return };
        if drain.read == ReadUntil::End {
            let count = self.stocks.len() + self.owned.len();
            let partitions = self.stocks.values().chain(self.owned.iter().map(|owned| &owned.partition));
            self.params.ends.ask(count, partitions, |partition| match source.log_end(partition, LOG_END_PATIENCE) {
                Ok(end) => Some(end),
                Err(error) => {
                    if self.seldom.may_say("no end", Instant::now()) {
                        warn!(%error, "the end of a partition is not known; asking again");
                    }
                    None
                }
            });
        }
        for owned in self.owned.iter_mut().filter(|owned| owned.read_until.is_none()) {
            owned.read_until = match drain.read {
                ReadUntil::Here => Some(owned.cursor.position()),
                ReadUntil::End => self.params.ends.of(&owned.partition),
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
                owned.barrier_committed();
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
