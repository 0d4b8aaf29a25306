//! Where the stocks of a partition stand, read backwards from its newest file.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::lake::ROUNDS;
use super::layout::Dataset;
use super::reader::{PublishedBars, PublishedFile};
use super::{Lake, StorageError};
use crate::market::bar::Bar;
use crate::market::checkpoint::{CommitNumber, TopicPartition};
use crate::market::symbol::Symbol;

#[cfg(test)]
mod tests;

/// How many of its newest files tell where the stocks of a partition stand. A stock that has never had a bar, or none for long, is in none of
/// them, and without a bound every start would read the whole history for it. A day of windows of five minutes are 288 files at most,
/// a session in New York 78. Reading as many takes some tenths of a second, if all eight partitions have such a stock.
const FILES: usize = 100;

impl Lake {
    /// The newest bar of each of these stocks of a partition, where it has one in its newest hundred files. Reads no more of them than it must,
    /// each once, and passes over damaged ones: who takes their partition mends them, and `verify` names them.
    ///
    /// # Errors
    /// When the lake cannot be listed or a file not be read, or the lake changes all the time.
    pub fn newest_bar_of_each(
        &self,
        partition: &TopicPartition,
        stocks: &BTreeSet<Symbol>,
    ) -> Result<BTreeMap<Symbol, Bar>, StorageError> {
        for _ in 0..ROUNDS {
            if let Some(newest) = self.walk_back(partition, stocks)? {
                return Ok(newest);
            }
        }
        Err(self.contended(partition))
    }

    /// `None` when a file was gone since it was listed.
    fn walk_back(
        &self,
        partition: &TopicPartition,
        stocks: &BTreeSet<Symbol>,
    ) -> Result<Option<BTreeMap<Symbol, Bar>>, StorageError> {
        let (mut newest, mut missing) = (BTreeMap::new(), stocks.iter().collect::<HashSet<&Symbol>>());
        let mut files = self.newest_first(partition)?.take(FILES);
        while !missing.is_empty()
            && let Some(file) = files.next().transpose()?
        {
            match self.read_bars(&file) {
                Ok(Some(PublishedBars { bars, checkpoint })) => {
                    // A later row is of a later window, too.
                    for bar in bars.into_iter().rev() {
                        if missing.remove(&bar.symbol) {
                            newest.insert(bar.symbol.clone(), bar);
                        }
                    }
                    // What is known stays known: a stock that came later is in no older file.
                    missing.retain(|stock| checkpoint.known.contains_key(*stock));
                }
                Ok(None) => return Ok(None),
                Err(error @ StorageError::Damaged { .. }) => {
                    tracing::warn!(%error, "the newest bars are looked for in older files");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(newest))
    }

    /// The bars files of a partition, the newest first: a later one holds later windows of each of its stocks. A date is listed when its
    /// turn comes.
    ///
    /// # Errors
    /// When the dates cannot be listed, or, in its turn, one of them.
    pub fn newest_first<'l>(
        &'l self,
        partition: &'l TopicPartition,
    ) -> Result<impl Iterator<Item = Result<PublishedFile, StorageError>> + 'l, StorageError> {
        let dates = self.dates(Dataset::Bars)?.into_iter().rev();
        Ok(dates.flat_map(move |date| match self.files_of_partition(partition, &date) {
            Ok(files) => files.into_values().rev().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }))
    }

    fn files_of_partition(
        &self,
        partition: &TopicPartition,
        date: &str,
    ) -> Result<BTreeMap<CommitNumber, PublishedFile>, StorageError> {
        let ours = |file: PublishedFile| match file.commit() {
            Some((of, number)) if of == *partition => Some((number, file)),
            _ => None,
        };
        Ok(self.files_of(Dataset::Bars, date)?.into_iter().filter_map(ours).collect())
    }
}
