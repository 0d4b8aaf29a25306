//! Published files: what `show` prints, `verify` checks, and a start of simulations or of indicators reads.
//!
//! A compaction may exchange a date's directory between a listing and a reading of it: then names are gone, and the date is
//! listed again.

use std::path::PathBuf;

use super::lake::ROUNDS;
use super::layout::{self, Dataset};
use super::parquet::{self, Unreadable};
use super::{Lake, StorageError};
use crate::indicators::feature_row::FeatureRow;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Checkpoint, CommitNumber, TopicPartition};

#[cfg(test)]
mod tests;

/// A file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedFile {
    pub dataset: Dataset,
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
    pub name: String,
    /// As a user would write it.
    pub path: PathBuf,
}

impl PublishedFile {
    /// The commit it holds; `None` for a file that is not of one commit.
    pub fn commit(&self) -> Option<(TopicPartition, CommitNumber)> {
        layout::parse_public_name(&self.name)
    }

    fn relative(&self) -> String {
        format!("{}/{}", self.dataset.date_dir(&self.date), self.name)
    }
}

/// What a published bars file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedBars {
    pub bars: Vec<Bar>,
    pub checkpoint: Checkpoint,
}

impl Lake {
    /// The dates of a dataset, ascending.
    ///
    /// # Errors
    /// When the dataset cannot be listed.
    pub fn dates(&self, dataset: Dataset) -> Result<Vec<String>, StorageError> {
        let names = self.store().list(dataset.dir())?;
        let mut dates: Vec<String> =
            names.iter().filter_map(|name| layout::parse_date_dir(name)).map(str::to_owned).collect();
        dates.sort();
        Ok(dates)
    }

    /// The files of one date, by name.
    ///
    /// # Errors
    /// When the date cannot be listed.
    pub fn files_of(&self, dataset: Dataset, date: &str) -> Result<Vec<PublishedFile>, StorageError> {
        let mut names = self.store().list(&dataset.date_dir(date))?;
        names.sort();
        let file = |name: String| {
            let path = self.store().locate(&dataset.date_dir(date)).join(&name);
            PublishedFile { dataset, date: date.to_owned(), name, path }
        };
        Ok(names.into_iter().map(file).collect())
    }

    /// All files of a dataset, by date and name.
    ///
    /// # Errors
    /// When the dataset cannot be listed.
    pub fn files(&self, dataset: Dataset) -> Result<Vec<PublishedFile>, StorageError> {
        let mut files = Vec::new();
        for date in self.dates(dataset)? {
            files.extend(self.files_of(dataset, &date)?);
        }
        Ok(files)
    }

    /// The rows of a bars file with its checkpoint; `None` when it is gone since it was listed.
    ///
    /// # Errors
    /// When it cannot be read, or does not hold what its name says.
    pub fn read_bars(&self, file: &PublishedFile) -> Result<Option<PublishedBars>, StorageError> {
        let content = self.read_published(file, |bytes| {
            let content = parquet::decode_commit(bytes)?;
            Ok(((content.partition, content.number), content.commit))
        })?;
        Ok(content.map(|commit| PublishedBars { bars: commit.rows.to_vec(), checkpoint: commit.checkpoint }))
    }

    /// The rows of a features file; `None` when it is gone since it was listed.
    ///
    /// # Errors
    /// When it cannot be read, or does not hold what its name says.
    pub fn read_features(&self, file: &PublishedFile) -> Result<Option<Vec<FeatureRow>>, StorageError> {
        self.read_published(file, |bytes| {
            let content = parquet::decode_features(bytes)?;
            Ok(((content.partition, content.number), content.rows))
        })
    }

    fn read_published<T>(
        &self,
        file: &PublishedFile,
        decode: impl FnOnce(&[u8]) -> Result<((TopicPartition, CommitNumber), T), Unreadable>,
    ) -> Result<Option<T>, StorageError> {
        let Some(bytes) = self.store().get(&file.relative())? else { return Ok(None) };
        let unreadable = |why| StorageError::unreadable(file.path.clone(), why);
        let (of, content) = decode(&bytes).map_err(unreadable)?;
        if file.commit().is_some_and(|named| named != of) {
            return Err(unreadable(Unreadable::Damaged(format!("it holds commit {} of {}", of.1, of.0))));
        }
        Ok(Some(content))
    }

    /// All published bars of a partition up to commit `last`, a date at a time, each sorted by (symbol, window start): a full pass in the order
    /// of time, of which no more than a date is in memory.
    ///
    /// # Errors
    /// When the dates cannot be listed, or, in its turn, a file cannot be read.
    pub fn bars_by_date(
        &self,
        partition: &TopicPartition,
        last: CommitNumber,
    ) -> Result<impl Iterator<Item = Result<Vec<Bar>, StorageError>>, StorageError> {
        let of_date = move |date: String| {
            let of_partition =
                |file: &PublishedFile| file.commit().is_some_and(|(of, number)| of == *partition && number <= last);
            let mut bars = self.bars_of_date(&date, of_partition)?;
            bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
            Ok(bars)
        };
        Ok(self.dates(Dataset::Bars)?.into_iter().map(of_date))
    }

    /// The bars of a date's files, listed again from the start when one was gone.
    fn bars_of_date(&self, date: &str, wanted: impl Fn(&PublishedFile) -> bool) -> Result<Vec<Bar>, StorageError> {
        'again: for _ in 0..ROUNDS {
            let mut bars = Vec::new();
            for file in self.files_of(Dataset::Bars, date)?.into_iter().filter(&wanted) {
                match self.read_bars(&file)? {
                    Some(more) => bars.extend(more.bars),
                    None => continue 'again,
                }
            }
            return Ok(bars);
        }
        Err(StorageError::Contended { path: self.store().locate(&Dataset::Bars.date_dir(date)) })
    }
}
