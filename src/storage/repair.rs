//! What `verify --repair` does to a lake that it has for itself: names that were lost are linked again, damaged copies replaced
//! by good ones, leftovers removed.
//!
//! Each step can be interrupted and done again. Public files are never written over: the name is withdrawn, then given anew, so
//! that no temporary file ever stands in a dataset; in between the chain, or the bars, still hold what it is made of.

use std::path::Path;

use super::lake::decode_as;
use super::layout::{self, BarsFile, Dataset, EntryName};
use super::posix::{self, PosixStore};
use super::store::Publish;
use super::{FeaturesOutcome, Lake, Sharing, StorageError};
use crate::indicators::feature_row::FeatureRow;
use crate::indicators::state::IndicatorState;
use crate::market::checkpoint::{Commit, CommitNumber, TopicPartition};
use crate::settings::Compression;

/// What stands in the place of a partition's saved indicators.
#[derive(Clone, Debug, PartialEq)]
pub enum SavedIndicators {
    Absent,
    Damaged,
    Good(IndicatorState),
}

/// A commit as it is published, readable and whole.
#[derive(Clone, Debug, PartialEq)]
pub struct GoodCopy {
    pub file: BarsFile,
    pub commit: Commit,
    pub bytes: Vec<u8>,
}

/// Whether nobody writes this temporary file any more.
///
/// # Errors
/// When it cannot be opened.
pub fn is_dead_temporary(path: &Path) -> Result<bool, StorageError> {
    posix::is_abandoned(path)
}

impl Lake {
    /// Opens a lake that no other process may have open meanwhile.
    ///
    /// # Errors
    /// When there is none, or a process has it open: the error names that.
    pub fn open_for_repair(dir: &Path, compression: Compression) -> Result<Self, StorageError> {
        // a directory that is no lake must not become one
        PosixStore::open_read_only(dir)?;
        Ok(Self::for_repair(Box::new(PosixStore::open(dir, Sharing::Exclusive)?), compression))
    }

    /// All numbers that a chain's directory holds, ascending, with how.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn chain_names(&self, partition: &TopicPartition) -> Result<Vec<EntryName>, StorageError> {
        self.entry_names(partition)
    }

    /// The saved indicators, told apart as [`load_indicators`](Self::load_indicators) does not.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn saved_indicators(&self, partition: &TopicPartition) -> Result<SavedIndicators, StorageError> {
        if !self.store().exists(&layout::indicators(partition))? {
            return Ok(SavedIndicators::Absent);
        }
        let bytes = self.load_indicators(partition)?;
        let state = bytes.and_then(|bytes| IndicatorState::from_bytes(&bytes).ok());
        Ok(state.map_or(SavedIndicators::Damaged, SavedIndicators::Good))
    }

    /// The commits that can still be read under a number of a chain: its entry, and what was put aside.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub fn readable_under(
        &self,
        partition: &TopicPartition,
        number: CommitNumber,
    ) -> Result<Vec<Commit>, StorageError> {
        let mut commits = Vec::new();
        for path in [layout::entry(partition, number), layout::quarantined(partition, number)] {
            let bytes = self.bytes(&path)?.and_then(Result::ok);
            commits.extend(bytes.and_then(|bytes| decode_as(&bytes, partition, number).ok()));
        }
        Ok(commits)
    }

    /// Where a commit is published, whatever its date, as far as the file is good: one look a date.
    ///
    /// # Errors
    /// When a dataset cannot be read.
    pub fn good_copy(
        &self,
        partition: &TopicPartition,
        number: CommitNumber,
    ) -> Result<Option<GoodCopy>, StorageError> {
        for date in self.dates(Dataset::Bars)? {
            let file = BarsFile { partition: partition.clone(), number, date };
            let Some(Ok(bytes)) = self.bytes(&file.path(Dataset::Bars))? else { continue };
            if let Ok(commit) = decode_as(&bytes, partition, number) {
                return Ok(Some(GoodCopy { file, commit, bytes }));
            }
        }
        Ok(None)
    }

    /// Puts a good published copy in the place of a missing or damaged entry.
    ///
    /// # Errors
    /// When the copy is gone, or the disk refuses.
    pub fn restore_entry(&self, copy: &BarsFile) -> Result<(), StorageError> {
        self.writable()?;
        let path = copy.path(Dataset::Bars);
        let missing = || StorageError::Missing { path: self.store().locate(&path) };
        let bytes = self.store().get(&path)?.ok_or_else(missing)?;
        self.store().replace(&layout::entry(&copy.partition, copy.number), &bytes)
    }

    /// Puts an unreadable entry aside; its number stays taken.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn put_aside(&self, partition: &TopicPartition, number: CommitNumber) -> Result<(), StorageError> {
        self.writable()?;
        self.store().set_aside(&layout::entry(partition, number), &layout::quarantined(partition, number))
    }

    /// Removes a name from a chain that has gone on beyond it, durably. A quarantined name goes after the entry beside it, which
    /// does not count as long as it stands.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_from_chain(&self, partition: &TopicPartition, number: CommitNumber) -> Result<(), StorageError> {
        self.writable()?;
        for path in [layout::entry(partition, number), layout::quarantined(partition, number)] {
            self.store().remove(&path)?;
            self.store().settle(&layout::chain_dir(partition))?;
        }
        Ok(())
    }

    /// Publishes what an entry holds, in the place of what may stand there.
    ///
    /// # Errors
    /// When the entry is gone, or the disk refuses.
    pub fn publish_again(&self, file: &BarsFile) -> Result<(), StorageError> {
        self.writable()?;
        let (entry, public) = (layout::entry(&file.partition, file.number), file.path(Dataset::Bars));
        self.store().retract(&public)?;
        match self.store().publish(&entry, &public)? {
            Publish::Done => Ok(()),
            Publish::Superseded => Err(StorageError::Missing { path: self.store().locate(&entry) }),
        }
    }

    /// Publishes the features of a bars file in the place of what may stand there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn publish_features_again(
        &self,
        file: &BarsFile,
        rows: &[FeatureRow],
    ) -> Result<FeaturesOutcome, StorageError> {
        self.writable()?;
        self.store().retract(&file.path(Dataset::Features))?;
        self.publish_features(file, rows)
    }

    /// Removes a features file that has no bars.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_features(&self, file: &BarsFile) -> Result<(), StorageError> {
        self.writable()?;
        self.store().retract(&file.path(Dataset::Features))
    }

    /// Removes the saved indicators: the next start computes them from all bars of the partition.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget_indicators(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        self.writable()?;
        self.store().remove(&layout::indicators(partition))?;
        self.store().settle(&layout::chain_dir(partition))
    }

    /// Removes saved indicators that include a commit above the newest of the chain: somebody has deleted that, and its bars are
    /// made again under another number.
    pub(super) fn forget_indicators_beyond(
        &self,
        partition: &TopicPartition,
        top: CommitNumber,
    ) -> Result<(), StorageError> {
        match self.saved_indicators(partition)? {
            SavedIndicators::Good(state) if state.last() > top => {
                tracing::warn!(%partition, "the saved indicators include commits that are gone; computing them anew");
                self.forget_indicators(partition)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::storage::testing::{entry_path, finish, lake, open, partition, published};

    #[test]
    fn a_lake_in_use_is_not_opened_for_repair_and_the_holder_is_named() {
        let (dir, held) = lake();
        let refused = Lake::open_for_repair(dir.path(), Compression::Zstd).err().unwrap().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        assert!(Lake::open_for_repair(dir.path(), Compression::Zstd).is_ok());
    }

    #[test]
    fn a_directory_that_is_no_lake_does_not_become_one() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Lake::open_for_repair(dir.path(), Compression::Zstd).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_entry_and_its_public_file_are_made_from_each_other() {
        let (dir, held) = lake();
        finish(&held, 6).unwrap();
        drop(held);
        let lake = Lake::open_for_repair(dir.path(), Compression::Zstd).unwrap();
        let number = *lake.entries(&partition()).unwrap().last().unwrap();
        let entry = entry_path(dir.path(), number.0);
        let bytes = fs::read(&entry).unwrap();
        let copy = lake.good_copy(&partition(), number).unwrap().unwrap().file;

        fs::remove_file(&entry).unwrap();
        lake.restore_entry(&copy).unwrap();
        assert_eq!(fs::read(&entry).unwrap(), bytes);

        let public = published(dir.path(), Dataset::Bars).pop().unwrap();
        fs::remove_file(&public).unwrap();
        fs::write(&public, "torn").unwrap();
        assert_eq!(lake.good_copy(&partition(), number).unwrap(), None);
        lake.publish_again(&copy).unwrap();
        lake.publish_again(&copy).unwrap();
        assert_eq!(fs::read(&public).unwrap(), bytes);
        drop(lake);
        open(dir.path(), Sharing::Shared);
    }

    #[test]
    fn a_quarantined_name_goes_after_the_entry_beside_it() {
        let (dir, held) = lake();
        finish(&held, 6).unwrap();
        drop(held);
        let lake = Lake::open_for_repair(dir.path(), Compression::Zstd).unwrap();
        let number = lake.entries(&partition()).unwrap()[1];
        let bytes = fs::read(entry_path(dir.path(), number.0)).unwrap();
        lake.put_aside(&partition(), number).unwrap();
        fs::write(entry_path(dir.path(), number.0), bytes).unwrap();
        assert!(!lake.entries(&partition()).unwrap().contains(&number));
        lake.remove_from_chain(&partition(), number).unwrap();
        assert!(lake.chain_names(&partition()).unwrap().iter().all(|name| name.number() != number));
    }
}
