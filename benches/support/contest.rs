//! The program against bare loops: the same topics, in turn, a process each, a fresh group and lake each.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::bare_loop::{BareLoop, Taking};
use super::core_pass::core_pass;
use super::filled_topics::{Broker, FilledTopics};
use super::log_moments::{field_of, moment_of};
use super::process::{measure, thread_cpu_seconds};
use super::rounds::in_turn;
use super::spread::{Spread, print_heading, print_row};
use super::work::{Universe, Work, layout_name};

/// Ticks of a pass that measures the core alone, and passes a round.
const CORE_TICKS: usize = 500_000;
const CORE_PASSES: usize = 5;

/// What a contest measured.
#[derive(Serialize)]
pub struct Contest {
    layout: &'static str,
    stocks: usize,
    ticks: usize,
    bars: u64,
    poll_loop: BareLane,
    batch_loop: BareLane,
    /// Until every bar that can be closed is committed.
    system: Lane,
    /// The same with nothing written by its commits.
    uncommitted: Lane,
    /// Seconds from a barrier to its published bars: 99 of 100 took no longer.
    commit_p99: Spread,
    /// Million ticks a second until the features are published, the indicators saved and the group left.
    system_to_the_end: Spread,
    core_nanos: Spread,
    ratios: Ratios,
}

/// Of one competitor.
#[derive(Debug, Default, Serialize)]
struct Lane {
    million_ticks_per_second: Spread,
    cpu_seconds_per_million: Spread,
    peak_rss_mb: Spread,
}

/// Of a loop that only reads.
#[derive(Serialize)]
struct BareLane {
    #[serde(skip)]
    name: &'static str,
    #[serde(skip)]
    bare: BareLoop,
    client_settings: &'static [(&'static str, &'static str)],
    #[serde(flatten)]
    lane: Lane,
    /// CPU of the thread that takes the records, without the client's own threads.
    taking_nanos: Spread,
}

/// Round by round.
#[derive(Default, Serialize)]
struct Ratios {
    ticks_per_second_of_poll_loop: Spread,
    ticks_per_second_of_batch_loop: Spread,
    ticks_per_second_of_uncommitted: Spread,
    cpu_of_poll_loop: Spread,
    cpu_of_batch_loop: Spread,
    core_of_polling_thread: Spread,
    core_of_poll_loop: Spread,
}

/// Who reads.
#[derive(Clone, Copy)]
enum Contender {
    PollLoop,
    BatchLoop,
    System,
    Uncommitted,
}

/// Fills topics and reads them in turn.
///
/// # Errors
/// When anything fails, or the program loses a tick.
pub fn contest(broker: &Broker, universe: Universe, ticks: usize, rounds: usize) -> Result<Contest> {
    let dir = tempfile::tempdir()?;
    let topics = FilledTopics::fill(broker, universe, ticks, dir.path())?;
    let mut contest = Contest {
        layout: layout_name(universe.layout),
        stocks: universe.stocks,
        ticks,
        bars: 0,
        poll_loop: BareLane::of("poll loop", BareLoop::fastest(Taking::Poll, &topics, ticks, rounds)?),
        batch_loop: BareLane::of("batch loop", BareLoop::fastest(Taking::Batch, &topics, ticks, rounds)?),
        system: Lane::default(),
        uncommitted: Lane::default(),
        commit_p99: Spread::default(),
        system_to_the_end: Spread::default(),
        core_nanos: Spread::default(),
        ratios: Ratios::default(),
    };
    let all = [Contender::PollLoop, Contender::System, Contender::BatchLoop, Contender::Uncommitted];
    for round in 0..rounds {
        for contender in in_turn(round, all) {
            contest.read(contender, &topics, dir.path(), round)?;
        }
        contest.core_nanos.push(core_nanos(universe, ticks)?);
    }
    contest.ratios = contest.ratios();
    topics.delete()?;
    Ok(contest)
}

/// CPU of the core alone, a tick.
fn core_nanos(universe: Universe, ticks: usize) -> Result<f64> {
    let mut one_partition = Work::of_one_partition(universe, 0);
    let (symbols, payloads) = (one_partition.symbols.clone(), one_partition.payloads(CORE_TICKS.min(ticks)));
    let before = thread_cpu_seconds()?;
    for _ in 0..CORE_PASSES {
        std::hint::black_box(core_pass(&symbols, &payloads));
    }
    Ok((thread_cpu_seconds()? - before) * 1e9 / (CORE_PASSES * payloads.len()) as f64)
}

impl Contest {
    fn read(&mut self, contender: Contender, topics: &FilledTopics<'_>, dir: &Path, round: usize) -> Result<()> {
        let ticks = self.ticks;
        match contender {
            Contender::PollLoop => self.poll_loop.read(topics, ticks, round),
            Contender::BatchLoop => self.batch_loop.read(topics, ticks, round),
            Contender::System => self.read_with_system(topics, &dir.join(format!("lake-{round}")), round),
            Contender::Uncommitted => self.read_without_commits(topics, &dir.join(format!("empty-{round}")), round),
        }
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

    fn ratios(&self) -> Ratios {
        let (poll, batch) = (&self.poll_loop, &self.batch_loop);
        let rate = |lane: &Lane| self.system.million_ticks_per_second.over(&lane.million_ticks_per_second);
        let cpu = |lane: &Lane| self.system.cpu_seconds_per_million.over(&lane.cpu_seconds_per_million);
        Ratios {
            ticks_per_second_of_poll_loop: rate(&poll.lane),
            ticks_per_second_of_batch_loop: rate(&batch.lane),
            ticks_per_second_of_uncommitted: rate(&self.uncommitted),
            cpu_of_poll_loop: cpu(&poll.lane),
            cpu_of_batch_loop: cpu(&batch.lane),
            core_of_polling_thread: self.core_nanos.over(&poll.taking_nanos),
            core_of_poll_loop: self.core_nanos.over(&poll.lane.cpu_seconds_per_million.times(1e3)),
        }
    }

    pub fn print(&self) {
        print_heading(&format!("{}, {} stocks, {} ticks, {} bars", self.layout, self.stocks, self.ticks, self.bars));
        let lanes = [
            (self.poll_loop.name, &self.poll_loop.lane),
            (self.batch_loop.name, &self.batch_loop.lane),
            ("stockstream", &self.system),
            ("no commits", &self.uncommitted),
        ];
        for (name, lane) in lanes {
            print_row(&format!("{name}: million ticks a second"), &lane.million_ticks_per_second);
            print_row(&format!("{name}: CPU seconds a million ticks"), &lane.cpu_seconds_per_million);
            print_row(&format!("{name}: peak memory, MB"), &lane.peak_rss_mb);
        }
        print_row("stockstream: million ticks a second, to the very end", &self.system_to_the_end);
        print_row("commit, ms, 99 %", &self.commit_p99.times(1e3));
        for loops in [&self.poll_loop, &self.batch_loop] {
            let what = format!("{}: ns a record, CPU of the thread that takes them", loops.name);
            print_row(&what, &loops.taking_nanos);
        }
        print_row("core: ns a tick, CPU", &self.core_nanos);
        let ratios = &self.ratios;
        print_row("ticks a second, stockstream / poll loop", &ratios.ticks_per_second_of_poll_loop);
        print_row("ticks a second, stockstream / batch loop", &ratios.ticks_per_second_of_batch_loop);
        print_row("ticks a second, stockstream / without commits", &ratios.ticks_per_second_of_uncommitted);
        print_row("CPU seconds, stockstream / poll loop", &ratios.cpu_of_poll_loop);
        print_row("CPU seconds, stockstream / batch loop", &ratios.cpu_of_batch_loop);
        print_row("core / poll, CPU of the polling thread", &ratios.core_of_polling_thread);
        print_row("core / poll, CPU of the whole client", &ratios.core_of_poll_loop);
    }
}

impl BareLane {
    fn of(name: &'static str, bare: BareLoop) -> Self {
        let client_settings = bare.properties();
        Self { name, bare, client_settings, lane: Lane::default(), taking_nanos: Spread::default() }
    }

    fn read(&mut self, topics: &FilledTopics<'_>, ticks: usize, round: usize) -> Result<()> {
        let (result, measured) = self.bare.measure(topics, &format!("{}_{round}", self.name), ticks)?;
        self.lane.push(ticks, result.seconds, measured.cpu_seconds, measured.peak_rss_mb);
        self.taking_nanos.push(result.taking_cpu_seconds * 1e9 / ticks as f64);
        Ok(())
    }
}

impl Lane {
    fn push(&mut self, ticks: usize, seconds: f64, cpu_seconds: f64, peak_rss_mb: f64) {
        self.million_ticks_per_second.push(ticks as f64 / 1e6 / seconds);
        self.cpu_seconds_per_million.push(cpu_seconds * 1e6 / ticks as f64);
        self.peak_rss_mb.push(peak_rss_mb);
    }
}
