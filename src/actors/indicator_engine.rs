//! Computes the features of every committed file and puts them beside it.
//!
//! The state is exact and survives a restart: it is saved now and then with the number of the newest file it includes, and a start
//! goes on from there over the entries that the chain still holds. Has an arbiter of its own, for it waits for the disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tracing::{debug, info, warn};

use crate::fail_points::Place;
use crate::indicators::feature_row::FeatureRow;
use crate::indicators::state::IndicatorState;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Commit, CommitNumber, Epoch, TopicPartition};
use crate::messages::commits::{BarsCommitted, FeaturesComputed, FeaturesPublished};
use crate::messages::lifecycle::{PipelineFailed, SaveIndicators};
use crate::messages::ownership::{PartitionLost, RestoreIndicators};
use crate::storage::{BarsFile, FeaturesOutcome, Lake, StorageError};

/// The state is saved when it is this many files ahead of what was saved, and at stop.
const SAVE_EVERY: u64 = 64;
/// Wait between two tries when the disk refuses.
const RETRY: Duration = Duration::from_secs(1);

/// To whom the engine speaks.
pub struct EngineOutputs {
    pub computed: Recipient<FeaturesComputed>,
    pub failed: Recipient<PipelineFailed>,
}

pub struct IndicatorEngine {
    lake: Lake,
    outputs: EngineOutputs,
    partitions: HashMap<TopicPartition, Tracked>,
    /// To be restored as soon as the disk allows, in this epoch.
    restoring: HashMap<TopicPartition, Epoch>,
}

/// The indicators of one partition.
struct Tracked {
    partition: TopicPartition,
    epoch: Epoch,
    state: IndicatorState,
    /// The newest file that the saved state includes; `None` until this ownership has saved it once.
    saved: Option<CommitNumber>,
    /// Computed, not yet in the lake, oldest first.
    waiting: VecDeque<(BarsFile, Arc<[FeatureRow]>)>,
    /// Rows that are in the lake, but not yet reported.
    unreported: usize,
    reply_to: Recipient<FeaturesPublished>,
}

/// Go on with what is waiting.
#[derive(Message)]
#[rtype(result = "()")]
struct PublishOn(TopicPartition, Epoch);

/// Try again to restore, unless that is over.
#[derive(Message)]
#[rtype(result = "()")]
struct RestoreOn(RestoreIndicators);

impl IndicatorEngine {
    pub fn new(lake: Lake, outputs: EngineOutputs) -> Self {
        Self { lake, outputs, partitions: HashMap::new(), restoring: HashMap::new() }
    }

    fn publish_on(&mut self, partition: &TopicPartition, ctx: &mut Context<Self>) {
        let Some(tracked) = self.partitions.get_mut(partition) else { return };
        match tracked.publish_all(&self.lake, &self.outputs) {
            Ok(()) => {}
            Err(error) if error.is_retriable() => {
                warn!(%error, "features not possible now, nothing is lost; trying again in {RETRY:?}");
                ctx.notify_later(PublishOn(partition.clone(), tracked.epoch), RETRY);
            }
            Err(error) => self.outputs.failed.do_send(PipelineFailed(error.to_string())),
        }
    }

    fn restore(&self, restore: &RestoreIndicators) -> Result<Tracked, StorageError> {
        let partition = &restore.partition;
        let entries = self.lake.entries(partition)?;
        let oldest = entries.first().copied().unwrap_or(CommitNumber(1));
        let saved = self.lake.load_indicators(partition)?.and_then(|bytes| match IndicatorState::from_bytes(&bytes) {
            Ok(state) => Some(state),
            Err(error) => {
                warn!(%partition, %error, "the saved indicator state is unusable");
                None
            }
        });
        // Entries go only when the saved state includes them: a state older than the chain is of another lake. And a state is saved only
        // when the features are in the lake: if somebody has removed them, they are made again.
        let held = entries.iter().map(|number| Ok((*number, self.lake.read_entry(partition, *number)?)));
        let held: Vec<(CommitNumber, Commit)> = held.collect::<Result<_, StorageError>>()?;
        let complete = |state: &IndicatorState| {
            let files = held.iter().filter(|(number, _)| *number <= state.last());
            files
                .filter_map(|(number, commit)| BarsFile::of(partition, *number, &commit.rows))
                .all(|file| self.lake.has_features(&file))
        };
        let state = match saved.filter(|state| state.last().0 + 1 >= oldest.0 && complete(state)) {
            Some(state) => state,
            None => self.full_pass(partition, oldest)?,
        };
        let mut tracked = Tracked {
            partition: partition.clone(),
            epoch: restore.epoch,
            state,
            saved: None,
            waiting: VecDeque::new(),
            unreported: 0,
            reply_to: restore.reply_to.clone(),
        };
        for (number, commit) in held {
            tracked.take_in(number, &commit.rows);
        }
        Ok(tracked)
    }

    /// Over all published bars below the oldest entry of the chain: once, when there is no usable state.
    fn full_pass(&self, partition: &TopicPartition, below: CommitNumber) -> Result<IndicatorState, StorageError> {
        let last = CommitNumber(below.0.saturating_sub(1));
        let bars = self.lake.bars_up_to(partition, last)?;
        if !bars.is_empty() {
            info!(%partition, bars = bars.len(), "computing the indicators anew from the lake");
        }
        Ok(IndicatorState::from_history(last, bars.iter()))
    }
}

impl Tracked {
    /// Adds the rows of a file to what waits, unless the state includes it already.
    fn take_in(&mut self, number: CommitNumber, bars: &[Bar]) {
        if number <= self.state.last() {
            return;
        }
        let rows: Arc<[FeatureRow]> = self.state.push_file(number, bars).into();
        if let Some(file) = BarsFile::of(&self.partition, number, bars) {
            self.waiting.push_back((file, rows));
        }
    }

    /// Publishes what waits, oldest first; then saves the state if that is due, so that a saved state never includes a file whose
    /// features are not in the lake.
    fn publish_all(&mut self, lake: &Lake, outputs: &EngineOutputs) -> Result<(), StorageError> {
        while let Some((file, rows)) = self.waiting.front() {
            let outcome = lake.publish_features(file, rows)?;
            debug!(?file, rows = rows.len(), ?outcome, "features");
            if outcome == FeaturesOutcome::Published {
                self.unreported += rows.len();
            }
            outputs.computed.do_send(FeaturesComputed(rows.clone()));
            self.waiting.pop_front();
        }
        if self.saved.is_none_or(|saved| self.state.last().0 >= saved.0 + SAVE_EVERY) {
            self.save(lake)?;
        }
        self.reply_to.do_send(FeaturesPublished {
            partition: self.partition.clone(),
            epoch: self.epoch,
            published: self.state.last(),
            saved: self.saved.unwrap_or(CommitNumber(0)),
            rows: std::mem::take(&mut self.unreported),
        });
        Ok(())
    }

    fn save(&mut self, lake: &Lake) -> Result<(), StorageError> {
        if self.waiting.is_empty() && self.saved != Some(self.state.last()) {
            lake.save_indicators(&self.partition, &self.state.to_bytes())?;
            self.saved = Some(self.state.last());
        }
        Ok(())
    }
}

impl Actor for IndicatorEngine {
    type Context = Context<Self>;
}

impl Handler<RestoreIndicators> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, restore: RestoreIndicators, ctx: &mut Self::Context) {
        self.partitions.remove(&restore.partition);
        self.restoring.insert(restore.partition.clone(), restore.epoch);
        self.handle(RestoreOn(restore), ctx);
    }
}

impl Handler<RestoreOn> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, RestoreOn(restore): RestoreOn, ctx: &mut Self::Context) {
        if self.restoring.get(&restore.partition) != Some(&restore.epoch) {
            return;
        }
        match self.restore(&restore) {
            Ok(tracked) => {
                self.restoring.remove(&restore.partition);
                self.partitions.insert(restore.partition.clone(), tracked);
                self.publish_on(&restore.partition, ctx);
            }
            // An entry that was listed is gone when an owner of before, who does not know it yet, has let go of it.
            Err(error) if error.is_retriable() || matches!(error, StorageError::Missing { .. }) => {
                warn!(%error, "indicators cannot be restored now; trying again in {RETRY:?}");
                ctx.notify_later(RestoreOn(restore), RETRY);
            }
            Err(error) => self.outputs.failed.do_send(PipelineFailed(error.to_string())),
        }
    }
}

impl Handler<BarsCommitted> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, committed: BarsCommitted, ctx: &mut Self::Context) {
        let partition = &committed.file.partition;
        // Before the state is restored there is nothing to add to: the restore reads this file from the chain.
        let Some(tracked) = self.partitions.get_mut(partition).filter(|tracked| tracked.epoch == committed.epoch)
        else {
            return;
        };
        Place::EngineCompute.reached();
        let idle = tracked.waiting.is_empty();
        tracked.take_in(committed.file.number, &committed.rows);
        if idle {
            self.publish_on(partition, ctx);
        }
    }
}

impl Handler<PublishOn> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, PublishOn(partition, epoch): PublishOn, ctx: &mut Self::Context) {
        if self.partitions.get(&partition).is_some_and(|tracked| tracked.epoch == epoch) {
            self.publish_on(&partition, ctx);
        }
    }
}

impl Handler<PartitionLost> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, lost: PartitionLost, _: &mut Self::Context) {
        if self.partitions.get(&lost.partition).is_some_and(|tracked| tracked.epoch == lost.epoch) {
            self.partitions.remove(&lost.partition);
        }
        if self.restoring.get(&lost.partition) == Some(&lost.epoch) {
            self.restoring.remove(&lost.partition);
        }
    }
}

impl Handler<SaveIndicators> for IndicatorEngine {
    type Result = Result<(), String>;

    fn handle(&mut self, _: SaveIndicators, _: &mut Self::Context) -> Self::Result {
        for tracked in self.partitions.values_mut() {
            tracked
                .publish_all(&self.lake, &self.outputs)
                .and_then(|()| tracked.save(&self.lake))
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
