//! What the program refuses, with which exit code, and what it says: the thing at fault and the remedy.

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rstest::rstest;
use rustix::process::Signal;
use support::lake::bars;
use support::program::{Ended, Program};
use support::ticks::{Recipe, Ticks};
use tempfile::TempDir;

const TICK: &[u8] = b"2025-05-14 15:30:00,AAPL,211.45\n";

fn write(dir: &TempDir, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(dir.path().join(name), text).unwrap();
}

#[track_caller]
fn run(dir: &TempDir, arguments: &[&str]) -> Ended {
    Program::new(dir.path(), arguments).run()
}

#[test]
fn a_lake_in_use_is_refused_with_the_pid_and_stays_untouched() {
    let dir = TempDir::new().unwrap();
    let mut holder = Program::new(dir.path(), &["--json"]).start();
    holder.until_said("partition taken", 4);
    write(&dir, "ticks.csv", TICK);
    let in_use = format!("is in use by process {}", holder.pid());
    for arguments in [["run", "--for", "1s"].as_slice(), &["replay", "ticks.csv"]] {
        run(&dir, arguments).refused(1, &[&in_use, "--lake"]);
    }
    holder.signal(Signal::INT);
    let summary = holder.end().summary();
    assert_eq!(bars(&dir.path().join("lake")).len() as u64, summary.bars);
    // The lock goes with its holder.
    run(&dir, &["replay", "ticks.csv", "--json"]).summary();
}

#[test]
fn a_killed_process_does_not_keep_its_lake() {
    let dir = TempDir::new().unwrap();
    let mut holder = Program::new(dir.path(), &[]).start();
    holder.until_said("partition taken", 4);
    holder.kill();
    write(&dir, "ticks.csv", TICK);
    run(&dir, &["replay", "ticks.csv", "--json"]).summary();
    bars(&dir.path().join("lake"));
}

#[test]
fn settings_that_the_lake_was_not_made_with_are_refused_by_their_keys_before_anything_is_begun() {
    let dir = TempDir::new().unwrap();
    write(&dir, "ticks.csv", TICK);
    run(&dir, &["replay", "ticks.csv", "--json"]).summary();
    let lake = dir.path().join("lake");
    let before = modified(&lake);
    let cases: [(&str, &str, &[&str]); 6] = [
        ("MARKET__WINDOW", "1m", &["market.window: is \"1m\"", "made with \"5m\"", "another lake directory"]),
        ("MARKET__LATENESS", "90s", &["market.lateness: is \"1m 30s\"", "made with \"10m\"", "another lake directory"]),
        ("MARKET__MAX_AHEAD", "2m", &["market.max_ahead: is \"2m\"", "made with \"1m\"", "another lake directory"]),
        (
            "KAFKA__LAYOUT",
            "keyed",
            &["kafka.layout", "layout `per_stock`", "`keyed, 8 partitions`", "another directory"],
        ),
        ("KAFKA__GROUP_ID", "mine", &["kafka.group_id", "group `stockstream`", "`mine`", "another directory"]),
        ("KAFKA__MODE", "cluster", &["kafka.mode", "cluster `embedded`", "`localhost:9092`", "another directory"]),
    ];
    for (name, value, says) in cases {
        let variable = format!("STOCKSTREAM__{name}");
        let says = [says, &[&variable, "1 problem in the settings"]].concat();
        for command in [["run"].as_slice(), &["replay", "ticks.csv"], &["check"]] {
            let ended = Program::new(dir.path(), &[command, &["--json"]].concat()).env(&variable, value).run();
            ended.refused(2, &says);
            match command {
                // the problems, for machines
                ["check"] => assert!(ended.stdout.contains(&format!("\"origin\":\"{variable}\"")), "{}", ended.stdout),
                _ => assert_eq!(ended.stdout, "", "no summary of what was not begun"),
            }
        }
    }
    assert_eq!(modified(&lake), before, "nothing was written");
    // Who only reads does not mind.
    for command in ["show", "verify"] {
        let ended = Program::new(dir.path(), &[command]).env("STOCKSTREAM__MARKET__WINDOW", "1m").run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    run(&dir, &["check"]).says(0, "market.window");
}

/// Every file and directory, with the time of its last change.
fn modified(dir: &Path) -> Vec<(PathBuf, SystemTime)> {
    let mut found = vec![(dir.to_owned(), dir.metadata().unwrap().modified().unwrap())];
    if dir.is_dir() {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        found.extend(entries.flat_map(|path| modified(&path)));
    }
    found.sort();
    found
}

#[rstest]
#[case("a-file", &["a-file is not a directory", "--lake"])]
#[case("a-file/lake", &["a-file/lake", "a part of the path is a file", "--lake"])]
#[case("/proc/lake", &["/proc/lake"])]
fn a_lake_that_cannot_be_made_is_refused(#[case] lake: &str, #[case] says: &[&str]) {
    let dir = TempDir::new().unwrap();
    write(&dir, "a-file", "");
    write(&dir, "ticks.csv", TICK);
    run(&dir, &["--lake", lake, "--for", "1s"]).refused(2, says);
    run(&dir, &["replay", "ticks.csv", "--lake", lake]).refused(2, says);
}

#[rstest]
#[case("a-file", &["a-file is not a directory", "--lake"])]
#[case("a-file/lake", &["a-file/lake", "a part of the path is a file", "--lake"])]
fn every_command_refuses_a_path_that_can_be_no_lake(#[case] lake: &str, #[case] says: &[&str]) {
    let dir = TempDir::new().unwrap();
    write(&dir, "a-file", "");
    let repair: &[&str] = &["verify", "--repair"];
    for command in [["check"].as_slice(), &["show"], &["verify"], repair] {
        run(&dir, &[command, &["--lake", lake]].concat()).refused(2, says);
    }
}

#[test]
fn a_lake_that_is_not_there_is_made_or_is_no_lake_to_read() {
    let dir = TempDir::new().unwrap();
    for command in [["show"].as_slice(), &["verify"], &["verify", "--repair"]] {
        run(&dir, &[command, &["--lake", "none"]].concat()).refused(2, &["none is no lake", "--lake"]);
    }
    run(&dir, &["check", "--lake", "none"]).says(0, "lake.dir");
    assert!(!dir.path().join("none").exists(), "who reads makes nothing");
}

#[rstest]
#[case(&["run"])]
#[case(&["replay", "ticks.csv"])]
#[case(&["check"])]
#[case(&["show"])]
#[case(&["verify"])]
fn a_settings_file_that_is_not_there_or_is_none_is_refused_by_every_command(#[case] command: &[&str]) {
    let dir = TempDir::new().unwrap();
    write(&dir, "ticks.csv", TICK);
    for file in ["none.toml", "."] {
        run(&dir, &[command, &["--settings", file]].concat()).refused(2, &[file, "problem"]);
    }
}

#[test]
fn damaged_files_of_the_lake_are_refused_by_path() {
    let dir = TempDir::new().unwrap();
    write(&dir, "ticks.csv", TICK);
    run(&dir, &["replay", "ticks.csv", "--json"]).summary();
    std::fs::write(dir.path().join("lake/state/lake.json"), "{").unwrap();
    run(&dir, &["replay", "ticks.csv"]).refused(1, &["state/lake.json", "restore it", "--lake"]);
}

#[test]
fn a_broker_that_does_not_answer_is_named_within_seconds() {
    let dir = TempDir::new().unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let settings = format!("[kafka]\nmode = \"cluster\"\nbootstrap_servers = \"{address}\"\n");
    write(&dir, "cluster.toml", settings);
    write(&dir, "ticks.csv", TICK);
    let commands: [&[&str]; 3] = [&["run", "--for", "1s"], &["run", "--until-end"], &["replay", "ticks.csv"]];
    for command in commands {
        let started = Instant::now();
        let ended = run(&dir, &[command, &["--settings", "cluster.toml"]].concat());
        ended.refused(1, &[&address, "kafka.bootstrap_servers"]);
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
    assert!(!dir.path().join("lake").exists(), "nothing was begun");
}

#[test]
fn all_that_is_wrong_with_the_settings_is_said_at_once() {
    let dir = TempDir::new().unwrap();
    write(&dir, "one.toml", "[market]\nwindow = \"7m\"\nlatness = \"1m\"\n");
    write(&dir, "two.toml", "[[stocks]]\nsymbol = \"aapl\"\ninitial_price = -1\n");
    let says = ["one.toml:2: market.window", "one.toml:3: market.latness", "two.toml:2", "two.toml:3", "4 problems"];
    for command in ["run", "check"] {
        run(&dir, &[command, "--settings", "one.toml", "--settings", "two.toml"]).refused(2, &says);
    }
    write(&dir, "ticks.csv", TICK);
    run(&dir, &["replay", "ticks.csv", "--settings", "one.toml"]).refused(2, &says[..2]);
    run(&dir, &["run", "--settings", "none.toml"]).refused(2, &["none.toml"]);
    let variable = Program::new(dir.path(), &["run"]).env("STOCKSTREAM__LAKE__DIRR", "x").run();
    variable.refused(2, &["STOCKSTREAM__LAKE__DIRR"]);
    assert!(!dir.path().join("lake").exists(), "nothing was begun");
}

#[rstest]
#[case(&["run", "--until-end"], &["--until-end", "kafka.mode", "replay"])]
#[case(&["run", "--for", "soon"], &["60s, 5m or 1h 30m"])]
#[case(&["replay"], &["FILE"])]
#[case(&["replay", "ticks.csv", "--rate", "fast"], &["max, or a number above 0"])]
#[case(&["replay", "ticks.csv", "--symbols", "AAPL,aapl,AAPL"], &["--symbols", "`aapl` is not a symbol"])]
#[case(&["sell"], &["sell"])]
#[case(&["--for", "1s", "check"], &["belong to `run`"])]
fn a_wrong_command_line_is_refused(#[case] arguments: &[&str], #[case] says: &[&str]) {
    let dir = TempDir::new().unwrap();
    write(&dir, "ticks.csv", TICK);
    run(&dir, arguments).refused(2, says);
    assert!(!dir.path().join("lake").exists(), "nothing was begun");
}

#[test]
fn a_file_that_is_no_file_of_ticks_is_refused() {
    let dir = TempDir::new().unwrap();
    let noise: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    write(&dir, "noise", &noise);
    write(&dir, "empty.csv", "");
    write(&dir, "header.csv", "timestamp,symbol,price\n");
    // The beginning of a gzipped file and nothing after it.
    write(&dir, "torn.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b]);
    let format = "timestamp,symbol,price[,volume]";
    let cases = [
        ("missing.csv", ["cannot read missing.csv", "No such file"]),
        (".", ["is not a file", ""]),
        ("noise", ["no tick in noise", format]),
        ("empty.csv", ["no tick in empty.csv", format]),
        ("header.csv", ["no tick in header.csv (1 line)", format]),
        ("torn.gz", ["cannot read torn.gz", ""]),
    ];
    for (file, says) in cases {
        run(&dir, &["replay", file]).refused(2, &says);
    }
    assert!(!dir.path().join("lake").exists(), "nothing was begun");
}

#[test]
fn noise_is_counted_as_malformed_when_the_stocks_are_given() {
    let dir = TempDir::new().unwrap();
    let mut noise = [b"\xff,AAPL,\n".as_slice(), b"a,b\n", TICK, b"\0\0\0\n"].concat();
    noise.extend(Ticks::make(&Recipe { lines: 10, spoiled: 0.0, ..Recipe::default() }).file());
    write(&dir, "noise", &noise);
    let summary = run(&dir, &["replay", "noise", "--symbols", "AAPL", "--json"]).summary();
    assert_eq!((summary.read, summary.malformed), (14, 3));
    assert!(summary.in_bars > 0 && summary.unknown > 0);
}

#[test]
fn a_gzipped_file_that_ends_early_fails_and_keeps_the_lake_right() {
    let dir = TempDir::new().unwrap();
    let ticks = Ticks::make(&Recipe { lines: 5_000, ..Recipe::default() });
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &ticks.file()).unwrap();
    let packed = packed.finish().unwrap();
    write(&dir, "torn.gz", &packed[..packed.len() / 2]);
    let torn = run(&dir, &["replay", "torn.gz", "--symbols", "AAPL", "--json"]);
    torn.refused(1, &["cannot read the file to replay after line"]);
    assert_eq!(torn.summary_of_failure().complete, Some(false));
    let lake = dir.path().join("lake");
    bars(&lake);
    write(&dir, "whole.gz", &packed);
    run(&dir, &["replay", "whole.gz", "--symbols", "AAPL", "--json"]).summary();
    bars(&lake);
}

#[test]
fn a_value_that_the_kafka_client_refuses_is_a_wrong_setting_for_check_and_run_alike() {
    let dir = TempDir::new().unwrap();
    write(&dir, "s.toml", b"[kafka.properties]\n\"linger.ms\" = \"abc\"\n");
    for command in ["check", "run"] {
        let ended = Program::new(dir.path(), &[command, "--settings", "s.toml"]).run();
        ended.refused(2, &["linger.ms", "[kafka.properties]"]);
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_a_reader_who_has_seen_enough_is_none() {
    let dir = TempDir::new().unwrap();
    write(&dir, "ticks.csv", TICK);
    run(&dir, &["replay", "ticks.csv", "--json"]).summary();
    for command in ["check", "show", "verify"] {
        let into = |stdout: Stdio| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_stockstream"));
            program.arg(command).current_dir(dir.path()).stdin(Stdio::null()).stdout(stdout).output().unwrap()
        };
        let full = into(File::options().write(true).open("/dev/full").unwrap().into());
        assert_eq!(full.status.code(), Some(1), "{command}: {full:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = into(writer.into());
        assert_eq!(
            (closed.status.code(), closed.stderr.as_slice()),
            (Some(0), b"".as_slice()),
            "{command}: {closed:?}"
        );
    }
}
