use super::*;
use crate::storage::testing::*;
use crate::storage::{FeaturesOutcome, Sharing};

mod starting;

#[test]
fn commits_are_numbered_published_and_read_back() {
    let (dir, lake) = lake();
    let (mut chain, checkpoint) = take(&lake);
    assert_eq!((chain.last(), checkpoint), (CommitNumber(1), genesis()));
    let file = chain.commit(&step(0)).unwrap().unwrap();
    assert_eq!(file.path(Dataset::Bars), "bars/date=2025-05-14/stock_topic.AAPL-0-000000002.parquet");
    let empty = Commit { rows: [].into(), checkpoint: step(0).checkpoint };
    assert_eq!(chain.commit(&empty).unwrap(), None);
    assert_eq!(lake.read_entry(&partition(), CommitNumber(2)).unwrap(), step(0));
    assert_eq!(lake.entries(&partition()).unwrap(), [1, 2, 3].map(CommitNumber));
    assert_eq!(lake.newest_checkpoint(&partition()).unwrap(), Some(empty.checkpoint));
    assert_eq!(lake.partitions().unwrap(), [partition()]);
    assert_holds_exactly(&lake, dir.path(), 1);
}

#[test]
fn a_former_owner_is_fenced_at_its_next_commit_and_ever_after() {
    let (dir, lake) = lake();
    let (mut former, _) = take(&lake);
    former.commit(&step(0)).unwrap();
    let (mut owner, checkpoint) = take(&lake);
    assert_eq!(checkpoint, step(0).checkpoint);
    for _ in 0..2 {
        assert!(matches!(former.commit(&step(1)), Err(CommitError::Fenced)));
    }
    owner.commit(&step(1)).unwrap();
    assert_holds_exactly(&lake, dir.path(), 2);
}

#[test]
fn a_former_owner_is_fenced_also_when_its_number_is_free_again() {
    let (dir, lake) = lake();
    let (mut former, _) = take(&lake);
    finish(&lake, 12).unwrap();
    assert!(lake.entries(&partition()).unwrap()[0] > CommitNumber(2));
    assert!(matches!(former.commit(&step(0)), Err(CommitError::Fenced)));
    assert_holds_exactly(&lake, dir.path(), 12);
}

#[test]
fn a_commit_and_a_take_of_the_same_number_race_and_exactly_one_wins() {
    for round in 0..40 {
        let (dir, lake) = lake();
        let (mut former, _) = take(&lake);
        let start = std::sync::Barrier::new(2);
        let (committed, (mut owner, checkpoint)) = std::thread::scope(|scope| {
            let commit = scope.spawn(|| {
                start.wait();
                former.commit(&step(0))
            });
            start.wait();
            let taken = take(&lake);
            (commit.join().unwrap(), taken)
        });
        // fenced may also be who won the number, if the taker went on from it before the look above
        let got_in = checkpoint == step(0).checkpoint;
        assert_eq!(owner.last(), CommitNumber(if got_in { 3 } else { 2 }), "round {round}");
        match committed {
            Ok(_) => assert!(got_in, "round {round}"),
            Err(CommitError::Fenced) => {}
            Err(error) => panic!("round {round}: {error}"),
        }
        assert!(matches!(former.commit(&step(1)), Err(CommitError::Fenced)), "round {round}");
        for n in next_step(&checkpoint)..2 {
            owner.commit(&step(n)).unwrap();
        }
        assert_holds_exactly(&lake, dir.path(), 2);
    }
}

#[test]
fn of_many_takers_at_once_all_get_numbers_of_their_own_and_the_last_one_stays() {
    let (_dir, lake) = lake();
    let mut chains: Vec<Chain> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| take(&lake).0)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    chains.sort_by_key(Chain::last);
    assert!(chains.windows(2).all(|pair| pair[0].last() < pair[1].last()));
    let mut last = chains.pop().unwrap();
    assert!(chains.iter_mut().all(|chain| matches!(chain.commit(&step(0)), Err(CommitError::Fenced))));
    last.commit(&step(0)).unwrap();
}

#[test]
fn a_taker_publishes_what_its_predecessor_only_committed() {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    let file = chain.commit(&step(0)).unwrap().unwrap();
    std::fs::remove_file(dir.path().join(file.path(Dataset::Bars))).unwrap();
    take(&lake);
    assert_holds_exactly(&lake, dir.path(), 1);
}

#[test]
fn a_refused_start_changes_nothing() {
    let (_dir, lake) = lake();
    #[derive(Debug)]
    enum Refusal {
        OtherLog,
        Storage,
    }
    impl From<StorageError> for Refusal {
        fn from(_: StorageError) -> Self {
            Refusal::Storage
        }
    }
    let refused = lake.take(&partition(), |_, _| Err(Refusal::OtherLog)).err().unwrap();
    assert!(matches!(refused, Refusal::OtherLog), "not {:?}", Refusal::Storage);
    assert_eq!(lake.entries(&partition()).unwrap(), []);
}

#[test]
fn old_entries_go_but_never_the_last_four_nor_what_is_still_needed() {
    let (_dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    for n in 0..9 {
        chain.commit(&step(n)).unwrap();
    }
    chain.prune(CommitNumber(3)).unwrap();
    assert_eq!(lake.entries(&partition()).unwrap()[0], CommitNumber(3));
    chain.prune(CommitNumber(10)).unwrap();
    assert_eq!(lake.entries(&partition()).unwrap(), [7, 8, 9, 10].map(CommitNumber));
}

#[test]
fn rows_of_two_dates_or_out_of_order_are_refused_and_the_chain_goes_on() {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    let rows = |rows: Vec<_>| Commit { rows: rows.into(), checkpoint: genesis() };
    for bad in [vec![bar("A", 0), bar("A", 300)], vec![bar("B", 0), bar("A", 0)], vec![bar("A", 0), bar("A", 0)]] {
        let refused = chain.commit(&rows(bad));
        assert!(matches!(refused, Err(CommitError::Storage(StorageError::Unwritable { .. }))), "{refused:?}");
    }
    chain.commit(&step(0)).unwrap();
    assert_holds_exactly(&lake, dir.path(), 1);
}

#[test]
fn death_at_any_step_of_a_start_or_commit_leaves_a_lake_that_the_next_start_brings_right() {
    for fault in [Fault::DeathBefore, Fault::DeathAfter] {
        for at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            // 18 to 22 crosses a midnight
            finish(&open(dir.path(), Sharing::Exclusive), 18).unwrap();
            let reached = run_with_fault(dir.path(), fault, at, |lake| drop(finish(lake, 22)));
            let lake = open(dir.path(), Sharing::Exclusive);
            finish(&lake, 23).unwrap_or_else(|e| panic!("{fault:?} {at}: {e}"));
            assert_holds_exactly(&lake, dir.path(), 23);
            if !reached {
                break;
            }
        }
    }
}

#[test]
fn a_commit_refused_at_any_step_is_completed_by_repeating_it() {
    for fault in [Fault::Refusal, Fault::LateRefusal] {
        for at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let reached = run_with_fault(dir.path(), fault, at, |lake| {
                let Ok((mut chain, _)) = lake.take(&partition(), go_on) else { return };
                for n in 0..2 {
                    let first = chain.commit(&step(n));
                    let file = first.or_else(|error| {
                        assert!(
                            matches!(&error, CommitError::Storage(e) if e.is_retriable()),
                            "{fault:?} {at}: {error}"
                        );
                        chain.commit(&step(n))
                    });
                    assert!(file.unwrap().is_some(), "{fault:?} {at}");
                }
                assert_eq!(
                    chain.last(),
                    CommitNumber(lake.entries(&partition()).map_or(chain.last().0, |n| n.len() as u64))
                );
                assert_holds_exactly(&Lake::open_read_only(dir.path()).unwrap(), dir.path(), 2);
            });
            if !reached {
                break;
            }
        }
    }
}

#[test]
fn another_commit_cannot_follow_an_interrupted_one() {
    let dir = tempfile::tempdir().unwrap();
    for at in 0.. {
        let reached = run_with_fault(dir.path(), Fault::Refusal, at, |lake| {
            let Ok((mut chain, _)) = lake.take(&partition(), go_on) else { return };
            if chain.commit(&step(0)).is_err() {
                let refused = chain.commit(&step(1));
                assert!(matches!(refused, Err(CommitError::Storage(StorageError::Unwritable { .. }))), "{refused:?}");
                assert!(matches!(chain.commit(&step(0)), Err(CommitError::Fenced)), "and it is not gone on with");
            }
        });
        if !reached {
            break;
        }
    }
}

#[test]
fn a_damaged_entry_under_the_next_number_is_no_other_owner() {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    std::fs::write(entry_path(dir.path(), 2), b"torn").unwrap();
    for _ in 0..2 {
        let refused = chain.commit(&step(0));
        assert!(matches!(refused, Err(CommitError::Storage(StorageError::Damaged { .. }))), "{refused:?}");
    }
    take(&lake).0.commit(&step(0)).unwrap();
    assert_holds_exactly(&lake, dir.path(), 1);
}

#[test]
fn features_stand_only_beside_their_bars() {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    let file = chain.commit(&step(0)).unwrap().unwrap();
    let rows = features_of(&step(0));
    assert!(!lake.has_features(&file));
    assert_eq!(lake.publish_features(&file, &rows).unwrap(), FeaturesOutcome::Published);
    assert_eq!(lake.publish_features(&file, &rows).unwrap(), FeaturesOutcome::AlreadyThere);
    assert!(lake.has_features(&file));
    let late = chain.commit(&step(1)).unwrap().unwrap();
    std::fs::remove_file(dir.path().join(late.path(Dataset::Bars))).unwrap();
    assert_eq!(lake.publish_features(&late, &features_of(&step(1))).unwrap(), FeaturesOutcome::BarsGone);
    assert!(!lake.has_features(&late));
}
