//! Logs that outlive what their brokers keep: a mock broker forgets what is more than 5 MiB of a partition, a real one what retention says.

use std::collections::BTreeMap;

use stockstream::market::checkpoint::TopicPartition;

use super::cluster::Cluster;
use super::oracle::LogRecord;

/// By offset, as far as they were looked at in time.
#[derive(Default)]
pub struct KeptLogs(BTreeMap<TopicPartition, BTreeMap<i64, LogRecord>>);

impl KeptLogs {
    /// Adds what the brokers have now of one log.
    pub fn keep(&mut self, cluster: &Cluster, partition: &TopicPartition) {
        let kept = self.0.entry(partition.clone()).or_default();
        let next = kept.last_key_value().map_or(0, |(last, _)| last + 1);
        let log = cluster.log_from(next, &partition.topic, partition.partition);
        kept.extend(log.into_iter().map(|record| (record.offset, record)));
    }

    /// From its first record on.
    #[track_caller]
    pub fn log(&self, partition: &TopicPartition) -> Vec<LogRecord> {
        let log: Vec<LogRecord> = self.0.get(partition).into_iter().flat_map(BTreeMap::values).cloned().collect();
        let whole = log.iter().zip(0..).all(|(record, offset)| record.offset == offset);
        assert!(whole, "the log of {partition} was looked at too seldom");
        log
    }
}
