use super::*;
use crate::storage::testing::*;
use crate::storage::{CommitError, Sharing};

mod lost;

#[test]
fn a_damaged_newest_entry_is_put_aside_and_made_again() {
    for damage in [&b""[..], b"PAR1", b"PAR1 garbage PAR1"] {
        let (dir, lake) = lake();
        let (mut chain, _) = take(&lake);
        chain.commit(&step(0)).unwrap();
        let file = chain.commit(&step(1)).unwrap().unwrap();
        lake.publish_features(&file, &features_of(&step(1))).unwrap();
        lake.save_indicators(&partition(), b"includes it").unwrap();
        // the published name is the same file
        std::fs::write(entry_path(dir.path(), 3), damage).unwrap();
        assert_eq!(lake.newest_checkpoint(&partition()).unwrap(), Some(step(0).checkpoint));
        let (mut chain, checkpoint) = take(&lake);
        assert_eq!((chain.last(), &checkpoint), (CommitNumber(4), &step(0).checkpoint));
        assert!(dir.path().join(layout::quarantined(&partition(), CommitNumber(3))).exists());
        assert_eq!(published(dir.path(), Dataset::Features), [] as [std::path::PathBuf; 0]);
        assert_eq!(lake.load_indicators(&partition()).unwrap(), None);
        chain.commit(&step(1)).unwrap();
        assert_holds_exactly(&lake, dir.path(), 2);
    }
}

#[test]
fn a_damaged_entry_is_restored_from_a_published_copy() {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    chain.commit(&step(0)).unwrap();
    let entry = entry_path(dir.path(), 2);
    std::fs::remove_file(&entry).unwrap();
    std::fs::write(&entry, b"a copied lake has two files, and one is torn").unwrap();
    let (_, checkpoint) = take(&lake);
    assert_eq!(checkpoint, step(0).checkpoint);
    assert_eq!(lake.read_entry(&partition(), CommitNumber(2)).unwrap(), step(0));
    assert_holds_exactly(&lake, dir.path(), 1);
}

#[test]
fn entries_deleted_from_a_chain_come_back_from_the_published_files() {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    for n in 0..3 {
        chain.commit(&step(n)).unwrap();
    }
    for number in [3, 4] {
        std::fs::remove_file(entry_path(dir.path(), number)).unwrap();
    }
    let (mut chain, checkpoint) = take(&lake);
    assert_eq!((chain.last(), checkpoint), (CommitNumber(5), step(2).checkpoint));
    chain.commit(&step(3)).unwrap();
    std::fs::remove_dir_all(dir.path().join(layout::chain_dir(&partition()))).unwrap();
    let (chain, checkpoint) = take(&lake);
    assert_eq!((chain.last(), checkpoint), (CommitNumber(7), step(3).checkpoint));
    assert_holds_exactly(&lake, dir.path(), 4);
}

#[test]
fn a_published_file_ahead_of_its_chain_that_is_damaged_stops_the_start() {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    let file = chain.commit(&step(0)).unwrap().unwrap();
    std::fs::remove_file(entry_path(dir.path(), 2)).unwrap();
    std::fs::write(dir.path().join(file.path(Dataset::Bars)), b"torn").unwrap();
    let refused = lake.take(&partition(), go_on).err().unwrap();
    assert!(matches!(refused, StorageError::AheadOfChain { .. }), "{refused}");
}

#[test]
fn a_chain_of_which_nothing_is_readable_is_refused_unless_it_is_whole() {
    let (dir, lake) = lake();
    finish(&lake, 10).unwrap();
    for number in lake.entries(&partition()).unwrap() {
        std::fs::write(entry_path(dir.path(), number.0), b"torn").unwrap();
    }
    let refused = lake.take(&partition(), go_on).err().unwrap();
    assert!(matches!(refused, StorageError::ChainLost { .. }), "{refused}");
    assert_eq!(published(dir.path(), Dataset::Bars).len(), 10, "and nothing is withdrawn");

    let (dir, lake) = self::lake();
    take(&lake).0.commit(&step(0)).unwrap();
    for number in [1, 2] {
        std::fs::write(entry_path(dir.path(), number), b"torn").unwrap();
    }
    let (mut chain, checkpoint) = take(&lake);
    assert_eq!((chain.last(), checkpoint), (CommitNumber(3), genesis()));
    chain.commit(&step(0)).unwrap();
    assert_holds_exactly(&lake, dir.path(), 1);
}

#[test]
fn one_that_takes_the_name_of_a_quarantined_entry_is_fenced() {
    let (dir, lake) = lake();
    let (mut paused, _) = take(&lake);
    std::fs::write(dir.path().join(layout::quarantined(&partition(), CommitNumber(2))), b"torn").unwrap();
    assert!(matches!(paused.commit(&step(0)), Err(CommitError::Fenced)));
    assert_eq!(lake.entries(&partition()).unwrap(), [CommitNumber(1)], "and its entry does not count");
    let (_, checkpoint) = take(&lake);
    assert_eq!(checkpoint, genesis());
    assert_holds_exactly(&lake, dir.path(), 0);
}

#[test]
fn death_at_any_step_of_mending_leaves_a_lake_that_the_next_start_brings_right() {
    for fault in [Fault::DeathBefore, Fault::DeathAfter] {
        for at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            finish(&open(dir.path(), Sharing::Exclusive), 3).unwrap();
            for number in [3, 4] {
                std::fs::write(entry_path(dir.path(), number), b"torn").unwrap();
            }
            let reached = run_with_fault(dir.path(), fault, at, |lake| drop(finish(lake, 4)));
            let lake = open(dir.path(), Sharing::Exclusive);
            finish(&lake, 4).unwrap_or_else(|e| panic!("{fault:?} {at}: {e}"));
            assert_holds_exactly(&lake, dir.path(), 4);
            if !reached {
                break;
            }
        }
    }
}
