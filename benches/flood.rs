//! What a flood of bad records costs the good ticks: the same ticks with and without it, in turn, in the same run.
//!
//! ```text
//! cargo bench --bench flood -- --broker 127.0.0.1:9092 --ticks 2000000 --bad-per-tick 1 --runs 3 --json figures.json
//! cargo bench --bench flood -- --test                        everything once, with few ticks, without a broker
//! ```
//!
//! The bad records are malformed lines, each behind a good tick in the same partition: they are read, judged, counted, and some of
//! them become dead letters. Good ticks a second with the flood, over those without it, must be at least a half when every other
//! record is bad.

mod support;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

use stockstream::settings::Layout;

use support::args::{RoundsArgs, write_json};
use support::filled_topics::{Broker, Content, FilledTopics};
use support::log_moments::moment_of;
use support::process::measure;
use support::spread::{Spread, print_heading, print_row};
use support::work::Universe;

/// Few enough for the embedded broker to keep all of them, and as many bad ones.
const SMOKE_TICKS: usize = 20_000;

#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 1_000_000)]
    ticks: usize,
    #[arg(long, default_value_t = 1)]
    bad_per_tick: usize,
    #[command(flatten)]
    rounds: RoundsArgs,
}

/// Of the good ticks alone, and of the same among bad ones.
#[derive(Default, Serialize)]
struct Figures {
    ticks: usize,
    bad_per_tick: usize,
    alone_million_per_second: Spread,
    flooded_million_per_second: Spread,
    alone_peak_rss_mb: Spread,
    flooded_peak_rss_mb: Spread,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !options.rounds.cargo.mean("flood") {
        return Ok(());
    }
    let (broker, is_smoke) = options.rounds.broker()?;
    let (ticks, runs) = if is_smoke { (SMOKE_TICKS, 1) } else { (options.ticks, options.rounds.runs) };
    let figures = Figures::measure(&broker, ticks, options.bad_per_tick, runs)?;
    figures.print();
    write_json(&figures, options.rounds.json.as_deref())
}

impl Figures {
    fn measure(broker: &Broker, ticks: usize, bad_per_tick: usize, runs: usize) -> Result<Self> {
        let mut figures = Self { ticks, bad_per_tick, ..Self::default() };
        let (alone_dir, flooded_dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let content = |bad_per_tick| Content { universe: Universe::of(Layout::PerStock), ticks, bad_per_tick };
        let alone = FilledTopics::fill_with(broker, content(0), alone_dir.path())?;
        let flooded = FilledTopics::fill_with(broker, content(bad_per_tick), flooded_dir.path())?;
        for round in 0..runs {
            let lake = format!("lake-{round}");
            let (rate, memory) = read(&alone, ticks, 0, &alone_dir.path().join(&lake))?;
            figures.alone_million_per_second.push(rate);
            figures.alone_peak_rss_mb.push(memory);
            let (rate, memory) = read(&flooded, ticks, ticks * bad_per_tick, &flooded_dir.path().join(&lake))?;
            figures.flooded_million_per_second.push(rate);
            figures.flooded_peak_rss_mb.push(memory);
        }
        alone.delete()?;
        flooded.delete()?;
        Ok(figures)
    }

    fn print(&self) {
        print_heading(&format!("{} ticks, {} bad records behind each", self.ticks, self.bad_per_tick));
        print_row("alone: million good ticks a second", &self.alone_million_per_second);
        print_row("in a flood: million good ticks a second", &self.flooded_million_per_second);
        let ratio = self.flooded_million_per_second.over(&self.alone_million_per_second);
        print_row("good ticks a second, in a flood / alone", &ratio);
        print_row("alone: peak memory, MB", &self.alone_peak_rss_mb);
        print_row("in a flood: peak memory, MB", &self.flooded_peak_rss_mb);
    }
}

/// Million good ticks a second from the first partition taken until everything is committed, and the peak memory in MB.
fn read(topics: &FilledTopics<'_>, ticks: usize, bad: usize, lake: &Path) -> Result<(f64, f64)> {
    let group = format!("flood_{:08x}", rand::random::<u32>());
    let measured = measure(&mut topics.program(lake, &group))?;
    let summary = measured.json()?;
    let count = |name: &str| summary[name].as_u64().with_context(|| format!("no {name} in {summary}"));
    ensure!(count("in_bars")? + count("open")? == ticks as u64, "not every good tick is in a bar: {summary}");
    ensure!(count("malformed")? == bad as u64, "not every bad record is counted: {summary}");
    let seconds = moment_of(&measured.stderr, "stopping")? - moment_of(&measured.stderr, "partition taken")?;
    Ok((ticks as f64 / 1e6 / seconds, measured.peak_rss_mb))
}
