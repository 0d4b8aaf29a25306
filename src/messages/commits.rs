//! What became durable.

use std::fmt;
use std::sync::Arc;

use actix::Message;

use crate::indicators::feature_row::FeatureRow;
use crate::market::bar::Bar;
use crate::market::checkpoint::{CommitNumber, Epoch, NextOffset, TopicPartition};
use crate::storage::BarsFile;

/// Writer to the indicator engine: these rows are committed and published.
#[derive(Message)]
#[rtype(result = "()")]
pub struct BarsCommitted {
    pub epoch: Epoch,
    pub file: BarsFile,
    pub rows: Arc<[Bar]>,
}

impl fmt::Debug for BarsCommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarsCommitted").field("file", &self.file).field("rows", &self.rows.len()).finish()
    }
}

/// Writer to the consumer: everything up to the cut of this barrier is durable, the next one may follow.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct BarrierCommitted {
    pub partition: TopicPartition,
    pub epoch: Epoch,
    pub resume: NextOffset,
    pub cut: NextOffset,
}

/// Indicator engine to the writer: entries of the chain up to `saved` are needed no more.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FeaturesPublished {
    pub partition: TopicPartition,
    pub epoch: Epoch,
    /// The newest file whose features are in the lake.
    pub published: CommitNumber,
    /// The newest file that the saved indicator state includes.
    pub saved: CommitNumber,
    pub rows: usize,
}

/// Indicator engine to the live feed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FeaturesComputed(pub Arc<[FeatureRow]>);

impl fmt::Debug for FeaturesComputed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeaturesComputed({} rows)", self.0.len())
    }
}
