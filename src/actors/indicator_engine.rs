//! Computes the features of every committed file and puts them beside it.
//!
//! What is decided stands in [`FeatureFlow`]; here is who asks for it, and what is done when the disk refuses. Has an arbiter of its
//! own, for it waits for the disk.

use std::collections::HashMap;
use std::time::Duration;

use actix::prelude::*;
use tracing::warn;

use crate::fail_points::Place;
use crate::market::checkpoint::{Epoch, TopicPartition};
use crate::messages::commits::{BarsCommitted, FeaturesComputed, FeaturesPublished};
use crate::messages::lifecycle::{PipelineFailed, SaveIndicators};
use crate::messages::ownership::{PartitionLost, RestoreIndicators};
use crate::storage::{FeatureFlow, FeatureProgress, Lake, StorageError};

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
    flow: FeatureFlow,
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
        match tracked.publish_all(&self.outputs) {
            Ok(()) => {}
            Err(error) if error.is_retriable() => {
                warn!(%error, "features not possible now, nothing is lost; trying again in {RETRY:?}");
                ctx.notify_later(PublishOn(partition.clone(), tracked.epoch), RETRY);
            }
            Err(error) => self.outputs.failed.do_send(PipelineFailed(error.to_string())),
        }
    }

    fn restore(&self, restore: &RestoreIndicators) -> Result<Tracked, StorageError> {
        Ok(Tracked {
            partition: restore.partition.clone(),
            epoch: restore.epoch,
            flow: FeatureFlow::restore(&self.lake, &restore.partition)?,
            reply_to: restore.reply_to.clone(),
        })
    }
}

impl Tracked {
    /// Publishes what waits and reports how far that came.
    fn publish_all(&mut self, outputs: &EngineOutputs) -> Result<(), StorageError> {
        let computed = |rows: &_| outputs.computed.do_send(FeaturesComputed(Clone::clone(rows)));
        let FeatureProgress { published, saved, rows } = self.flow.publish_all(computed)?;
        let (partition, epoch) = (self.partition.clone(), self.epoch);
        self.reply_to.do_send(FeaturesPublished { partition, epoch, published, saved, rows });
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
        let idle = tracked.flow.is_idle();
        tracked.flow.take_in(committed.file.number, &committed.rows);
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
            tracked.publish_all(&self.outputs).and_then(|()| tracked.flow.save()).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
