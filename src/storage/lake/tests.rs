use super::*;
use crate::storage::layout::IDENTITY;
use crate::storage::testing::{features_of, go_on, identity, open, partition, step};

fn reopen(dir: &Path, sharing: Sharing) -> Result<Lake, StorageError> {
    Lake::open(dir, Compression::Zstd, sharing, &identity())
}

#[test]
fn a_second_process_on_an_exclusive_lake_is_told_the_first_ones_id() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), Sharing::Exclusive);
    for sharing in [Sharing::Exclusive, Sharing::Shared] {
        let refused = reopen(dir.path(), sharing).err().unwrap().to_string();
        assert!(refused.contains(&format!("process {};", std::process::id())), "{refused}");
    }
    Lake::open_read_only(dir.path()).unwrap();
    drop(first);
    reopen(dir.path(), Sharing::Shared).unwrap();
}

#[test]
fn processes_of_one_group_share_a_lake_and_keep_a_lone_one_out() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path(), Sharing::Shared);
    let _second = open(dir.path(), Sharing::Shared);
    assert!(matches!(reopen(dir.path(), Sharing::Exclusive), Err(StorageError::InUse { .. })));
}

#[test]
fn a_process_of_another_group_cluster_or_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), Sharing::Shared));
    let others = [
        LakeIdentity { group: "h".into(), ..identity() },
        LakeIdentity { cluster: "abc".into(), ..identity() },
        LakeIdentity { layout: "keyed".into(), ..identity() },
    ];
    for (other, what) in others.into_iter().zip(["group", "cluster", "layout"]) {
        let refused = Lake::open(dir.path(), Compression::Zstd, Sharing::Shared, &other).err().unwrap();
        assert!(matches!(refused, StorageError::OtherIdentity { what: w, .. } if w == what), "{refused}");
    }
    open(dir.path(), Sharing::Shared);
}

#[test]
fn a_damaged_or_newer_identity_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), Sharing::Shared));
    let path = dir.path().join(IDENTITY);
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(reopen(dir.path(), Sharing::Shared), Err(StorageError::BadIdentity { .. })));
    std::fs::write(&path, br#"{"format": 9, "unheard": "of"}"#).unwrap();
    assert!(matches!(reopen(dir.path(), Sharing::Shared), Err(StorageError::Newer { version: 9, .. })));
}

#[test]
fn nothing_is_written_to_a_lake_opened_for_reading() {
    let dir = tempfile::tempdir().unwrap();
    let file =
        open(dir.path(), Sharing::Shared).take(&partition(), go_on).unwrap().0.commit(&step(0)).unwrap().unwrap();
    let lake = Lake::open_read_only(dir.path()).unwrap();
    let read_only = |outcome: Result<(), StorageError>| assert!(matches!(outcome, Err(StorageError::ReadOnly { .. })));
    read_only(lake.take(&partition(), go_on).map(drop));
    read_only(lake.publish_features(&file, &features_of(&step(0))).map(drop));
    read_only(lake.save_indicators(&partition(), b"state"));
    assert_eq!(lake.newest_checkpoint(&partition()).unwrap(), Some(step(0).checkpoint));
}

#[test]
fn what_a_dead_process_left_half_written_is_gone_after_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path(), Sharing::Exclusive);
    lake.take(&partition(), go_on).unwrap();
    drop(lake);
    let chain = dir.path().join(layout::chain_dir(&partition()));
    for left in [chain.join(".tmp-1"), dir.path().join("state/.tmp-2")] {
        std::fs::write(left, b"half").unwrap();
    }
    let lake = open(dir.path(), Sharing::Exclusive);
    crate::storage::testing::assert_holds_exactly(&lake, dir.path(), 0);
}

#[test]
fn indicator_state_is_replaced_and_a_damaged_one_counts_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path(), Sharing::Shared);
    assert_eq!(lake.load_indicators(&partition()).unwrap(), None);
    for state in [&b"first"[..], b"", b"second"] {
        lake.save_indicators(&partition(), state).unwrap();
        assert_eq!(lake.load_indicators(&partition()).unwrap().as_deref(), Some(state));
    }
    let path = dir.path().join(layout::indicators(&partition()));
    let whole = std::fs::read(&path).unwrap();
    for i in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[i] ^= 4;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(lake.load_indicators(&partition()).unwrap(), None, "byte {i}");
        std::fs::write(&path, &whole[..i]).unwrap();
        assert_eq!(lake.load_indicators(&partition()).unwrap(), None, "{i} bytes");
    }
    assert_eq!(lake.partitions().unwrap(), [], "no chain yet");
}
