//! Takes partitions out of the lake: decides from which checkpoint reading goes on, and hands over the right to commit.
//!
//! Called on the consumer's thread inside a rebalance; what was taken waits here until the assignment reaches the consumer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::kafka::source::{Start, TakeRefused};
use crate::market::checkpoint::{BarRules, Checkpoint, NextOffset, TopicPartition};
use crate::storage::{Chain, Lake, StorageError};

/// Which log this process reads.
#[derive(Clone, Debug)]
pub enum LogOfRun {
    /// Begins anew with every process; the watermark of the lake stays.
    Embedded { cluster: String },
    /// Another one than the checkpoint's is refused.
    Cluster { cluster: String },
}

pub struct PartitionTaker {
    lake: Lake,
    rules: BarRules,
    log: LogOfRun,
    taken: Mutex<HashMap<TopicPartition, (Chain, Checkpoint)>>,
}

impl From<StorageError> for TakeRefused {
    fn from(error: StorageError) -> Self {
        let text = error.to_string();
        match error {
            _ if error.is_retriable() => Self::ForNow(text),
            StorageError::Io { .. } => Self::ByDisk(text),
            _ => Self::ForGood(text),
        }
    }
}

impl PartitionTaker {
    pub fn new(lake: Lake, rules: BarRules, log: LogOfRun) -> Self {
        Self { lake, rules, log, taken: Mutex::new(HashMap::new()) }
    }

    /// Fences whoever had the partition and says where to read.
    ///
    /// # Errors
    /// When the lake cannot be read or written, or belongs to other rules or another log.
    pub fn take(&self, partition: &TopicPartition) -> Result<Start, TakeRefused> {
        let (chain, checkpoint) =
            self.lake.take(partition, |newest| start_from(partition, newest, &self.rules, &self.log))?;
        let needed = checkpoint.resume;
        // The record before the cut is read once more where the log still has it: its fingerprint tells whether it is the same log.
        let wanted = checkpoint.log.last_record.map_or(needed, |last| needed.min(NextOffset(last.offset)));
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(partition.clone(), (chain, checkpoint));
        Ok(Start { needed, wanted })
    }

    /// What was taken, once.
    pub fn collect(&self, partition: &TopicPartition) -> Option<(Chain, Checkpoint)> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(partition)
    }
}

fn start_from(
    partition: &TopicPartition,
    newest: Option<Checkpoint>,
    rules: &BarRules,
    log: &LogOfRun,
) -> Result<Checkpoint, TakeRefused> {
    let (LogOfRun::Embedded { cluster } | LogOfRun::Cluster { cluster }) = log;
    let Some(newest) = newest else { return Ok(Checkpoint::genesis(*rules, cluster)) };
    if let Some(change) = changed_rule(&newest.rules, rules) {
        return Err(TakeRefused::ForGood(format!(
            "the lake was made with {change}: bars of two kinds must not mix; set it back in the settings, or use another lake directory"
        )));
    }
    match log {
        _ if newest.log.cluster == *cluster => Ok(newest),
        LogOfRun::Embedded { .. } => Ok(newest.on_new_log(cluster)),
        LogOfRun::Cluster { .. } => Err(TakeRefused::ForGood(format!(
            "the lake goes on from offset {} of {partition} on cluster {}, but this is cluster {cluster}: connect to that cluster, or use another lake directory",
            newest.cut, newest.log.cluster
        ))),
    }
}

fn changed_rule(lake: &BarRules, now: &BarRules) -> Option<String> {
    let seconds = |span: crate::market::time::Span| span.as_secs_f64();
    [
        ("window", seconds(lake.window.span()), seconds(now.window.span())),
        ("lateness", seconds(lake.lateness), seconds(now.lateness)),
        ("max_ahead", seconds(lake.max_ahead), seconds(now.max_ahead)),
    ]
    .into_iter()
    .find(|(_, lake, now)| lake != now)
    .map(|(name, lake, now)| format!("market.{name} = \"{lake}s\", the settings say \"{now}s\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::time::{EventTime, Span, WindowSize};

    fn rules(lateness: i64) -> BarRules {
        BarRules {
            window: WindowSize::new(Span::from_secs(300)).expect("five minutes divide the day"),
            lateness: Span::from_secs(lateness),
            max_ahead: Span::from_secs(60),
        }
    }

    fn newest() -> Checkpoint {
        let mut checkpoint = Checkpoint::genesis(rules(600), "one");
        (checkpoint.cut, checkpoint.resume) = (NextOffset(9), NextOffset(7));
        (checkpoint.counters.read, checkpoint.open_ticks) = (9, 2);
        checkpoint.watermark = EventTime::from_micros(77);
        checkpoint
    }

    fn start(lateness: i64, log: LogOfRun) -> Result<Checkpoint, TakeRefused> {
        start_from(&TopicPartition::new("t", 0), Some(newest()), &rules(lateness), &log)
    }

    #[test]
    fn the_same_log_goes_on_where_it_was() {
        assert_eq!(start(600, LogOfRun::Cluster { cluster: "one".into() }), Ok(newest()));
    }

    #[test]
    fn a_new_embedded_log_begins_at_0_behind_the_old_watermark() {
        let checkpoint = start(600, LogOfRun::Embedded { cluster: "two".into() }).unwrap();
        assert_eq!((checkpoint.resume, checkpoint.cut), (NextOffset(0), NextOffset(0)));
        assert_eq!((checkpoint.counters.read, checkpoint.open_ticks), (7, 0));
        assert_eq!(checkpoint.watermark, EventTime::from_micros(77));
        assert_eq!(checkpoint.log.cluster, "two");
    }

    #[test]
    fn another_cluster_is_refused_by_name() {
        let refused = start(600, LogOfRun::Cluster { cluster: "two".into() }).unwrap_err().to_string();
        assert!(refused.contains("cluster one") && refused.contains("cluster two"), "{refused}");
    }

    #[test]
    fn another_lateness_is_refused_with_both_values() {
        let refused = start(300, LogOfRun::Cluster { cluster: "one".into() }).unwrap_err().to_string();
        assert!(refused.contains("lateness = \"600s\"") && refused.contains("\"300s\""), "{refused}");
    }
}
