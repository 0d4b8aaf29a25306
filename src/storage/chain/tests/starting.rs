//! What a start costs, and what becomes of one that the disk refuses.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::settings::Compression;
use crate::storage::FeatureFlow;
use crate::storage::posix::PosixStore;

/// A lake of so many commits, with their features, as a clean stop leaves it.
fn stopped_after(commits: i64, partitions: &[TopicPartition]) -> tempfile::TempDir {
    let (dir, lake) = lake();
    for partition in partitions {
        let (mut chain, _) = lake.take(partition, go_on).unwrap();
        let mut flow = FeatureFlow::restore(&lake, partition).unwrap();
        for n in 0..commits {
            chain.commit(&step(n)).unwrap();
            flow.take_in(chain.last(), &step(n).rows);
            flow.publish_all(|_| {}).unwrap();
        }
        flow.save().unwrap();
        chain.prune(chain.last()).unwrap();
    }
    dir
}

/// Operations of the store until these partitions are taken and their indicators restored.
fn operations_of_a_start(dir: &Path, partitions: &[TopicPartition]) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let store = FaultyStore::counting(PosixStore::open(dir, Sharing::Shared).unwrap(), &count);
    let lake = Lake::over(Box::new(store), Compression::Zstd, &identity()).unwrap();
    let opened = count.load(Ordering::SeqCst);
    for partition in partitions {
        lake.take(partition, go_on).unwrap();
        FeatureFlow::restore(&lake, partition).unwrap();
    }
    count.load(Ordering::SeqCst) - opened
}

#[test]
fn a_start_asks_the_disk_no_more_often_on_a_lake_of_many_files() {
    let partitions = [partition()];
    let (small, large) = (stopped_after(18, &partitions), stopped_after(198, &partitions));
    assert_eq!(published(large.path(), Dataset::Bars).len(), 198);
    let [few, many] = [small, large].map(|dir| operations_of_a_start(dir.path(), &partitions));
    assert_eq!(few, many);
    assert!(many < 40, "{many} operations");
}

#[test]
fn the_newest_date_is_listed_once_for_all_partitions_of_a_start() {
    let partitions: Vec<TopicPartition> = (0..4).map(|number| TopicPartition::new("t", number)).collect();
    let one = operations_of_a_start(stopped_after(18, &partitions).path(), &partitions[..1]);
    let all = operations_of_a_start(stopped_after(18, &partitions).path(), &partitions);
    assert_eq!(all, 4 * one - 3);
}

#[test]
fn a_take_that_the_disk_refuses_at_any_step_is_done_by_repeating_it() {
    for fault in [Fault::Refusal, Fault::LateRefusal] {
        for at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            finish(&open(dir.path(), Sharing::Exclusive), 2).unwrap();
            let reached = run_with_fault(dir.path(), fault, at, |lake| {
                let taken = lake.take(&partition(), go_on).or_else(|error| {
                    assert!(error.is_retriable(), "{fault:?} {at}: {error}");
                    lake.take(&partition(), go_on)
                });
                let (mut chain, checkpoint) = taken.unwrap();
                assert_eq!(checkpoint, step(1).checkpoint, "{fault:?} {at}");
                let commit = || step(2);
                let first = chain.commit(&commit());
                first.or_else(|_| chain.commit(&commit())).unwrap();
            });
            let lake = open(dir.path(), Sharing::Exclusive);
            finish(&lake, 4).unwrap();
            assert_holds_exactly(&lake, dir.path(), 4);
            if !reached {
                break;
            }
        }
    }
}
