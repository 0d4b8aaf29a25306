//! Whether rows stand in other published files too: only then may a repair let go of a name that holds them.

use std::collections::BTreeMap;

use super::ChainCheck;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Commit, CommitNumber, TopicPartition};
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;
use crate::storage::layout::{BarsFile, Dataset};
use crate::storage::{Lake, PublishedFile, StorageError};

/// What other files hold of a commit's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Elsewhere {
    /// None of its windows.
    Nothing,
    /// Every row as it is.
    All,
    /// Anything between: some of its windows, or other bars of them. The first such file.
    Part(PublishedFile),
}

/// Rows that are looked for.
struct Search<'a> {
    rows: BTreeMap<(Symbol, EventTime), Sought<'a>>,
}

struct Sought<'a> {
    row: &'a Bar,
    /// There is a bar of its window.
    window_stands: bool,
    /// There is the very bar.
    stands: bool,
}

impl<'a> Search<'a> {
    fn new(rows: &'a [Bar]) -> Self {
        let sought = |row| Sought { row, window_stands: false, stands: false };
        Self { rows: rows.iter().map(|row| ((row.symbol.clone(), row.window_start), sought(row))).collect() }
    }

    /// Looks through the bars of a file; how many of them are of the windows that are looked for.
    fn see(&mut self, bars: &[Bar]) -> usize {
        let mut shared = 0;
        for bar in bars {
            if let Some(sought) = self.rows.get_mut(&(bar.symbol.clone(), bar.window_start)) {
                shared += 1;
                sought.window_stands = true;
                sought.stands |= sought.row == bar;
            }
        }
        shared
    }

    fn all_stand(&self) -> bool {
        self.rows.values().all(|sought| sought.stands)
    }

    fn all_windows_stand(&self) -> bool {
        self.rows.values().all(|sought| sought.window_stands)
    }
}

impl ChainCheck<'_> {
    /// What the other files of the partition hold of an entry's rows. Only those of later commits of the chain can stand for them:
    /// an owner that had lost its partition has rows that its successor committed, and a file beyond the chain may be a copy that
    /// somebody takes away again.
    pub(super) fn elsewhere(
        &self,
        file: &BarsFile,
        commit: &Commit,
        horizon: CommitNumber,
    ) -> Result<Elsewhere, StorageError> {
        let (mut all, mut home) = (Search::new(&commit.rows), Search::new(&commit.rows));
        let mut first = None;
        for (other, number) in others(self.lake, file)? {
            let bars = readable(self.lake, &other);
            if all.see(&bars) > 0 {
                first.get_or_insert(other);
            }
            if file.number < number && number <= horizon {
                home.see(&bars);
            }
        }
        Ok(match first {
            None => Elsewhere::Nothing,
            Some(_) if home.all_stand() => Elsewhere::All,
            Some(other) => Elsewhere::Part(other),
        })
    }

    /// Whether every window of a published file has a bar in its entry, or in another file.
    pub(super) fn windows_stand_without(
        &self,
        file: &BarsFile,
        bars: &[Bar],
        entry: &Commit,
    ) -> Result<bool, StorageError> {
        let mut windows = Search::new(bars);
        windows.see(&entry.rows);
        for (other, _) in others(self.lake, file)? {
            windows.see(&readable(self.lake, &other));
        }
        Ok(windows.all_windows_stand())
    }
}

/// Whether all that is readable under a chain's number is published by this commit or by later ones up to the `horizon`.
///
/// # Errors
/// When the lake cannot be read.
pub fn is_published(
    lake: &Lake,
    partition: &TopicPartition,
    number: CommitNumber,
    horizon: CommitNumber,
) -> Result<bool, StorageError> {
    for commit in lake.readable_under(partition, number)? {
        let Some(date) = commit.date() else { continue };
        let mut rows = Search::new(&commit.rows);
        for file in lake.files_of(Dataset::Bars, &date)? {
            if file.commit().is_some_and(|(of, at)| of == *partition && number <= at && at <= horizon) {
                rows.see(&readable(lake, &file));
            }
        }
        if !rows.all_stand() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The other published files of the partition and date.
fn others(lake: &Lake, file: &BarsFile) -> Result<Vec<(PublishedFile, CommitNumber)>, StorageError> {
    let files = lake.files_of(Dataset::Bars, &file.date)?.into_iter().filter_map(|other| {
        let (of, number) = other.commit()?;
        (of == file.partition && number != file.number).then_some((other, number))
    });
    Ok(files.collect())
}

/// The bars of a file, none where it cannot be read.
pub fn readable(lake: &Lake, file: &PublishedFile) -> Vec<Bar> {
    lake.read_bars(file).ok().flatten().map(|content| content.bars).unwrap_or_default()
}
