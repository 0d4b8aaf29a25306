//! A barrier on its way through the mailboxes that the ticks use.

use std::sync::Arc;

use actix::Message;
use tokio::time::Instant;

use crate::market::barrier::{Barrier, WindowAnswer};
use crate::market::checkpoint::{Epoch, NextOffset, TopicPartition};

/// Consumer to every window of the partition, behind the ticks below the cut: close what the watermark has passed and answer.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct CloseWindows(pub Arc<Barrier>);

/// Consumer to the writer: expect the answers to this barrier.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct BarrierOpened {
    pub barrier: Arc<Barrier>,
    /// When it was, for the latency of its commit.
    pub at: Instant,
}

/// A window to the writer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WindowsAnswered {
    pub partition: TopicPartition,
    pub epoch: Epoch,
    pub cut: NextOffset,
    pub answer: WindowAnswer,
}
