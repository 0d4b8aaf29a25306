//! Takes partitions out of the lake: decides from which checkpoint reading goes on, and hands over the right to commit.
//!
//! Called on the consumer's thread inside a rebalance; what was taken waits here until the assignment reaches the consumer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::warn;

use crate::kafka::source::{FoundLog, LogBounds, Start, TakeRefused};
use crate::market::checkpoint::{BarRules, ChangedRule, Checkpoint, CommitNumber, NextOffset, TopicPartition};
use crate::market::lost_commits::LostCommits;
use crate::settings::OnGap;
use crate::storage::{Chain, Lake, StorageError};
use crate::words::counted;

/// Which log this process reads.
#[derive(Clone, Debug)]
pub enum LogOfRun {
    /// Begins anew with every process; the watermark of the lake stays.
    Embedded { cluster: String },
    /// Another one than the checkpoint's is refused.
    Cluster { cluster: String },
}

/// What decides whether, and from where, a partition may be read on.
#[derive(Clone, Debug)]
pub struct TakeRules {
    pub bars: BarRules,
    pub log: LogOfRun,
    pub on_gap: OnGap,
}

pub struct PartitionTaker {
    lake: Lake,
    rules: TakeRules,
    taken: Mutex<HashMap<TopicPartition, (Chain, Checkpoint)>>,
    /// The first entry that this process added to a chain: an empty one. What has a higher number was made from the log of this process.
    firsts: Mutex<HashMap<TopicPartition, CommitNumber>>,
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
    pub fn new(lake: Lake, rules: TakeRules) -> Self {
        Self { lake, rules, taken: Mutex::default(), firsts: Mutex::default() }
    }

    /// Fences whoever had the partition and says where to read. Nothing is committed when it is refused.
    ///
    /// # Errors
    /// When the lake cannot be read or written, belongs to other rules or another log, or the log has lost what the lake needs.
    pub fn take(&self, partition: &TopicPartition, log: &FoundLog) -> Result<Start, TakeRefused> {
        let first = locked(&self.firsts).get(partition).copied();
        let mut known = Vec::new();
        let (chain, checkpoint) = self.lake.take(partition, |newest, aside| {
            known = newest.as_ref().map_or(Vec::new(), |newest| newest.lost.clone());
            start_from(partition, (newest, &made_from(aside, first, log.bounds)), &self.rules, log)
        })?;
        locked(&self.firsts).entry(partition.clone()).or_insert(chain.last());
        warn_of_lost(partition, &checkpoint.lost, &known);
        let needed = checkpoint.resume;
        if let Some(gap) = checkpoint.gaps.last().filter(|gap| gap.to == needed && needed == log.bounds.start) {
            warn!(
                %partition, from = %gap.from, to = %gap.to, never_read = gap.unread(), bars_complete_until = %gap.watermark,
                "the log has lost records that the lake still needs; the lake records the gap and goes on behind it"
            );
        }
        // The record before the cut is read once more where the log still has it: its fingerprint tells whether it is the same log.
        let wanted = checkpoint.log.last_record.map_or(needed, |last| needed.min(NextOffset(last.offset)));
        locked(&self.taken).insert(partition.clone(), (chain, checkpoint));
        Ok(Start { needed, wanted })
    }

    /// What was taken, once.
    pub fn collect(&self, partition: &TopicPartition) -> Option<(Chain, Checkpoint)> {
        locked(&self.taken).remove(partition)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which of the commits put aside can have held bars, and whether these come from a log that has ended with an earlier process, or
/// from that of this one, which may end before it has given them again. `first`: the first entry of this process.
fn made_from(aside: &[LostCommits], first: Option<CommitNumber>, log: LogBounds) -> Vec<LostCommits> {
    let may_hold_bars = aside.iter().filter(|lost| Some(lost.first) != first);
    let until = |lost: &LostCommits| first.is_some_and(|first| lost.first > first).then_some(log.end);
    may_hold_bars.map(|lost| LostCommits { until: until(lost), ..lost.clone() }).collect()
}

/// Tells of losses that the newest checkpoint before did not list.
fn warn_of_lost(partition: &TopicPartition, losses: &[LostCommits], known: &[LostCommits]) {
    let is_known = |lost: &LostCommits| known.iter().any(|k| k.until == lost.until && k.covers(lost.last));
    for lost in losses.iter().filter(|lost| !is_known(lost)) {
        let number = lost.last;
        match lost.until {
            None => warn!(
                %partition, %number, %lost,
                "a commit was unreadable, and the log that it was made from has ended or lost its ticks: its bars are lost, and the lake records that"
            ),
            Some(until) => warn!(
                %partition, %number, %until, %lost,
                "a commit was unreadable: its bars are made again from the log; until they are, the lake records that they are missing"
            ),
        }
    }
}

/// `aside`: the commits after the newest that were unreadable. A cluster's log stays, and gives them again or is refused.
fn start_from(
    partition: &TopicPartition,
    (newest, aside): (Option<Checkpoint>, &[LostCommits]),
    rules: &TakeRules,
    found: &FoundLog,
) -> Result<Checkpoint, TakeRefused> {
    let log = found.bounds;
    let within = |checkpoint, aside| within(partition, checkpoint, aside, rules, log);
    let (LogOfRun::Embedded { cluster } | LogOfRun::Cluster { cluster }) = &rules.log;
    let Some(newest) = newest else {
        let genesis = Checkpoint::genesis(rules.bars, cluster);
        return match rules.log {
            // Nothing was promised of what a cluster had deleted before there was a lake: it begins with what there is, and says so.
            LogOfRun::Cluster { .. } if aside.is_empty() && log.start > genesis.resume => {
                Ok(of_topic(found, genesis.over_gap(log.start)))
            }
            LogOfRun::Cluster { .. } => {
                within(of_topic(found, genesis), aside).map_err(|refused| of_unreadable(partition, refused))
            }
            LogOfRun::Embedded { .. } => within(genesis.without(aside), &[]),
        };
    };
    if let Some(ChangedRule { key, before, now }) = rules.bars.changed_from(&newest.rules).next() {
        return Err(TakeRefused::ForGood(format!(
            "the lake was made with {key} = \"{before}\", the settings say \"{now}\": bars of two kinds must not mix; set it back in the settings, or use another lake directory"
        )));
    }
    match &rules.log {
        LogOfRun::Embedded { .. } => {
            let newest = if newest.log.cluster == *cluster { newest } else { newest.on_new_log(cluster) };
            within(newest.without(aside), &[])
        }
        LogOfRun::Cluster { .. } if newest.log.cluster == *cluster => {
            if let (Some(known), Some(now)) = (&newest.log.topic, &found.topic)
                && known != now
            {
                return Err(TakeRefused::ForGood(format!(
                    "the lake has read {partition} up to offset {} of the topic with the id {known}, and the topic has the id {now} now: it was deleted and made anew; use another topic, or another lake directory",
                    newest.cut
                )));
            }
            within(of_topic(found, newest), aside)
        }
        LogOfRun::Cluster { .. } => Err(TakeRefused::ForGood(format!(
            "the lake goes on from offset {} of {partition} on cluster {}, but this is cluster {cluster}: connect to that cluster, or use another lake directory",
            newest.cut, newest.log.cluster
        ))),
    }
}

/// The checkpoint of a cluster's log remembers the first topic that was found there.
fn of_topic(found: &FoundLog, mut checkpoint: Checkpoint) -> Checkpoint {
    checkpoint.log.topic = checkpoint.log.topic.or_else(|| found.topic.clone());
    checkpoint
}

/// What to say of unreadable commits whose bars the log was to give again.
fn of_aside(aside: &[LostCommits]) -> String {
    let damaged = |lost: &LostCommits| {
        format!(
            "commit {} is damaged, and the log cannot give all of it again ({lost}): restore its files from a backup, unless they have been put aside before; without it ",
            lost.last
        )
    };
    aside.iter().map(damaged).collect()
}

/// Why a partition is refused that is to be read from the beginning because no commit of it can be read.
fn of_unreadable(partition: &TopicPartition, refused: TakeRefused) -> TakeRefused {
    match refused {
        TakeRefused::ForGood(why) => TakeRefused::ForGood(format!(
            "no commit of {partition} is readable any more, so it is to be read as if nothing had been: {why}"
        )),
        other => other,
    }
}

/// Holds the checkpoint against what the log still has. `aside`: the commits after it that were unreadable, which a cluster's log gives again
/// where it has all that is needed.
fn within(
    partition: &TopicPartition,
    checkpoint: Checkpoint,
    aside: &[LostCommits],
    rules: &TakeRules,
    log: LogBounds,
) -> Result<Checkpoint, TakeRefused> {
    let Checkpoint { resume, cut, .. } = checkpoint;
    if log.end < cut {
        return Err(TakeRefused::ForGood(format!(
            "the lake has read {partition} up to offset {cut}, but its log ends at {}: the topic was deleted and made anew, or the cluster has lost its newest records; restore the topic, use another topic, or use another lake directory",
            log.end
        )));
    }
    match rules.on_gap {
        _ if resume >= log.start => Ok(checkpoint),
        OnGap::Record => {
            let lost: Vec<_> = aside.iter().map(|lost| LostCommits { until: None, ..lost.clone() }).collect();
            Ok(checkpoint.without(&lost).over_gap(log.start))
        }
        OnGap::Stop => Err(TakeRefused::ForGood(format!(
            "{}the lake goes on from offset {resume} of {partition}, but its log begins at {}: the broker has deleted {} that the lake still needed, {} of them {}; restore the topic, or go on without them by kafka.on_gap = \"record\" (the loss is written into the lake; bars after {} may lack ticks), or use another lake directory; and raise the topic's retention (kafka.retention and kafka.retention_bytes set it for topics that we create) beyond the longest stop of this program",
            of_aside(aside),
            log.start,
            counted(log.start.0 - resume.0, "record"),
            (log.start.0 - cut.0).max(0),
            if aside.is_empty() { "never read" } else { "in no commit that is left" },
            checkpoint.watermark,
        ))),
    }
}

#[cfg(test)]
mod tests;
