//! Who owns a partition.

use std::fmt;

use actix::{Message, Recipient};

use super::commits::{BarrierCommitted, FeaturesPublished};
use crate::market::checkpoint::{Checkpoint, Epoch, TopicPartition};
use crate::storage::Chain;
use crate::supervision::RestartReason;

/// Consumer to the writer: the partition is ours from this checkpoint on; whoever holds the [`Chain`] may commit.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PartitionTaken {
    pub epoch: Epoch,
    pub chain: Chain,
    pub checkpoint: Checkpoint,
    /// Who waits for the commits.
    pub reply_to: Recipient<BarrierCommitted>,
}

impl fmt::Debug for PartitionTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionTaken({}, {:?}, {})", self.chain.partition(), self.epoch, self.chain.last())
    }
}

/// Writer or indicator engine to the consumer, by way of the coordinator: what this owner had of the partition is dropped; take it again.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct RestartPartition {
    pub partition: TopicPartition,
    pub epoch: Epoch,
    pub reason: RestartReason,
}

/// Consumer to the writer, for the summary: a partition failed and is taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct PartitionRestarts;

/// Writer to the indicator engine: load the state of this partition and complete what is missing.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct RestoreIndicators {
    pub partition: TopicPartition,
    pub epoch: Epoch,
    /// Who waits for the features, to let go of the entries they were made from.
    pub reply_to: Recipient<FeaturesPublished>,
}

impl fmt::Debug for RestoreIndicators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestoreIndicators({}, {:?})", self.partition, self.epoch)
    }
}

/// Consumer to the writer, and writer to the indicator engine: not ours any more; forget it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct PartitionLost {
    pub partition: TopicPartition,
    pub epoch: Epoch,
}
