//! Who owns a partition.

use std::fmt;

use actix::{Message, Recipient};

use super::commits::{BarrierCommitted, FeaturesPublished};
use crate::market::checkpoint::{Checkpoint, Epoch, TopicPartition};
use crate::storage::Chain;

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
