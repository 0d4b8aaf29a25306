//! A lake as one process has it open.

use std::path::Path;
use std::sync::Arc;

use super::layout::{self, EntryName, STATE};
use super::parquet::{self, CommitFile, Unreadable};
use super::posix::PosixStore;
use super::public_tops::PublicTops;
use super::store::Store;
use super::{LakeIdentity, StorageError};
use crate::market::checkpoint::{BarRules, Checkpoint, Commit, CommitNumber, TopicPartition};
use crate::settings::Compression;

#[cfg(test)]
mod tests;

/// Which processes may write to a lake at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One process at a time, as with the embedded broker: its offsets mean nothing to others.
    Exclusive,
    /// The processes of one group; Kafka shares the partitions among them, the chains keep them apart.
    Shared,
}

/// A lake opened by this process. Clones share it; its lock ends with the last one.
#[derive(Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

struct Inner {
    store: Box<dyn Store>,
    compression: Compression,
    access: Access,
    public_tops: PublicTops,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadOnly,
    ReadWrite,
}

/// How often a directory is read again when what it listed was gone a moment later.
pub(super) const ROUNDS: u32 = 1000;

impl Lake {
    /// Opens a lake for writing, and makes it where there is none. What dead processes left half-written is removed.
    ///
    /// # Errors
    /// When the directory cannot be used, another process excludes this one, or the lake belongs to another group, cluster or
    /// layout.
    pub fn open(
        dir: &Path,
        compression: Compression,
        sharing: Sharing,
        identity: &LakeIdentity,
    ) -> Result<Self, StorageError> {
        Self::over(Box::new(PosixStore::open(dir, sharing)?), compression, identity)
    }

    /// The same over any store.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn over(
        store: Box<dyn Store>,
        compression: Compression,
        identity: &LakeIdentity,
    ) -> Result<Self, StorageError> {
        let lake = Self::with(store, compression, Access::ReadWrite);
        lake.check_identity(identity)?;
        lake.sweep_temporaries()?;
        Ok(lake)
    }

    /// Removes the temporary files of dead processes.
    ///
    /// # Errors
    /// When a directory cannot be listed, or the disk refuses.
    pub fn sweep_temporaries(&self) -> Result<(), StorageError> {
        self.writable()?;
        self.store().sweep(STATE)?;
        for name in self.store().list(STATE)? {
            if let Some(partition) = layout::parse_partition(&name) {
                self.store().sweep(&layout::chain_dir(&partition))?;
            }
        }
        Ok(())
    }

    /// Opens a lake for reading, whoever writes to it: no lock, nothing changed.
    ///
    /// # Errors
    /// When there is no lake.
    pub fn open_read_only(dir: &Path) -> Result<Self, StorageError> {
        let store = Box::new(PosixStore::open_read_only(dir)?);
        Ok(Self::with(store, Compression::Zstd, Access::ReadOnly))
    }

    /// A lake over a store that this process has for itself, whoever it belongs to.
    pub(super) fn for_repair(store: Box<dyn Store>, compression: Compression) -> Self {
        Self::with(store, compression, Access::ReadWrite)
    }

    fn with(store: Box<dyn Store>, compression: Compression, access: Access) -> Self {
        Self { inner: Arc::new(Inner { store, compression, access, public_tops: PublicTops::default() }) }
    }

    /// The partitions that have a chain.
    ///
    /// # Errors
    /// When `state/` cannot be listed.
    pub fn partitions(&self) -> Result<Vec<TopicPartition>, StorageError> {
        let mut partitions = Vec::new();
        for name in self.store().list(STATE)? {
            if let Some(partition) = layout::parse_partition(&name)
                && !self.entry_names(&partition)?.is_empty()
            {
                partitions.push(partition);
            }
        }
        partitions.sort();
        Ok(partitions)
    }

    /// The numbers that a partition's chain still holds, ascending; quarantined ones are not among them.
    ///
    /// # Errors
    /// When the chain cannot be listed.
    pub fn entries(&self, partition: &TopicPartition) -> Result<Vec<CommitNumber>, StorageError> {
        Ok(valid(&self.entry_names(partition)?))
    }

    /// One entry of a chain.
    ///
    /// # Errors
    /// When it is missing or unreadable.
    pub fn read_entry(&self, partition: &TopicPartition, number: CommitNumber) -> Result<Commit, StorageError> {
        let path = layout::entry(partition, number);
        match self.look_at_entry(partition, number)? {
            Some(Ok(commit)) => Ok(commit),
            Some(Err(why)) => Err(StorageError::unreadable(self.store().locate(&path), why)),
            None => Err(StorageError::Missing { path: self.store().locate(&path) }),
        }
    }

    /// The checkpoint of the newest readable entry; nothing is changed.
    ///
    /// # Errors
    /// When the chain cannot be read, or was written by a later version of this program.
    pub fn newest_checkpoint(&self, partition: &TopicPartition) -> Result<Option<Checkpoint>, StorageError> {
        'again: for _ in 0..ROUNDS {
            for number in self.entries(partition)?.into_iter().rev() {
                match self.look_at_entry(partition, number)? {
                    Some(Ok(commit)) => return Ok(Some(commit.checkpoint)),
                    Some(Err(Unreadable::Damaged(reason))) => {
                        tracing::warn!(%partition, %number, reason, "unreadable entry, looking at the one before");
                    }
                    Some(Err(why)) => {
                        let path = self.store().locate(&layout::entry(partition, number));
                        return Err(StorageError::unreadable(path, why));
                    }
                    None => continue 'again,
                }
            }
            return Ok(None);
        }
        Err(self.contended(partition))
    }

    /// The rules by which its bars are made; `None` before the first commit.
    ///
    /// # Errors
    /// When a chain cannot be read.
    pub fn rules(&self) -> Result<Option<BarRules>, StorageError> {
        for name in self.store().list(STATE)? {
            // All partitions go by the same.
            if let Some(partition) = layout::parse_partition(&name)
                && let Some(newest) = self.newest_checkpoint(&partition)?
            {
                return Ok(Some(newest.rules));
            }
        }
        Ok(None)
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.inner.store.as_ref()
    }

    pub(super) fn compression(&self) -> Compression {
        self.inner.compression
    }

    pub(super) fn public_tops(&self) -> &PublicTops {
        &self.inner.public_tops
    }

    /// # Errors
    /// When the lake was opened for reading only.
    pub(super) fn writable(&self) -> Result<(), StorageError> {
        match self.inner.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(StorageError::ReadOnly { path: self.store().locate("") }),
        }
    }

    pub(super) fn contended(&self, partition: &TopicPartition) -> StorageError {
        StorageError::Contended { path: self.store().locate(&layout::chain_dir(partition)) }
    }

    /// The chain's directory, sorted by number.
    pub(super) fn entry_names(&self, partition: &TopicPartition) -> Result<Vec<EntryName>, StorageError> {
        let listed = self.store().list(&layout::chain_dir(partition))?;
        let mut names: Vec<EntryName> = listed.iter().filter_map(|name| EntryName::parse(name)).collect();
        names.sort_by_key(|name| (name.number(), *name));
        Ok(names)
    }

    /// `None` when the entry does not exist; an inner error when it is not readable as that very entry.
    pub(super) fn look_at_entry(
        &self,
        partition: &TopicPartition,
        number: CommitNumber,
    ) -> Result<Option<Result<Commit, Unreadable>>, StorageError> {
        let bytes = self.bytes(&layout::entry(partition, number))?;
        Ok(bytes.map(|bytes| decode_as(&bytes?, partition, number)))
    }

    /// `None` when the file does not exist; an inner error when what stands there is no file, or one that no lake has.
    pub(super) fn bytes(&self, path: &str) -> Result<Option<Result<Vec<u8>, Unreadable>>, StorageError> {
        match self.store().get(path) {
            Ok(bytes) => Ok(bytes.map(Ok)),
            Err(StorageError::Damaged { reason, .. }) => Ok(Some(Err(Unreadable::Damaged(reason)))),
            Err(error) => Err(error),
        }
    }
}

/// The entries that count. One beside a quarantined entry of its number does not: it took a name that was free for a moment, and
/// its writer knows that it has lost.
pub(super) fn valid(names: &[EntryName]) -> Vec<CommitNumber> {
    let lost = |number: CommitNumber| names.contains(&EntryName::Quarantined(number));
    let entry = |name: &EntryName| matches!(name, EntryName::Entry(number) if !lost(*number)).then(|| name.number());
    names.iter().filter_map(entry).collect()
}

/// A commit of another partition or number under this name is damage too: its rows would stand twice.
pub(super) fn decode_as(bytes: &[u8], partition: &TopicPartition, number: CommitNumber) -> Result<Commit, Unreadable> {
    let CommitFile { partition: of, number: is, commit } = parquet::decode_commit(bytes)?;
    if of == *partition && is == number {
        return Ok(commit);
    }
    Err(Unreadable::Damaged(format!("it holds commit {is} of {of}")))
}
