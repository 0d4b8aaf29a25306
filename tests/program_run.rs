//! `run` with the settings everybody has at first: bars appear, a stop drains, a restart goes on.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use stockstream::market::bar::Bar;
use stockstream::market::time::Span;
use stockstream::storage::{Dataset, Lake};
use support::cluster::Cluster;
use support::lake::{bars, count_of, of};
use support::program::{Program, Running};
use tempfile::TempDir;

const STOCKS: [&str; 4] = ["AAPL", "GOOG", "MSFT", "IBM"];
const FIVE_MINUTES: Span = Span::from_secs(300);

/// A bar for each window from the first to the last: the simulation never pauses.
#[track_caller]
fn assert_without_gaps(bars: &[&Bar]) {
    for pair in bars.windows(2) {
        assert_eq!(pair[1].window_start - pair[0].window_start, FIVE_MINUTES, "{pair:?}");
    }
}

fn newest_rsi(lake: &Path, symbol: &str) -> Option<f64> {
    let lake = Lake::open_read_only(lake).unwrap();
    let files = lake.files(Dataset::Features).unwrap();
    let rows = files.iter().flat_map(|file| lake.read_features(file).unwrap().unwrap());
    rows.filter(|row| row.symbol.as_str() == symbol).max_by_key(|row| row.window_start)?.rsi
}

#[test]
fn without_settings_bars_and_indicators_of_four_stocks_stand_within_20_seconds_and_a_restart_goes_on() {
    let dir = TempDir::new().unwrap();
    let lake = dir.path().join("lake");
    let started = Instant::now();
    let mut running = Program::new(dir.path(), &["--json"]).start();
    running.until("all four have bars", || STOCKS.iter().all(|symbol| count_of(&lake, symbol) >= 40));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    running.signal(Signal::TERM);
    let stopping = Instant::now();
    let first = running.end().summary();
    assert!(stopping.elapsed() < Duration::from_secs(30), "within the drain time: {:?}", stopping.elapsed());
    let before = bars(&lake);
    assert_eq!((first.bars, first.feature_rows, first.open), (before.len() as u64, before.len() as u64, 0));
    assert_eq!((first.dropped(), first.in_bars), ([0; 4], first.read));
    for symbol in STOCKS {
        assert!(newest_rsi(&lake, symbol).is_some(), "{symbol}");
        assert_without_gaps(&of(&before, symbol));
    }

    let second = Program::new(dir.path(), &["run", "--for", "4s", "--json"]).run().summary();
    assert_eq!((second.dropped(), second.open, second.skipped_replayed), ([0; 4], 0, 0));
    let after = bars(&lake);
    assert_eq!(after.len() as u64, first.bars + second.bars);
    for symbol in STOCKS {
        let (before, after) = (of(&before, symbol), of(&after, symbol));
        assert!(after.len() > before.len(), "{symbol} went on");
        assert_eq!(after[..before.len()], before[..], "what was there stays as it was");
        assert_without_gaps(&after);
        let (last, next) = (before[before.len() - 1], after[before.len()]);
        assert!((next.open / last.close - 1.0).abs() < 0.01, "{symbol} goes on at its price: {last:?} {next:?}");
    }
}

#[test]
fn a_stop_before_kafka_has_given_the_partitions_loses_no_tick() {
    let dir = TempDir::new().unwrap();
    let summary = Program::new(dir.path(), &["--for", "200ms", "--json"]).run().summary();
    // Six hours of history, a tick every five seconds, four stocks: as far as they were published by then.
    assert_eq!((summary.in_bars, summary.open, summary.dropped()), (summary.read, 0, [0; 4]));
    assert!(summary.read > 0);
    let sum: i64 = bars(&dir.path().join("lake")).iter().map(|bar| bar.ticks).sum();
    assert_eq!(sum as u64, summary.read);
}

#[test]
fn the_same_seed_gives_the_same_bars() {
    let run = || {
        let dir = TempDir::new().unwrap();
        let slow = "[producer]\nspeed = 0.001\nhistory = \"30m\"\n";
        std::fs::write(dir.path().join("slow.toml"), slow).unwrap();
        Program::new(dir.path(), &["--settings", "slow.toml", "--for", "2s", "--json"]).run().summary();
        bars(&dir.path().join("lake"))
    };
    let (one, two) = std::thread::scope(|scope| {
        let (one, two) = (scope.spawn(run), scope.spawn(run));
        (one.join().unwrap(), two.join().unwrap())
    });
    // They begin at their own wall clocks, so windows are cut elsewhere; all ticks together are the same.
    let lows = |bars: &[Bar], symbol| of(bars, symbol).iter().map(|bar| bar.low).fold(f64::MAX, f64::min);
    let highs = |bars: &[Bar], symbol| of(bars, symbol).iter().map(|bar| bar.high).fold(f64::MIN, f64::max);
    for symbol in STOCKS {
        assert_eq!(lows(&one, symbol), lows(&two, symbol), "{symbol}");
        assert_eq!(highs(&one, symbol), highs(&two, symbol), "{symbol}");
    }
}

#[test]
fn the_summary_for_people_says_the_same() {
    let dir = TempDir::new().unwrap();
    let ended = Program::new(dir.path(), &["--for", "1s"]).run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for text in ["read ", " in bars, 0 open, 0 late, 0 malformed", "feature rows"] {
        assert!(ended.stdout.contains(text), "{}", ended.stdout);
    }
}

#[test]
fn spoiled_ticks_are_counted_and_not_lost() {
    let dir = TempDir::new().unwrap();
    let faults = "[producer.faults]\nlate = 0.02\nout_of_order = 0.1\nduplicate = 0.05\ncorrupt = 0.02\n";
    std::fs::write(dir.path().join("faults.toml"), faults).unwrap();
    let summary = Program::new(dir.path(), &["--settings", "faults.toml", "--for", "4s", "--json"]).run().summary();
    assert!(summary.late > 50 && summary.malformed > 50 && summary.bars > 100, "{summary:?}");
    assert_eq!(summary.open, 0);
    bars(&dir.path().join("lake"));
}

/// A program whose broker is gone, with ticks and dead letters on their way to it, and told to stop: it cannot drain.
fn stuck(dir: &TempDir, drain_timeout: &str) -> Running {
    let cluster = Cluster::start();
    cluster.create_topic("stock_topic.AAPL", 1);
    let settings = format!(
        "{}\"linger.ms\" = 500\n[producer]\nhistory = \"1h\"\nspeed = 100\n[producer.faults]\ncorrupt = 0.5\n\
         [supervision]\ndrain_timeout = \"{drain_timeout}\"\n[[stocks]]\nsymbol = \"AAPL\"\ninitial_price = 1.0\n",
        // The member stays one: what it has read is its to commit.
        cluster.settings().replace("2000", "60000")
    );
    std::fs::write(dir.path().join("cluster.toml"), settings).unwrap();
    let mut running = Program::new(dir.path(), &["--settings", "cluster.toml", "--json"]).start();
    running.until("a bar is there", || count_of(&dir.path().join("lake"), "AAPL") > 0);
    drop(cluster);
    running.until_said("AllBrokersDown", 1);
    running.signal(Signal::INT);
    running.until_said("a second signal ends at once", 1);
    running
}

#[test]
fn a_second_signal_ends_at_once() {
    let dir = TempDir::new().unwrap();
    let running = stuck(&dir, "10m");
    running.signal(Signal::TERM);
    let ended = running.end();
    ended.refused(130, &["ended by a second signal"]);
    assert_eq!(ended.stdout, "", "no summary of what did not end");
    // The lake is right either way.
    bars(&dir.path().join("lake"));
}

#[test]
fn a_stop_ends_in_time_while_the_broker_is_gone() {
    let dir = TempDir::new().unwrap();
    let asked = Instant::now();
    let ended = stuck(&dir, "1s").end();
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    // A commit waits for dead letters that are on their way; whether there are any at that instant is up to chance.
    match ended.code {
        Some(0) => drop(ended.summary()),
        _ => ended.refused(1, &["the drain did not end within 1s", "what is committed is right"]),
    }
    ended.summary_of_failure();
    bars(&dir.path().join("lake"));
}

#[test]
fn a_drain_that_takes_too_long_ends_with_1_and_says_so() {
    let dir = TempDir::new().unwrap();
    // Each stock has a commit of its own to make, on a disk that must have it: some hundred in a tenth of a second are too many.
    let stocks = (0..200).map(|number| format!("[[stocks]]\nsymbol = \"S{number}\"\ninitial_price = 1.0\n"));
    let settings = String::from("[producer]\nhistory = \"2m\"\n[supervision]\ndrain_timeout = \"100ms\"\n");
    std::fs::write(dir.path().join("many.toml"), settings + &stocks.collect::<String>()).unwrap();
    let ended = Program::new(dir.path(), &["--settings", "many.toml", "--for", "50ms", "--json"]).run();
    ended.refused(1, &["the drain did not end within 100ms", "what is committed is right"]);
    ended.summary_of_failure();
}
