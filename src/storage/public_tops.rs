//! The highest commit of every partition in a date's directory: one listing serves all partitions that a process takes at its start,
//! so that a start reads each date once and not once a partition.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::layout::{self, Dataset};
use super::store::Store;
use super::{BarsFile, StorageError};
use crate::market::checkpoint::{CommitNumber, TopicPartition};

/// What was listed, since when no partition was asked for twice.
#[derive(Default)]
pub(super) struct PublicTops {
    listed: Mutex<Listed>,
}

#[derive(Default)]
struct Listed {
    dates: HashMap<String, HashMap<TopicPartition, CommitNumber>>,
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
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if !listed.asked.insert(partition.clone()) {
            *listed = Listed { dates: HashMap::new(), asked: HashSet::from([partition.clone()]) };
        }
        let mut highest: Option<BarsFile> = None;
        for date in dates {
            if !listed.dates.contains_key(&date) {
                let tops = list(store, &date)?;
                listed.dates.insert(date.clone(), tops);
            }
            if let Some(&number) = listed.dates[&date].get(partition)
                && highest.as_ref().is_none_or(|file| file.number < number)
            {
                highest = Some(BarsFile { partition: partition.clone(), number, date });
            }
        }
        Ok(highest)
    }
}

fn list(store: &dyn Store, date: &str) -> Result<HashMap<TopicPartition, CommitNumber>, StorageError> {
    let mut tops = HashMap::new();
    for name in store.list(&Dataset::Bars.date_dir(date))? {
        if let Some((of, number)) = layout::parse_public_name(&name) {
            let top = tops.entry(of).or_insert(number);
            *top = number.max(*top);
        }
    }
    Ok(tops)
}
