use std::os::unix::fs::PermissionsExt;

use super::dirs::DIR_MODE;
use super::*;

fn store(dir: &Path) -> PosixStore {
    PosixStore::open(dir, Sharing::Shared).unwrap()
}

#[test]
fn a_name_is_given_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    assert_eq!(store.put_if_absent("state/p-0/1", b"first").unwrap(), Put::Done);
    assert_eq!(store.put_if_absent("state/p-0/1", b"second").unwrap(), Put::Exists);
    assert_eq!(store.get("state/p-0/1").unwrap().as_deref(), Some(&b"first"[..]));
    assert_eq!(all_names(&dir.path().join("state/p-0")).unwrap(), ["1"], "no temporary file is left");
}

#[test]
fn of_many_that_want_a_name_exactly_one_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = format!("state/p-0/{round}");
        let done: usize = std::thread::scope(|scope| {
            let put = |i: usize| {
                let store = store(dir.path());
                let path = &path;
                scope.spawn(move || store.put_if_absent(path, &[i as u8]).unwrap())
            };
            let threads: Vec<_> = (0..4).map(put).collect();
            threads.into_iter().map(|t| usize::from(t.join().unwrap() == Put::Done)).sum()
        });
        assert_eq!(done, 1, "round {round}");
    }
}

#[test]
fn directories_and_files_are_closed_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new/lake");
    let store = store(&root);
    store.put_if_absent("state/p-0/1", b"x").unwrap();
    store.publish("state/p-0/1", "bars/date=2025-05-14/p").unwrap();
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
    for dir in ["", "bars", "state", "state/p-0", "bars/date=2025-05-14"] {
        assert_eq!(mode(dir) & !DIR_MODE, 0, "{dir}");
    }
    assert_eq!(mode("bars/date=2025-05-14/p") & !FILE_MODE, 0);
}

#[test]
fn a_directory_of_somebody_else_does_not_become_a_lake() {
    let dir = tempfile::tempdir().unwrap();
    for let_be in [".notes", "lost+found"] {
        fs::create_dir(dir.path().join(let_be)).unwrap();
    }
    fs::write(dir.path().join("thesis.txt"), "x").unwrap();
    let refused = PosixStore::open(dir.path(), Sharing::Shared).err().unwrap();
    assert!(refused.is_wrong_place() && refused.to_string().contains("thesis.txt"), "{refused}");
    assert!(!dir.path().join("state").exists());
    fs::remove_file(dir.path().join("thesis.txt")).unwrap();
    drop(store(dir.path()));
    fs::write(dir.path().join("thesis.txt"), "x").unwrap();
    store(dir.path());
}

#[test]
fn a_lake_may_be_behind_a_link_but_has_none_inside() {
    let dir = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (dir.path().join("lake"), dir.path().join("elsewhere"));
    fs::create_dir_all(dir.path().join("disk")).unwrap();
    fs::create_dir_all(&elsewhere).unwrap();
    std::os::unix::fs::symlink(dir.path().join("disk"), &root).unwrap();
    let store = store(&root);
    store.put_if_absent("state/p-0/1", b"x").unwrap();
    for link in ["bars/date=2025-05-14", "state/q-0"] {
        std::os::unix::fs::symlink(&elsewhere, root.join(link)).unwrap();
    }
    let refused = |done: Result<(), StorageError>| matches!(done, Err(StorageError::SymbolicLink { .. }));
    assert!(refused(store.publish("state/p-0/1", "bars/date=2025-05-14/p").map(drop)));
    assert!(refused(store.publish_beside("bars/date=2025-05-14/p", b"x", "state/p-0/1").map(drop)));
    assert!(refused(store.put_if_absent("state/q-0/1", b"x").map(drop)));
    assert!(refused(store.replace("state/q-0/indicators", b"x")));
    assert_eq!(all_names(&elsewhere).unwrap(), Vec::<String>::new());
}

#[test]
fn a_lock_behind_a_link_is_refused_and_its_target_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let (root, target) = (dir.path().join("lake"), dir.path().join("target"));
    drop(store(&root));
    fs::write(&target, b"precious").unwrap();
    let lock = root.join("state/owner.lock");
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&target, &lock).unwrap();
    let error = PosixStore::open(&root, Sharing::Shared).err().unwrap();
    assert!(matches!(error, StorageError::SymbolicLink { .. }), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    fs::remove_dir_all(root.join("bars")).unwrap();
    std::os::unix::fs::symlink(dir.path(), root.join("bars")).unwrap();
    assert!(matches!(PosixStore::open(&root, Sharing::Shared), Err(StorageError::SymbolicLink { .. })));
}

#[test]
fn publishing_what_is_gone_says_superseded_and_twice_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let to = "bars/date=2025-05-14/p";
    assert_eq!(store.publish("state/p-0/1", to).unwrap(), Publish::Superseded);
    store.put_if_absent("state/p-0/1", b"x").unwrap();
    assert_eq!(store.publish("state/p-0/1", to).unwrap(), Publish::Done);
    assert_eq!(store.publish("state/p-0/1", to).unwrap(), Publish::Done);
}

#[test]
fn a_dead_writers_file_is_swept_and_a_living_ones_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let state = dir.path().join("state");
    fs::write(state.join(".tmp-dead"), b"half").unwrap();
    let living = Temporary::write(&state, b"whole").unwrap();
    store.sweep("state").unwrap();
    assert!(!state.join(".tmp-dead").exists());
    assert!(living.path.exists());
}

#[test]
fn a_file_is_no_lake_and_neither_is_an_empty_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(PosixStore::open(&file, Sharing::Shared), Err(StorageError::NotADirectory { .. })));
    let below = PosixStore::open(&file.join("lake"), Sharing::Shared).err().unwrap().to_string();
    assert!(below.contains("a part of the path is a file"), "{below}");
    assert!(matches!(PosixStore::open_read_only(&file), Err(StorageError::NotADirectory { .. })));
    let below = PosixStore::open_read_only(&file.join("lake")).err().unwrap().to_string();
    assert!(below.contains("a part of the path is a file"), "{below}");
    for path in [dir.path(), &dir.path().join("missing")] {
        assert!(matches!(PosixStore::open_read_only(path), Err(StorageError::NoLake { .. })), "{path:?}");
    }
}

#[test]
fn a_lake_that_was_moved_or_removed_is_not_made_anew_in_its_place() {
    let dir = tempfile::TempDir::new().unwrap();
    let (root, away) = (dir.path().join("lake"), dir.path().join("away"));
    let store = PosixStore::open(&root, Sharing::Exclusive).unwrap();
    assert_eq!(store.put_if_absent("state/x", b"1").unwrap(), Put::Done);
    fs::rename(&root, &away).unwrap();
    let refused = |store: &PosixStore| {
        let refused = [
            store.put_if_absent("state/y", b"2").map(|_| ()),
            store.replace("state/y", b"2"),
            store.publish("state/x", "bars/date=2025-05-14/x").map(|_| ()),
            store.publish_beside("features/date=2025-05-14/x", b"2", "state/x").map(|_| ()),
        ];
        refused.iter().all(|refused| matches!(refused, Err(StorageError::Gone { .. })))
    };
    assert!(refused(&store) && !root.exists());
    let other = PosixStore::open(&root, Sharing::Exclusive).unwrap();
    assert!(refused(&store), "this one is another's");
    assert_eq!(other.put_if_absent("state/y", b"2").unwrap(), Put::Done);
    drop(other);
    fs::remove_dir_all(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    assert_eq!(store.put_if_absent("state/y", b"2").unwrap(), Put::Done, "it is back");
}
