//! What a taker does about a chain that is not as its owners left it.
//!
//! - **The newest entry is unreadable** (a flipped bit, a torn copy). If its published file is a good copy (in a lake that was
//!   copied they are no longer one file) the entry is restored from it. Else its published rows and their features are
//!   withdrawn, the partition's saved indicators dropped, and the entry is put aside as `<n>.parquet.quarantined`: the entry
//!   before it says where to go on, and the log makes the rows again under a new number. The number stays taken. Where the log
//!   cannot, or may end before it has, whoever takes the partition writes that into its next checkpoint.
//!   Before anything is withdrawn it is asked whether it will go on so: a start that is refused leaves all as it was, for what a damaged
//!   file held may still be had from its features, or from a backup.
//! - **`bars/` holds a higher number than the chain** (somebody deleted from `state/`). The file is taken back into the chain,
//!   for it carries its checkpoint; if it is unreadable, the partition is refused. Only the dates are listed that a later
//!   commit can have: rows of a later commit end above the checkpoint's watermark. A partition without any entry has all dates
//!   listed, once in its life.
//! - **No entry is readable**: refused, unless nothing was ever removed from the chain; then all is withdrawn and made again.
//!
//! Everything here can be interrupted and begins again: the entry is put aside last, when all else is durable. One that is stopped on
//! the way and goes on when a newer owner has mended and committed does no harm: what it withdraws has a number that nobody has used
//! since, and a saved state of the indicators that it removes is computed anew at the next start.

use std::collections::{BTreeMap, BTreeSet};

use super::lake::{Lake, decode_as, valid};
use super::layout::{self, BarsFile, Dataset, EntryName};
use super::parquet::{self, Unreadable};
use super::repair::GoodCopy;
use super::{StorageError, store::Put};
use crate::market::checkpoint::{Checkpoint, Commit, CommitNumber, TopicPartition};
use crate::market::lost_commits::{LostBars, LostCommits};
use crate::market::time::EventTime;

#[cfg(test)]
mod tests;

/// The newest entry of a chain, `None` when there is none at all.
type Newest = Option<(CommitNumber, Commit)>;

/// What the entries held that a taking has put aside, as far as their features told.
pub(super) type Withdrawn = BTreeMap<CommitNumber, LostBars>;

/// What is to be done about a chain whose newest entries are unreadable.
struct Mending {
    /// To be put aside, the newest first.
    aside: Vec<Aside>,
    /// What is the newest then.
    newest: Newest,
    /// Of that one, whose entry is to be restored from it.
    copy: Option<Vec<u8>>,
}

/// An unreadable entry without a good copy.
struct Aside {
    number: CommitNumber,
    reason: String,
    files: Vec<BarsFile>,
    /// What it held, as far as its features tell.
    told: Option<LostBars>,
}

impl Lake {
    /// The newest entry; the outer `None` when something was mended or has changed, and the chain is to be read again. `start_from` is
    /// asked before entries are put aside, with what would be the newest then.
    pub(super) fn newest_or_mend<E: From<StorageError>>(
        &self,
        partition: &TopicPartition,
        names: &[EntryName],
        withdrawn: &mut Withdrawn,
        start_from: &mut impl FnMut(Option<Checkpoint>, &[LostCommits]) -> Result<Checkpoint, E>,
    ) -> Result<Option<Newest>, E> {
        let mut damaged = Vec::new();
        for number in valid(names).into_iter().rev() {
            match self.look_at_entry(partition, number)? {
                None => return Ok(None),
                Some(Ok(commit)) if damaged.is_empty() => return Ok(Some(Some((number, commit)))),
                Some(Ok(commit)) => {
                    let mending = self.mending(partition, damaged, Some((number, commit)))?;
                    self.ask_and_mend(partition, names, mending, withdrawn, start_from)?;
                    return Ok(None);
                }
                Some(Err(Unreadable::Damaged(reason))) => damaged.push((number, reason)),
                Some(Err(why)) => {
                    let path = self.store().locate(&layout::entry(partition, number));
                    return Err(StorageError::unreadable(path, why).into());
                }
            }
        }
        let taken: BTreeSet<u64> = names.iter().map(|name| name.number().0).collect();
        let nothing_removed = taken.iter().copied().eq(1..=taken.len() as u64);
        let Some((newest, reason)) = damaged.first() else {
            let lost = || self.chain_lost(partition, "all entries are quarantined").into();
            return if nothing_removed { Ok(Some(None)) } else { Err(lost()) };
        };
        if nothing_removed {
            let mending = self.mending(partition, damaged, None)?;
            self.ask_and_mend(partition, names, mending, withdrawn, start_from)?;
        } else if let Some(copy) = self.good_copy(partition, *newest)? {
            self.restore(partition, *newest, &copy.bytes)?;
        } else {
            return Err(self.chain_lost(partition, reason).into());
        }
        Ok(None)
    }

    fn chain_lost(&self, partition: &TopicPartition, reason: &str) -> StorageError {
        let path = self.store().locate(&layout::chain_dir(partition));
        StorageError::ChainLost { path, reason: reason.to_owned() }
    }

    /// What is to be done about unreadable entries, given the newest first; `before`: the newest of the others.
    fn mending(
        &self,
        partition: &TopicPartition,
        damaged: Vec<(CommitNumber, String)>,
        before: Newest,
    ) -> Result<Mending, StorageError> {
        let mut aside = Vec::new();
        for (number, reason) in damaged {
            if let Some(GoodCopy { commit, bytes, .. }) = self.good_copy(partition, number)? {
                return Ok(Mending { aside, newest: Some((number, commit)), copy: Some(bytes) });
            }
            let files = self.published(partition, number)?;
            let mut told = None;
            for file in &files {
                told = told.or(self.told_by_features(file)?);
            }
            aside.push(Aside { number, reason, files, told });
        }
        Ok(Mending { aside, newest: before, copy: None })
    }

    fn ask_and_mend<E: From<StorageError>>(
        &self,
        partition: &TopicPartition,
        names: &[EntryName],
        mending: Mending,
        withdrawn: &mut Withdrawn,
        start_from: &mut impl FnMut(Option<Checkpoint>, &[LostCommits]) -> Result<Checkpoint, E>,
    ) -> Result<(), E> {
        if !mending.aside.is_empty() {
            let told = mending.aside.iter().filter_map(|aside| Some((aside.number, aside.told.clone()?)));
            withdrawn.extend(told);
            let to_be_aside = |number| mending.aside.iter().any(|aside| aside.number == number);
            let then: Vec<EntryName> = names
                .iter()
                .map(|name| match *name {
                    EntryName::Entry(number) if to_be_aside(number) => EntryName::Quarantined(number),
                    name => name,
                })
                .collect();
            let lost = self.aside_since(partition, &then, mending.newest.as_ref(), withdrawn)?;
            start_from(mending.newest.as_ref().map(|(_, commit)| commit.checkpoint.clone()), &lost)?;
        }
        Ok(self.mend(partition, mending)?)
    }

    /// Puts aside, the newest first, then restores.
    fn mend(&self, partition: &TopicPartition, mending: Mending) -> Result<(), StorageError> {
        for Aside { number, reason, files, .. } in &mending.aside {
            tracing::warn!(%partition, %number, reason, "unreadable entry put aside; its rows are made again from the log, if that still holds their ticks");
            for file in files {
                // bars first: features are only published beside them
                self.store().retract(&file.path(Dataset::Bars))?;
                self.store().retract(&file.path(Dataset::Features))?;
            }
            // for sure, or a power cut could bring them back beside an entry that is put aside
            self.forget_indicators(partition)?;
            let (from, to) = (layout::entry(partition, *number), layout::quarantined(partition, *number));
            self.store().set_aside(&from, &to)?;
        }
        match (mending.newest, mending.copy) {
            (Some((number, _)), Some(copy)) => self.restore(partition, number, &copy),
            _ => Ok(()),
        }
    }

    /// The bars of a commit, as its features still tell.
    fn told_by_features(&self, file: &BarsFile) -> Result<Option<LostBars>, StorageError> {
        let features = self.bytes(&file.path(Dataset::Features))?.and_then(Result::ok);
        let rows =
            features.and_then(|bytes| parquet::decode_features(&bytes).ok()).map_or(Vec::new(), |file| file.rows);
        Ok(LostBars::of(rows.into_iter().map(|row| (row.symbol, row.window_start))))
    }

    /// What was put aside since the newest commit, or since an earlier one that the newest only repeats, as that of a taker does:
    /// then the log has not been read beyond it.
    pub(super) fn aside_since(
        &self,
        partition: &TopicPartition,
        names: &[EntryName],
        newest: Option<&(CommitNumber, Commit)>,
        withdrawn: &Withdrawn,
    ) -> Result<Vec<LostCommits>, StorageError> {
        let is_aside = |name: &EntryName| matches!(name, EntryName::Quarantined(_)).then(|| name.number());
        let aside: Vec<CommitNumber> = names.iter().filter_map(is_aside).collect();
        let mut since = CommitNumber(0);
        if let (Some((number, newest)), false) = (newest, aside.is_empty()) {
            since = *number;
            for earlier in valid(names).into_iter().rev().filter(|earlier| earlier < number) {
                match self.look_at_entry(partition, earlier)? {
                    Some(Ok(commit)) if commit.checkpoint == newest.checkpoint => since = earlier,
                    _ => break,
                }
            }
        }
        let watermark = newest.map_or(EventTime::MIN, |(_, commit)| commit.checkpoint.watermark);
        let lost = |number: CommitNumber| LostCommits::of(number, watermark, withdrawn.get(&number).cloned());
        Ok(aside.into_iter().filter(|number| *number > since).map(lost).collect())
    }

    /// Puts a good published copy in the place of an unreadable entry.
    fn restore(&self, partition: &TopicPartition, number: CommitNumber, copy: &[u8]) -> Result<(), StorageError> {
        self.store().replace(&layout::entry(partition, number), copy)?;
        tracing::warn!(%partition, %number, "unreadable entry restored from its published copy");
        Ok(())
    }

    /// Where a commit stands in the datasets, whatever its date: one look a date.
    fn published(&self, partition: &TopicPartition, number: CommitNumber) -> Result<Vec<BarsFile>, StorageError> {
        let mut files = Vec::new();
        let dates: BTreeSet<String> =
            self.dates(Dataset::Bars)?.into_iter().chain(self.dates(Dataset::Features)?).collect();
        for date in dates {
            let file = BarsFile { partition: partition.clone(), number, date };
            if self.store().exists(&file.path(Dataset::Bars))? || self.store().exists(&file.path(Dataset::Features))? {
                files.push(file);
            }
        }
        Ok(files)
    }

    /// Takes the highest published commit above the newest entry back into the chain; whether anything was found, so that the
    /// chain is to be read again.
    pub(super) fn take_back_published(
        &self,
        partition: &TopicPartition,
        names: &[EntryName],
        newest: Option<&(CommitNumber, Commit)>,
    ) -> Result<bool, StorageError> {
        let above = newest.map_or(CommitNumber(0), |(number, _)| *number);
        let first_date = newest.and_then(|(_, commit)| first_later_date(&commit.checkpoint));
        let dates = self.dates(Dataset::Bars)?;
        let later = dates.into_iter().filter(|date| first_date.as_ref().is_none_or(|first| first <= date));
        let highest = self.public_tops().highest(self.store(), partition, later)?;
        let highest = highest.filter(|file| file.number > above);
        let Some(file) = highest else { return Ok(false) };
        // another owner may have gone on since the chain was listed
        if self.entry_names(partition)? != names {
            return Ok(true);
        }
        let path = file.path(Dataset::Bars);
        let Some(bytes) = self.bytes(&path)? else { return Ok(true) };
        let refuse = |reason| Err(StorageError::AheadOfChain { path: self.store().locate(&path), reason });
        let whole = bytes.and_then(|bytes| decode_as(&bytes, partition, file.number).map(|_| bytes));
        match whole {
            Err(why) => return refuse(why.to_string()),
            Ok(_) if names.contains(&EntryName::Quarantined(file.number)) => {
                return refuse(String::from("its entry is quarantined, its rows may stand under another number"));
            }
            // taken meanwhile: the next reading tells
            Ok(bytes) => {
                let entry = layout::entry(partition, file.number);
                let (Put::Done | Put::Exists) = self.store().put_if_absent(&entry, &bytes)?;
            }
        }
        tracing::warn!(%partition, number = %file.number, "published file taken back into its chain");
        Ok(true)
    }
}

/// The first date that a commit after this checkpoint can have rows of: their windows end above its watermark. `None`: any.
fn first_later_date(checkpoint: &Checkpoint) -> Option<String> {
    let bounded = checkpoint.watermark != EventTime::MIN;
    bounded.then(|| (checkpoint.watermark - checkpoint.rules.window.span()).date())
}
