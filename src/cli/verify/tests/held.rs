//! A file that is damaged or gone is told with the rows it held.

use std::fs;

use super::super::sample::{at_rest, flip, nth, others};
use super::assert_found;
use crate::storage::Dataset::{Bars, Features};

#[test]
fn what_is_left_of_a_commit_tells_which_rows_are_gone() {
    let rows = "4 bars, IBM at 2025-05-13T22:30:00.000000Z first, MSFT at 2025-05-13T22:35:00.000000Z last; ";
    let dir = at_rest();
    fs::remove_file(nth(dir.path(), Bars, &others(), 3)).unwrap();
    let gone = "IBM at 2025-05-13T22:30:00.000000Z: is missing; its features file tells what it held: ";
    assert_found(dir.path(), &[&["bars/", gone, rows]]);
    let dir = at_rest();
    for (dataset, n) in [(Bars, 3), (Features, 4), (Bars, 29)] {
        flip(&nth(dir.path(), dataset, &others(), n));
    }
    assert_found(
        dir.path(),
        &[
            &["bars/", "IBM at 2025-05-13T22:30", "is damaged", "its features file tells what it held: ", rows],
            &[
                "features/",
                "IBM at 2025-05-13T22:40",
                "is damaged",
                "its bars file tells what it held: features of 4 bars",
            ],
            &["bars/", "IBM at 2025-05-14T02:50", "is damaged", "its entry in the chain tells what it held: 4 bars"],
        ],
    );
}

#[test]
fn bars_that_the_chain_holds_and_nobody_published_are_told_once() {
    let dir = at_rest();
    fs::remove_file(nth(dir.path(), Bars, &others(), 28)).unwrap();
    let parts =
        ["bars/", "IBM at 2025-05-14T02:40", "is missing: its entry in the chain", "tells what it held: 4 bars"];
    assert_found(dir.path(), &[&parts]);
}
