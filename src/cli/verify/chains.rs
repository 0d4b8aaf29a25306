//! The chains, as they stand when the verification begins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Findings;
use super::bars::check_conservation;
use super::dates::reason;
use crate::indicators::state::IndicatorState;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Checkpoint, Commit, CommitNumber, TopicPartition};
use crate::storage::layout::{self, BarsFile, Dataset};
use crate::storage::{Lake, PublishedFile, StorageError};

/// What the rest of the verification needs to know of a chain.
#[derive(Clone, Debug)]
pub struct ChainSeen {
    /// The newest entry; everything below it is published. 0 when the chain is empty.
    pub horizon: CommitNumber,
    /// Of the newest entry; `None` when that is not readable.
    pub newest: Option<Checkpoint>,
    /// Ticks in the newest entry's own rows.
    pub newest_ticks: u64,
    /// The newest entry is not published yet.
    pub unpublished: bool,
    /// Features of all files up to here are published: the saved indicators include them.
    pub saved: CommitNumber,
}

/// Checks every entry that the chains hold.
///
/// # Errors
/// When a chain cannot be listed.
pub fn check_all(
    lake: &Lake,
    root: &Path,
    findings: &mut Findings,
) -> Result<BTreeMap<TopicPartition, ChainSeen>, StorageError> {
    let mut seen = BTreeMap::new();
    for partition in lake.partitions()? {
        let chain = check(lake, root, &partition, findings)?;
        seen.insert(partition, chain);
    }
    Ok(seen)
}

fn check(
    lake: &Lake,
    root: &Path,
    partition: &TopicPartition,
    findings: &mut Findings,
) -> Result<ChainSeen, StorageError> {
    let saved = saved_indicators(lake, partition, root, findings);
    let entries = lake.entries(partition)?;
    let horizon = entries.last().copied().unwrap_or(CommitNumber(0));
    let mut seen = ChainSeen { horizon, newest: None, newest_ticks: 0, unpublished: false, saved };
    for number in entries {
        let path = entry_path(root, partition, number);
        let commit = match lake.read_entry(partition, number) {
            Ok(commit) => commit,
            // removed since it was listed: its bars and features are published, the walk comes to them
            Err(StorageError::Missing { .. }) => continue,
            Err(error) => {
                findings.of_file(&path, reason(error));
                continue;
            }
        };
        if let Err(problem) = check_conservation(&commit.checkpoint) {
            findings.of_file(&path, problem);
        }
        let is_published = check_published(lake, root, (partition, number), &commit, findings);
        if number == horizon {
            seen.newest_ticks = ticks_of(&commit.rows);
            seen.newest = Some(commit.checkpoint);
            seen.unpublished = !is_published;
        } else if !is_published {
            // the one after it was only begun when this one was published
            findings.of_file(&path, "is in the chain, but its rows are not published in bars/");
        }
    }
    Ok(seen)
}

/// Compares an entry with its public copy, if it has one; whether it has, or needs none.
fn check_published(
    lake: &Lake,
    root: &Path,
    (partition, number): (&TopicPartition, CommitNumber),
    commit: &Commit,
    findings: &mut Findings,
) -> bool {
    let Some(date) = commit.date() else { return true };
    let file = published(root, &BarsFile { partition: partition.clone(), number, date }, Dataset::Bars);
    match lake.read_bars(&file) {
        Ok(None) => false,
        Ok(Some(public)) => {
            if public.bars[..] != commit.rows[..] || public.checkpoint != commit.checkpoint {
                let entry = entry_path(root, partition, number);
                findings.of_file(&file.path, format!("differs from its entry in the chain, {}", entry.display()));
            }
            true
        }
        // the walk says so
        Err(_) => true,
    }
}

/// How far the saved indicators go; 0 when there are none. Damaged ones are computed anew by the next start.
fn saved_indicators(lake: &Lake, partition: &TopicPartition, root: &Path, findings: &mut Findings) -> CommitNumber {
    let saved = match lake.load_indicators(partition) {
        Ok(saved) => saved,
        Err(error) => {
            findings.of_file(&root.join(layout::indicators(partition)), reason(error));
            None
        }
    };
    saved.and_then(|bytes| IndicatorState::from_bytes(&bytes).ok()).map_or(CommitNumber(0), |state| state.last())
}

/// Where an entry of a chain stands.
pub fn entry_path(root: &Path, partition: &TopicPartition, number: CommitNumber) -> PathBuf {
    root.join(layout::entry(partition, number))
}

/// A commit's file in a dataset.
pub fn published(root: &Path, file: &BarsFile, dataset: Dataset) -> PublishedFile {
    PublishedFile { dataset, date: file.date.clone(), name: file.name(), path: root.join(file.path(dataset)) }
}

/// How many ticks went into the bars.
pub fn ticks_of(bars: &[Bar]) -> u64 {
    bars.iter().map(|bar| bar.ticks.max(0).unsigned_abs()).fold(0, u64::saturating_add)
}
