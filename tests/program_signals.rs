//! Ctrl-C before a job has begun, and after it has ended: it is always heard, and what is right is left behind.

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::{Pid, Signal, kill_process};
use support::lake::{bars, checkpoints, count_of};
use support::program::{PATIENCE, Program, Running};
use support::skip::skipped;
use tempfile::TempDir;

/// The disk takes longer than any test waits.
const SLOW_DISK: (&str, &str) = ("FAILPOINTS", "store.sync=sleep(60000)");
/// Longer than a process needs to end.
const SOON: Duration = Duration::from_secs(20);

fn is_being_written(lake: &Path) -> bool {
    let names = std::fs::read_dir(lake.join("state")).into_iter().flatten();
    names.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(".tmp-"))
}

fn starting_on_a_slow_disk(dir: &TempDir, arguments: &[&str]) -> Running {
    let mut running = Program::new(dir.path(), arguments).env(SLOW_DISK.0, SLOW_DISK.1).start();
    running.until("it writes its first file", || is_being_written(&dir.path().join("lake")));
    running
}

#[test]
fn a_signal_during_the_start_ends_it_without_waiting_for_the_disk() {
    let dir = TempDir::new().unwrap();
    let running = starting_on_a_slow_disk(&dir, &["run", "--json"]);
    let asked = Instant::now();
    running.signal(Signal::INT);
    let summary = running.end().summary();
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert_eq!((summary.read, summary.commits), (0, 0));
    // Nothing stands in the way of the next one.
    Program::new(dir.path(), &["--for", "1s", "--json"]).run().summary();
    bars(&dir.path().join("lake"));
}

#[test]
fn signals_one_after_another_during_the_start_end_it_at_once() {
    let dir = TempDir::new().unwrap();
    let running = starting_on_a_slow_disk(&dir, &["run", "--json"]);
    let asked = Instant::now();
    // The first is enough; if it has not ended by then, a later one ends it.
    (0..3).for_each(|_| running.signal(Signal::INT));
    let ended = running.end();
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert!(matches!(ended.code, Some(0 | 130)), "{:?}: {}", ended.code, ended.stderr);
}

#[test]
fn a_second_signal_ends_one_that_nobody_lets_print_its_summary() {
    let dir = TempDir::new().unwrap();
    // A reader that does not read: every write waits.
    let (_reader, mut full) = std::io::pipe().unwrap();
    full.write_all(&[0; 64 * 1024]).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_stockstream"))
        .current_dir(dir.path())
        .args(["run", "--json"])
        .env(SLOW_DISK.0, SLOW_DISK.1)
        .stdout(full)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + SOON;
    while !is_being_written(&dir.path().join("lake")) {
        assert!(Instant::now() < deadline, "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    kill_process(pid, Signal::INT).unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    // one that did not hear is not left behind
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(130));
}

#[test]
fn the_terminal_may_be_closed_and_nohup_is_heeded() {
    let dir = TempDir::new().unwrap();
    let pace = "[producer]\nspeed = 300.0\n[market]\nwindow = \"1m\"\nlateness = \"1m\"\n";
    std::fs::create_dir(dir.path().join("settings")).unwrap();
    std::fs::write(dir.path().join("settings/local.toml"), pace).unwrap();
    let mut closed = Program::new(dir.path(), &["--json"]).start();
    closed.until_said("partition taken", 4);
    closed.signal(Signal::HUP);
    let summary = closed.end().summary();
    assert_eq!((summary.open, summary.dropped()), (0, [0; 4]), "{summary:?}");

    let lake = dir.path().join("lake");
    let mut kept = Program::without_hangups(dir.path(), &["--json"]).start();
    kept.until_said("partition taken", 4);
    kept.signal(Signal::HUP);
    let wanted = count_of(&lake, "AAPL") + 20;
    kept.until("it goes on", || count_of(&lake, "AAPL") >= wanted);
    kept.signal(Signal::INT);
    assert_eq!(kept.end().summary().open, 0);
}

/// `script` gives the program a terminal of its own, which goes with it.
#[test]
fn a_terminal_that_is_gone_stops_no_drain() {
    let dir = TempDir::new().unwrap();
    let lake = dir.path().join("lake");
    let command = format!("{} run", env!("CARGO_BIN_EXE_stockstream"));
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(dir.path());
    let mut script = match script.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(script) => script,
        Err(error) => return skipped(&format!("no `script` that gives a terminal: {error}")),
    };
    let deadline = Instant::now() + PATIENCE;
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        while !holds() {
            assert!(Instant::now() < deadline, "in vain: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until("it has bars", &|| count_of(&lake, "AAPL") > 2);
    script.kill().unwrap();
    script.wait().unwrap();
    until("the lake is free", &|| Program::new(dir.path(), &["verify", "--repair"]).run().code == Some(0));
    let open: Vec<u64> = checkpoints(&lake).values().map(|checkpoint| checkpoint.open_ticks).collect();
    assert_eq!(open, vec![0; 4], "it has drained: no window is open");
}

#[test]
fn ctrl_c_while_a_replay_keeps_its_stdin_is_no_failure() {
    let dir = TempDir::new().unwrap();
    let mut running = Program::new(dir.path(), &["replay", "-", "--json"]).endless_stdin().start();
    running.until_said("looking through the file", 1);
    running.signal(Signal::INT);
    let summary = running.end().summary();
    assert_eq!((summary.read, summary.published, summary.complete), (0, Some(0), Some(false)));
}

#[test]
fn ctrl_c_while_a_replay_looks_for_the_stocks_of_a_big_file_is_no_failure() {
    let dir = TempDir::new().unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all("2025-05-14 15:30:00,AAPL,211.45\n".repeat(32 * 1024).as_bytes()).unwrap();
    // Two thousand members of a MiB each: packed small, and long to read.
    std::fs::write(dir.path().join("ticks.csv.gz"), packed.finish().unwrap().repeat(2_000)).unwrap();
    let mut running = Program::new(dir.path(), &["replay", "ticks.csv.gz", "--json"]).start();
    running.until_said("looking through the file", 1);
    running.signal(Signal::TERM);
    let summary = running.end().summary();
    assert_eq!((summary.read, summary.published, summary.complete), (0, Some(0), Some(false)));
}
