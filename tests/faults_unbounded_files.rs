//! Things in a lake that are no files of it, or have no end: a pipe without a writer, a link to a device, a file larger than any
//! memory. Nothing waits for them, and nothing reads them whole.

mod support;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use stockstream::market::checkpoint::TopicPartition;
use stockstream::storage::Lake;
use support::lake::bars;
use support::program::Program;
use tempfile::TempDir;

/// Address space of a process here, which holds far less; what reads without a bound ends.
const MOST_KIB: &str = "4194304";
/// In seconds; what waits for a pipe ends.
const MOST_SECONDS: &str = "60";

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
}

fn endless(path: &Path) {
    symlink("/dev/zero", path).unwrap();
}

fn huge(path: &Path) {
    File::create(path).unwrap().set_len(6 << 30).unwrap();
}

fn directory(path: &Path) {
    fs::create_dir(path).unwrap();
}

/// A lake of one stock, and the number after its newest commit.
fn filled() -> (TempDir, u64) {
    let dir = TempDir::new().unwrap();
    write_ticks(dir.path(), 14);
    Program::new(dir.path(), &["replay", "ticks.csv", "--json"]).run().summary();
    let lake = Lake::open_read_only(&dir.path().join("lake")).unwrap();
    let newest = lake.entries(&TopicPartition::new("stock_topic.AAPL", 0)).unwrap().pop().unwrap();
    (dir, newest.0 + 1)
}

fn write_ticks(dir: &Path, day: u32) {
    let line = |minute: u32| format!("2025-05-{day} 15:{minute:02}:00,AAPL,211.{minute:02}\n");
    fs::write(dir.join("ticks.csv"), (0..60).map(line).collect::<String>()).unwrap();
}

fn entry(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("lake/state/stock_topic.AAPL-0/{number:09}.parquet"))
}

fn public(dir: &Path, dataset: &str, number: u64) -> PathBuf {
    dir.join(format!("lake/{dataset}/date=2025-05-14/stock_topic.AAPL-0-{number:09}.parquet"))
}

/// The exit code, and what stands on stdout and on stderr.
fn bounded(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let program = ["timeout", MOST_SECONDS, env!("CARGO_BIN_EXE_stockstream")].map(OsStr::new);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -v "$0"; exec "$@""#, MOST_KIB]).args(program).args(arguments).current_dir(dir);
    let ended = shell.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

#[track_caller]
fn assert_verify_names(dir: &Path, path: &Path) {
    let (code, stdout, stderr) = bounded(dir, &["verify", "--json"]);
    assert_eq!(code, Some(3), "{stdout}\n{stderr}");
    let report: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let tail = path.strip_prefix(dir).unwrap().to_str().unwrap();
    let told = report["findings"].as_array().unwrap();
    assert!(told.iter().any(|finding| finding["file"].as_str().unwrap().ends_with(tail)), "{tail}: {told:#?}");
}

/// Ticks of a later day are replayed into the lake.
#[track_caller]
fn goes_on(dir: &Path) {
    write_ticks(dir, 15);
    let (code, stdout, stderr) = bounded(dir, &["replay", "ticks.csv", "--json"]);
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("\"in_bars\":60"), "{stdout}");
}

/// And the lake is right then.
#[track_caller]
fn assert_it_goes_on(dir: &Path) {
    goes_on(dir);
    assert!(bars(&dir.join("lake")).iter().any(|bar| bar.window_start.date() == "2025-05-15"));
}

#[rstest]
#[case::pipe(pipe)]
#[case::endless(endless)]
#[case::huge(huge)]
#[case::directory(directory)]
fn f17_a_newest_entry_that_is_no_file_of_ours_is_told_and_put_aside(#[case] place: fn(&Path)) {
    let (dir, next) = filled();
    let path = entry(dir.path(), next);
    place(&path);
    assert_verify_names(dir.path(), &path);
    assert_it_goes_on(dir.path());
    assert!(path.with_extension("parquet.quarantined").symlink_metadata().is_ok());
}

#[rstest]
#[case::pipe(pipe)]
#[case::endless(endless)]
#[case::huge(huge)]
fn f17_saved_indicators_that_are_no_file_of_ours_are_told_and_made_again(#[case] place: fn(&Path)) {
    let (dir, _) = filled();
    let path = dir.path().join("lake/state/stock_topic.AAPL-0/indicators");
    fs::remove_file(&path).unwrap();
    place(&path);
    assert_verify_names(dir.path(), &path);
    assert_it_goes_on(dir.path());
    assert!(path.symlink_metadata().unwrap().is_file());
}

#[rstest]
#[case::pipe(pipe)]
#[case::endless(endless)]
#[case::huge(huge)]
fn f17_a_published_file_that_is_none_of_ours_is_told_and_no_start_reads_it(#[case] place: fn(&Path)) {
    let (dir, next) = filled();
    let path = public(dir.path(), "bars", next);
    place(&path);
    assert_verify_names(dir.path(), &path);
    write_ticks(dir.path(), 15);
    let (code, _, stderr) = bounded(dir.path(), &["replay", "ticks.csv", "--json"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("newer than everything in its chain") && stderr.contains("it is"), "{stderr}");
}

#[rstest]
#[case::pipe(pipe)]
#[case::endless(endless)]
#[case::huge(huge)]
fn f17_features_that_are_no_file_of_ours_are_told(#[case] place: fn(&Path)) {
    let (dir, _) = filled();
    let of_date = fs::read_dir(dir.path().join("lake/features/date=2025-05-14")).unwrap();
    let path = of_date.map(|entry| entry.unwrap().path()).max().unwrap();
    fs::remove_file(&path).unwrap();
    place(&path);
    assert_verify_names(dir.path(), &path);
    let (code, _, stderr) = bounded(dir.path(), &["show"]);
    assert!(matches!(code, Some(0 | 1)), "{code:?}: {stderr}");
    goes_on(dir.path());
}

#[rstest]
#[case::pipe(pipe)]
#[case::endless(endless)]
#[case::huge(huge)]
fn f17_an_identity_that_is_no_file_of_ours_is_refused(#[case] place: fn(&Path)) {
    let (dir, _) = filled();
    let path = dir.path().join("lake/state/lake.json");
    fs::remove_file(&path).unwrap();
    place(&path);
    let (code, _, stderr) = bounded(dir.path(), &["replay", "ticks.csv", "--json"]);
    assert!(matches!(code, Some(1 | 2)) && stderr.contains("the lake's identity: it is"), "{code:?}: {stderr}");
    let (code, stdout, stderr) = bounded(dir.path(), &["verify"]);
    assert!(matches!(code, Some(1 | 3)), "{code:?}: {stdout}\n{stderr}");
}

#[rstest]
#[case::pipe(pipe)]
#[case::endless(endless)]
#[case::huge(huge)]
fn f17_what_stands_where_a_temporary_file_would_is_swept(#[case] place: fn(&Path)) {
    let (dir, _) = filled();
    let path = dir.path().join("lake/state/.tmp-1-0-0000000000000000");
    place(&path);
    assert_it_goes_on(dir.path());
    assert!(path.symlink_metadata().is_err());
}
