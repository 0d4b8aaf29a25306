//! The set of stocks, as the settings have it now.

use std::collections::BTreeSet;

use actix::Message;

use crate::market::checkpoint::TopicPartition;
use crate::market::symbol::Symbol;

/// Coordinator to the consumer: these stocks are known, and read from these partitions.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FollowStocks {
    pub stocks: Vec<(Symbol, TopicPartition)>,
    /// Partitions into which a producer publishes, of this process or of the one that simulates in its stead: they are not idle, only
    /// slow.
    pub fed: BTreeSet<TopicPartition>,
}
