//! What a tick costs as the universe and the log grow, and what a second process adds: the same program on several logs in turn.
//!
//! ```text
//! cargo bench --bench scale -- --broker 127.0.0.1:9092 --stocks 4,1000,10000 --ticks 4000000 --runs 5 --json figures.json
//! cargo bench --bench scale -- --broker 127.0.0.1:9092 --stocks 1000 --ticks 1000000,4000000,16000000
//! cargo bench --bench scale -- --broker 127.0.0.1:9092 --stocks 1000 --ticks 4000000 --processes 1,2
//! cargo bench --bench scale -- --broker 127.0.0.1:9092 --stocks 1000 --ticks 4000000 --partitions 4,8,32
//! cargo bench --bench scale -- --broker 127.0.0.1:9092 --stocks 100 --ticks 1752000,10512000 --tick-interval 300    two months, a year
//! cargo bench --bench scale -- --test                        everything once, with few ticks, without a broker
//! ```
//!
//! Every lane has the layout `keyed`, and with one list of several values differs from the first in one thing. Logs are read once by a bare
//! loop before the first round, and every other round begins with the last lane. CPU seconds are those of whole processes,
//! start and end included, so short logs look dearer than they are.

mod support;

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

use stockstream::settings::Layout;

use support::args::{RoundsArgs, write_json};
use support::bare_loop::{BareArgs, BareLoop};
use support::filled_topics::{Broker, FilledTopics};
use support::log_moments::moment_of;
use support::process::{Measured, measure};
use support::rounds::in_turn;
use support::spread::{Spread, print_heading, print_row};
use support::work::Universe;

/// Few enough for the embedded broker to keep all of them.
const SMOKE_TICKS: usize = 40_000;

#[derive(Parser)]
struct Options {
    #[arg(long, value_delimiter = ',', default_value = "1000")]
    stocks: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    ticks: Vec<usize>,
    /// Event time between two ticks of a stock, in seconds; 300 makes a bar of each
    #[arg(long, default_value_t = 5)]
    tick_interval: i64,
    /// Of the one topic
    #[arg(long, value_delimiter = ',', default_value = "8")]
    partitions: Vec<i32>,
    /// That share the partitions
    #[arg(long, value_delimiter = ',', default_value = "1")]
    processes: Vec<usize>,
    #[command(flatten)]
    bare: BareArgs,
    #[command(flatten)]
    rounds: RoundsArgs,
}

/// One log, read by so many processes at once.
#[derive(Default, Serialize)]
struct Lane {
    stocks: usize,
    ticks: usize,
    partitions: i32,
    processes: usize,
    bars: u64,
    /// From the first partition taken until the last process stops.
    million_ticks_per_second: Spread,
    cpu_seconds_per_million: Spread,
    /// Of the largest process, at half its time and at most.
    half_time_rss_mb: Spread,
    peak_rss_mb: Spread,
    /// Of bars and of features, at the end.
    published_files: Spread,
    /// Everything else in the lake, at the end.
    other_files: Spread,
    /// Of the process that has read least, of an even share.
    least_share: Spread,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.bare.run()? || !options.rounds.cargo.mean("scale") {
        return Ok(());
    }
    let (broker, is_smoke) = options.rounds.broker()?;
    if is_smoke {
        (options.stocks, options.ticks, options.rounds.runs) = (vec![4, 100], vec![SMOKE_TICKS], 1);
    }
    let dir = tempfile::tempdir()?;
    let mut logs = options.logs(&broker, dir.path())?;
    for log in &logs {
        BareLoop::PLAIN.measure(&log.topics, "warm_up", log.ticks)?;
    }
    for round in 0..options.rounds.runs {
        for log in in_turn(round, &mut logs) {
            log.read(round)?;
        }
    }
    logs.iter().try_for_each(|log| log.topics.delete())?;
    let lanes: Vec<Lane> = logs.into_iter().flat_map(|log| log.lanes).collect();
    print(&lanes);
    write_json(&lanes, options.rounds.json.as_deref())
}

/// Topics that are read again each round.
struct Log<'a> {
    topics: FilledTopics<'a>,
    ticks: usize,
    dir: PathBuf,
    lanes: Vec<Lane>,
}

impl Options {
    /// One for each pair of values, filled.
    fn logs<'a>(&self, broker: &'a Broker, dir: &Path) -> Result<Vec<Log<'a>>> {
        let mut logs = Vec::new();
        for &stocks in &self.stocks {
            for &ticks in &self.ticks {
                for &partitions in &self.partitions {
                    let tick_interval = self.tick_interval;
                    let universe = Universe { stocks, partitions, tick_interval, ..Universe::of(Layout::Keyed) };
                    let dir = dir.join(logs.len().to_string());
                    std::fs::create_dir(&dir)?;
                    let topics = FilledTopics::fill(broker, universe, ticks, &dir)?;
                    let lane = |processes: &usize| Lane {
                        stocks,
                        ticks,
                        partitions,
                        processes: *processes,
                        ..Lane::default()
                    };
                    logs.push(Log { topics, ticks, dir, lanes: self.processes.iter().map(lane).collect() });
                }
            }
        }
        Ok(logs)
    }
}

impl Log<'_> {
    fn read(&mut self, round: usize) -> Result<()> {
        for lane in in_turn(round, &mut self.lanes) {
            let name = format!("{round}_{}", lane.processes);
            let lake = self.dir.join(&name);
            lane.push(&read(&self.topics, &lake, &name, lane.processes)?, &lake)?;
        }
        Ok(())
    }
}

/// As many processes as members of one group on one lake.
fn read(topics: &FilledTopics<'_>, lake: &Path, name: &str, processes: usize) -> Result<Vec<Measured>> {
    thread::scope(|scope| {
        let run = || measure(&mut topics.program(lake, &topics.group(name)));
        let running: Vec<_> = (0..processes).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|process| process.join().expect("a measurement does not panic")).collect()
    })
}

impl Lane {
    fn push(&mut self, measured: &[Measured], lake: &Path) -> Result<()> {
        let (mut read, mut bars, mut least) = (0, 0, u64::MAX);
        let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
        for process in measured {
            let summary = process.json()?;
            let count = |name: &str| summary[name].as_u64().with_context(|| format!("no {name} in {summary}"));
            // What a partition had read when it went to another process is read there again, below its cut.
            let own = count("read")? - count("skipped_replayed")?;
            (read, bars, least) = (read + own, bars + count("bars")?, least.min(own));
            first = moment_of(&process.stderr, "partition taken").map_or(first, |moment| first.min(moment));
            last = last.max(moment_of(&process.stderr, "stopping")?);
        }
        ensure!(read == self.ticks as u64, "{read} ticks of {} were read", self.ticks);
        let million = self.ticks as f64 / 1e6;
        self.bars = bars;
        self.million_ticks_per_second.push(million / (last - first));
        self.cpu_seconds_per_million.push(measured.iter().map(|process| process.cpu_seconds).sum::<f64>() / million);
        self.peak_rss_mb.push(measured.iter().map(|process| process.peak_rss_mb).fold(0.0, f64::max));
        let at_half_time = measured.iter().filter_map(|process| process.rss_mb_at(process.wall / 2));
        self.half_time_rss_mb.push(at_half_time.fold(0.0, f64::max));
        let published = files_below(&lake.join("bars"))? + files_below(&lake.join("features"))?;
        self.published_files.push(published as f64);
        self.other_files.push((files_below(lake)? - published) as f64);
        self.least_share.push(least as f64 * self.processes as f64 / self.ticks as f64);
        Ok(())
    }
}

/// However deep.
fn files_below(dir: &Path) -> Result<usize> {
    let mut files = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { files_below(&entry.path())? } else { 1 };
    }
    Ok(files)
}

fn print(lanes: &[Lane]) {
    for lane in lanes {
        let Lane { stocks, ticks, partitions, processes, bars, .. } = lane;
        let of =
            format!("{stocks} stocks, {ticks} ticks, {bars} bars, {partitions} partitions, {processes} process(es)");
        print_heading(&of);
        print_row("million ticks a second", &lane.million_ticks_per_second);
        print_row("CPU seconds a million ticks", &lane.cpu_seconds_per_million);
        print_row("memory at half time, MB", &lane.half_time_rss_mb);
        print_row("peak memory, MB", &lane.peak_rss_mb);
        print_row("files of bars and features", &lane.published_files);
        print_row("other files", &lane.other_files);
        if *processes > 1 {
            print_row("ticks of the least busy process, of an even share", &lane.least_share);
        }
        let first = &lanes[0];
        print_row("CPU a tick, of the first", &lane.cpu_seconds_per_million.over(&first.cpu_seconds_per_million));
        print_row("ticks a second, of the first", &lane.million_ticks_per_second.over(&first.million_ticks_per_second));
    }
}
