//! Settings that change while the program runs: stocks come and go, the others do not notice, and mistakes change nothing.

mod support;

use std::path::PathBuf;

use rustix::process::Signal;
use stockstream::market::bar::Bar;
use stockstream::market::time::Span;
use support::lake::{bars, count_of, of};
use support::program::{Program, Running};
use tempfile::TempDir;

/// The embedded broker gives out the partitions of an added stock a second before the session would have ended.
const SHORT_SESSION: &str = "[kafka.properties]\n\"session.timeout.ms\" = 1500\n\"heartbeat.interval.ms\" = 200\n";
/// Five windows a second, closed a fifth of a second later.
const FAST: &str = "[market]\nwindow = \"1m\"\nlateness = \"1m\"\nidle_timeout = \"500ms\"\n[producer]\nspeed = 300.0\nhistory = \"20m\"\n";
const MINUTE: Span = Span::from_secs(60);

/// A program that runs and the settings file it watches.
struct Reloading {
    dir: TempDir,
    running: Running,
    head: String,
}

impl Reloading {
    fn start(head: &str, stocks: &[&str]) -> Self {
        let head = format!("{SHORT_SESSION}{head}");
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("settings")).unwrap();
        std::fs::write(dir.path().join("settings/local.toml"), settings(&head, stocks)).unwrap();
        let mut running = Program::new(dir.path(), &["--json"]).start();
        running.until_said("partition taken", stocks.len());
        Self { dir, running, head }
    }

    fn save(&self, stocks: &[&str]) {
        self.save_text(&settings(&self.head, stocks));
    }

    fn save_text(&self, text: &str) {
        std::fs::write(self.dir.path().join("settings/local.toml"), text).unwrap();
    }

    fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    /// Waits until the plan stands on a line of its own, and is carried out.
    #[track_caller]
    fn until_planned(&mut self, plan: &str, applied: usize) {
        self.running.until_line(plan);
        self.running.until_said("settings applied", applied);
    }

    /// Waits until a stock has this many bars more.
    #[track_caller]
    fn until_more_bars(&mut self, symbol: &str, more: usize) {
        let lake = self.lake();
        let wanted = count_of(&lake, symbol) + more;
        self.running.until(&format!("{symbol} has {wanted} bars"), || count_of(&lake, symbol) >= wanted);
    }

    /// Stops it; nothing may have been lost or late.
    #[track_caller]
    fn stop(self) -> (TempDir, Vec<Bar>) {
        let lake = self.lake();
        self.running.signal(Signal::INT);
        let summary = self.running.end().summary();
        assert_eq!((summary.open, summary.dropped()), (0, [0; 4]));
        let bars = bars(&lake);
        assert_eq!(bars.iter().map(|bar| bar.ticks).sum::<i64>() as u64, summary.in_bars);
        (self.dir, bars)
    }
}

fn settings(head: &str, stocks: &[&str]) -> String {
    let stock = |line: &&str| {
        let (symbol, more) = line.split_once(' ').unwrap_or((line, ""));
        format!("[[stocks]]\nsymbol = \"{symbol}\"\ninitial_price = 100.0\n{more}\n")
    };
    head.to_owned() + &stocks.iter().map(stock).collect::<String>()
}

#[track_caller]
fn assert_without_gaps(bars: &[&Bar], window: Span) {
    for pair in bars.windows(2) {
        assert_eq!(pair[1].window_start - pair[0].window_start, window, "{pair:?}");
    }
}

#[test]
fn stocks_come_change_go_and_come_back_while_the_others_run_on() {
    let mut program = Reloading::start(FAST, &["AAPL", "IBM"]);
    program.until_more_bars("IBM", 30);

    program.save(&["AAPL", "IBM", "NVDA volatility = 0.45"]);
    program.until_planned("+NVDA", 1);
    program.until_more_bars("NVDA", 3);

    program.save(&["AAPL volatility = 0.9", "IBM", "NVDA volatility = 0.45"]);
    program.until_planned("~AAPL.volatility", 2);
    program.until_more_bars("AAPL", 3);

    program.save(&["AAPL volatility = 0.9", "IBM"]);
    program.until_planned("-NVDA", 3);
    // The open windows of a removed stock close all the same.
    program.until_more_bars("IBM", 10);
    let before = count_of(&program.lake(), "NVDA");

    program.save(&["AAPL volatility = 0.9", "IBM", "NVDA"]);
    program.until_planned("+NVDA", 4);
    program.until_more_bars("NVDA", 3);

    let (_dir, bars) = program.stop();
    assert_without_gaps(&of(&bars, "AAPL"), MINUTE);
    assert_without_gaps(&of(&bars, "IBM"), MINUTE);
    let nvda = of(&bars, "NVDA");
    assert!(
        nvda[0].window_start > of(&bars, "AAPL")[20].window_start,
        "it begins where the others are, not in the past"
    );
    let prices = nvda[before.saturating_sub(2)..].windows(2).map(|pair| pair[1].open / pair[0].close);
    prices.for_each(|step| assert!((step - 1.0).abs() < 0.02, "it goes on at its price: {step}"));
}

/// Event time that went on fast does not have to be waited for when it goes on slowly again, neither by those that went fast nor by one
/// that comes then.
#[test]
fn a_simulation_that_is_made_slower_goes_on_at_once() {
    let mut program = Reloading::start(FAST, &["AAPL", "IBM"]);
    program.until_more_bars("IBM", 5);
    program.save_text(&settings(&program.head.replace("speed = 300.0", "speed = 20000.0"), &["AAPL", "IBM"]));
    program.until_planned("~AAPL.speed ~IBM.speed", 1);
    // At the pace of before this is more than ten minutes.
    program.until_more_bars("AAPL", 3_000);
    program.save(&["AAPL", "IBM"]);
    program.until_planned("~AAPL.speed ~IBM.speed", 2);
    program.until_more_bars("AAPL", 20);
    program.save(&["AAPL", "IBM", "NVDA"]);
    program.until_planned("+NVDA", 3);
    program.until_more_bars("NVDA", 3);
    program.stop();
}

#[test]
fn a_stock_taken_out_and_put_back_at_once_has_one_bar_a_window_and_the_past_is_kept_over_a_restart() {
    // Half a minute of wall clock a window: out and back within one.
    let mut program = Reloading::start("[producer]\nhistory = \"1h\"\n", &["AAPL", "IBM"]);
    program.until_more_bars("IBM", 1);
    program.save(&["AAPL"]);
    program.until_planned("-IBM", 1);
    program.save(&["AAPL", "IBM"]);
    program.until_planned("+IBM", 2);
    let (dir, before) = program.stop();
    assert_without_gaps(&of(&before, "IBM"), Span::from_secs(300));

    let summary = Program::new(dir.path(), &["--for", "5s", "--json"]).run().summary();
    assert_eq!((summary.open, summary.dropped()), (0, [0; 4]));
    assert_without_gaps(&of(&bars(&dir.path().join("lake")), "IBM"), Span::from_secs(300));
}

#[test]
fn a_stock_that_is_enabled_later_goes_on_where_its_past_ended() {
    let program = Reloading::start(FAST, &["AAPL", "IBM"]);
    let (dir, before) = program.stop();
    let of_before = of(&before, "IBM").len();
    assert!(of_before > 10);

    let dearer = |stocks: &[&str]| settings(&format!("{SHORT_SESSION}{FAST}"), stocks).replace("100.0", "5000.0");
    let file = dir.path().join("settings/local.toml");
    std::fs::write(&file, dearer(&["AAPL", "IBM enabled = false"])).unwrap();
    let mut running = Program::new(dir.path(), &["--json"]).start();
    let lake = dir.path().join("lake");
    let until_more = |running: &mut Running, symbol: &str| {
        let wanted = count_of(&lake, symbol) + 3;
        running.until(&format!("{symbol} has {wanted} bars"), || count_of(&lake, symbol) >= wanted);
    };
    until_more(&mut running, "AAPL");
    assert_eq!(count_of(&lake, "IBM"), of_before);
    std::fs::write(&file, dearer(&["AAPL", "IBM"])).unwrap();
    running.until_line("~IBM.enabled");
    until_more(&mut running, "IBM");
    running.signal(Signal::INT);
    let summary = running.end().summary();
    assert_eq!((summary.open, summary.dropped()), (0, [0; 4]));
    let bars = bars(&lake);
    let step = of(&bars, "IBM")[of_before].open / of(&bars, "IBM")[of_before - 1].close;
    assert!((step - 1.0).abs() < 0.02, "it goes on at its price: {step}");
}

#[test]
fn a_file_that_is_not_valid_changes_nothing_and_says_key_and_line() {
    let mut program = Reloading::start(FAST, &["AAPL"]);
    let broken = settings(&program.head, &["AAPL", "nvda", "IBM volatility = -1"]);
    let line = 1 + broken.lines().position(|line| line.contains("nvda")).unwrap();
    program.save_text(&broken);
    program.running.until_said("the changed settings are refused, the old ones stay", 1);
    program.running.until_said("2 problems", 1);
    let said = program.running.stderr();
    assert!(said.contains(&format!("local.toml:{line}: stocks[1].symbol")), "line {line}: {said}");
    assert!(said.contains("stocks.IBM.volatility") && !said.contains("+IBM"), "{said}");

    program.save_text("[[stocks]\nsymbol");
    program.running.until_said("the changed settings are refused, the old ones stay", 2);
    program.until_more_bars("AAPL", 3);

    // What needs a restart is reported, beside what is applied.
    program.save_text(&settings(&program.head.replace("1m", "5m"), &["AAPL", "IBM"]));
    program.until_planned("+IBM", 1);
    program.running.until_said("market.window changed from 1m to 5m: belongs to the lake", 1);
    program.until_more_bars("IBM", 3);
    let (_dir, bars) = program.stop();
    assert_without_gaps(&of(&bars, "AAPL"), MINUTE);
}

#[test]
fn a_settings_file_that_appears_later_counts_too() {
    let dir = TempDir::new().unwrap();
    let mut running = Program::new(dir.path(), &["--json"]).start();
    running.until_said("partition taken partition=stock_topic.IBM-0", 1);
    std::fs::create_dir(dir.path().join("settings")).unwrap();
    std::fs::write(dir.path().join("settings/local.toml"), settings("", &["AAPL", "MSFT"])).unwrap();
    running.until_line("-GOOG -IBM ~AAPL.initial_price ~MSFT.initial_price");
    running.until_said("partition taken", 4);
    running.signal(Signal::TERM);
    assert_eq!(running.end().summary().open, 0);
}

#[test]
fn a_stop_amid_a_burst_of_changes_ends_well() {
    let mut program = Reloading::start(FAST, &["AAPL"]);
    let stocks: Vec<String> = (0..20).map(|number| format!("N{number}")).collect();
    for last in 1..stocks.len() {
        let stocks: Vec<&str> = std::iter::once("AAPL").chain(stocks[..last].iter().map(String::as_str)).collect();
        program.save(&stocks);
        // So that some are applied and the last is under way: a change counts once the file has rested.
        match last % 6 {
            0 => program.running.until_said("settings applied", last / 6),
            _ => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
    program.stop();
}
