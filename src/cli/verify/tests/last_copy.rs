//! A repair never removes the last readable copy of a row.

use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::super::sample::{self, at_rest, nth, others, rewrite_bars};
use super::repaired;
use crate::cli::verify::remedy::Remedy;
use crate::storage::Dataset::{Bars, Features};

fn entry(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("state/ticks-1/{number:09}.parquet"))
}

/// Of 4 rows that only the chain holds, a file that somebody copied into `bars/` has some, or all: it may go again.
#[rstest]
#[case::some_rows_beyond_the_chain(40, 2)]
#[case::all_rows_beyond_the_chain(40, 4)]
#[case::some_rows_below(1, 2)]
#[case::all_rows_below(1, 4)]
fn an_entry_is_kept_when_a_foreign_file_has_rows_of_it(#[case] number: u64, #[case] rows: usize) {
    let dir = at_rest();
    let public = nth(dir.path(), Bars, &others(), 27);
    let foreign = public.with_file_name(format!("ticks-1-{number:09}.parquet"));
    fs::remove_file(&public).unwrap();
    let kept = fs::read(entry(dir.path(), 29)).unwrap();
    sample::commit_under(&kept, &foreign, number, rows);
    let after = repaired(dir.path());
    assert_eq!(fs::read(entry(dir.path(), 29)).unwrap(), kept);
    let told = after.findings.iter().find(|finding| finding.remedy == Remedy::MoveOneOut).expect("it is told");
    assert!(told.file.ends_with("000000029.parquet"), "{told}");
    assert!(told.problem.contains(foreign.file_name().unwrap().to_str().unwrap()), "{told}");

    // the advice helps
    fs::remove_file(foreign).unwrap();
    let after = repaired(dir.path());
    assert!(public.exists(), "{after}");
}

/// An owner that had lost has closed windows that its successor committed in two steps, not all of them the same.
#[test]
fn an_entry_of_an_owner_that_had_lost_goes_only_when_all_its_rows_stand_in_later_files() {
    let dir = at_rest();
    let bytes = fs::read(entry(dir.path(), 30)).unwrap();
    sample::commit_under(&bytes, &entry(dir.path(), 1), 1, 4);
    rewrite_bars(&entry(dir.path(), 1), |rows, _| rows[3].ticks += 1);
    let after = repaired(dir.path());
    assert!(entry(dir.path(), 1).exists(), "{after}");
    assert_eq!(after.findings.iter().map(|finding| finding.remedy).collect::<Vec<_>>(), [Remedy::MoveOneOut]);
}

#[test]
fn a_published_file_with_a_window_of_its_own_is_not_replaced_by_its_entry() {
    let dir = at_rest();
    let public = nth(dir.path(), Bars, &others(), 28);
    rewrite_bars(&public, |rows, _| rows[3].window_start = sample::bar("MSFT", 99).window_start);
    let bytes = fs::read(&public).unwrap();
    let after = repaired(dir.path());
    assert_eq!(fs::read(&public).unwrap(), bytes);
    assert!(after.findings.iter().any(|finding| finding.problem.contains("stand nowhere else")), "{after}");
}

/// What was put aside can be read: the disk has recovered, or a person has renamed it.
#[test]
fn a_readable_entry_put_aside_is_kept_when_its_rows_are_not_published() {
    let dir = at_rest();
    let aside = entry(dir.path(), 29).with_extension("parquet.quarantined");
    fs::rename(entry(dir.path(), 29), &aside).unwrap();
    rewrite_bars(&aside, |rows, _| rows[0].volume = Some(1.0));
    let after = repaired(dir.path());
    assert!(aside.exists(), "{after}");
    assert!(after.findings.iter().any(|finding| finding.problem.contains("not published")), "{after}");
}

#[test]
fn a_pipe_put_aside_does_not_end_the_repair() {
    let dir = at_rest();
    fs::remove_file(entry(dir.path(), 29)).unwrap();
    let aside = entry(dir.path(), 29).with_extension("parquet.quarantined");
    mknodat(CWD, &aside, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let after = repaired(dir.path());
    assert!(!aside.exists() && nth(dir.path(), Bars, &others(), 27).exists(), "{after}");
}

#[test]
fn features_are_kept_when_a_row_of_them_has_no_bar() {
    let dir = at_rest();
    let file = nth(dir.path(), Features, &others(), 4);
    let stray = file.with_file_name("ticks-1-000000001.parquet");
    let alone = sample::bar("MSFT", 1).window_start + crate::market::time::Span::from_secs(1);
    sample::features_under(&file, &stray, 1, |rows| rows[3].window_start = alone);
    let after = repaired(dir.path());
    assert!(stray.exists(), "{after}");
    let told = after.findings.iter().find(|finding| finding.file == stray.display().to_string()).expect("it is told");
    assert_eq!(told.remedy, Remedy::RestoreOrReplay);
}

#[test]
fn a_file_under_another_date_gets_no_second_copy() {
    let dir = at_rest();
    let public = nth(dir.path(), Bars, &others(), 27);
    let elsewhere = dir.path().join("bars/date=2031-01-01").join(public.file_name().unwrap());
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    fs::rename(&public, &elsewhere).unwrap();
    let after = repaired(dir.path());
    assert!(!public.exists(), "{after}");
    let told = after.findings.iter().find(|finding| finding.file == public.display().to_string()).expect("it is told");
    assert!(told.problem.contains("bars/date=2031-01-01"), "{told}");
    fs::remove_file(&elsewhere).unwrap();
    let after = repaired(dir.path());
    assert!(public.exists(), "{after}");
}
