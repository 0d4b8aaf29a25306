//! The walk over the published files, date by date, and by partition and number within a date: so each stock's windows come in
//! their order.

mod finish;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::chains::{ChainSeen, published};
use super::coverage::Cuts;
use super::findings::{RowFaults, Rule};
use super::held::{Held, Witness};
use super::history::{History, Standing};
use super::remedy::Remedy;
use super::repair::Repairs;
use super::{Findings, Report, bars, features, listing};
use crate::indicators::feature_row::FeatureRow;
use crate::market::bar::Bar;
use crate::market::checkpoint::{CommitNumber, TopicPartition};
use crate::storage::reader::PublishedBars;
use crate::storage::{BarsFile, Dataset, Lake, StorageError};

/// How often a date is listed again when something that was listed is gone.
const ATTEMPTS: u32 = 20;

const NO_FEATURES: &str = "has no features file beside it in features/";

/// The walk, and what it has learnt so far.
pub struct Walk<'a> {
    lake: &'a Lake,
    root: &'a Path,
    chains: BTreeMap<TopicPartition, ChainSeen>,
    /// Puts right what is found.
    repairs: Option<&'a mut Repairs>,
    learnt: Learnt,
}

/// What the walk leaves to be looked at further.
pub struct Walked {
    pub report: Report,
    pub findings: Findings,
    pub chains: BTreeMap<TopicPartition, ChainSeen>,
    pub cuts: BTreeMap<TopicPartition, Cuts>,
}

/// Grows by whole dates: one that changes while it is read is read again, and leaves nothing behind.
#[derive(Clone, Default)]
struct Learnt {
    history: History,
    findings: Findings,
    bars: u64,
    feature_rows: u64,
    files: u64,
    /// Newest file of a partition that has features.
    featured: BTreeMap<TopicPartition, CommitNumber>,
    /// Newest file of a partition that was looked at.
    newest: BTreeMap<TopicPartition, CommitNumber>,
    /// Files without features that the chain still holds.
    waiting: Vec<(BarsFile, Option<Held>)>,
    /// Partitions with files that their chains do not know, told once, and the newest of these that is readable.
    ahead: BTreeMap<TopicPartition, Option<BarsFile>>,
    /// Partitions whose saved indicators were held against the bars.
    compared: BTreeSet<TopicPartition>,
    cuts: BTreeMap<TopicPartition, Cuts>,
}

/// One of the two files of a commit.
enum Side<T> {
    Read(T),
    Unreadable(StorageError),
    Absent,
    /// It may be in the making.
    Awaited,
}

/// A file was gone since it was listed.
struct Gone;

impl<'a> Walk<'a> {
    pub fn new(
        lake: &'a Lake,
        root: &'a Path,
        (chains, findings): (BTreeMap<TopicPartition, ChainSeen>, Findings),
        repairs: Option<&'a mut Repairs>,
    ) -> Self {
        Self { lake, root, chains, repairs, learnt: Learnt { findings, ..Learnt::default() } }
    }

    /// Checks one date; dates come in their order.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn date(&mut self, date: &str) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            let mut learnt = self.learnt.clone();
            learnt.history.begin_date();
            if self.check_date(date, &mut learnt)?.is_ok() {
                self.learnt = learnt;
                return Ok(());
            }
        }
        bail!("{} changes all the time; try again", self.root.join(Dataset::Bars.date_dir(date)).display())
    }

    fn check_date(&mut self, date: &str, learnt: &mut Learnt) -> anyhow::Result<Result<(), Gone>> {
        // Features first: whatever has them was in bars/ before.
        let with_features = listing::files(self.root, Dataset::Features, date, &mut learnt.findings)?;
        let with_bars = listing::files(self.root, Dataset::Bars, date, &mut learnt.findings)?;
        for file in with_bars.union(&with_features) {
            if self.is_newer_than_this_check(file, learnt)? {
                continue;
            }
            let bars = match with_bars.contains(file) {
                true => self.read_bars(file, learnt),
                false => Ok(Side::Absent),
            };
            let Ok(bars) = bars else { return Ok(Err(Gone)) };
            let features = match with_features.contains(file) {
                true => self.read_features(file, learnt),
                false => Ok(self.look_for_features(file, learnt)?),
            };
            let Ok(features) = features else { return Ok(Err(Gone)) };
            self.check_commit(file, bars, features, learnt)?;
        }
        Ok(Ok(()))
    }

    /// Files of commits made since the chains were looked at are left out: a directory listed meanwhile may hold one of them and
    /// lack the one before it. Where a file is ahead of its chain for good, that is a finding, and the file is looked at.
    fn is_newer_than_this_check(&self, file: &BarsFile, learnt: &mut Learnt) -> Result<bool, StorageError> {
        let horizon = self.chains.get(&file.partition).map_or(CommitNumber(0), |chain| chain.horizon);
        if file.number <= horizon || learnt.ahead.contains_key(&file.partition) {
            return Ok(false);
        }
        let top = self.lake.entries(&file.partition)?.last().copied();
        if top.is_some_and(|top| file.number <= top) {
            return Ok(true);
        }
        let ends = top.map_or_else(|| String::from("has no entries"), |top| format!("ends at {top}"));
        let problem = format!(
            "the partition's chain in state/ {ends}: entries were removed from it (then the next start takes this back into \
             it), or the file was copied here (then move it out of the lake)"
        );
        learnt.findings.of_file(&self.path(file, Dataset::Bars), problem, Remedy::Repair);
        learnt.ahead.insert(file.partition.clone(), None);
        Ok(false)
    }

    fn read_bars(&self, file: &BarsFile, learnt: &mut Learnt) -> Result<Side<PublishedBars>, Gone> {
        let read = self.lake.read_bars(&published(self.root, file, Dataset::Bars));
        let side = side(read, learnt)?;
        if let Side::Read(content) = &side {
            learnt.bars += content.bars.len() as u64;
        }
        Ok(side)
    }

    fn read_features(&self, file: &BarsFile, learnt: &mut Learnt) -> Result<Side<Vec<FeatureRow>>, Gone> {
        let read = self.lake.read_features(&published(self.root, file, Dataset::Features));
        let side = side(read, learnt)?;
        let newest = learnt.featured.entry(file.partition.clone()).or_insert(file.number);
        *newest = file.number.max(*newest);
        if let Side::Read(rows) = &side {
            learnt.feature_rows += rows.len() as u64;
        }
        Ok(side)
    }

    /// Features that were not listed: they may have come since, or are still to come.
    fn look_for_features(&self, file: &BarsFile, learnt: &mut Learnt) -> Result<Side<Vec<FeatureRow>>, StorageError> {
        // In this order: an entry leaves its chain only after its features have come.
        let is_held = self.lake.entries(&file.partition)?.contains(&file.number);
        if let Ok(side) = self.read_features(file, learnt) {
            return Ok(side);
        }
        let saved = self.chains.get(&file.partition).map_or(CommitNumber(0), ChainSeen::saved);
        Ok(if is_held && file.number > saved { Side::Awaited } else { Side::Absent })
    }

    fn check_commit(
        &mut self,
        file: &BarsFile,
        bars: Side<PublishedBars>,
        features: Side<Vec<FeatureRow>>,
        learnt: &mut Learnt,
    ) -> Result<(), StorageError> {
        let newest = learnt.newest.entry(file.partition.clone()).or_insert(file.number);
        *newest = file.number.max(*newest);
        self.compare_saved(&file.partition, Some(file.number), learnt)?;
        let standing = match bars {
            Side::Read(content) => {
                if let Some(newest) = learnt.ahead.get_mut(&file.partition) {
                    *newest = Some(file.clone());
                }
                learnt.cuts.entry(file.partition.clone()).or_default().observe(&content.checkpoint);
                return self.check_rows(file, &content, features, learnt);
            }
            Side::Unreadable(error) => {
                let entry = self.held_by_chain(file, Witness::Entry);
                let remedy = if entry.is_some() { Remedy::Repair } else { Remedy::RestoreOrReplay };
                let held = entry.or_else(|| match &features {
                    Side::Read(rows) => Held::in_features(rows),
                    _ => None,
                });
                learnt.findings.unreadable(&self.path(file, Dataset::Bars), error, held.as_ref(), remedy);
                Standing::Unreadable
            }
            Side::Absent | Side::Awaited => Standing::Gone,
        };
        match features {
            Side::Read(rows) => learnt.history.stand_in(file, &rows, standing),
            Side::Unreadable(error) => {
                let held = self.held_by_chain(file, Witness::EntryOfBars);
                let path = self.path(file, Dataset::Features);
                learnt.findings.unreadable(&path, error, held.as_ref(), Remedy::RestoreOrReplay);
            }
            // the next tally tells whether there were bars
            Side::Absent | Side::Awaited => {}
        }
        Ok(())
    }

    fn check_rows(
        &mut self,
        file: &BarsFile,
        content: &PublishedBars,
        features: Side<Vec<FeatureRow>>,
        learnt: &mut Learnt,
    ) -> Result<(), StorageError> {
        let path = self.path(file, Dataset::Bars);
        let mut faults = RowFaults::default();
        bars::check(&content.bars, &file.date, &content.checkpoint, &mut faults);
        if faults.has(Rule::Date)
            && let Some(home) = self.stands_at_home(file, &content.bars)
        {
            let problem = format!(
                "is not of the directory's date {}, but a copy of {} (as may be the features beside it): readers have its bars twice",
                file.date,
                home.display()
            );
            let first = content.bars.first().map(|bar| (bar.symbol.clone(), bar.window_start));
            learnt.findings.of_row(&path, problem, first.as_ref(), Remedy::MoveOut);
            return Ok(());
        }
        let mut expected = Vec::new();
        // rows of another date are not in their turn: only where they stand is told
        if !faults.has(Rule::Date) {
            let sums = learnt.history.tally(&file.partition, &content.bars, &content.checkpoint);
            self.tell_sums(&path, sums, learnt)?;
            expected = learnt.history.push_file(&file.partition, &file.name(), &content.bars, &mut faults);
        }
        let are_sound = faults.is_empty();
        learnt.findings.of_rows(&path, faults, Remedy::RestoreOrReplay);
        let whole: Option<Vec<FeatureRow>> = expected.iter().cloned().collect();
        let whole = whole.filter(|rows| are_sound && rows.len() == content.bars.len());
        let remedy = if whole.is_some() { Remedy::Repair } else { Remedy::RestoreOrReplay };
        let held = |witness| Held::in_bars(witness, &content.bars);
        let path = self.path(file, Dataset::Features);
        let are_good = match features {
            Side::Read(rows) => {
                let mut faults = RowFaults::default();
                let shape = features::compare(&content.bars, &expected, &rows, &mut faults);
                let are_good = shape.is_ok() && faults.is_empty();
                if let Err(problem) = shape {
                    learnt.findings.of_held(&path, problem, held(Witness::Bars).as_ref(), remedy);
                }
                learnt.findings.of_rows(&path, faults, remedy);
                are_good
            }
            Side::Unreadable(error) => {
                let is_damaged = matches!(error, StorageError::Damaged { .. });
                learnt.findings.unreadable(&path, error, held(Witness::Bars).as_ref(), remedy);
                !is_damaged
            }
            Side::Absent => {
                let path = self.path(file, Dataset::Bars);
                learnt.findings.of_held(&path, NO_FEATURES, held(Witness::Itself).as_ref(), remedy);
                false
            }
            Side::Awaited => {
                learnt.waiting.push((file.clone(), held(Witness::Itself)));
                false
            }
        };
        if let (Some(repairs), false, Some(rows)) = (&mut self.repairs, are_good, whole) {
            self.lake.publish_features_again(file, &rows)?;
            repairs.did(&path, "computed again from the bars");
        }
        Ok(())
    }

    /// Where the same bars stand under the date that they are of.
    fn stands_at_home(&self, file: &BarsFile, bars: &[Bar]) -> Option<PathBuf> {
        let home = BarsFile { date: bars.first()?.window_start.date(), ..file.clone() };
        let found = self.lake.read_bars(&published(self.root, &home, Dataset::Bars)).ok().flatten()?;
        (home.date != file.date && found.bars[..] == *bars).then(|| self.path(&home, Dataset::Bars))
    }

    fn path(&self, file: &BarsFile, dataset: Dataset) -> PathBuf {
        self.root.join(file.path(dataset))
    }
}

fn side<T>(read: Result<Option<T>, StorageError>, learnt: &mut Learnt) -> Result<Side<T>, Gone> {
    let side = match read {
        Ok(Some(content)) => Side::Read(content),
        Ok(None) => return Err(Gone),
        Err(error) => Side::Unreadable(error),
    };
    learnt.files += 1;
    Ok(side)
}
