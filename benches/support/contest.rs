//! The program against the bare loop: the same topics, alternating, a process each, a fresh group and lake each.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::bare_loop::measure_bare;
use super::core_pass::core_pass;
use super::filled_topics::{Broker, FilledTopics};
use super::log_moments::{field_of, moment_of};
use super::process::{measure, thread_cpu_seconds};
use super::spread::{Spread, print_heading, print_row};
use super::work::{Universe, Work, layout_name};

/// Ticks of a pass that measures the core alone, and passes a round.
const CORE_TICKS: usize = 500_000;
const CORE_PASSES: usize = 5;

/// Of one competitor.
#[derive(Debug, Default, Serialize)]
struct Lane {
    million_ticks_per_second: Spread,
    cpu_seconds_per_million: Spread,
    peak_rss_mb: Spread,
}

/// What a contest measured.
#[derive(Debug, Default, Serialize)]
pub struct Contest {
    layout: &'static str,
    stocks: usize,
    ticks: usize,
    bare: Lane,
    /// Until every bar that can be closed is committed.
    system: Lane,
    /// The same with nothing written by its commits.
    uncommitted: Lane,
    /// Seconds from a barrier to its published bars: 99 of 100 took no longer.
    commit_p99: Spread,
    /// Million ticks a second until the features are published, the indicators saved and the group left.
    system_to_the_end: Spread,
    /// CPU of the thread that calls `BaseConsumer::poll`, without the client's own threads.
    poll_nanos: Spread,
    core_nanos: Spread,
    bars: u64,
}

/// Fills topics and reads them in turn.
///
/// # Errors
/// When anything fails, or the program loses a tick.
pub fn contest(broker: &Broker, universe: Universe, ticks: usize, rounds: usize) -> Result<Contest> {
    let dir = tempfile::tempdir()?;
    let topics = FilledTopics::fill(broker, universe, ticks, dir.path())?;
    let (layout, stocks) = (layout_name(universe.layout), universe.stocks);
    let mut contest = Contest { layout, stocks, ticks, ..Contest::default() };
    let one_partition = Work::of_one_partition(universe, 0).payloads(CORE_TICKS.min(ticks));
    for round in 0..rounds {
        contest.read_bare(&topics, round)?;
        contest.read_with_system(&topics, &dir.path().join(format!("lake-{round}")), round)?;
        contest.read_without_commits(&topics, &dir.path().join(format!("empty-{round}")), round)?;
        let symbols = Work::of_one_partition(universe, 0).symbols;
        let before = thread_cpu_seconds()?;
        for _ in 0..CORE_PASSES {
            std::hint::black_box(core_pass(&symbols, &one_partition));
        }
        let core_ticks = CORE_PASSES * one_partition.len();
        contest.core_nanos.push((thread_cpu_seconds()? - before) * 1e9 / core_ticks as f64);
    }
    topics.delete()?;
    Ok(contest)
}

impl Contest {
    fn read_bare(&mut self, topics: &FilledTopics<'_>, round: usize) -> Result<()> {
        let (result, measured) = measure_bare(topics, &format!("bare_{round}"), self.ticks)?;
        self.bare.push(self.ticks, result.seconds, measured.cpu_seconds, measured.peak_rss_mb);
        self.poll_nanos.push(result.polling_cpu_seconds * 1e9 / self.ticks as f64);
        Ok(())
    }

    fn read_with_system(&mut self, topics: &FilledTopics<'_>, lake: &Path, round: usize) -> Result<()> {
        let measured = measure(&mut topics.program(lake, &topics.group(&round.to_string())))?;
        let summary = measured.json()?;
        let count = |name: &str| summary[name].as_i64().with_context(|| format!("no {name} in {summary}"));
        ensure!(count("read")? == self.ticks as i64, "not every tick was read: {summary}");
        ensure!(count("in_bars")? + count("open")? == self.ticks as i64, "not every tick is in a bar: {summary}");
        self.bars = count("bars")?.unsigned_abs();
        // By the program's own log, so that its start and the group's are in neither lane.
        let moment = |message: &str| moment_of(&measured.stderr, message);
        let assigned = moment("assigned by the group")?;
        self.system.push(self.ticks, moment("stopping")? - assigned, measured.cpu_seconds, measured.peak_rss_mb);
        self.system_to_the_end.push(self.ticks as f64 / 1e6 / (moment("drained")? - assigned));
        self.commit_p99.push(field_of(&measured.stderr, "seconds that commits took", "p99")?);
        Ok(())
    }

    fn read_without_commits(&mut self, topics: &FilledTopics<'_>, lake: &Path, round: usize) -> Result<()> {
        let mut command = topics.program(lake, &topics.group(&format!("off_{round}")));
        let measured = measure(command.env("FAILPOINTS", "commits.off=return"))?;
        let read = measured.json()?["read"].clone();
        ensure!(read == self.ticks, "not every tick was read: {read}");
        let seconds = moment_of(&measured.stderr, "stopping")? - moment_of(&measured.stderr, "assigned by the group")?;
        self.uncommitted.push(self.ticks, seconds, measured.cpu_seconds, measured.peak_rss_mb);
        Ok(())
    }

    pub fn print(&self) {
        let per_second = self.system.million_ticks_per_second.over(&self.bare.million_ticks_per_second);
        let cpu = self.system.cpu_seconds_per_million.over(&self.bare.cpu_seconds_per_million);
        print_heading(&format!("{}, {} stocks, {} ticks, {} bars", self.layout, self.stocks, self.ticks, self.bars));
        let lanes = [("poll loop", &self.bare), ("stockstream", &self.system), ("no commits", &self.uncommitted)];
        for (name, lane) in lanes {
            print_row(&format!("{name}: million ticks a second"), &lane.million_ticks_per_second);
            print_row(&format!("{name}: CPU seconds a million ticks"), &lane.cpu_seconds_per_million);
            print_row(&format!("{name}: peak memory, MB"), &lane.peak_rss_mb);
        }
        print_row("stockstream: million ticks a second, to the very end", &self.system_to_the_end);
        print_row("ticks a second, stockstream / poll loop", &per_second);
        let uncommitted = &self.uncommitted.million_ticks_per_second;
        print_row(
            "ticks a second, stockstream / without commits",
            &self.system.million_ticks_per_second.over(uncommitted),
        );
        print_row("commit, ms, 99 %", &self.commit_p99.times(1e3));
        print_row("CPU seconds, stockstream / poll loop", &cpu);
        print_row("poll: ns a message, CPU of the polling thread", &self.poll_nanos);
        print_row("core: ns a tick, CPU", &self.core_nanos);
        print_row("core / poll, CPU of the polling thread", &self.core_nanos.over(&self.poll_nanos));
        print_row("core / poll, CPU of the whole client", &self.core_nanos.over(&self.bare.cpu_nanos_per_tick()));
    }
}

impl Lane {
    fn push(&mut self, ticks: usize, seconds: f64, cpu_seconds: f64, peak_rss_mb: f64) {
        self.million_ticks_per_second.push(ticks as f64 / 1e6 / seconds);
        self.cpu_seconds_per_million.push(cpu_seconds * 1e6 / ticks as f64);
        self.peak_rss_mb.push(peak_rss_mb);
    }

    fn cpu_nanos_per_tick(&self) -> Spread {
        self.cpu_seconds_per_million.times(1e3)
    }
}
