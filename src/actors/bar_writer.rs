//! Commits closed bars: collects the answers to a barrier, makes its commits, appends them to the partition's chain.
//!
//! Has an arbiter of its own, for every commit waits for the disk. A disk that is full is waited for; nothing prepared is lost
//! meanwhile, and the consumer, whose barrier stays unanswered, stops reading on. After any other failure the partition is dropped
//! and restarted: what was begun may be half done.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::fail_points::Place;
use crate::market::barrier::{Assembly, Barrier};
use crate::market::checkpoint::{Checkpoint, Commit, CommitNumber, Epoch, NextOffset, TopicPartition};
use crate::messages::barrier::{BarrierOpened, WindowsAnswered};
use crate::messages::commits::{BarrierCommitted, BarsCommitted, FeaturesPublished};
use crate::messages::lifecycle::ReportSummary;
use crate::messages::ownership::{
    PartitionLost, PartitionRestarts, PartitionTaken, RestartPartition, RestoreIndicators,
};
use crate::run_summary::{Latencies, RunSummary};
use crate::storage::{Chain, CommitError};
use crate::supervision::{RestartReason, guarded};

/// Wait between two tries when the disk refuses: first and longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// When to look again for dead letters that are not acknowledged yet, or features that are far behind.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How many files the indicator engine may be behind before commits wait for it.
const FEATURES_BEHIND: usize = 64;

/// Whether the broker has acknowledged every dead letter of a partition below a cut: it must have before a commit counts them.
pub type DeadLettersSettled = Box<dyn Fn(&TopicPartition, NextOffset) -> bool + Send>;

/// To whom the writer speaks.
pub struct WriterOutputs {
    pub restore: Recipient<RestoreIndicators>,
    pub bars: Recipient<BarsCommitted>,
    pub lost: Recipient<PartitionLost>,
    pub restart: Recipient<RestartPartition>,
}

pub struct BarWriter {
    outputs: WriterOutputs,
    settled: DeadLettersSettled,
    partitions: HashMap<TopicPartition, Owned>,
    summary: RunSummary,
    latencies: Latencies,
}

/// A partition that is ours.
struct Owned {
    epoch: Epoch,
    chain: Chain,
    /// Of the newest commit.
    checkpoint: Checkpoint,
    skipped_replayed: u64,
    stage: Stage,
    /// When its newest barrier was opened.
    opened: Instant,
    retry_after: Duration,
    features: FeatureProgress,
    reply_to: Recipient<BarrierCommitted>,
}

/// How far the indicator engine is behind the chain: an entry must stay as long as the engine may need it.
#[derive(Default)]
struct FeatureProgress {
    /// The newest file that the saved indicator state includes; before the first until the engine has loaded its state and completed
    /// what an earlier run left.
    saved: CommitNumber,
    /// Files whose features are not in the lake yet, ascending.
    unpublished: VecDeque<CommitNumber>,
}

impl FeatureProgress {
    fn is_far_behind(&self) -> bool {
        self.unpublished.len() >= FEATURES_BEHIND
    }

    fn advance(&mut self, features: &FeaturesPublished) {
        self.saved = self.saved.max(features.saved);
        self.unpublished.retain(|number| *number > features.published);
    }
}

/// Where a partition stands between two barriers.
enum Stage {
    Idle,
    Collecting(Assembly),
    Committing(Arc<Barrier>, VecDeque<Commit>),
}

/// Go on with the commits of this partition.
#[derive(Message)]
#[rtype(result = "()")]
struct CommitOn(TopicPartition, Epoch);

/// Why the commits of a barrier stopped.
enum Stopped {
    /// For now: go on after this long.
    Wait(Duration),
    /// For this owner.
    For(RestartReason),
}

impl BarWriter {
    pub fn new(outputs: WriterOutputs, settled: DeadLettersSettled) -> Self {
        Self {
            outputs,
            settled,
            partitions: HashMap::new(),
            summary: RunSummary::default(),
            latencies: Latencies::default(),
        }
    }

    fn owned(&mut self, partition: &TopicPartition, epoch: Epoch) -> Option<&mut Owned> {
        self.partitions.get_mut(partition).filter(|owned| owned.epoch == epoch)
    }

    fn commit_on(&mut self, partition: &TopicPartition, ctx: &mut Context<Self>) {
        let Some(owned) = self.partitions.get_mut(partition) else { return };
        let epoch = owned.epoch;
        let outcome = guarded(|| owned.commit_all(&self.outputs.bars, &self.settled, &mut self.summary));
        match outcome.unwrap_or_else(|panic| Err(Stopped::For(panic))) {
            Ok(None) => {}
            Ok(Some(committed)) => {
                self.latencies.add(owned.opened.elapsed());
                owned.reply_to.do_send(committed);
            }
            Err(Stopped::Wait(after)) => {
                ctx.notify_later(CommitOn(partition.clone(), epoch), after);
            }
            Err(Stopped::For(reason)) => self.give_up(partition, epoch, reason),
        }
    }

    /// What was begun may be half done: only who takes the partition anew can tell.
    fn give_up(&mut self, partition: &TopicPartition, epoch: Epoch, reason: RestartReason) {
        if matches!(reason, RestartReason::Fenced) {
            // Said here: the group may have told the consumer already that the partition is gone.
            warn!(%partition, "fenced: another process has taken this partition, what it commits counts");
        }
        self.partitions.remove(partition);
        self.outputs.lost.do_send(PartitionLost { partition: partition.clone(), epoch });
        self.outputs.restart.do_send(RestartPartition { partition: partition.clone(), epoch, reason });
    }
}

impl Owned {
    /// Makes the prepared commits, if all answers are there. Returns what to tell the consumer when the barrier is through.
    fn commit_all(
        &mut self,
        bars: &Recipient<BarsCommitted>,
        settled: &DeadLettersSettled,
        summary: &mut RunSummary,
    ) -> Result<Option<BarrierCommitted>, Stopped> {
        self.prepare()?;
        let Stage::Committing(barrier, commits) = &mut self.stage else { return Ok(None) };
        if !settled(&barrier.partition, barrier.checkpoint.cut) || self.features.is_far_behind() {
            return Err(Stopped::Wait(LOOK_AGAIN));
        }
        while let Some(commit) = commits.front() {
            Place::WriterCommit.reached();
            let published = match self.chain.commit(commit) {
                Ok(published) => published,
                Err(CommitError::Fenced) => return Err(Stopped::For(RestartReason::Fenced)),
                Err(CommitError::Storage(error)) if error.is_retriable() => {
                    let after = self.retry_after;
                    self.retry_after = (after * 2).min(RETRY_LONGEST);
                    warn!(%error, "commit not possible now, nothing is lost; trying again in {after:?}");
                    return Err(Stopped::Wait(after));
                }
                Err(CommitError::Storage(error)) => {
                    return Err(Stopped::For(RestartReason::Storage(error.to_string())));
                }
            };
            self.retry_after = RETRY_FIRST;
            let replayed = barrier.skipped_replayed - self.skipped_replayed;
            summary.committed(&self.checkpoint, &commit.checkpoint, replayed, commit.rows.len());
            self.skipped_replayed = barrier.skipped_replayed;
            self.checkpoint = commit.checkpoint.clone();
            debug!(partition = %barrier.partition, number = %self.chain.last(), rows = commit.rows.len(), "committed");
            if let Some(file) = published {
                self.features.unpublished.push_back(file.number);
                bars.do_send(BarsCommitted { epoch: self.epoch, file, rows: commit.rows.clone() });
            }
            commits.pop_front();
        }
        let committed = BarrierCommitted {
            partition: barrier.partition.clone(),
            epoch: self.epoch,
            resume: self.checkpoint.resume,
            cut: self.checkpoint.cut,
        };
        self.stage = Stage::Idle;
        self.prune();
        Ok(Some(committed))
    }

    fn prune(&mut self) {
        if let Err(error) = self.chain.prune(CommitNumber(self.features.saved.0 + 1)) {
            warn!(%error, "old entries stay a little longer");
        }
    }

    fn prepare(&mut self) -> Result<(), Stopped> {
        if !matches!(&self.stage, Stage::Collecting(assembly) if assembly.is_complete()) {
            return Ok(());
        }
        let Stage::Collecting(assembly) = std::mem::replace(&mut self.stage, Stage::Idle) else { return Ok(()) };
        let barrier = assembly.barrier().clone();
        let commits = assembly
            .into_commits(self.checkpoint.counters.in_bars)
            .map_err(|broken| Stopped::For(RestartReason::Broken(broken.to_string())))?;
        self.stage = Stage::Committing(barrier, commits.into());
        Ok(())
    }
}

impl Actor for BarWriter {
    type Context = Context<Self>;
}

impl Handler<PartitionTaken> for BarWriter {
    type Result = ();

    fn handle(&mut self, taken: PartitionTaken, ctx: &mut Self::Context) {
        let owned = Owned {
            epoch: taken.epoch,
            features: FeatureProgress::default(),
            checkpoint: taken.checkpoint,
            skipped_replayed: 0,
            stage: Stage::Idle,
            opened: Instant::now(),
            retry_after: RETRY_FIRST,
            chain: taken.chain,
            reply_to: taken.reply_to,
        };
        let partition = owned.chain.partition().clone();
        let reply_to = ctx.address().recipient();
        self.outputs.restore.do_send(RestoreIndicators { partition, epoch: owned.epoch, reply_to });
        self.partitions.insert(owned.chain.partition().clone(), owned);
    }
}

impl Handler<PartitionLost> for BarWriter {
    type Result = ();

    fn handle(&mut self, lost: PartitionLost, _: &mut Self::Context) {
        if self.owned(&lost.partition, lost.epoch).is_some() {
            self.partitions.remove(&lost.partition);
            self.outputs.lost.do_send(lost);
        }
    }
}

impl Handler<BarrierOpened> for BarWriter {
    type Result = ();

    fn handle(&mut self, BarrierOpened(barrier): BarrierOpened, ctx: &mut Self::Context) {
        if let Some(owned) = self.owned(&barrier.partition, barrier.epoch) {
            owned.stage = Stage::Collecting(Assembly::new(barrier.clone()));
            owned.opened = Instant::now();
            self.commit_on(&barrier.partition, ctx);
        }
    }
}

impl Handler<WindowsAnswered> for BarWriter {
    type Result = ();

    fn handle(&mut self, answered: WindowsAnswered, ctx: &mut Self::Context) {
        let Some(owned) = self.owned(&answered.partition, answered.epoch) else { return };
        let Stage::Collecting(assembly) = &mut owned.stage else { return };
        if assembly.barrier().checkpoint.cut != answered.cut {
            return;
        }
        match guarded(|| {
            assembly.answer(answered.answer);
            assembly.is_complete()
        }) {
            Ok(true) => self.commit_on(&answered.partition, ctx),
            Ok(false) => {}
            Err(panic) => self.give_up(&answered.partition, answered.epoch, panic),
        }
    }
}

impl Handler<CommitOn> for BarWriter {
    type Result = ();

    fn handle(&mut self, CommitOn(partition, epoch): CommitOn, ctx: &mut Self::Context) {
        if self.owned(&partition, epoch).is_some() {
            self.commit_on(&partition, ctx);
        }
    }
}

impl Handler<FeaturesPublished> for BarWriter {
    type Result = ();

    fn handle(&mut self, features: FeaturesPublished, _: &mut Self::Context) {
        self.summary.feature_rows += features.rows as u64;
        let Some(owned) = self.owned(&features.partition, features.epoch) else { return };
        owned.features.advance(&features);
        owned.prune();
    }
}

impl Handler<PartitionRestarts> for BarWriter {
    type Result = ();

    fn handle(&mut self, _: PartitionRestarts, _: &mut Self::Context) {
        self.summary.restarts += 1;
    }
}

impl Handler<ReportSummary> for BarWriter {
    type Result = MessageResult<ReportSummary>;

    fn handle(&mut self, _: ReportSummary, _: &mut Self::Context) -> Self::Result {
        let latency = self.latencies.summary();
        info!(
            median = latency.median,
            p99 = latency.p99,
            longest = latency.longest,
            "seconds from barrier to published"
        );
        MessageResult(RunSummary { latency, ..self.summary })
    }
}

#[cfg(test)]
mod tests;
