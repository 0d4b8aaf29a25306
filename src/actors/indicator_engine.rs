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
use crate::messages::lifecycle::SaveIndicators;
use crate::messages::ownership::{PartitionLost, RestartPartition, RestoreIndicators};
use crate::storage::{FeatureFlow, FeatureProgress, Lake, StorageError};
use crate::supervision::{RestartReason, guarded};

/// How long the features of a file wait: in a market all partitions commit at the same moment, and bars come before features at the disk.
const AFTER_BARS: Duration = Duration::from_millis(100);
/// Wait between two tries when the disk refuses.
const RETRY: Duration = Duration::from_secs(1);

/// To whom the engine speaks.
pub struct EngineOutputs {
    pub computed: Recipient<FeaturesComputed>,
    pub restart: Recipient<RestartPartition>,
}

pub struct IndicatorEngine {
    lake: Lake,
    outputs: EngineOutputs,
    partitions: HashMap<TopicPartition, Tracked>,
    /// To be restored: as soon as the disk allows, or when the partition has restarted, at the latest before the end.
    restoring: HashMap<TopicPartition, RestoreIndicators>,
}

/// The indicators of one partition.
struct Tracked {
    flow: FeatureFlow,
    /// How to begin anew.
    restore: RestoreIndicators,
    /// The disk has refused, and will be tried again.
    was_refused: bool,
    /// When it is to go on.
    timer: Option<SpawnHandle>,
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
        match guarded(|| tracked.publish_all(&self.outputs)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_retriable() => {
                warn!(%error, "features not possible now, nothing is lost; trying again in {RETRY:?}");
                tracked.was_refused = true;
                tracked.go_on_after(RETRY, ctx);
            }
            Ok(Err(error)) => self.give_up(partition, RestartReason::Storage(error.to_string())),
            Err(panic) => self.give_up(partition, panic),
        }
    }

    fn restore(&self, restore: &RestoreIndicators) -> Result<Tracked, StorageError> {
        let flow = FeatureFlow::restore(&self.lake, &restore.partition)?;
        Ok(Tracked { flow, restore: restore.clone(), was_refused: false, timer: None })
    }

    /// What was being computed is made from the lake again when the partition has restarted.
    fn give_up(&mut self, partition: &TopicPartition, reason: RestartReason) {
        if let Some(tracked) = self.partitions.remove(partition) {
            self.restoring.insert(partition.clone(), tracked.restore);
        }
        if let Some(RestoreIndicators { epoch, .. }) = self.restoring.get(partition) {
            self.outputs.restart.do_send(RestartPartition { partition: partition.clone(), epoch: *epoch, reason });
        }
    }
}

impl Tracked {
    /// And not at the time that was set before.
    fn go_on_after(&mut self, pause: Duration, ctx: &mut Context<IndicatorEngine>) {
        let go_on = PublishOn(self.restore.partition.clone(), self.restore.epoch);
        if let Some(before) = self.timer.replace(ctx.notify_later(go_on, pause)) {
            ctx.cancel_future(before);
        }
    }

    /// Publishes what waits and reports how far that came.
    fn publish_all(&mut self, outputs: &EngineOutputs) -> Result<(), StorageError> {
        self.was_refused = false;
        let computed = |rows: &_| outputs.computed.do_send(FeaturesComputed(Clone::clone(rows)));
        let FeatureProgress { published, saved, rows } = self.flow.publish_all(computed)?;
        let RestoreIndicators { partition, epoch, reply_to } = self.restore.clone();
        reply_to.do_send(FeaturesPublished { partition, epoch, published, saved, rows });
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
        self.restoring.insert(restore.partition.clone(), restore.clone());
        self.handle(RestoreOn(restore), ctx);
    }
}

impl Handler<RestoreOn> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, RestoreOn(restore): RestoreOn, ctx: &mut Self::Context) {
        if self.restoring.get(&restore.partition).is_none_or(|wanted| wanted.epoch != restore.epoch) {
            return;
        }
        match guarded(|| self.restore(&restore)) {
            Ok(Ok(tracked)) => {
                self.restoring.remove(&restore.partition);
                self.partitions.insert(restore.partition.clone(), tracked);
                self.publish_on(&restore.partition, ctx);
            }
            // An entry that was listed is gone when an owner of before, who does not know it yet, has let go of it.
            Ok(Err(error)) if error.is_retriable() || matches!(error, StorageError::Missing { .. }) => {
                warn!(%error, "indicators cannot be restored now; trying again in {RETRY:?}");
                ctx.notify_later(RestoreOn(restore), RETRY);
            }
            Ok(Err(error)) => self.give_up(&restore.partition, RestartReason::Storage(error.to_string())),
            Err(panic) => self.give_up(&restore.partition, panic),
        }
    }
}

impl Handler<BarsCommitted> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, committed: BarsCommitted, ctx: &mut Self::Context) {
        let partition = &committed.file.partition;
        // Before the state is restored there is nothing to add to: the restore reads this file from the chain.
        let Some(tracked) =
            self.partitions.get_mut(partition).filter(|tracked| tracked.restore.epoch == committed.epoch)
        else {
            return;
        };
        let computed = guarded(|| {
            Place::EngineCompute.reached();
            let was_idle = tracked.flow.is_idle();
            tracked.flow.take_in(committed.file.number, &committed.rows);
            was_idle
        });
        match computed {
            Ok(_) if tracked.was_refused => {}
            Ok(true) => tracked.go_on_after(AFTER_BARS, ctx),
            // It commits again before that: it is catching up, and would wait for its features.
            Ok(false) => self.publish_on(partition, ctx),
            Err(panic) => self.give_up(partition, panic),
        }
    }
}

impl Handler<PublishOn> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, PublishOn(partition, epoch): PublishOn, ctx: &mut Self::Context) {
        if self.partitions.get(&partition).is_some_and(|tracked| tracked.restore.epoch == epoch) {
            self.publish_on(&partition, ctx);
        }
    }
}

impl Handler<PartitionLost> for IndicatorEngine {
    type Result = ();

    fn handle(&mut self, lost: PartitionLost, _: &mut Self::Context) {
        if self.partitions.get(&lost.partition).is_some_and(|tracked| tracked.restore.epoch == lost.epoch) {
            self.partitions.remove(&lost.partition);
        }
        if self.restoring.get(&lost.partition).is_some_and(|restore| restore.epoch == lost.epoch) {
            self.restoring.remove(&lost.partition);
        }
    }
}

impl Handler<SaveIndicators> for IndicatorEngine {
    type Result = Result<(), String>;

    fn handle(&mut self, _: SaveIndicators, _: &mut Self::Context) -> Self::Result {
        for restore in std::mem::take(&mut self.restoring).into_values() {
            let tracked = self.restore(&restore).map_err(|e| e.to_string())?;
            self.partitions.insert(restore.partition, tracked);
        }
        for tracked in self.partitions.values_mut() {
            tracked.publish_all(&self.outputs).and_then(|()| tracked.flow.save()).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
