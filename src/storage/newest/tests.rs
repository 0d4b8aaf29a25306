use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::market::checkpoint::{Checkpoint, Commit, NextOffset};
use crate::settings::Compression;
use crate::storage::Sharing;
use crate::storage::posix::PosixStore;
use crate::storage::testing::*;

/// Three commits over a midnight: MSFT is only in the first, IBM becomes known with the last.
fn lake_of_three() -> (tempfile::TempDir, Lake) {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    let known = |symbols: &[&str]| Checkpoint {
        known: symbols.iter().map(|text| (symbol(text), NextOffset(0))).collect(),
        ..genesis()
    };
    let old = known(&["AAPL", "MSFT", "GOOG"]);
    for (rows, checkpoint) in [
        (vec![bar("AAPL", 1), bar("AAPL", 2), bar("MSFT", 1)], old.clone()),
        (vec![bar("AAPL", 3), bar("AAPL", 4)], old),
        (vec![bar("AAPL", 288), bar("AAPL", 289)], known(&["AAPL", "GOOG", "IBM", "MSFT"])),
    ] {
        chain.commit(&Commit { rows: rows.into(), checkpoint }).unwrap();
    }
    (dir, lake)
}

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

fn newest(lake: &Lake, symbols: &[&str]) -> Vec<Bar> {
    let stocks = symbols.iter().map(|text| symbol(text)).collect();
    lake.newest_bar_of_each(&partition(), &stocks).unwrap().into_values().collect()
}

fn damage(dir: &tempfile::TempDir, date: &str) {
    let date = dir.path().join("bars").join(format!("date={date}"));
    for file in std::fs::read_dir(date).unwrap() {
        std::fs::write(file.unwrap().path(), b"torn").unwrap();
    }
}

#[test]
fn each_stock_stands_at_its_newest_bar_whichever_file_holds_it() {
    let (_dir, lake) = lake_of_three();
    assert_eq!(newest(&lake, &["AAPL", "MSFT"]), [bar("AAPL", 289), bar("MSFT", 1)]);
    assert_eq!(newest(&lake, &["GOOG", "NONE"]), []);
}

#[test]
fn no_older_file_is_read_for_a_stock_that_was_not_known_yet() {
    let (dir, lake) = lake_of_three();
    drop(lake);
    let count = Arc::default();
    let store = FaultyStore::counting(PosixStore::open(dir.path(), Sharing::Exclusive).unwrap(), &count);
    let lake = Lake::over(Box::new(store), Compression::Zstd, &identity()).unwrap();
    let steps = |symbols: &[&str]| {
        let before = count.load(Ordering::SeqCst);
        newest(&lake, symbols);
        count.load(Ordering::SeqCst) - before
    };
    assert_eq!(newest(&lake, &["AAPL", "NONE"]), [bar("AAPL", 289)]);
    assert_eq!(steps(&["AAPL", "NONE"]), steps(&["AAPL"]));
    assert!(steps(&["AAPL", "MSFT"]) > steps(&["AAPL"]), "one that was known is looked for");
}

#[test]
fn a_damaged_file_is_passed_over() {
    let (dir, lake) = lake_of_three();
    damage(&dir, "2025-05-15");
    assert_eq!(newest(&lake, &["AAPL", "MSFT"]), [bar("AAPL", 4), bar("MSFT", 1)]);
    damage(&dir, "2025-05-14");
    assert_eq!(newest(&lake, &["AAPL", "MSFT"]), []);
}

#[test]
fn the_history_is_not_read_for_a_stock_that_has_been_silent_for_long() {
    let (_dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    let checkpoint =
        Checkpoint { known: ["AAPL", "MSFT", "IBM"].map(|text| (symbol(text), NextOffset(0))).into(), ..genesis() };
    let mut commit = |rows: Vec<Bar>| {
        chain.commit(&Commit { rows: rows.into(), checkpoint: checkpoint.clone() }).unwrap();
    };
    commit(vec![bar("IBM", 1)]);
    commit(vec![bar("MSFT", 2)]);
    for window in 3..FILES as i64 + 2 {
        commit(vec![bar("AAPL", window)]);
    }
    assert_eq!(newest(&lake, &["AAPL", "IBM", "MSFT"]), [bar("AAPL", FILES as i64 + 1), bar("MSFT", 2)]);
}
