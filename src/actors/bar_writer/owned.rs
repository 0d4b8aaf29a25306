//! A partition that the writer owns, and the commits of its barriers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::DeadLettersSettled;
use crate::fail_points::Place;
use crate::market::barrier::{Assembly, Barrier};
use crate::market::checkpoint::{Checkpoint, Commit, CommitNumber, Epoch};
use crate::messages::commits::{BarrierCommitted, BarsCommitted, FeaturesPublished};
use crate::messages::credit::{Credit, Credits};
use crate::messages::ownership::PartitionTaken;
use crate::run_summary::RunSummary;
use crate::storage::{Chain, CommitError};
use crate::supervision::RestartReason;

/// Wait between two tries when the disk refuses: first and longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// When to look again for dead letters that are not acknowledged yet, or features that are far behind.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How many files the indicator engine may be behind in a partition before its commits wait.
pub(super) const FILES_BEHIND: usize = 64;

/// A partition that is ours.
pub(super) struct Owned {
    pub epoch: Epoch,
    pub chain: Chain,
    /// Of the newest commit.
    checkpoint: Checkpoint,
    skipped_replayed: u64,
    pub stage: Stage,
    /// When its newest barrier was opened.
    pub opened: Instant,
    retry_after: Duration,
    pub features: FeatureProgress,
    /// Of the rows whose features are not in the lake yet, of all partitions.
    rows_behind: Credits,
    pub reply_to: Recipient<BarrierCommitted>,
}

/// How far the indicator engine is behind the chain: an entry must stay as long as the engine may need it.
#[derive(Default)]
pub(super) struct FeatureProgress {
    /// The newest file that the saved indicator state includes; before the first until the engine has loaded its state and completed
    /// what an earlier run left.
    saved: CommitNumber,
    /// Files whose features are not in the lake yet, ascending.
    unpublished: VecDeque<(CommitNumber, Credit)>,
}

impl FeatureProgress {
    /// A partition with nothing behind goes on however much the others have: one whose features the disk refuses must not hold
    /// them up.
    fn are_far_behind(&self, rows_of_all: &Credits) -> bool {
        let files = self.unpublished.len();
        files >= FILES_BEHIND || (files > 0 && rows_of_all.are_exhausted())
    }

    pub fn advance(&mut self, features: &FeaturesPublished) {
        self.saved = self.saved.max(features.saved);
        self.unpublished.retain(|(number, _)| *number > features.published);
    }
}

/// Where a partition stands between two barriers.
pub(super) enum Stage {
    Idle,
    Collecting(Assembly),
    Committing(Arc<Barrier>, VecDeque<Commit>),
}

/// Why the commits of a barrier stopped.
pub(super) enum Stopped {
    /// For now: go on after this long.
    Wait(Duration),
    /// For this owner.
    For(RestartReason),
}

impl Owned {
    pub fn new(taken: PartitionTaken, rows_behind: Credits) -> Self {
        Self {
            epoch: taken.epoch,
            chain: taken.chain,
            checkpoint: taken.checkpoint,
            skipped_replayed: 0,
            stage: Stage::Idle,
            opened: Instant::now(),
            retry_after: RETRY_FIRST,
            features: FeatureProgress::default(),
            rows_behind,
            reply_to: taken.reply_to,
        }
    }

    /// Makes the prepared commits, if all answers are there. Returns what to tell the consumer when the barrier is through.
    pub fn commit_all(
        &mut self,
        bars: &Recipient<BarsCommitted>,
        settled: &DeadLettersSettled,
        summary: &mut RunSummary,
    ) -> Result<Option<BarrierCommitted>, Stopped> {
        self.prepare()?;
        let Stage::Committing(barrier, commits) = &mut self.stage else { return Ok(None) };
        if !settled(&barrier.partition, barrier.checkpoint.cut) {
            return Err(Stopped::Wait(LOOK_AGAIN));
        }
        while let Some(commit) = commits.front() {
            if self.features.are_far_behind(&self.rows_behind) {
                return Err(Stopped::Wait(LOOK_AGAIN));
            }
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
                self.features.unpublished.push_back((file.number, self.rows_behind.take(commit.rows.len())));
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

    pub fn prune(&mut self) {
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
