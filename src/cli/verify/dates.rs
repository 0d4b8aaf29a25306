//! The walk over the published files, date by date, and by partition and number within a date: so each stock's windows come in
//! their order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::chains::{self, ChainSeen, published};
use super::findings::{RowFaults, Rule};
use super::history::History;
use super::{Findings, Report, bars, features, listing};
use crate::indicators::feature_row::FeatureRow;
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
    learnt: Learnt,
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
    waiting: Vec<BarsFile>,
    /// Partitions with files that their chains do not know, told once.
    ahead: BTreeSet<TopicPartition>,
}

/// One of the two files of a commit.
enum Side<T> {
    Read(T),
    /// It is there; that it cannot be read is told.
    Unreadable,
    Absent,
}

/// A file was gone since it was listed.
struct Gone;

impl<'a> Walk<'a> {
    pub fn new(
        lake: &'a Lake,
        root: &'a Path,
        chains: BTreeMap<TopicPartition, ChainSeen>,
        findings: Findings,
    ) -> Self {
        Self { lake, root, chains, learnt: Learnt { findings, ..Learnt::default() } }
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
            self.check_commit(file, bars, features, learnt);
        }
        Ok(Ok(()))
    }

    /// Files of commits made since the chains were looked at are left out: a directory listed meanwhile may hold one of them and
    /// lack the one before it. Where a file is ahead of its chain for good, that is a finding, and the file is looked at.
    fn is_newer_than_this_check(&self, file: &BarsFile, learnt: &mut Learnt) -> Result<bool, StorageError> {
        let horizon = self.chains.get(&file.partition).map_or(CommitNumber(0), |chain| chain.horizon);
        if file.number <= horizon || learnt.ahead.contains(&file.partition) {
            return Ok(false);
        }
        let top = self.lake.entries(&file.partition)?.last().copied();
        if top.is_some_and(|top| file.number <= top) {
            return Ok(true);
        }
        let ends = top.map_or_else(|| String::from("has no entries"), |top| format!("ends at {top}"));
        let problem =
            format!("the partition's chain in state/ {ends}: the file was copied here, or the chain was changed");
        learnt.findings.of_file(&self.path(file, Dataset::Bars), problem);
        learnt.ahead.insert(file.partition.clone());
        Ok(false)
    }

    fn read_bars(&self, file: &BarsFile, learnt: &mut Learnt) -> Result<Side<PublishedBars>, Gone> {
        let read = self.lake.read_bars(&published(self.root, file, Dataset::Bars));
        let side = self.side(file, Dataset::Bars, read, learnt)?;
        if let Side::Read(content) = &side {
            learnt.bars += content.bars.len() as u64;
        }
        Ok(side)
    }

    fn read_features(&self, file: &BarsFile, learnt: &mut Learnt) -> Result<Side<Vec<FeatureRow>>, Gone> {
        let read = self.lake.read_features(&published(self.root, file, Dataset::Features));
        let side = self.side(file, Dataset::Features, read, learnt)?;
        let newest = learnt.featured.entry(file.partition.clone()).or_insert(file.number);
        *newest = file.number.max(*newest);
        if let Side::Read(rows) = &side {
            learnt.feature_rows += rows.len() as u64;
        }
        Ok(side)
    }

    fn side<T>(
        &self,
        file: &BarsFile,
        dataset: Dataset,
        read: Result<Option<T>, StorageError>,
        learnt: &mut Learnt,
    ) -> Result<Side<T>, Gone> {
        let side = match read {
            Ok(Some(content)) => Side::Read(content),
            Ok(None) => return Err(Gone),
            Err(error) => {
                learnt.findings.of_file(&self.path(file, dataset), reason(error));
                Side::Unreadable
            }
        };
        learnt.files += 1;
        Ok(side)
    }

    /// Features that were not listed: they may have come since, or are still to come.
    fn look_for_features(&self, file: &BarsFile, learnt: &mut Learnt) -> Result<Side<Vec<FeatureRow>>, StorageError> {
        // In this order: an entry leaves its chain only after its features have come.
        let is_held = self.lake.entries(&file.partition)?.contains(&file.number);
        if let Ok(side) = self.read_features(file, learnt) {
            return Ok(side);
        }
        let saved = self.chains.get(&file.partition).map_or(CommitNumber(0), |chain| chain.saved);
        if is_held && file.number > saved {
            learnt.waiting.push(file.clone());
        } else {
            learnt.findings.of_file(&self.path(file, Dataset::Bars), NO_FEATURES);
        }
        Ok(Side::Absent)
    }

    fn check_commit(
        &self,
        file: &BarsFile,
        bars: Side<PublishedBars>,
        features: Side<Vec<FeatureRow>>,
        learnt: &mut Learnt,
    ) {
        let newest = learnt.newest.entry(file.partition.clone()).or_insert(file.number);
        *newest = file.number.max(*newest);
        match (bars, features) {
            (Side::Read(content), features) => self.check_rows(file, &content, features, learnt),
            (unread, features) => {
                if let Side::Absent = unread {
                    learnt.findings.of_file(&self.path(file, Dataset::Features), "has no bars file beside it in bars/");
                }
                // without features either, the next tally tells whether there were bars
                if let Side::Read(rows) = features {
                    learnt.history.stand_in(&file.partition, &file.name(), &rows);
                }
            }
        }
    }

    fn check_rows(
        &self,
        file: &BarsFile,
        content: &PublishedBars,
        features: Side<Vec<FeatureRow>>,
        learnt: &mut Learnt,
    ) {
        let path = self.path(file, Dataset::Bars);
        let mut faults = RowFaults::default();
        bars::check(&content.bars, &file.date, &content.checkpoint, &mut faults);
        let mut expected = Vec::new();
        // rows of another date are not in their turn: only where they stand is told
        if !faults.has(Rule::Date) {
            for problem in learnt.history.tally(&file.partition, &content.bars, &content.checkpoint) {
                learnt.findings.of_file(&path, problem);
            }
            expected = learnt.history.push_file(&file.partition, &file.name(), &content.bars, &mut faults);
        }
        learnt.findings.of_rows(&path, faults);
        if let Side::Read(rows) = features {
            let path = self.path(file, Dataset::Features);
            let mut faults = RowFaults::default();
            if let Err(problem) = features::compare(&content.bars, &expected, &rows, &mut faults) {
                learnt.findings.of_file(&path, problem);
            }
            learnt.findings.of_rows(&path, faults);
        }
    }

    /// What remains to be said when all dates are through.
    pub fn finish(self) -> Report {
        let Learnt { mut history, mut findings, featured, newest, waiting, bars, feature_rows, files, .. } =
            self.learnt;
        let is_seen = |partition, chain: &ChainSeen| newest.get(partition).is_some_and(|seen| *seen >= chain.horizon);
        let unpublished =
            self.chains.iter().filter(|(partition, chain)| chain.unpublished && !is_seen(partition, chain));
        let mut pending = unpublished.count();
        for file in waiting.iter().filter(|file| !self.lake.has_features(file)) {
            // features come in the order of their files
            if featured.get(&file.partition).is_some_and(|newest| *newest > file.number) {
                findings.of_file(&self.root.join(file.path(Dataset::Bars)), NO_FEATURES);
            } else {
                pending += 1;
            }
        }
        for (partition, chain) in &self.chains {
            let Some(checkpoint) = &chain.newest else { continue };
            let not_in_files = if is_seen(partition, chain) { 0 } else { chain.newest_ticks };
            if let Err(problem) = history.close(partition, checkpoint.counters.in_bars.saturating_sub(not_in_files)) {
                findings.of_file(&chains::entry_path(self.root, partition, chain.horizon), problem);
            }
        }
        let partitions = history.partitions().chain(self.chains.keys()).collect::<BTreeSet<_>>().len();
        let stocks = history.stocks();
        let (findings, unlisted) = findings.into_parts();
        let sound = findings.is_empty();
        Report { sound, bars, feature_rows, files, stocks, partitions, pending, unlisted, findings }
    }

    fn path(&self, file: &BarsFile, dataset: Dataset) -> PathBuf {
        self.root.join(file.path(dataset))
    }
}

/// Why a file cannot be used; the finding names it.
pub fn reason(error: StorageError) -> String {
    match error {
        StorageError::Damaged { reason, .. } => format!("is damaged or was not written by stockstream: {reason}"),
        StorageError::Newer { version, .. } => format!("has format version {version}, newer than this program knows"),
        StorageError::Io { action, source, .. } => format!("cannot {action} it: {source}"),
        other => other.to_string(),
    }
}
