//! `replay`: a file of ticks through the whole program, held against an independent pass over the same lines.

mod support;

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::Signal;
use support::lake::{assert_same, bars, count_of};
use support::oracle::Counts;
use support::program::{Program, Summary};
use support::replays::{Replays, default_facts};
use support::ticks::{Recipe, START, STOCKS, Ticks};
use tempfile::TempDir;

const TICK: &str = "2025-05-14 15:30:00,AAPL,211.45";
const SYMBOLS: &str = "AAPL,BRK.B,EURUSD=X,GSPC_5^";

#[track_caller]
fn assert_counts(summary: &Summary, counts: &Counts) {
    let found = [summary.read, summary.in_bars, summary.late, summary.malformed, summary.future, summary.unknown];
    assert_eq!(
        found,
        [counts.read, counts.in_bars, counts.late, counts.malformed, counts.future, counts.unknown],
        "read, in bars, late, malformed, future, unknown"
    );
    assert_eq!((summary.open, summary.skipped_replayed, summary.restarts), (0, 0, 0));
}

fn replay(dir: &Path, file: &[u8], arguments: &[&str]) -> Summary {
    std::fs::write(dir.join("ticks.csv"), file).unwrap();
    let arguments = [&["replay", "ticks.csv", "--json"], arguments].concat();
    Program::new(dir, &arguments).run().summary()
}

#[test]
fn a_file_with_everything_that_can_be_wrong_becomes_the_bars_of_the_oracle() {
    let dir = TempDir::new().unwrap();
    let ticks = Ticks::make(&Recipe::default());
    // What a file may hold besides: a mark, a header, empty lines.
    let file = [b"\xef\xbb\xbftimestamp,symbol,price,volume\r\n\n".as_slice(), &ticks.file(), b"\r\n\n"].concat();
    let summary = replay(dir.path(), &file, &["--symbols", SYMBOLS]);
    assert_counts(&summary, &ticks.counts);
    assert!(ticks.counts.late > 100 && ticks.counts.malformed > 100 && ticks.counts.future > 100);

    let mut oracle = Replays::per_stock(default_facts(&STOCKS));
    assert_eq!(oracle.replay(&ticks.lines), ticks.counts, "the oracle and the maker of the ticks agree");
    let found = bars(&dir.path().join("lake"));
    assert_same("bars", &found, &oracle.bars());
    assert_eq!((summary.bars, summary.feature_rows), (found.len() as u64, found.len() as u64));
    assert!(found.iter().any(|bar| bar.window_start.date() == "2025-05-14"), "two dates");
}

#[test]
fn the_keyed_layout_gives_the_same_bars() {
    let dir = TempDir::new().unwrap();
    let ticks = Ticks::make(&Recipe { seed: 2, lines: 8_000, ..Recipe::default() });
    std::fs::write(dir.path().join("keyed.toml"), "[kafka]\nlayout = \"keyed\"\npartitions = 3\n").unwrap();
    let summary = replay(dir.path(), &ticks.file(), &["--symbols", SYMBOLS, "--settings", "keyed.toml"]);
    assert_counts(&summary, &ticks.counts);
    let mut oracle = Replays::keyed(default_facts(&STOCKS), 3);
    oracle.replay(&ticks.lines);
    assert_same("bars", &bars(&dir.path().join("lake")), &oracle.bars());
}

#[test]
fn without_symbols_the_file_says_which_stocks_there_are_and_gzip_and_stdin_change_nothing() {
    let ticks = Ticks::make(&Recipe { seed: 3, lines: 6_000, ..Recipe::default() });
    let known = [STOCKS.as_slice(), &["ZZZ"]].concat();
    let mut oracle = Replays::per_stock(default_facts(&known));
    let counts = oracle.replay(&ticks.lines);
    assert_eq!((counts.unknown, counts.late), (0, ticks.counts.late));

    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&ticks.file()).unwrap();
    let packed = packed.finish().unwrap();
    let by_file = |file: &[u8]| {
        let dir = TempDir::new().unwrap();
        let summary = replay(dir.path(), file, &[]);
        (dir, summary)
    };
    let by_stdin = |input: &[u8]| {
        let dir = TempDir::new().unwrap();
        let summary = Program::new(dir.path(), &["replay", "-", "--json"]).stdin(input).run().summary();
        (dir, summary)
    };
    let runs = std::thread::scope(|scope| {
        let runs = [
            scope.spawn(|| by_file(&ticks.file())),
            scope.spawn(|| by_file(&packed)),
            scope.spawn(|| by_stdin(&ticks.file())),
            scope.spawn(|| by_stdin(&packed)),
        ];
        runs.map(|run| run.join().unwrap())
    });
    for (dir, summary) in runs {
        assert_counts(&summary, &counts);
        assert_same("bars", &bars(&dir.path().join("lake")), &oracle.bars());
    }
}

#[test]
fn later_files_go_on_and_what_the_lake_has_passed_is_late() {
    let dir = TempDir::new().unwrap();
    let lake = dir.path().join("lake");
    let mut oracle = Replays::per_stock(default_facts(&STOCKS));
    let arguments = ["--symbols", SYMBOLS];
    let first = Ticks::make(&Recipe { seed: 4, lines: 4_000, ..Recipe::default() });
    assert_counts(&replay(dir.path(), &first.file(), &arguments), &oracle.replay(&first.lines));

    // From the next window on: nothing of it is late, and the indicators go on (`bars` compares them with one pass from the start).
    let start = (first.newest / 300_000_000 + 1) * 300_000_000;
    let second = Ticks::make(&Recipe { seed: 5, lines: 4_000, start, ..Recipe::default() });
    let counts = oracle.replay(&second.lines);
    assert_eq!(counts, second.counts);
    let summary = replay(dir.path(), &second.file(), &arguments);
    assert_counts(&summary, &counts);
    let after_two = bars(&lake);
    assert_same("bars", &after_two, &oracle.bars());
    assert!(summary.bars > 20 && summary.bars < after_two.len() as u64);

    // The same again: all good ticks are late.
    let counts = oracle.replay(&second.lines);
    assert_eq!((counts.in_bars, counts.late), (0, second.counts.in_bars + second.counts.late));
    let summary = replay(dir.path(), &second.file(), &arguments);
    assert_counts(&summary, &counts);
    assert_eq!((summary.bars, summary.feature_rows), (0, 0));
    assert_same("bars", &bars(&lake), &after_two);

    // A window that the lake has passed is not opened again, also for a tick that would be in time in a log of its own.
    let stale = [b"2025-05-13 22:00:00,AAPL,1".to_vec()];
    assert_eq!(START, 1_747_173_600_000_000);
    let counts = oracle.replay(&stale);
    assert_eq!((counts.read, counts.late), (1, 1));
    assert_counts(&replay(dir.path(), &stale[0], &arguments), &counts);
}

#[test]
fn malformed_lines_are_told_with_number_and_reason_and_beyond_ten_counted() {
    let dir = TempDir::new().unwrap();
    let file = format!("timestamp,symbol,price\n\n{TICK}\n2025-05-14 15:30:01,AAPL,0\n{}\n", "broken\n".repeat(11));
    std::fs::write(dir.path().join("ticks.csv"), file).unwrap();
    let summary = Program::new(dir.path(), &["replay", "ticks.csv", "--json"]).run().summary();
    assert_eq!((summary.published, summary.skipped, summary.complete), (Some(13), Some(3), Some(true)));
    assert_eq!((summary.malformed, summary.malformed_lines.len()), (12, 10));
    assert_eq!(summary.malformed_lines_unlisted, Some(2));
    let (first, second) = (&summary.malformed_lines[0], &summary.malformed_lines[1]);
    assert_eq!((first.line, first.reason.as_str()), (4, "the price is not a finite number above 0"));
    assert_eq!((second.line, second.reason.as_str()), (5, "not `timestamp,symbol,price[,volume]`"));

    let text = Program::new(dir.path(), &["replay", "ticks.csv", "--lake", "another"]).run();
    text.says(
        0,
        "published 13 lines, skipped 3 (header, empty)\n  line 4 is malformed: the price is not a finite number",
    );
    text.says(0, "  ... and 2 more malformed lines\nread 13 records in ");
    text.says(0, "committed 1 bar and 1 feature row in ");
}

#[test]
fn an_interrupted_replay_drains_and_says_that_it_is_not_whole() {
    let dir = TempDir::new().unwrap();
    let lines: Vec<String> = (0..100).map(|minute| format!("{},AAPL,1", 1_747_173_600 + 60 * minute)).collect();
    std::fs::write(dir.path().join("ticks.csv"), lines.join("\n")).unwrap();
    for arguments in [["--json"].as_slice(), &[]] {
        // a minute a second
        let arguments = [&["replay", "ticks.csv", "--rate", "60"], arguments].concat();
        let mut running = Program::new(dir.path(), &arguments).start();
        running.until_said("reading has begun", 1);
        running.signal(Signal::INT);
        let ended = running.end();
        if arguments.contains(&"--json") {
            let summary = ended.summary();
            assert_eq!((summary.complete, summary.published), (Some(false), Some(summary.read)));
            assert!((1..50).contains(&summary.read), "{summary:?}");
        } else {
            ended.says(0, "NOT COMPLETE: the end of the file was not reached");
        }
    }
}

#[test]
fn an_interrupted_replay_that_is_begun_again_leaves_the_lake_of_one_that_was_not() {
    let dir = TempDir::new().unwrap();
    let ticks = Ticks::make(&Recipe { seed: 12, lines: 6_000, spoiled: 0.0, ..Recipe::default() });
    std::fs::write(dir.path().join("ticks.csv"), ticks.file()).unwrap();
    let replay = |lake: &'static str| ["replay", "ticks.csv", "--symbols", SYMBOLS, "--json", "--lake", lake];
    Program::new(dir.path(), &replay("whole")).run().summary();
    let mut running = Program::new(dir.path(), &[replay("halves").as_slice(), &["--rate", "3000"]].concat()).start();
    running.until("it has bars", || count_of(&dir.path().join("halves"), STOCKS[0]) > 2);
    running.signal(Signal::INT);
    let first = running.end().summary();
    assert_eq!(first.complete, Some(false));
    assert!(first.open > 0, "windows stay open: {first:?}");
    let second = Program::new(dir.path(), &replay("halves")).run();
    second.says(0, "");
    let [halves, whole] = ["halves", "whole"].map(|lake| dir.path().join(lake));
    assert_same("bars", &bars(&halves), &bars(&whole));

    // Once more: nothing counts, and that is said.
    let third = Program::new(dir.path(), &replay("halves")).run();
    assert!(third.stderr.contains("no tick counted"), "{third:?}");
    assert_eq!((third.summary().in_bars, bars(&halves).len()), (0, bars(&whole).len()));
}

#[test]
fn a_simulation_that_goes_on_behind_real_ticks_says_so() {
    let dir = TempDir::new().unwrap();
    let lines = ["2025-05-14 15:30:00,AAPL,211.45,100", "2025-05-14 15:50:00,AAPL,211.50,100"];
    replay(dir.path(), lines.join("\n").as_bytes(), &[]);
    let ended = Program::new(dir.path(), &["run", "--for", "10ms", "--json"]).run();
    ended.summary();
    assert!(ended.stderr.contains("the newest bars have a volume") && ended.stderr.contains("AAPL"), "{ended:?}");
    let simulated = Program::new(dir.path(), &["run", "--for", "10ms", "--json", "--lake", "another"]).run();
    assert!(!simulated.stderr.contains("have a volume"), "{simulated:?}");
}

#[test]
fn a_replay_of_nothing_says_so() {
    let dir = TempDir::new().unwrap();
    let summary = replay(dir.path(), b"", &["--symbols", "AAPL"]);
    assert_eq!((summary.published, summary.complete, summary.read), (Some(0), Some(true), 0));
    assert_eq!(summary.malformed_lines_unlisted, Some(0));
}

#[test]
fn at_a_rate_ticks_take_their_time() {
    let dir = TempDir::new().unwrap();
    let lines: Vec<String> = (0..=60).map(|second| format!("{},AAPL,1", 1_747_173_600 + second)).collect();
    let summary = replay(dir.path(), lines.join("\n").as_bytes(), &["--rate", "20"]);
    assert_eq!((summary.read, summary.in_bars), (61, 61));
    assert!(summary.seconds >= 3.0, "60 seconds at 20 times real time take 3: {summary:?}");
}

/// A million in a release build; a debug build takes too long for that.
const MANY: usize = if cfg!(debug_assertions) { 300_000 } else { 1_000_000 };

#[test]
fn many_ticks_pass_the_embedded_broker_without_one_lost() {
    let dir = TempDir::new().unwrap();
    let ticks =
        Ticks::make(&Recipe { seed: 6, lines: MANY, spoiled: 0.001, step_micros: 200_000, ..Recipe::default() });
    let summary = replay(dir.path(), &ticks.file(), &["--symbols", SYMBOLS]);
    assert_counts(&summary, &ticks.counts);
    let mut oracle = Replays::per_stock(default_facts(&STOCKS));
    oracle.replay(&ticks.lines);
    assert_same("bars", &bars(&dir.path().join("lake")), &oracle.bars());
}
