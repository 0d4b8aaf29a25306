//! Ownership of one partition's chain: commit n is the link `state/<p>/<n>.parquet`, which must not have existed.
//!
//! The order of steps is what keeps the lake right when any process stops at any of them, for ever or for an hour:
//!
//! 1. the entry appears under the next number, complete, or the number was taken: then somebody else owns the partition;
//! 2. no number above it exists, or it had been freed by retention and taken again: fenced as well;
//! 3. the chain's directory is made durable, so nothing public can outlive its entry;
//! 4. the chain's *name* (not the bytes in hand) is linked into `bars/`, durably;
//! 5. only then the next number.
//!
//! A taker does 3 and 4 for the newest entry it finds, then commits an empty entry: whoever had prepared that number has lost
//! it.

use super::lake::{ROUNDS, decode_as};
use super::layout::{self, BarsFile, Dataset, EntryName};
use super::mending::Withdrawn;
use super::parquet::{self, Unreadable};
use super::store::{Publish, Put};
use super::{Lake, StorageError};
use crate::fail_points::Place;
use crate::market::checkpoint::{Checkpoint, Commit, CommitNumber, TopicPartition};
use crate::market::lost_commits::LostCommits;

#[cfg(test)]
mod tests;

/// How many entries a chain keeps at least: enough to fall back to when the newest is damaged.
const KEEP: u64 = 4;

/// Why a commit is not in the chain.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another owner has the partition. No failure: drop all state of it.
    #[error("another owner has taken the partition")]
    Fenced,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The right to add to one partition's chain, until somebody else takes it.
pub struct Chain {
    lake: Lake,
    partition: TopicPartition,
    last: CommitNumber,
    hold: Hold,
}

/// What a chain has in hand.
enum Hold {
    Ready,
    /// A commit that an error interrupted: it may be in the chain already.
    Begun {
        commit: Box<Commit>,
        bytes: Vec<u8>,
    },
    Fenced,
}

/// A chain as a taker finds it, when all that it can bring right is right.
struct Settled {
    /// The highest number taken; 0: none.
    top: CommitNumber,
    newest: Option<Checkpoint>,
    /// Put aside as unreadable after the newest.
    aside: Vec<LostCommits>,
}

impl Lake {
    /// Takes the partition from whoever had it. `start_from` is given the newest checkpoint (`None`: no commit yet), and the commits
    /// after it that were unreadable and put aside: these are lost unless the log gives them again. It decides the checkpoint to go on
    /// from, or refuses, and then nothing was put aside or withdrawn; it may be asked again, when something was mended or another taker was
    /// faster.
    ///
    /// # Errors
    /// What `start_from` refuses with; when the chain cannot be read or written; when it is damaged beyond what
    /// [`super::mending`] mends.
    pub fn take<E: From<StorageError>>(
        &self,
        partition: &TopicPartition,
        mut start_from: impl FnMut(Option<Checkpoint>, &[LostCommits]) -> Result<Checkpoint, E>,
    ) -> Result<(Chain, Checkpoint), E> {
        self.writable()?;
        if !layout::is_usable(partition) {
            return Err(StorageError::UnusableName { name: partition.to_string() }.into());
        }
        self.store().sweep(&layout::chain_dir(partition))?;
        let mut withdrawn = Withdrawn::new();
        for _ in 0..ROUNDS {
            let settled = self.settle_newest(partition, &mut withdrawn, &mut start_from)?;
            let Some(Settled { top, newest, aside }) = settled else { continue };
            self.forget_indicators_beyond(partition, top)?;
            let checkpoint = start_from(newest, &aside)?;
            let fence = CommitNumber(top.0 + 1);
            let empty = Commit { rows: [].into(), checkpoint };
            let bytes = self.encode_entry(partition, fence, &empty)?;
            if self.store().put_if_absent(&layout::entry(partition, fence), &bytes)? == Put::Exists
                || self.is_taken_above(partition, fence)?
            {
                continue;
            }
            self.settle_chain(partition)?;
            let chain = Chain { lake: self.clone(), partition: partition.clone(), last: fence, hold: Hold::Ready };
            return Ok((chain, empty.checkpoint));
        }
        Err(self.contended(partition).into())
    }

    /// Reads the newest entry and makes it durable and public; `None` when something changed meanwhile and all is to be read again.
    fn settle_newest<E: From<StorageError>>(
        &self,
        partition: &TopicPartition,
        withdrawn: &mut Withdrawn,
        start_from: &mut impl FnMut(Option<Checkpoint>, &[LostCommits]) -> Result<Checkpoint, E>,
    ) -> Result<Option<Settled>, E> {
        let names = self.entry_names(partition)?;
        let Some(newest) = self.newest_or_mend(partition, &names, withdrawn, start_from)? else { return Ok(None) };
        self.settle_chain(partition)?;
        if let Some((number, commit)) = &newest
            && self.publish_entry(partition, *number, commit)? == Publish::Superseded
        {
            return Ok(None);
        }
        if self.take_back_published(partition, &names, newest.as_ref())? {
            return Ok(None);
        }
        let top = names.last().map_or(CommitNumber(0), |name| name.number());
        let aside = self.aside_since(partition, &names, newest.as_ref(), withdrawn)?;
        Ok(Some(Settled { top, newest: newest.map(|(_, commit)| commit.checkpoint), aside }))
    }

    /// Makes the chain durable, and that its directory exists: whoever made that may have died before he could.
    fn settle_chain(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        self.store().settle(&layout::chain_dir(partition))?;
        self.store().settle(layout::STATE)
    }

    /// Step 4, for an entry with rows.
    fn publish_entry(
        &self,
        partition: &TopicPartition,
        number: CommitNumber,
        commit: &Commit,
    ) -> Result<Publish, StorageError> {
        match BarsFile::of(partition, number, &commit.rows) {
            Some(file) => self.store().publish(&layout::entry(partition, number), &file.path(Dataset::Bars)),
            None => Ok(Publish::Done),
        }
    }

    /// Step 2. A quarantined entry holds its number: one that took the freed name has lost as well.
    fn is_taken_above(&self, partition: &TopicPartition, own: CommitNumber) -> Result<bool, StorageError> {
        Ok(self.entry_names(partition)?.iter().any(|name| match *name {
            EntryName::Entry(number) => number > own,
            EntryName::Quarantined(number) => number >= own,
        }))
    }

    fn encode_entry(
        &self,
        partition: &TopicPartition,
        number: CommitNumber,
        commit: &Commit,
    ) -> Result<Vec<u8>, StorageError> {
        let unwritable = |reason| self.unwritable(partition, number, reason);
        check_rows(commit).map_err(unwritable)?;
        parquet::encode_commit(partition, number, commit, self.compression()).map_err(|e| unwritable(e.to_string()))
    }

    fn unwritable(&self, partition: &TopicPartition, number: CommitNumber, reason: String) -> StorageError {
        let path = self.store().locate(&layout::entry(partition, number));
        StorageError::Unwritable { path, reason }
    }
}

impl Chain {
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The newest commit of this owner.
    pub fn last(&self) -> CommitNumber {
        self.last
    }

    /// Adds a commit and publishes its rows; `None` for one without rows. After a storage error the same commit may be given
    /// again: if it had got into the chain already it is recognised and completed. A commit in another form cannot follow an
    /// interrupted one: that needs the partition taken anew.
    ///
    /// # Errors
    /// When another owner has the partition, now and from then on; when the disk refuses, or has damaged what stands under the number.
    pub fn commit(&mut self, commit: &Commit) -> Result<Option<BarsFile>, CommitError> {
        let number = CommitNumber(self.last.0 + 1);
        if Place::CommitsOff.is_asked_for() {
            self.last = number;
            return Ok(BarsFile::of(&self.partition, number, &commit.rows));
        }
        let bytes = match std::mem::replace(&mut self.hold, Hold::Fenced) {
            Hold::Fenced => return Err(CommitError::Fenced),
            Hold::Begun { commit: begun, bytes } if *begun == *commit => bytes,
            // no owner's doing: who is asked for this has broken the rule above
            Hold::Begun { .. } => {
                let reason =
                    String::from("another commit was begun under this number, and the partition not taken anew");
                return Err(self.lake.unwritable(&self.partition, number, reason).into());
            }
            Hold::Ready => match self.lake.encode_entry(&self.partition, number, commit) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.hold = Hold::Ready;
                    return Err(error.into());
                }
            },
        };
        match self.add(number, commit, &bytes) {
            Ok(()) => {
                self.last = number;
                self.hold = Hold::Ready;
                Ok(BarsFile::of(&self.partition, number, &commit.rows))
            }
            Err(CommitError::Storage(error)) => {
                self.hold = Hold::Begun { commit: Box::new(commit.clone()), bytes };
                Err(error.into())
            }
            Err(CommitError::Fenced) => Err(CommitError::Fenced),
        }
    }

    /// Steps 1 to 4. Each may be repeated.
    fn add(&self, number: CommitNumber, commit: &Commit, bytes: &[u8]) -> Result<(), CommitError> {
        let (store, path) = (self.lake.store(), layout::entry(&self.partition, number));
        if store.put_if_absent(&path, bytes)? == Put::Exists {
            let found = store.get(&path)?;
            // an earlier attempt may have succeeded at this before it failed: the bytes carry an id of their own
            if found.as_deref() != Some(bytes) {
                return Err(self.lost_to(number, found.as_deref()));
            }
        }
        if self.lake.is_taken_above(&self.partition, number)? {
            return Err(CommitError::Fenced);
        }
        store.settle(&layout::chain_dir(&self.partition))?;
        match self.lake.publish_entry(&self.partition, number, commit)? {
            Publish::Done => Ok(()),
            Publish::Superseded => Err(CommitError::Fenced),
        }
    }

    /// Why the number is not ours. Others write whole entries only, so one that cannot be read has been damaged since, and may have been
    /// the one that an earlier attempt put there: a taking finds out and mends it.
    fn lost_to(&self, number: CommitNumber, found: Option<&[u8]>) -> CommitError {
        match found.map(|bytes| decode_as(bytes, &self.partition, number)) {
            Some(Err(Unreadable::Damaged(reason))) => {
                let path = self.lake.store().locate(&layout::entry(&self.partition, number));
                StorageError::Damaged { path, reason }.into()
            }
            // of a newer program, or gone: somebody further on has let go of it
            Some(Ok(_) | Err(Unreadable::Newer(_))) | None => CommitError::Fenced,
        }
    }

    /// Removes entries that nobody needs any more: all below `keep_from`, the newest commit whose features are published and
    /// part of the saved indicator state, except the last few.
    ///
    /// # Errors
    /// When the disk refuses; nothing is lost by trying again later.
    pub fn prune(&mut self, keep_from: CommitNumber) -> Result<(), StorageError> {
        let bound = keep_from.min(CommitNumber((self.last.0 + 1).saturating_sub(KEEP)));
        for number in self.lake.entries(&self.partition)?.into_iter().filter(|number| *number < bound) {
            self.lake.store().remove(&layout::entry(&self.partition, number))?;
        }
        Ok(())
    }
}

/// What every reader relies on: one date, sorted by (symbol, window start), none twice.
fn check_rows(commit: &Commit) -> Result<(), String> {
    for pair in commit.rows.windows(2) {
        if (&pair[0].symbol, pair[0].window_start) >= (&pair[1].symbol, pair[1].window_start) {
            return Err(format!("{} at {} is out of order or double", pair[1].symbol, pair[1].window_start));
        }
        if pair[0].window_start.midnight() != pair[1].window_start.midnight() {
            return Err(String::from("they are of more than one date"));
        }
    }
    Ok(())
}
