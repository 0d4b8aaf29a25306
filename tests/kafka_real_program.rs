//! The whole program against a real Apache Kafka, and that it makes the same bars as the embedded broker.
//!
//! Runs when `STOCKSTREAM_TEST_KAFKA` holds a bootstrap address, as in `kafka_real.rs`; else each test says that it was skipped, or
//! fails if `STOCKSTREAM_REQUIRE_KAFKA=1`.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;
use rustix::process::Signal;
use support::lake::{assert_same, bars, count_of};
use support::program::{Program, Summary};
use support::replays::{Replays, default_facts};
use support::skip::real_kafka;
use support::ticks::{Recipe, STOCKS, Ticks};
use tempfile::TempDir;

const SYMBOLS: &str = "AAPL,BRK.B,EURUSD=X,GSPC_5^";

/// Settings for the broker, with names that no other run uses; `None`: skip.
fn kafka() -> Option<String> {
    let bootstrap = real_kafka("STOCKSTREAM_TEST_KAFKA")?;
    let run = format!("{:08x}", rand::random::<u32>());
    Some(format!(
        "[kafka]\nmode = \"cluster\"\nbootstrap_servers = \"{bootstrap}\"\ngroup_id = \"test_{run}\"\n\
         topic_template = \"test_{run}.{{symbol}}\"\ntopic = \"test_{run}_keyed\"\ndead_letter_topic = \"test_{run}_dead\"\n"
    ))
}

/// A directory with settings of this name.
fn with_settings(text: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("kafka.toml"), text).unwrap();
    dir
}

fn run(dir: &TempDir, arguments: &[&str]) -> Summary {
    let arguments = [arguments, &["--settings", "kafka.toml", "--json"]].concat();
    Program::new(dir.path(), &arguments).run().summary()
}

fn replay(dir: &TempDir, ticks: &Ticks) -> Summary {
    std::fs::write(dir.path().join("ticks.csv"), ticks.file()).unwrap();
    run(dir, &["replay", "ticks.csv", "--symbols", SYMBOLS])
}

fn lake(dir: &TempDir) -> PathBuf {
    dir.path().join("lake")
}

/// The directories of the dataset `bars`.
fn dates(lake: &Path) -> Vec<String> {
    let mut dates: Vec<String> = std::fs::read_dir(lake.join("bars"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    dates.sort();
    dates
}

#[rstest]
#[case("")]
#[case("layout = \"keyed\"\npartitions = 3\n")]
fn the_same_files_give_the_same_bars_on_the_embedded_and_on_the_real_broker(#[case] layout: &str) {
    let Some(settings) = kafka() else { return };
    let real = with_settings(&(settings + layout));
    let embedded = with_settings(&format!("[kafka]\n{layout}"));
    let first = Ticks::make(&Recipe { seed: 41, lines: 20_000, ..Recipe::default() });
    let start = (first.newest / 300_000_000 + 1) * 300_000_000;
    let second = Ticks::make(&Recipe { seed: 42, lines: 10_000, start, ..Recipe::default() });
    let facts = default_facts(&STOCKS);
    let mut oracle = if layout.is_empty() { Replays::per_stock(facts) } else { Replays::keyed(facts, 3) };
    for ticks in [&first, &second] {
        let (on_real, on_embedded) = (replay(&real, ticks), replay(&embedded, ticks));
        assert_eq!((on_real.dropped(), on_real.open), (on_embedded.dropped(), 0));
        assert_eq!((on_real.in_bars, on_real.bars), (on_embedded.in_bars, on_embedded.bars));
        let counts = oracle.replay(&ticks.lines);
        assert_eq!([on_real.in_bars, on_real.late, on_real.malformed], [counts.in_bars, counts.late, counts.malformed]);
    }
    let (on_real, on_embedded) = (bars(&lake(&real)), bars(&lake(&embedded)));
    assert_same("bars of the real broker", &on_real, &on_embedded);
    assert_same("bars", &on_real, &oracle.bars());
    assert_eq!(dates(&lake(&real)), dates(&lake(&embedded)));
}

#[test]
fn a_run_on_a_real_broker_goes_on_after_a_stop_and_after_a_kill() {
    let Some(settings) = kafka() else { return };
    let stocks = ["AAPL", "IBM"].map(|symbol| format!("[[stocks]]\nsymbol = \"{symbol}\"\ninitial_price = 100.0\n"));
    let dir = with_settings(&(settings + "[producer]\nspeed = 300\nhistory = \"2h\"\n" + &stocks.concat()));
    let arguments = ["run", "--settings", "kafka.toml", "--json"];
    let until_more = |more: usize| {
        let wanted = count_of(&lake(&dir), "IBM") + more;
        let mut running = Program::new(dir.path(), &arguments).start();
        running.until(&format!("IBM has {wanted} bars"), || count_of(&lake(&dir), "IBM") >= wanted);
        running
    };
    let running = until_more(20);
    running.signal(Signal::TERM);
    let first = running.end().summary();
    assert_eq!(first.dropped(), [0; 4]);
    assert!(first.open > 0, "a cluster keeps what is open: {first:?}");

    until_more(2).kill();
    let last = run(&dir, &["run", "--for", "15s"]);
    assert_eq!(last.dropped(), [0; 4]);
    assert!(last.bars > 0 && last.skipped_replayed > 0, "{last:?}");
    let bars = bars(&lake(&dir));
    for symbol in ["AAPL", "IBM"] {
        for pair in support::lake::of(&bars, symbol).windows(2) {
            let step = pair[1].window_start - pair[0].window_start;
            assert_eq!(Duration::from_micros(step.micros() as u64), Duration::from_secs(300), "{pair:?}");
            assert!((pair[1].open / pair[0].close - 1.0).abs() < 0.02, "{pair:?}");
        }
    }
    // Everything that was published is in the log: reading on changes nothing that is there.
    run(&dir, &["run", "--until-end"]);
    let after = support::lake::bars(&lake(&dir));
    assert!(bars.iter().all(|bar| after.contains(bar)));
}

#[test]
fn a_replay_is_refused_while_others_read_in_its_group() {
    let Some(settings) = kafka() else { return };
    let dir = with_settings(&(settings + "[producer]\nenabled = false\n"));
    let mut running = Program::new(dir.path(), &["run", "--settings", "kafka.toml", "--json"]).start();
    running.until_said("partition taken", 4);
    std::fs::write(dir.path().join("ticks.csv"), "2099-05-14 15:30:00,AAPL,1\n").unwrap();
    let refused = Program::new(dir.path(), &["replay", "ticks.csv", "--settings", "kafka.toml"]).run();
    refused.refused(2, &["has 1 other member,", "kafka.group_id"]);
    running.signal(Signal::TERM);
    running.end().summary();
}

/// What was published stays in the topics, so it cannot go on; but no bar is wrong.
#[test]
fn an_interrupted_replay_leaves_whole_bars_and_cannot_be_begun_again() {
    let Some(settings) = kafka() else { return };
    let dir = with_settings(&settings);
    let ticks = Ticks::make(&Recipe { seed: 41, lines: 20_000, spoiled: 0.0, ..Recipe::default() });
    std::fs::write(dir.path().join("ticks.csv"), ticks.file()).unwrap();
    let arguments = ["replay", "ticks.csv", "--symbols", SYMBOLS, "--settings", "kafka.toml", "--json"];
    let arguments = |lake: &'static str| [arguments.as_slice(), &["--lake", lake]].concat();
    let mut running = Program::new(dir.path(), &[arguments("lake"), vec!["--rate", "3000"]].concat()).start();
    running.until("it has bars", || count_of(&lake(&dir), STOCKS[0]) > 2);
    running.signal(Signal::INT);
    let ended = running.end();
    let summary = ended.summary();
    assert!(summary.complete == Some(false) && summary.open > 0, "{summary:?}");
    assert!(ended.stderr.contains("give it other topics"), "{ended:?}");
    let embedded =
        Program::new(dir.path(), &["replay", "ticks.csv", "--symbols", SYMBOLS, "--json", "--lake", "whole"]);
    embedded.run().summary();
    let whole = bars(&dir.path().join("whole"));
    assert!(bars(&lake(&dir)).iter().all(|bar| whole.contains(bar)), "no bar is a part of one");
    Program::new(dir.path(), &arguments("lake")).run().refused(2, &["in windows that are open", "kafka.group_id"]);
    Program::new(dir.path(), &arguments("another")).run().refused(2, &["has not read", "kafka.group_id"]);
}
