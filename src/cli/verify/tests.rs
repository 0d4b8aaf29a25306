//! Damage of every kind is found, and what is no damage is not.

mod against_log;
mod embedded;
mod held;
mod last_copy;
mod repair;
mod running;
mod state;

use std::fs;
use std::path::Path;

use rstest::rstest;

use super::sample::{self, Sample, Then, apple, at_rest, nth, others, rewrite_bars, rewrite_features};
use super::*;
use crate::market::time::Span;
use crate::storage::Dataset::{Bars, Features};

fn request(dir: &Path) -> VerifyRequest {
    VerifyRequest { lake: dir.to_owned(), format: OutputFormat::Text, against_log: None, repair: None }
}

fn report(dir: &Path) -> Report {
    report_on(&request(dir), &ProgressBar::hidden()).unwrap()
}

fn repaired(dir: &Path) -> Report {
    report_on(&VerifyRequest { repair: Some(Compression::Zstd), ..request(dir) }, &ProgressBar::hidden()).unwrap()
}

/// The problems found, each with what it is about.
fn problems(dir: &Path) -> Vec<String> {
    let root = format!("{}/", dir.display());
    report(dir).findings.iter().map(|finding| finding.to_string().replace(&root, "")).collect()
}

/// Exactly these are found, in this order; each is given by its parts.
#[track_caller]
fn assert_found(dir: &Path, expected: &[&[&str]]) {
    let found = problems(dir);
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, parts)| parts.iter().all(|part| found.contains(part)));
    assert!(fits, "found {found:#?}, expected {expected:#?}");
}

#[test]
fn a_lake_at_rest_is_sound() {
    let dir = at_rest();
    let report = report(dir.path());
    assert_eq!(report.findings, []);
    let expected = Report {
        sound: true,
        bars: 180,
        feature_rows: 180,
        files: 120,
        stocks: 3,
        partitions: 2,
        pending: 0,
        ..Report::default()
    };
    assert_eq!(report, expected);
}

#[test]
fn a_lake_without_bars_is_sound() {
    let sample = Sample::new();
    assert!(report(sample.dir.path()).sound);
}

#[test]
fn no_lake_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = verify(&request(&dir.path().join("none")), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("--lake"), "{error}");
}

/// Old and new: the chain no longer holds the first, and still holds the last.
#[rstest]
#[case(3)]
#[case(29)]
fn a_missing_features_file_is_found(#[case] n: usize) {
    let dir = at_rest();
    fs::remove_file(nth(dir.path(), Features, &apple(), n)).unwrap();
    assert_found(
        dir.path(),
        &[&["bars/date=", "AAPL at 2025-05-1", "has no features file", "belongs there: features of 2 bars, AAPL at"]],
    );
}

#[test]
fn a_missing_bars_file_is_found_and_later_features_are_still_compared() {
    let dir = at_rest();
    fs::remove_file(nth(dir.path(), Bars, &apple(), 3)).unwrap();
    rewrite_features(&nth(dir.path(), Features, &apple(), 20), |rows| rows[1].ema = Some(100.0));
    assert_found(
        dir.path(),
        &[&["bars/date=", "is missing"], &["features/", "ema is 100.0, recomputed from the bars"]],
    );
}

#[test]
fn a_commit_missing_in_both_datasets_is_found() {
    let dir = at_rest();
    for dataset in [Bars, Features] {
        fs::remove_file(nth(dir.path(), dataset, &others(), 5)).unwrap();
    }
    assert_found(dir.path(), &[&["bars/", "ticks-1-000000008.parquet", "bars are missing"]]);
}

#[test]
fn the_last_commit_missing_in_both_datasets_is_found_though_it_may_be_in_the_making() {
    let dir = at_rest();
    for dataset in [Bars, Features] {
        fs::remove_file(nth(dir.path(), dataset, &others(), 28)).unwrap();
    }
    assert_found(
        dir.path(),
        &[
            &["bars/date=", "is missing: its entry in the chain", "state/ticks-1/000000030.parquet, is not published"],
            &["ticks-1-000000031.parquet", "bars are missing"],
        ],
    );
}

#[test]
fn a_copy_under_another_name_is_found() {
    let dir = at_rest();
    let file = nth(dir.path(), Bars, &apple(), 3);
    fs::copy(&file, file.with_file_name("stock_topic.AAPL-0-000000001.parquet")).unwrap();
    assert_found(dir.path(), &[&["AAPL-0-000000001.parquet", "it holds commit 000000005"]]);
}

#[test]
fn bars_that_stand_in_two_files_are_found() {
    let dir = at_rest();
    let twin = sample::bar("IBM", 4);
    rewrite_bars(&nth(dir.path(), Bars, &others(), 3), |rows, _| rows[0] = twin);
    let found = problems(dir.path()).join("\n");
    assert!(found.contains("IBM at 2025-05-13T22:20:00.000000Z: stands in ticks-1-000000004.parquet too"), "{found}");
}

#[test]
fn a_stock_in_two_partitions_is_found() {
    let mut sample = Sample::new();
    sample.fill(10);
    sample.commit(&others(), &["AAPL"], 10, Then::PublishFeatures);
    let found = problems(sample.dir.path());
    assert!(found.len() == 1 && found[0].contains("AAPL at"), "{found:?}");
    assert!(found[0].contains("has bars in partition stock_topic.AAPL-0 too"), "{found:?}");
}

#[test]
fn a_changed_feature_value_is_found_with_stock_and_window() {
    let dir = at_rest();
    rewrite_features(&nth(dir.path(), Features, &others(), 20), |rows| {
        rows[3].rsi = rows[3].rsi.map(f64::next_up);
    });
    assert_found(dir.path(), &[&["features/date=2025-05-14/", "MSFT at 2025-05-14T01:25:00.000000Z: rsi is "]]);
}

#[test]
fn features_of_other_rows_are_found() {
    let dir = at_rest();
    rewrite_features(&nth(dir.path(), Features, &others(), 4), |rows| rows.swap(0, 1));
    rewrite_features(&nth(dir.path(), Features, &others(), 5), |rows| rows[2].close += 0.01);
    rewrite_features(&nth(dir.path(), Features, &others(), 6), |rows| rows.truncate(3));
    assert_found(
        dir.path(),
        &[
            &["is row 1 of the file", "1 more row"],
            &["close is ", "in the bars file"],
            &["has 3 rows, its bars file 4"],
        ],
    );
}

#[test]
fn swapped_rows_are_found() {
    let dir = at_rest();
    rewrite_bars(&nth(dir.path(), Bars, &others(), 4), |rows, _| rows.swap(0, 1));
    let found = problems(dir.path()).join("\n");
    assert!(found.contains("rows are not sorted by (company, timestamp)"), "{found}");
}

#[rstest]
#[case::bars(Bars, 4)]
#[case::bars_that_the_chain_holds(Bars, 29)]
#[case::features(Features, 4)]
fn a_flipped_bit_is_found_and_nothing_else(#[case] dataset: crate::storage::Dataset, #[case] n: usize) {
    let dir = at_rest();
    sample::flip(&nth(dir.path(), dataset, &apple(), n));
    assert_found(dir.path(), &[&[dataset.dir(), "is damaged or was not written by stockstream: its checksum"]]);
}

#[test]
fn a_flipped_bit_in_a_chain_is_found() {
    let dir = at_rest();
    sample::flip(&dir.path().join("state/ticks-1/000000030.parquet"));
    assert_found(
        dir.path(),
        &[&["state/ticks-1/000000030.parquet: IBM at", "is damaged", "its published copy tells what it held: 4 bars"]],
    );
}

#[test]
fn a_published_file_that_differs_from_its_entry_is_found() {
    let dir = at_rest();
    rewrite_bars(&nth(dir.path(), Bars, &apple(), 29), |rows, _| rows[0].volume = Some(1.0));
    assert_found(dir.path(), &[&["bars/", "differs from its entry in the chain"]]);
}

#[test]
fn what_does_not_belong_into_a_dataset_is_found() {
    let dir = at_rest();
    for stray in [
        "bars/notes.txt",
        "bars/date=2025-05-13/.tmp-1",
        "bars/date=2025-05-14/x.parquet",
        "features/date=2025-05-13/y",
    ] {
        fs::write(dir.path().join(stray), "?").unwrap();
    }
    fs::create_dir(dir.path().join("bars/date=2025-05-14/z-0-000000001.parquet")).unwrap();
    assert_found(
        dir.path(),
        &[
            &["bars/notes.txt: does not belong here"],
            &["features/date=2025-05-13/y: does not belong here"],
            &["bars/date=2025-05-13/.tmp-1: does not belong here"],
            &["bars/date=2025-05-14/x.parquet: does not belong here"],
            &["bars/date=2025-05-14/z-0-000000001.parquet: does not belong here"],
        ],
    );
}

#[test]
fn bars_of_another_date_are_found() {
    let dir = at_rest();
    for dataset in [Bars, Features] {
        let file = nth(dir.path(), dataset, &apple(), 3);
        let to = dir.path().join(dataset.date_dir("2025-05-14")).join(file.file_name().unwrap());
        fs::copy(&file, to).unwrap();
    }
    assert_found(
        dir.path(),
        &[&[
            "bars/date=2025-05-14/",
            "AAPL at 2025-05-13T22:30",
            "is not of the directory's date",
            "twice; move it out",
        ]],
    );
}

#[test]
fn rows_that_no_window_can_give_are_found() {
    let dir = at_rest();
    rewrite_bars(&nth(dir.path(), Bars, &others(), 4), |rows, checkpoint| {
        rows[0].low = rows[0].high + 1.0;
        rows[1].ticks = 0;
        rows[3].window_start = rows[3].window_start + Span::from_secs(1);
        checkpoint.counters.late += 1;
    });
    let found = problems(dir.path()).join("\n");
    for part in ["do not satisfy 0 < low", "it has 0 ticks", "no window of 300 s starts there", "ticks read, but"] {
        assert!(found.contains(part), "no `{part}` in {found}");
    }
}

#[test]
fn a_lake_without_its_chains_is_found() {
    let dir = at_rest();
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let no_chain = ["chain in state/ has no entries"].as_slice();
    assert_found(dir.path(), &[&["state/lake.json: is missing"], no_chain, no_chain]);
}

#[test]
fn json_is_one_object_on_one_line_and_text_ends_with_a_summary() {
    let dir = at_rest();
    fs::remove_file(nth(dir.path(), Features, &apple(), 3)).unwrap();
    let mut out = Vec::new();
    let json = VerifyRequest { format: OutputFormat::Json, ..request(dir.path()) };
    assert_eq!(verify(&json, &mut out).unwrap(), Verdict::Unsound);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["sound"], &json["bars"], &json["files"]), (&false.into(), &180.into(), &119.into()));
    assert!(json["findings"][0]["problem"].as_str().unwrap().contains("no features file"), "{json}");
    assert_eq!(
        (&json["findings"][0]["stock"], &json["findings"][0]["window"]),
        (&"AAPL".into(), &"2025-05-13T22:30:00.000000Z".into())
    );
    assert_eq!(json["findings"][0]["remedy"], "repair");
    assert!(json["findings"][0]["advice"].as_str().unwrap().contains("--repair"), "{json}");

    let mut out = Vec::new();
    verify(&request(dir.path()), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let last = "NOT SOUND: 119 files, 180 bars, 178 feature rows, 3 stocks, 2 partitions, 1 finding";
    assert_eq!(text.lines().last(), Some(last));
}
