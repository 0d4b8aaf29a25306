//! Faults of time: silence, sleep, midnights, leap seconds, summer time, and the ends of the calendar.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeZone, Utc};
use rustix::process::Signal;
use stockstream::market::bar::Bar;
use stockstream::market::time::{EventTime, Span};
use support::effort::Effort;
use support::flow::{Flow, PER_STOCK};
use support::lake::{assert_same, bars, checkpoints, commits, of};
use support::program::{Program, Summary};
use support::replays::{Replays, default_facts};
use support::ticks::STOCKS;
use tempfile::TempDir;

const FIVE_MINUTES: Span = Span::from_secs(300);
/// Windows of a second that close after a second of silence.
const QUICK: &str = "[market]\nwindow = \"1s\"\nlateness = \"1s\"\nidle_timeout = \"1s\"\n";

fn micros(rfc_3339: &str) -> i64 {
    DateTime::parse_from_rfc3339(rfc_3339).unwrap().timestamp_micros()
}

/// A lake of one replayed file.
struct Replayed {
    dir: TempDir,
    summary: Summary,
}

impl Replayed {
    fn of(lines: &[String]) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("ticks.csv"), lines.join("\n")).unwrap();
        let symbols = STOCKS.join(",");
        let arguments = ["replay", "ticks.csv", "--symbols", &symbols, "--json"];
        let summary = Program::new(dir.path(), &arguments).run().summary();
        Self { dir, summary }
    }

    fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    /// The bars, which are those of the oracle over the same instants, written by it in UTC.
    #[track_caller]
    fn right_bars(&self, in_utc: &[String]) -> Vec<Bar> {
        let mut oracle = Replays::per_stock(default_facts(&STOCKS));
        let lines: Vec<Vec<u8>> = in_utc.iter().map(|line| line.clone().into_bytes()).collect();
        let counts = oracle.replay(&lines);
        assert_eq!(self.summary.in_bars, counts.in_bars);
        let bars = bars(&self.lake());
        assert_same("bars", &bars, &oracle.bars());
        bars
    }

    fn dates(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.lake().join("bars")).unwrap();
        let mut dates: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        dates.sort();
        dates
    }
}

/// The last whole second of the past half minute, so that silence passes windows soon.
fn a_moment_ago() -> i64 {
    (Utc::now().timestamp() - 30) * 1_000_000
}

/// Ticks of a stock, ten a second.
fn ticks(symbol: &str, start: i64, seconds: i64) -> Vec<Vec<u8>> {
    let line = |n: i64| format!("{},{symbol},{}", start + n * 100_000, 100 + n % 13).into_bytes();
    (0..seconds * 10).map(line).collect()
}

#[test]
fn f22_when_all_partitions_fall_silent_the_last_bars_come_out_once_and_a_replay_decides_the_same() {
    let flow = Flow::new(false, QUICK);
    let start = a_moment_ago();
    let mut running = flow.program(&["run"]).start();
    running.until_said("partition taken", 4);
    for symbol in ["AAPL", "BRK.B"] {
        flow.publish(&ticks(symbol, start, 5));
    }
    let lake = flow.lake();
    let all_closed =
        || [("AAPL", 5), ("BRK.B", 5)].iter().all(|(symbol, wanted)| support::lake::count_of(&lake, symbol) == *wanted);
    running.until("the last windows are closed", all_closed);
    // A third stock goes on: what is silent stays as it is.
    flow.publish(&ticks("EURUSD=X", start, 5));
    running.until("the third stock has its bars", || support::lake::count_of(&lake, "EURUSD=X") == 5);
    let before = support::lake::bars_so_far(&lake);
    // The market opens again: into a closed window, and into new ones.
    flow.publish(&[ticks("AAPL", start + 4_500_000, 1), ticks("AAPL", start + 10_000_000, 2)].concat());
    running.until("the next windows are closed", || support::lake::count_of(&lake, "AAPL") == 8);
    running.signal(Signal::TERM);
    let summary = running.end().summary();
    assert_eq!((summary.late, summary.open), (5, 0), "{summary:?}");
    flow.assert_lake_is_right();
    let after = bars(&lake);
    assert!(before.len() == 15 && before.iter().all(|bar| after.contains(bar)), "closed once");

    let forced: usize = checkpoints(&lake).values().map(|checkpoint| checkpoint.forced.len()).sum();
    assert!(forced >= 4, "{forced}");
    let again = flow.until_end();
    assert_eq!((again.bars, again.in_bars), (0, 0), "{again:?}");
    flow.assert_lake_is_right();
}

#[test]
fn f22_one_idle_partition_closes_while_another_flows() {
    let flow = Flow::new(false, &QUICK.replace("idle_timeout = \"1s\"", "idle_timeout = \"5s\""));
    let start = a_moment_ago();
    let mut running = flow.program(&["run"]).start();
    running.until_said("partition taken", 4);
    flow.publish(&ticks("AAPL", start, 2));
    let lake = flow.lake();
    let mut sent = 0;
    running.until("the idle one's last window is closed", || {
        // No silence here, also when the machine is slow.
        flow.publish(&[format!("{},BRK.B,1", start + sent * 10_000).into_bytes()]);
        sent += 1;
        std::thread::sleep(Duration::from_millis(20));
        support::lake::count_of(&lake, "AAPL") == 2
    });
    running.signal(Signal::TERM);
    running.end().summary();
    let forced = |topic: &str| {
        let mut checkpoints = checkpoints(&lake).into_iter();
        checkpoints.find(|(partition, _)| &*partition.topic == topic).map(|(_, checkpoint)| checkpoint.forced.len())
    };
    assert!(forced(PER_STOCK[0]) >= Some(1));
    assert_eq!(forced(PER_STOCK[1]), Some(0));
    flow.assert_lake_is_right();
}

/// What lies between the process and its next tick of the clock: longer than the session of the group.
fn sleep_of_everything() -> Duration {
    Effort::of_this_run().pick(Duration::from_secs(4), Duration::from_secs(20), Duration::from_secs(3_600))
}

#[test]
fn a_laptop_that_sleeps_leaves_no_hole_and_no_late_tick() {
    let dir = TempDir::new().unwrap();
    let lake = dir.path().join("lake");
    let mut running = Program::new(dir.path(), &["run", "--json"]).start();
    running.until("there are bars", || commits(&lake) > 8);
    running.signal(Signal::STOP);
    std::thread::sleep(sleep_of_everything());
    let before = commits(&lake);
    running.signal(Signal::CONT);
    running.until("it goes on", || commits(&lake) > before + 8);
    running.signal(Signal::TERM);
    let summary = running.end().summary();
    assert_eq!((summary.dropped(), summary.open), ([0; 4], 0), "{summary:?}");
    let bars = bars(&lake);
    for symbol in ["AAPL", "GOOG", "MSFT", "IBM"] {
        let steps = of(&bars, symbol);
        assert!(steps.windows(2).all(|pair| pair[1].window_start - pair[0].window_start == FIVE_MINUTES), "{symbol}");
        // But for the first and the last, which the start and the stop cut.
        let ticks: Vec<i64> = steps[1..steps.len() - 1].iter().map(|bar| bar.ticks).collect();
        assert!(ticks.iter().all(|ticks| *ticks == 60), "{symbol}: {ticks:?}");
    }
    let verified = Program::new(dir.path(), &["verify", "--lake", "lake"]).run();
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}

#[rstest::rstest]
#[case::beyond_their_session(2_000, sleep_of_everything())]
#[case::within_their_session(60_000, Duration::from_secs(4))]
fn a_consumer_and_a_producer_that_sleep_together_lose_nothing_to_the_idle_rule(
    #[case] session_millis: u64,
    #[case] sleep: Duration,
) {
    let flow = Flow::new(false, &QUICK.replace("idle_timeout = \"1s\"", "idle_timeout = \"2s\""));
    let start = a_moment_ago();
    let session = format!("{{ \"session.timeout.ms\" = {session_millis} }}");
    let mut running = flow.program(&["run"]).env("STOCKSTREAM__KAFKA__PROPERTIES", &session).start();
    running.until_said("partition taken", 4);
    // Half a window, then both sleep: longer than silence may last.
    let all = ticks("AAPL", start, 3);
    let (before, after) = all.split_at(25);
    flow.publish(before);
    let lake = flow.lake();
    running.until("the first window is closed", || support::lake::count_of(&lake, "AAPL") >= 1);
    running.signal(Signal::STOP);
    std::thread::sleep(sleep);
    running.signal(Signal::CONT);
    std::thread::sleep(Duration::from_millis(200));
    flow.publish(after);
    running.until("all windows are closed", || support::lake::count_of(&lake, "AAPL") == 3);
    running.signal(Signal::TERM);
    assert_eq!(running.end().summary().late, 0, "nobody heard the silence");
    flow.assert_lake_is_right();
}

#[test]
fn a_midnight_parts_two_windows_two_files_and_no_bar() {
    let start = micros("2025-05-13T23:40:00Z");
    let line = |n: i64| format!("{},AAPL,{}", EventTime::from_micros(start + n * 10_000_000), 100 + n % 7);
    let lines: Vec<String> = (0..240).map(line).collect();
    let replayed = Replayed::of(&lines);
    let bars = replayed.right_bars(&lines);
    let clock: Vec<String> = bars.iter().map(|bar| bar.window_start.to_string()[8..16].to_owned()).collect();
    let wanted = ["13T23:40", "13T23:45", "13T23:50", "13T23:55", "14T00:00", "14T00:05", "14T00:10", "14T00:15"];
    assert_eq!(clock, wanted);
    assert!(bars.iter().all(|bar| bar.ticks == 30), "no tick is in its neighbour's bar");
    assert_eq!(replayed.dates(), ["date=2025-05-13", "date=2025-05-14"]);
}

#[test]
fn a_leap_second_is_malformed_and_its_neighbours_are_in_two_years() {
    let good = ["2016-12-31T23:59:59.999999Z,AAPL,1", "2017-01-01T00:00:00Z,AAPL,2"].map(String::from);
    let leap = ["2016-12-31T23:59:60Z,AAPL,9", "2016-12-31 23:59:60.5,AAPL,9", "2017-01-01T08:59:60+09:00,AAPL,9"];
    let lines = [&good[..1], &leap.map(String::from), &good[1..]].concat();
    let replayed = Replayed::of(&lines);
    assert_eq!((replayed.summary.malformed, replayed.summary.in_bars), (3, 2));
    let bars = replayed.right_bars(&good);
    let found: Vec<_> = bars.iter().map(|bar| (bar.window_start.to_string(), bar.close)).collect();
    let wanted = [("2016-12-31T23:55:00.000000Z", 1.0), ("2017-01-01T00:00:00.000000Z", 2.0)];
    assert_eq!(found, wanted.map(|(start, close)| (start.to_owned(), close)));
    assert_eq!(replayed.dates(), ["date=2016-12-31", "date=2017-01-01"]);
}

/// Hours from UTC before and after the instant at which the clocks change.
#[rstest::rstest]
#[case::spring_in_new_york("2025-03-09T07:00:00Z", -5, -4)]
#[case::autumn_in_new_york("2025-11-02T06:00:00Z", -4, -5)]
#[case::spring_in_berlin("2025-03-30T01:00:00Z", 1, 2)]
fn a_day_on_which_the_clocks_change_has_24_hours_of_bars(
    #[case] change: &str,
    #[case] before: i32,
    #[case] after: i32,
) {
    let change = micros(change);
    let midnight = EventTime::from_micros(change).midnight().micros();
    let zone = |hours: i32| FixedOffset::east_opt(hours * 3_600).unwrap();
    let (mut local, mut utc) = (Vec::new(), Vec::new());
    for minute in 0..24 * 60 {
        let time = midnight + minute * 60_000_000;
        let zone = zone(if time < change { before } else { after });
        let here = zone.timestamp_micros(time).unwrap().to_rfc3339();
        local.push(format!("{here},AAPL,{}", 100 + minute % 11));
        utc.push(format!("{},AAPL,{}", EventTime::from_micros(time), 100 + minute % 11));
    }
    assert!(local[0].contains(&format!("{before:+03}:00")) && local[1_439].contains(&format!("{after:+03}:00")));
    let replayed = Replayed::of(&local);
    let bars = replayed.right_bars(&utc);
    assert_eq!(bars.len(), 24 * 12);
    for (number, bar) in (0..).zip(&bars) {
        assert_eq!((bar.window_start.micros(), bar.ticks), (midnight + number * FIVE_MINUTES.micros(), 5));
    }
    assert_eq!(replayed.dates(), [format!("date={}", EventTime::from_micros(midnight).date())]);
}

#[test]
fn the_ends_of_the_calendar_are_bars_or_counted() {
    let good = [
        "0001-01-01T00:00:00Z,AAPL,1",
        "1899-12-31T23:59:59.999999Z,AAPL,2",
        "1969-12-31T23:59:59.999999Z,AAPL,3",
        "1970-01-01T00:00:00Z,AAPL,4",
        "2000-02-29T12:00:00Z,AAPL,5",
    ]
    .map(String::from);
    let future = ["9999-12-31T23:59:59.999999Z,AAPL,6", "2262-04-11T23:47:17Z,AAPL,7"].map(String::from);
    let malformed = ["0000-12-31T23:59:59Z,AAPL,8", "1900-02-29T00:00:00Z,AAPL,9", "-1,AAPL,9"].map(String::from);
    let replayed = Replayed::of(&[&good[..2], &future, &malformed, &good[2..]].concat());
    let summary = &replayed.summary;
    assert_eq!((summary.in_bars, summary.future, summary.malformed, summary.late), (5, 2, 3, 0));
    let starts: Vec<_> = replayed.right_bars(&good).iter().map(|bar| bar.window_start.to_string()).collect();
    let wanted = ["0001-01-01T00:00", "1899-12-31T23:55", "1969-12-31T23:55", "1970-01-01T00:00", "2000-02-29T12:00"];
    assert_eq!(starts, wanted.map(|start| format!("{start}:00.000000Z")));
    let dates = ["0001-01-01", "1899-12-31", "1969-12-31", "1970-01-01", "2000-02-29"];
    assert_eq!(replayed.dates(), dates.map(|date| format!("date={date}")));
}
