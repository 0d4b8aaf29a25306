//! Numbers that a chain should hold and does not.

use std::thread;
use std::time::Duration;

use super::super::remedy::Remedy;
use super::{ChainCheck, entry_path};
use crate::market::checkpoint::{CommitNumber, TopicPartition};
use crate::storage::StorageError;
use crate::storage::layout::EntryName;

/// How often, and how long apart, a chain with holes is listed again: its owner may be letting go of entries just now.
const LOOKS: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How many entries of one hole are looked for in `bars/`: an owner keeps fewer.
const HOLE_LIMIT: usize = 100;

impl ChainCheck<'_> {
    /// Numbers between two that stand: somebody has removed them, for owners let go of the lowest only.
    pub(super) fn check_holes(&mut self, partition: &TopicPartition, names: &[EntryName]) -> Result<(), StorageError> {
        for (first, last) in holes(names) {
            let path = entry_path(self.root, partition, first);
            let mut copies = Vec::new();
            for number in (first.0..=last.0).take(HOLE_LIMIT) {
                copies.extend(self.lake.good_copy(partition, CommitNumber(number))?.map(|copy| copy.file));
            }
            let remedy = if copies.is_empty() { Remedy::NextCommits } else { Remedy::Repair };
            let up_to = if first == last { String::new() } else { format!(", and so are those up to {last}") };
            let problem = format!(
                "is missing{up_to}: the chain holds entries below and above (bars that went with it are told where they are \
                 missed)"
            );
            self.findings.of_file(&path, problem, remedy);
            let Some(repairs) = &mut self.repairs else { continue };
            for copy in copies {
                self.lake.restore_entry(&copy)?;
                repairs.did(&entry_path(self.root, partition, copy.number), "restored from its published copy");
            }
        }
        Ok(())
    }

    /// The names, listed until they have no holes or the holes stay.
    pub(super) fn settled_names(&self, partition: &TopicPartition) -> Result<Vec<EntryName>, StorageError> {
        let mut names = self.lake.chain_names(partition)?;
        for _ in 0..LOOKS {
            if holes(&names).is_empty() {
                break;
            }
            thread::sleep(LOOK_AGAIN);
            names = self.lake.chain_names(partition)?;
        }
        Ok(names)
    }
}

/// First and last number of each hole. Below the first entry there is none: the chain has let go of what was there, though not of names
/// put aside.
fn holes(names: &[EntryName]) -> Vec<(CommitNumber, CommitNumber)> {
    let first = names.iter().position(|name| matches!(name, EntryName::Entry(_))).unwrap_or(names.len());
    let pairs = names[first..].windows(2).map(|pair| (pair[0].number().0, pair[1].number().0));
    let holes = pairs.filter(|(below, above)| below + 1 < *above);
    holes.map(|(below, above)| (CommitNumber(below + 1), CommitNumber(above - 1))).collect()
}
