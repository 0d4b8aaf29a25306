//! Who owns a partition.

use std::fmt;

use actix::Message;

use crate::market::checkpoint::{Checkpoint, Epoch, TopicPartition};
use crate::storage::Chain;

/// Consumer to the writer: the partition is ours from this checkpoint on; whoever holds the [`Chain`] may commit.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PartitionTaken {
    pub epoch: Epoch,
    pub chain: Chain,
    pub checkpoint: Checkpoint,
}

impl fmt::Debug for PartitionTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionTaken({}, {:?}, {})", self.chain.partition(), self.epoch, self.chain.last())
    }
}

/// Consumer to the indicator engine: load the state of this partition and complete what is missing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct RestoreIndicators {
    pub partition: TopicPartition,
    pub epoch: Epoch,
}

/// Consumer to writer and indicator engine: not ours any more; forget it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct PartitionLost {
    pub partition: TopicPartition,
    pub epoch: Epoch,
}
