//! The highest commit of every partition in a date's directory: one listing serves all partitions that a process takes at its start,
//! so that a start reads each date once and not once a partition.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::layout::{self, Dataset};
use super::store::Store;
use super::{BarsFile, StorageError};
use crate::market::checkpoint::{CommitNumber, TopicPartition};

/// A start or a rebalance takes its partitions within this time. What was listed before says nothing about a later one: other processes
/// have published since.
const ONE_START: Duration = Duration::from_secs(10);

type Tops = HashMap<TopicPartition, CommitNumber>;

/// What was listed, since when no partition was asked for twice.
#[derive(Default)]
pub(super) struct PublicTops {
    listed: Mutex<Listed>,
}

#[derive(Default)]
struct Listed {
    since: Option<Instant>,
    dates: HashMap<String, Arc<Tops>>,
    asked: HashSet<TopicPartition>,
}

impl PublicTops {
    /// The highest commit of the partition in these dates. Asked again for a partition, it lists anew: much may have happened.
    pub fn highest(
        &self,
        store: &dyn Store,
        partition: &TopicPartition,
        dates: impl IntoIterator<Item = String>,
    ) -> Result<Option<BarsFile>, StorageError> {
        self.ask(partition);
        let mut highest: Option<BarsFile> = None;
        for date in dates {
            let top = match self.top(partition, &date) {
                Some(top) => top,
                // Not with the lock in hand: a disk may take its time. Two that list at once do no harm.
                None => self.keep(&date, list(store, &date)?).get(partition).copied(),
            };
            if let Some(number) = top
                && highest.as_ref().is_none_or(|file| file.number < number)
            {
                highest = Some(BarsFile { partition: partition.clone(), number, date });
            }
        }
        Ok(highest)
    }

    fn ask(&self, partition: &TopicPartition) {
        let mut listed = self.listed();
        let fresh = listed.since.is_some_and(|since| since.elapsed() < ONE_START);
        if !fresh || listed.asked.contains(partition) {
            *listed = Listed { since: Some(Instant::now()), ..Listed::default() };
        }
        listed.asked.insert(partition.clone());
    }

    /// `None` when the date is not listed; an inner `None` when it holds nothing of the partition.
    fn top(&self, partition: &TopicPartition, date: &str) -> Option<Option<CommitNumber>> {
        self.listed().dates.get(date).map(|tops| tops.get(partition).copied())
    }

    fn keep(&self, date: &str, tops: Tops) -> Arc<Tops> {
        let tops = Arc::new(tops);
        self.listed().dates.insert(date.to_owned(), tops.clone());
        tops
    }

    fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(store: &dyn Store, date: &str) -> Result<Tops, StorageError> {
    let mut tops = Tops::new();
    for name in store.list(&Dataset::Bars.date_dir(date))? {
        if let Some((of, number)) = layout::parse_public_name(&name) {
            let top = tops.entry(of).or_insert(number);
            *top = number.max(*top);
        }
    }
    Ok(tops)
}
