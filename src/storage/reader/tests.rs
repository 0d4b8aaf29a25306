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

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
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
fn the_newest_rows_of_a_stock_come_in_window_order_over_a_midnight() {
    let (_dir, lake, _) = lake();
    let all: Vec<Bar> = lake
        .bars_up_to(&partition(), CommitNumber(u64::MAX))
        .unwrap()
        .into_iter()
        .filter(|b| b.symbol == symbol("AAPL"))
        .collect();
    for last in [0, 1, 4, 7, 44, 1000] {
        let newest = lake.newest_bars(&symbol("AAPL"), last).unwrap();
        assert_eq!(newest, all[all.len().saturating_sub(last)..], "last {last}");
    }
    let starts: Vec<_> = lake.newest_features(&symbol("AAPL"), 7).unwrap().iter().map(|row| row.window_start).collect();
    assert_eq!(starts, all[37..].iter().map(|bar| bar.window_start).collect::<Vec<_>>());
    assert_eq!(lake.newest_bars(&symbol("NONE"), 5).unwrap(), []);
}

#[test]
fn a_stock_missing_from_the_newest_files_is_found_in_older_ones() {
    let (_dir, lake, _) = lake();
    let other = TopicPartition::new("stock_topic.IBM", 0);
    let (mut chain, _) = lake.take(&other, go_on).unwrap();
    let commit = |rows: Vec<Bar>| crate::market::checkpoint::Commit { rows: rows.into(), checkpoint: genesis() };
    chain.commit(&commit(vec![bar("IBM", 3)])).unwrap();
    chain.commit(&commit(vec![bar("ZZZ", 4)])).unwrap();
    assert_eq!(lake.newest_bars(&symbol("IBM"), 5).unwrap(), [bar("IBM", 3)]);
    assert_eq!(lake.newest_bars(&symbol("AAPL"), 1).unwrap().len(), 1);
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
