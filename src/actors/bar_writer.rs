//! Commits closed bars: collects the answers to a barrier, makes its commits, appends them to the partition's chain.
//!
//! There are several writers, each with an arbiter of its own, for every commit waits for the disk; a partition is always the same one's.
//! A disk that is full is waited for; nothing prepared is lost meanwhile, and the consumer, whose barrier stays unanswered, stops
//! reading on. After any other failure the partition is dropped and restarted: what was begun may be half done.

use std::collections::HashMap;

use actix::prelude::*;
use tracing::warn;

use crate::market::barrier::Assembly;
use crate::market::checkpoint::{Epoch, NextOffset, TopicPartition};
use crate::messages::barrier::{BarrierOpened, WindowsAnswered};
use crate::messages::commits::{BarsCommitted, FeaturesPublished};
use crate::messages::credit::Credits;
use crate::messages::lifecycle::{ReportSummary, WriterReport};
use crate::messages::ownership::{
    PartitionLost, PartitionRestarts, PartitionTaken, RestartPartition, RestoreIndicators,
};
use crate::run_summary::{Latencies, RunSummary};
use crate::supervision::{RestartReason, guarded};

mod owned;

use owned::{Owned, Stage, Stopped};

/// Rows, of all partitions together, that the indicator engine may be behind before a partition that is among them waits for it.
pub const ROWS_BEHIND: usize = 32_768;

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
    rows_behind: Credits,
    summary: RunSummary,
    latencies: Latencies,
}

/// Go on with the commits of this partition.
#[derive(Message)]
#[rtype(result = "()")]
struct CommitOn(TopicPartition, Epoch);

impl BarWriter {
    /// All writers share the credits, [`ROWS_BEHIND`] of them.
    pub fn new(outputs: WriterOutputs, settled: DeadLettersSettled, rows_behind: Credits) -> Self {
        Self {
            outputs,
            settled,
            partitions: HashMap::new(),
            rows_behind,
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
                self.latencies.add(owned.opened.elapsed().as_secs_f64());
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

impl Actor for BarWriter {
    type Context = Context<Self>;
}

impl Handler<PartitionTaken> for BarWriter {
    type Result = ();

    fn handle(&mut self, taken: PartitionTaken, ctx: &mut Self::Context) {
        let owned = Owned::new(taken, self.rows_behind.clone());
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

    fn handle(&mut self, BarrierOpened { barrier, at }: BarrierOpened, ctx: &mut Self::Context) {
        if let Some(owned) = self.owned(&barrier.partition, barrier.epoch) {
            owned.stage = Stage::Collecting(Assembly::new(barrier.clone()));
            owned.opened = at;
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
        MessageResult(WriterReport { summary: self.summary, latencies: self.latencies.clone() })
    }
}

#[cfg(test)]
mod tests;
