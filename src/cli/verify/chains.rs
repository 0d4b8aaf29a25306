//! The chains, as they stand when the verification begins.

mod elsewhere;
mod holes;
mod indicators;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Findings;
use super::bars::check_conservation;
use super::held::{Held, Witness};
use super::losses;
use super::remedy::Remedy;
use super::repair::Repairs;
use crate::indicators::state::IndicatorState;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Checkpoint, Commit, CommitNumber, LogIdentity, NextOffset, TopicPartition};
use crate::storage::layout::{self, BarsFile, Dataset, EntryName};
use crate::storage::{Lake, PublishedFile, StorageError};

use elsewhere::Elsewhere;
pub use elsewhere::{is_published, readable};

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
    /// The saved indicators: features of all files that they include are published.
    pub indicators: Option<IndicatorState>,
    /// Without those that the newest entry tells of as lost or not made again yet.
    pub aside: Vec<Aside>,
}

impl ChainSeen {
    /// The newest file that the saved indicators include; 0 when there are none.
    pub fn saved(&self) -> CommitNumber {
        self.indicators.as_ref().map_or(CommitNumber(0), IndicatorState::last)
    }
}

/// An entry that was put aside as unreadable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aside {
    pub number: CommitNumber,
    /// The chain has gone on beyond it.
    pub is_behind: bool,
}

/// What became of an entry's rows in public.
enum Copy {
    /// They stand there, or there are none.
    Stands,
    Missing,
    /// Damaged, or not what the chain says.
    Bad,
}

/// The check of one chain after the other.
pub struct ChainCheck<'a> {
    pub lake: &'a Lake,
    pub root: &'a Path,
    pub findings: &'a mut Findings,
    /// Puts right what it finds.
    pub repairs: Option<&'a mut Repairs>,
}

impl ChainCheck<'_> {
    /// Checks every entry that the chains hold.
    ///
    /// # Errors
    /// When a chain cannot be listed, or a repair is refused by the disk.
    pub fn all(mut self) -> Result<BTreeMap<TopicPartition, ChainSeen>, StorageError> {
        let mut seen = BTreeMap::new();
        for partition in self.lake.partitions()? {
            let chain = self.check(&partition)?;
            seen.insert(partition, chain);
        }
        Ok(seen)
    }

    fn check(&mut self, partition: &TopicPartition) -> Result<ChainSeen, StorageError> {
        // before the entries: these are let go of only when the saved indicators include them
        let indicators = self.indicators(partition)?;
        let names = self.settled_names(partition)?;
        let entries = self.lake.entries(partition)?;
        let horizon = entries.last().copied().unwrap_or(CommitNumber(0));
        let indicators = self.usable_indicators(partition, indicators, entries.first().copied())?;
        self.check_holes(partition, &names)?;
        let mut seen =
            ChainSeen { horizon, newest: None, newest_ticks: 0, unpublished: false, indicators, aside: Vec::new() };
        let mut cuts: Vec<(CommitNumber, LogIdentity, NextOffset)> = Vec::new();
        for (at, number) in entries.iter().copied().enumerate() {
            let path = entry_path(self.root, partition, number);
            let commit = match self.lake.read_entry(partition, number) {
                Ok(commit) => commit,
                // removed since it was listed: its bars and features are published, the walk comes to them
                Err(StorageError::Missing { .. }) => continue,
                Err(error) => {
                    let is_on_top = self.are_damaged(partition, &entries[at + 1..]);
                    self.unreadable_entry((partition, number), error, is_on_top)?;
                    continue;
                }
            };
            if let Err(problem) = check_conservation(&commit.checkpoint) {
                self.findings.of_file(&path, problem, Remedy::RestoreOrReplay);
            }
            cuts.push((number, commit.checkpoint.log.clone(), commit.checkpoint.cut));
            let stands = self.check_published((partition, number), &commit, horizon)?;
            if number == horizon {
                seen.newest_ticks = ticks_of(&commit.rows);
                seen.newest = Some(commit.checkpoint);
                seen.unpublished = !stands;
            }
        }
        let aside = names.iter().filter(|name| matches!(name, EntryName::Quarantined(_))).map(|name| name.number());
        let in_doubt = aside.filter(|number| !losses::is_told(seen.newest.as_ref(), *number));
        seen.aside = in_doubt.map(|number| Aside { number, is_behind: is_behind(number, &cuts, horizon) }).collect();
        Ok(seen)
    }

    /// Whether all of these are: the next start mends the newest that are damaged together.
    fn are_damaged(&self, partition: &TopicPartition, entries: &[CommitNumber]) -> bool {
        let is_damaged = |number| matches!(self.lake.read_entry(partition, number), Err(StorageError::Damaged { .. }));
        entries.iter().copied().all(is_damaged)
    }

    /// Compares an entry with its public copy; whether there is one, or none is needed.
    fn check_published(
        &mut self,
        (partition, number): (&TopicPartition, CommitNumber),
        commit: &Commit,
        horizon: CommitNumber,
    ) -> Result<bool, StorageError> {
        let Some(date) = commit.date() else { return Ok(true) };
        let file = BarsFile { partition: partition.clone(), number, date };
        let public = published(self.root, &file, Dataset::Bars);
        let entry = entry_path(self.root, partition, number);
        let held = Held::in_bars(Witness::Entry, &commit.rows);
        let copy = match self.lake.read_bars(&public) {
            Ok(None) => Copy::Missing,
            Ok(Some(found)) if found.bars[..] == commit.rows[..] && found.checkpoint == commit.checkpoint => {
                Copy::Stands
            }
            Ok(Some(found)) => {
                let is_spare = self.windows_stand_without(&file, &found.bars, commit)?;
                self.tell_difference(&public, &entry, held.as_ref(), is_spare);
                if is_spare { Copy::Bad } else { Copy::Stands }
            }
            // the walk says so
            Err(StorageError::Damaged { .. }) => Copy::Bad,
            Err(_) => Copy::Stands,
        };
        match copy {
            Copy::Stands => return Ok(true),
            Copy::Bad => {}
            Copy::Missing if self.is_misplaced(&file, &public, held.as_ref())? => return Ok(true),
            Copy::Missing => match self.elsewhere(&file, commit, horizon)? {
                // the one after it was only begun when this one was published
                Elsewhere::Nothing if number < horizon => {
                    let problem = format!("is missing: its entry in the chain, {}, is not published", entry.display());
                    self.findings.of_held(&public.path, problem, held.as_ref(), Remedy::Repair);
                }
                Elsewhere::Nothing => {}
                Elsewhere::All => {
                    self.let_go_of_double(partition, number)?;
                    return Ok(true);
                }
                Elsewhere::Part(other) => {
                    let problem = format!(
                        "is in the chain and not published, and {} holds bars of some of its windows: either that was copied \
                         here, or this is of an owner that had lost the partition",
                        other.path.display()
                    );
                    self.findings.of_held(&entry, problem, held.as_ref(), Remedy::MoveOneOut);
                    return Ok(true);
                }
            },
        }
        let Some(repairs) = &mut self.repairs else { return Ok(matches!(copy, Copy::Bad)) };
        self.lake.publish_again(&file)?;
        repairs.did(&public.path, "published again from the chain");
        Ok(true)
    }

    /// Whether a published file stands under another date, where readers take it all the same: a second copy would double its bars.
    fn is_misplaced(
        &mut self,
        file: &BarsFile,
        public: &PublishedFile,
        held: Option<&Held>,
    ) -> Result<bool, StorageError> {
        let copy = self.lake.good_copy(&file.partition, file.number)?.map(|copy| copy.file);
        let Some(other) = copy.filter(|other| other.date != file.date) else { return Ok(false) };
        let problem =
            format!("is missing, and {} has its name: move that here, or out of the lake", other.path(Dataset::Bars));
        self.findings.of_held(&public.path, problem, held, Remedy::MoveOut);
        Ok(true)
    }

    /// A published file is not its entry. The chain is what counts, as long as nothing is lost with the file.
    fn tell_difference(&mut self, public: &PublishedFile, entry: &Path, held: Option<&Held>, is_spare: bool) {
        let problem = format!("differs from its entry in the chain, {}", entry.display());
        if is_spare {
            self.findings.of_held(&public.path, problem, held, Remedy::Repair);
        } else {
            let problem = format!("{problem}, and has bars of windows that stand nowhere else");
            self.findings.of_held(&public.path, problem, held, Remedy::MoveOneOut);
        }
    }

    /// All rows of an entry stand in files of later commits.
    fn let_go_of_double(&mut self, partition: &TopicPartition, number: CommitNumber) -> Result<(), StorageError> {
        let entry = entry_path(self.root, partition, number);
        let problem =
            "is in the chain, and its rows stand under another number: it is of an owner that had lost the partition";
        self.findings.of_file(&entry, problem, Remedy::Repair);
        if let Some(repairs) = &mut self.repairs {
            self.lake.remove_from_chain(partition, number)?;
            repairs.did(&entry, "removed: its rows stand under another number");
        }
        Ok(())
    }

    fn unreadable_entry(
        &mut self,
        (partition, number): (&TopicPartition, CommitNumber),
        error: StorageError,
        is_newest: bool,
    ) -> Result<(), StorageError> {
        let path = entry_path(self.root, partition, number);
        let is_damaged = matches!(error, StorageError::Damaged { .. });
        let copy = if is_damaged { self.lake.good_copy(partition, number)?.map(|copy| copy.file) } else { None };
        let remedy = match &copy {
            Some(_) => Remedy::Repair,
            None if is_newest => Remedy::NextStart,
            // Its public copy is the same file under another name: it held rows, and they are gone.
            None if has_public_name(self.lake, partition, number)? => Remedy::RestoreOrReplay,
            None => Remedy::Repair,
        };
        let rows = copy.as_ref().and_then(|copy| {
            let content = self.lake.read_bars(&published(self.root, copy, Dataset::Bars)).ok().flatten()?;
            Held::in_bars(Witness::Copy, &content.bars)
        });
        self.findings.unreadable(&path, error, rows.as_ref(), remedy);
        match (&mut self.repairs, copy) {
            (Some(repairs), Some(copy)) => {
                self.lake.restore_entry(&copy)?;
                repairs.did(&path, "restored from its published copy");
            }
            (Some(repairs), None) if is_damaged && !is_newest => {
                self.lake.put_aside(partition, number)?;
                repairs.did(&path, "put aside: nothing readable is left of it");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a file of bars is published under this number, readable or not.
fn has_public_name(lake: &Lake, partition: &TopicPartition, number: CommitNumber) -> Result<bool, StorageError> {
    for date in lake.dates(Dataset::Bars)? {
        let files = lake.files_of(Dataset::Bars, &date)?;
        if files.iter().any(|file| file.commit().is_some_and(|(of, at)| of == *partition && at == number)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What was done about saved indicators that cannot be used.
pub const FORGOTTEN: &str = "removed: the next start computes it from all bars of the partition";

/// Whether the chain has gone on reading beyond an entry put aside, and has one to fall back to besides the newest.
fn is_behind(number: CommitNumber, cuts: &[(CommitNumber, LogIdentity, NextOffset)], horizon: CommitNumber) -> bool {
    let (below, above) = cuts.split_at(cuts.partition_point(|(other, ..)| *other < number));
    let newest = above.last().filter(|(newest, ..)| above.len() > 1 && *newest == horizon);
    // Offsets of another log say nothing: the embedded broker begins anew.
    let is_beyond = |log: &LogIdentity, cut| {
        below.last().is_none_or(|(_, before, reached)| log.cluster != before.cluster || cut > *reached)
    };
    newest.is_some_and(|(_, log, cut)| is_beyond(log, *cut))
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
