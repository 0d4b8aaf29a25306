//! Where a drain to the end ends. Each partition is read to the end that it had when the drain began: ours by us; one that another
//! member of the group owns is done when the lake holds it up to there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::storage::{BarsFile, Lake, StorageError};

/// Between two looks into the lake.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// A member that has been assigned nothing after this long has nothing to do: there are more members than partitions. Before, it may
/// only not have joined yet, and what nobody owns would count as done without having been taken.
const JOINED_BY_NOW: Duration = Duration::from_secs(20);

/// Up to which offset the lake holds a partition, features included; `None` when that cannot be told now.
pub type HeldUpTo = Box<dyn Fn(&TopicPartition) -> Option<NextOffset> + Send>;

/// Where a drain to the end ends, in every partition of the stocks, and in those that are ours.
pub struct Ends {
    held: HeldUpTo,
    ends: BTreeMap<TopicPartition, NextOffset>,
    /// So many partitions were asked for, and all their ends are known.
    known: usize,
    began: Option<Instant>,
    look_due: Option<Instant>,
}

impl Ends {
    pub fn new(held: HeldUpTo) -> Self {
        Self { held, ends: BTreeMap::new(), known: 0, began: None, look_due: None }
    }

    /// Asks for the ends that are not known yet, of the partitions of all stocks and of our own, which may have none; there are `count`,
    /// some named more than once. To be called until a broker has answered for each.
    ///
    /// All at once, ours or not, and in an order that is the same in every process: two that begin at the same time while the log
    /// goes on must not each wait for an end that only it has seen.
    pub fn ask<'p>(
        &mut self,
        count: usize,
        partitions: impl Iterator<Item = &'p TopicPartition>,
        mut log_end: impl FnMut(&TopicPartition) -> Option<NextOffset>,
    ) {
        if self.known == count {
            return;
        }
        for partition in partitions.collect::<BTreeSet<_>>() {
            if !self.ends.contains_key(partition) {
                let Some(end) = log_end(partition) else { return };
                self.ends.insert(partition.clone(), end);
            }
        }
        self.known = count;
    }

    /// The end that a partition had when it was asked for.
    pub fn of(&self, partition: &TopicPartition) -> Option<NextOffset> {
        self.ends.get(partition).copied()
    }

    /// Whether the lake holds these partitions, which are not ours, up to their ends; looks seldom, and says no in between.
    /// `assigned`: how many partitions this member has ever been given.
    pub fn are_reached(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        assigned: u64,
        now: Instant,
    ) -> bool {
        if self.look_due.is_some_and(|due| now < due) {
            return false;
        }
        self.look_due = Some(now + LOOK_AGAIN);
        let began = *self.began.get_or_insert(now);
        if assigned == 0 && now.duration_since(began) < JOINED_BY_NOW {
            return false;
        }
        let reached = partitions.into_iter().all(|partition| {
            let end = self.of(&partition);
            let held = || (self.held)(&partition).unwrap_or_default();
            let reached = end.is_some_and(|end| end == NextOffset(0) || held() >= end);
            if !reached {
                debug!(%partition, end = end.map(tracing::field::display), "not ours; waiting until the lake holds it");
            }
            reached
        });
        if reached {
            info!("other processes have read their partitions to the end");
        }
        reached
    }
}

/// The cut of the newest commit, once everything that the chain still holds is published.
pub fn held_up_to(lake: Lake) -> HeldUpTo {
    Box::new(move |partition| match published_cut(&lake, partition) {
        Ok(cut) => cut,
        Err(error) => {
            debug!(%partition, %error, "how far others are is not known now");
            None
        }
    })
}

fn published_cut(lake: &Lake, partition: &TopicPartition) -> Result<Option<NextOffset>, StorageError> {
    let Some(checkpoint) = lake.newest_checkpoint(partition)? else { return Ok(None) };
    for number in lake.entries(partition)? {
        let commit = lake.read_entry(partition, number)?;
        // Features stand only beside published bars.
        if BarsFile::of(partition, number, &commit.rows).is_some_and(|file| !lake.has_features(&file)) {
            return Ok(None);
        }
    }
    Ok(Some(checkpoint.cut))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    struct Setup {
        ends: Ends,
        /// Of every partition.
        held: Arc<Mutex<Option<NextOffset>>>,
        now: Instant,
    }

    impl Setup {
        /// Two partitions of others, whose logs end here.
        fn new(end: Option<i64>) -> Self {
            let held = Arc::new(Mutex::new(None));
            let told = held.clone();
            let mut ends = Ends::new(Box::new(move |_| *told.lock().unwrap()));
            ends.ask(2, [partition(0), partition(1)].iter(), |_| end.map(NextOffset));
            Self { ends, held, now: Instant::now() }
        }

        fn hold(&self, up_to: i64) {
            *self.held.lock().unwrap() = Some(NextOffset(up_to));
        }

        fn are_reached(&mut self, after: Duration, assigned: u64) -> bool {
            self.now += after;
            self.ends.are_reached([partition(0), partition(1)], assigned, self.now)
        }
    }

    #[test]
    fn the_ends_stay_what_they_were_when_first_asked() {
        let mut setup = Setup::new(Some(7));
        let all = [partition(0), partition(1), partition(2)];
        setup.ends.ask(all.len(), all.iter(), |_| Some(NextOffset(9)));
        assert_eq!(all.each_ref().map(|partition| setup.ends.of(partition).unwrap().0), [7, 7, 9]);
        setup.ends.ask(all.len(), all.iter(), |_| panic!("all are known"));
    }

    #[test]
    fn partitions_of_others_are_reached_when_the_lake_holds_them_and_it_is_asked_seldom() {
        let mut setup = Setup::new(Some(7));
        assert!(!setup.are_reached(Duration::ZERO, 1));
        setup.hold(6);
        assert!(!setup.are_reached(LOOK_AGAIN, 1));
        setup.hold(7);
        assert!(!setup.are_reached(LOOK_AGAIN / 2, 1));
        assert!(setup.are_reached(LOOK_AGAIN, 1));
    }

    #[test]
    fn an_empty_partition_of_others_is_reached_without_a_commit() {
        assert!(Setup::new(Some(0)).are_reached(Duration::ZERO, 1));
    }

    #[test]
    fn nothing_is_reached_while_no_broker_tells_where_the_log_ends() {
        let mut setup = Setup::new(None);
        setup.hold(7);
        assert!(!setup.are_reached(Duration::ZERO, 1));
    }

    #[test]
    fn a_member_without_partitions_waits_until_it_must_have_joined() {
        let mut setup = Setup::new(Some(7));
        setup.hold(7);
        assert!(!setup.are_reached(Duration::ZERO, 0));
        assert!(!setup.are_reached(JOINED_BY_NOW / 2, 0));
        assert!(setup.are_reached(JOINED_BY_NOW, 0));
    }
}
