//! A live market in one process: every stock is simulated, published, read back, windowed and committed, as fast as ticks come.
//!
//! ```text
//! cargo bench --bench live -- --broker 127.0.0.1:9092 --stocks 10000 --seconds 300 --json figures.json      20,000 ticks a second
//! cargo bench --bench live -- --test                         a few stocks for some seconds, without a broker
//! ```
//!
//! Each stock has two ticks a second, and event time goes eleven times as fast, so that a window of 5 minutes ends every 27.3 s for all
//! stocks at once. Layout `keyed`, 8 partitions. The figures are those of the program's own live view, one every ten seconds, but for the
//! first, in which stocks are started; and what it logs of all the time since then: of one tick in so many its age, and the most of the lag, which it
//! measures twice a second.

mod support;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

use stockstream::settings::Layout;

use support::args::{RoundsArgs, write_json};
use support::filled_topics::FilledTopics;
use support::log_moments::{field_of, messages_of};
use support::process::{Measured, measure};
use support::spread::{Spread, print_heading, print_row};
use support::work::Universe;

/// Event time, as in the module's words.
const PACE: [(&str, &str); 2] =
    [("STOCKSTREAM__PRODUCER__SPEED", "11"), ("STOCKSTREAM__PRODUCER__TICK_INTERVAL", "5500ms")];

/// Long enough for three views.
const SMOKE_SECONDS: u32 = 31;

#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 10_000)]
    stocks: usize,
    #[arg(long, default_value_t = 300)]
    seconds: u32,
    #[command(flatten)]
    rounds: RoundsArgs,
}

#[derive(Default, Serialize)]
struct Live {
    stocks: usize,
    /// Of each view.
    ticks_per_second: Spread,
    /// Records that are published and not read, of each view.
    lag_records: Spread,
    /// From the publishing of a tick until it is in its open bar, of each view.
    age_median_ms: Spread,
    age_p99_ms: Spread,
    /// The same of each whole run.
    run_age_median_ms: Spread,
    run_age_p99_ms: Spread,
    run_most_lag: Spread,
    /// From the barrier by which the watermark closes windows until their bars are durable and visible, of each run; barriers that close
    /// none count too.
    commit_median_ms: Spread,
    commit_p99_ms: Spread,
    /// Of one processor, of each run.
    busy: Spread,
    cpu_seconds_per_million: Spread,
    /// At half the time, and at most.
    half_time_rss_mb: Spread,
    peak_rss_mb: Spread,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if !options.rounds.cargo.mean("live") {
        return Ok(());
    }
    let (broker, is_smoke) = options.rounds.broker()?;
    if is_smoke {
        (options.stocks, options.seconds, options.rounds.runs) = (20, SMOKE_SECONDS, 1);
    }
    let mut live = Live { stocks: options.stocks, ..Live::default() };
    for _ in 0..options.rounds.runs {
        let dir = tempfile::tempdir()?;
        let universe = Universe { stocks: options.stocks, ..Universe::of(Layout::Keyed) };
        let topics = FilledTopics::fill(&broker, universe, 0, dir.path())?;
        let mut command = topics.run(&dir.path().join("lake"), &topics.group("live"));
        command.args(["--for", &format!("{}s", options.seconds)]);
        command.envs([("STOCKSTREAM__PRODUCER__ENABLED", "true"), ("STOCKSTREAM__PRODUCER__HISTORY", "0s")]);
        command.envs(PACE).env("STOCKSTREAM__LOG__LEVEL", "info,stockstream::actors::live_feed=debug");
        live.push(&measure(&mut command)?)?;
        topics.delete()?;
    }
    live.print(options.seconds);
    write_json(&live, options.rounds.json.as_deref())
}

impl Live {
    fn push(&mut self, measured: &Measured) -> Result<()> {
        let views: Vec<View> = messages_of(&measured.stderr).filter_map(|message| View::of(&message)).skip(1).collect();
        ensure!(!views.is_empty(), "the log shows no view:\n{}", measured.stderr);
        let of_run =
            |field: &str| field_of(&measured.stderr, "seconds that ticks were old, since the first view", field);
        self.run_age_median_ms.push(of_run("median")? * 1e3);
        self.run_age_p99_ms.push(of_run("p99")? * 1e3);
        self.run_most_lag.push(of_run("most_lag")?);
        for view in views {
            self.ticks_per_second.push(view.ticks_per_second);
            self.lag_records.push(view.lag);
            self.age_median_ms.push(view.age_median_ms);
            self.age_p99_ms.push(view.age_p99_ms);
        }
        for (field, spread) in [("median", &mut self.commit_median_ms), ("p99", &mut self.commit_p99_ms)] {
            spread.push(field_of(&measured.stderr, "seconds that commits took", field)? * 1e3);
        }
        let read = measured.json()?["read"].as_f64().context("a summary without ticks")?;
        self.busy.push(measured.cpu_seconds / measured.wall.as_secs_f64());
        self.cpu_seconds_per_million.push(measured.cpu_seconds / read * 1e6);
        self.half_time_rss_mb.push(measured.rss_mb_at(measured.wall / 2).context("no memory samples")?);
        self.peak_rss_mb.push(measured.peak_rss_mb);
        Ok(())
    }

    fn print(&self, seconds: u32) {
        print_heading(&format!("{} stocks live for {seconds} s", self.stocks));
        print_row("ticks a second", &self.ticks_per_second);
        print_row("lag, records", &self.lag_records);
        print_row("tick published to open bar updated, ms, median of each view", &self.age_median_ms);
        print_row("tick published to open bar updated, ms, 99 % of each view", &self.age_p99_ms);
        print_row("tick published to open bar updated, ms, median of each run", &self.run_age_median_ms);
        print_row("tick published to open bar updated, ms, 99 % of each run", &self.run_age_p99_ms);
        print_row("lag, records, the most of each run", &self.run_most_lag);
        print_row("windows closed to bars readable, ms, median", &self.commit_median_ms);
        print_row("windows closed to bars readable, ms, 99 %", &self.commit_p99_ms);
        print_row("CPU, of one processor", &self.busy);
        print_row("CPU seconds a million ticks", &self.cpu_seconds_per_million);
        print_row("memory at half time, MB", &self.half_time_rss_mb);
        print_row("peak memory, MB", &self.peak_rss_mb);
    }
}

/// The last line of the program's live view.
struct View {
    ticks_per_second: f64,
    lag: f64,
    age_median_ms: f64,
    age_p99_ms: f64,
}

impl View {
    /// `all        20000 ticks/s, lag 12 records, ticks 4 ms old (99 %: 9 ms) (+9980 stocks not shown)`
    fn of(line: &str) -> Option<Self> {
        let (rate, rest) = line.strip_prefix("all ")?.trim().split_once(" ticks/s, lag ")?;
        let (lag, rest) = rest.split_once(" records, ticks ")?;
        let (median, rest) = rest.split_once(" old (99 %: ")?;
        let (p99, _) = rest.split_once(')')?;
        let millis = |text: &str| match text.split_once(' ')? {
            (number, "ms") => number.parse().ok(),
            (number, _) => number.parse::<f64>().ok().map(|seconds| seconds * 1e3),
        };
        Some(Self {
            ticks_per_second: rate.parse().ok()?,
            lag: lag.parse().ok()?,
            age_median_ms: millis(median)?,
            age_p99_ms: millis(p99)?,
        })
    }
}
