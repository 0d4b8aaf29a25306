//! What a flood of bad records costs the good ticks: the same ticks with and without it, in turn, in the same run.
//!
//! ```text
//! cargo bench --bench flood -- --broker 127.0.0.1:9092 --ticks 2000000 --bad-per-tick 1 --runs 3 --json figures.json
//! cargo bench --bench flood -- --broker 127.0.0.1:9092 --kind late        another kind of bad record
//! cargo bench --bench flood -- --test                        everything once, with few ticks, without a broker
//! ```
//!
//! Two floods of the same size. One is *among* the ticks, bad records behind each good tick in the same partition: they have to be
//! read in their turn. Good ticks a second with it, over those without it, must be at least a half when every other record is bad;
//! a loop that only polls reads the same two logs, for what is to be had there.
//! The other goes into *one* partition, that of the last stock: there the rate of the ticks of the other partitions counts.
//! Bad records are read, judged, counted, and some of them become dead letters.

mod support;

use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

use stockstream::market::checkpoint::TopicPartition;
use stockstream::settings::Layout;
use stockstream::storage::layout::chain_dir;

use support::args::{RoundsArgs, write_json};
use support::bad_records::BadKind;
use support::bare_loop::{BareArgs, BareLoop, Taking};
use support::filled_topics::{Broker, Content, FilledTopics, Flood, FloodPlace};
use support::log_moments::moment_of;
use support::process::measure;
use support::rounds::in_turn;
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
    /// Of bad records
    #[arg(long, value_enum, default_value_t = BadKind::Malformed)]
    kind: BadKind,
    #[command(flatten)]
    bare: BareArgs,
    #[command(flatten)]
    rounds: RoundsArgs,
}

/// Of the good ticks alone, and of the same in both floods.
#[derive(Serialize)]
struct Figures {
    ticks: usize,
    bad_per_tick: usize,
    kind: BadKind,
    alone: Reading,
    among: Reading,
    into_one: Reading,
}

/// One measurement a round.
#[derive(Default, Serialize)]
struct Reading {
    million_per_second: Spread,
    /// Of the bare loop, good ticks only.
    polled_million_per_second: Spread,
    /// Ticks of all partitions but the last, until these are committed.
    others_million_per_second: Spread,
    /// A million good ticks, and what comes with them. Varies less than times.
    cpu_seconds: Spread,
    peak_rss_mb: Spread,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.bare.run()? || !options.rounds.cargo.mean("flood") {
        return Ok(());
    }
    let (broker, is_smoke) = options.rounds.broker()?;
    if is_smoke {
        (options.ticks, options.rounds.runs) = (SMOKE_TICKS, 1);
    }
    let figures = Figures::measure(&broker, &options)?;
    figures.print();
    write_json(&figures, options.rounds.json.as_deref())
}

impl Figures {
    fn measure(broker: &Broker, options: &Options) -> Result<Self> {
        let Options { ticks, bad_per_tick, kind, .. } = *options;
        let flood = |into| Some(Flood { kind, per_tick: bad_per_tick, into });
        let mut alone = Case::fill(broker, ticks, None)?;
        let mut among = Case::fill(broker, ticks, flood(FloodPlace::EachPartition))?;
        let mut into_one = Case::fill(broker, ticks, flood(FloodPlace::LastPartition))?;
        let rounds = options.rounds.runs;
        let bare = BareLoop::fastest(Taking::Poll, &alone.topics, ticks, rounds)?;
        let mut cases = [&mut alone, &mut among, &mut into_one];
        cases.iter().try_for_each(|case| case.poll(bare, "warm_up").map(drop))?;
        for round in 0..rounds {
            in_turn(round, &mut cases).into_iter().try_for_each(|case| case.read(bare, round))?;
        }
        cases.iter().try_for_each(|case| case.topics.delete())?;
        Ok(Self { ticks, bad_per_tick, kind, alone: alone.reading, among: among.reading, into_one: into_one.reading })
    }

    fn print(&self) {
        let (alone, among, into_one) = (&self.alone, &self.among, &self.into_one);
        let bad = format!("{} bad ({}) to each", self.bad_per_tick, self.kind.name());
        print_heading(&format!("{} ticks, {bad}, among them", self.ticks));
        print_row("alone: million good ticks a second", &alone.million_per_second);
        print_row("in a flood: million good ticks a second", &among.million_per_second);
        print_row("good ticks a second, in a flood / alone", &among.million_per_second.over(&alone.million_per_second));
        let polled = among.polled_million_per_second.over(&alone.polled_million_per_second);
        print_row("the same of the poll loop", &polled);
        print_row("CPU of good ticks, alone / in a flood", &alone.cpu_seconds.over(&among.cpu_seconds));
        print_row("alone: peak memory, MB", &alone.peak_rss_mb);
        print_row("in a flood: peak memory, MB", &among.peak_rss_mb);
        print_heading(&format!("{} ticks, {bad}, all in one partition", self.ticks));
        print_row("alone: million ticks a second of the others", &alone.others_million_per_second);
        print_row("in a flood: million ticks a second of the others", &into_one.others_million_per_second);
        let others = into_one.others_million_per_second.over(&alone.others_million_per_second);
        print_row("ticks a second of the others, in a flood / alone", &others);
        print_row("in a flood: peak memory, MB", &into_one.peak_rss_mb);
    }
}

enum Reader {
    Loop,
    System,
}

/// Topics that are read again each round.
struct Case<'a> {
    topics: FilledTopics<'a>,
    dir: tempfile::TempDir,
    content: Content,
    reading: Reading,
}

impl<'a> Case<'a> {
    fn fill(broker: &'a Broker, ticks: usize, flood: Option<Flood>) -> Result<Self> {
        let (dir, content) = (tempfile::tempdir()?, Content { universe: Universe::of(Layout::PerStock), ticks, flood });
        let topics = FilledTopics::fill_with(broker, content, dir.path())?;
        Ok(Self { topics, dir, content, reading: Reading::default() })
    }

    /// Seconds of the loop, from its assignment on.
    fn poll(&self, bare: BareLoop, name: &str) -> Result<f64> {
        let Content { ticks, flood, .. } = self.content;
        let records = ticks + flood.map_or(0, |flood| ticks * flood.per_tick);
        Ok(bare.measure(&self.topics, name, records)?.0.seconds)
    }

    fn read(&mut self, bare: BareLoop, round: usize) -> Result<()> {
        in_turn(round, [Reader::Loop, Reader::System]).into_iter().try_for_each(|reader| match reader {
            Reader::Loop => self.read_with_loop(bare, round),
            Reader::System => self.read_with_system(round),
        })
    }

    fn read_with_loop(&mut self, bare: BareLoop, round: usize) -> Result<()> {
        let seconds = self.poll(bare, &format!("bare_{round}"))?;
        self.reading.polled_million_per_second.push(self.content.ticks as f64 / 1e6 / seconds);
        Ok(())
    }

    /// The program from the first partition taken until everything is committed.
    fn read_with_system(&mut self, round: usize) -> Result<()> {
        let Content { universe, ticks, flood } = self.content;
        let lake = self.dir.path().join(format!("lake-{round}"));
        let measured = measure(&mut self.topics.program(&lake, &self.topics.group(&round.to_string())))?;
        let summary = measured.json()?;
        let count = |name: &str| summary[name].as_u64().with_context(|| format!("no {name} in {summary}"));
        ensure!(count("in_bars")? + count("open")? == ticks as u64, "not every good tick is in a bar: {summary}");
        if let Some(Flood { kind, per_tick, .. }) = flood {
            ensure!(count(kind.name())? == (ticks * per_tick) as u64, "not every bad record is counted: {summary}");
        }
        let taken = moment_of(&measured.stderr, "partition taken")?;
        let rate = |ticks: usize, until: f64| ticks as f64 / 1e6 / (until - taken);
        let others = ticks - ticks / universe.stocks;
        let figures = &mut self.reading;
        figures.million_per_second.push(rate(ticks, moment_of(&measured.stderr, "stopping")?));
        figures.others_million_per_second.push(rate(others, others_committed(&self.topics.topics, &lake)?));
        figures.cpu_seconds.push(measured.cpu_seconds / (ticks as f64 / 1e6));
        figures.peak_rss_mb.push(measured.peak_rss_mb);
        Ok(())
    }
}

/// When the newest commit of any partition but the last was written, in seconds since the epoch.
fn others_committed(topics: &[String], lake: &Path) -> Result<f64> {
    let (_last, others) = topics.split_last().context("no topics")?;
    let mut newest = UNIX_EPOCH;
    for topic in others {
        for entry in lake.join(chain_dir(&TopicPartition::new(topic, 0))).read_dir()? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "parquet") {
                newest = newest.max(entry.metadata()?.modified()?);
            }
        }
    }
    Ok(newest.duration_since(UNIX_EPOCH)?.as_secs_f64())
}
