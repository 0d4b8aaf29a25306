//! A lake whose writer is at work, or died at it.

use std::fs;

use super::super::sample::{Sample, Then, apple, nth, others};
use super::{assert_found, report};
use crate::storage::Dataset::{Bars, Features};

#[test]
fn a_commit_in_the_making_is_pending_not_wrong() {
    let mut sample = Sample::new();
    sample.fill(40);
    sample.commit(&apple(), &["AAPL"], 40, Then::Nothing);
    let last = sample.commit(&apple(), &["AAPL"], 42, Then::Nothing);
    let found = report(sample.dir.path());
    assert_eq!((found.findings, found.pending, found.sound), (vec![], 2, true));

    // linked into the chain, not yet into bars/
    fs::remove_file(sample.dir.path().join(last.path(Bars))).unwrap();
    let found = report(sample.dir.path());
    assert_eq!((found.findings, found.pending, found.sound), (vec![], 2, true));
}

#[test]
fn a_lake_is_never_unsound_while_it_is_written() {
    let mut sample = Sample::new();
    let dir = sample.dir.path().to_owned();
    let writer = std::thread::spawn(move || {
        for window in (0..50).step_by(2) {
            sample.commit(&apple(), &["AAPL"], window, Then::Nothing);
            sample.commit(&others(), &["IBM", "MSFT"], window, Then::Nothing);
            if window % 6 == 4 {
                sample.catch_up();
                sample.save();
            }
        }
        sample
    });
    let mut rounds = 0;
    while !writer.is_finished() {
        let found = report(&dir);
        assert_eq!(found.findings, [], "round {rounds}");
        rounds += 1;
    }
    let mut sample = writer.join().unwrap();
    sample.catch_up();
    assert!(report(sample.stop().path()).sound);
    assert!(rounds > 0);
}

#[test]
fn a_missing_features_file_is_found_when_later_files_have_theirs() {
    let mut sample = Sample::new();
    sample.fill(10);
    let (dir, apple) = (sample.dir.path(), apple());
    fs::remove_file(nth(dir, Features, &apple, 2)).unwrap();
    assert_found(dir, &[&["bars/date=2025-05-13/stock_topic.AAPL-0-000000004.parquet", "has no features file"]]);
}
