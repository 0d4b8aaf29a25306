use super::*;
use crate::storage::testing::*;
use crate::storage::{BarsFile, Sharing};

/// 22 commits, the last two of a second date, all with features.
fn lake() -> (tempfile::TempDir, Lake, Vec<BarsFile>) {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path(), Sharing::Shared);
    let (mut chain, _) = lake.take(&partition(), go_on).unwrap();
    let files = (0..22).map(|n| {
        let file = chain.commit(&step(n)).unwrap().unwrap();
        lake.publish_features(&file, &features_of(&step(n))).unwrap();
        file
    });
    let files = files.collect();
    (dir, lake, files)
}

#[test]
fn all_files_are_listed_by_date_and_name_and_read() {
    let (_dir, lake, _) = lake();
    assert_eq!(lake.dates(Dataset::Bars).unwrap(), ["2025-05-14", "2025-05-15"]);
    for (n, file) in (0..).zip(lake.files(Dataset::Bars).unwrap()) {
        let content = lake.read_bars(&file).unwrap().unwrap();
        assert_eq!(content, PublishedBars { bars: step(n).rows.to_vec(), checkpoint: step(n).checkpoint });
    }
    for (n, file) in (0..).zip(lake.files(Dataset::Features).unwrap()) {
        assert_eq!(lake.read_features(&file).unwrap().unwrap(), features_of(&step(n)));
    }
}

#[test]
fn a_damaged_or_renamed_file_is_an_error_that_names_it() {
    let (dir, lake, files) = lake();
    let path = |file: &BarsFile| dir.path().join(file.path(Dataset::Features));
    std::fs::rename(path(&files[0]), path(&files[1])).unwrap();
    std::fs::write(path(&files[2]), b"").unwrap();
    let listed = lake.files(Dataset::Features).unwrap();
    let renamed = lake.read_features(&listed[0]).unwrap_err().to_string();
    assert!(renamed.contains(&files[1].name()) && renamed.contains("it holds commit 000000002"), "{renamed}");
    let empty = lake.read_features(&listed[1]).unwrap_err().to_string();
    assert!(empty.contains(&files[2].name()) && empty.contains("it is empty"), "{empty}");
}

#[test]
fn a_file_gone_since_it_was_listed_is_no_error() {
    let (dir, lake, files) = lake();
    let listed = lake.files(Dataset::Bars).unwrap();
    std::fs::remove_file(dir.path().join(files[0].path(Dataset::Bars))).unwrap();
    assert_eq!(lake.read_bars(&listed[0]).unwrap(), None);
}
