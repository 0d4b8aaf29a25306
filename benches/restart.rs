//! How long a start takes on a lake that holds a year of a thousand stocks, against a start on an empty one.
//!
//! ```text
//! cargo bench --bench restart                       1,000 stocks x 250 days, 8 partitions: minutes to make it
//! cargo bench --bench restart -- --broker 127.0.0.1:9092 --days 20 --runs 3
//! cargo bench --bench restart -- --test             everything once, small
//! ```
//!
//! Both lakes are given the same topic with the same few ticks. In the full one each partition has a stock that is known and never had a bar.
//! The program reads what was open to the end and stops; its log says when it asked to join its group, was assigned its partitions, had
//! taken them, and had the first records. Between the first two it waits for the broker's group, up to 9 seconds for the embedded one's,
//! which is counted nowhere.

mod support;

use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Serialize;

use stockstream::settings::Layout;

use support::args::{RoundsArgs, write_json};
use support::big_lake::{Shape, make_lake};
use support::filled_topics::FilledTopics;
use support::log_moments::{last_moment_of, moment_of};
use support::process::measure;
use support::spread::{Spread, print_heading, print_row};
use support::work::Universe;

/// Few: reading them must not hide the start.
const TICKS: usize = 8_000;

/// Longer than a group makes a start wait.
const SIMULATED_FOR: &str = "10s";

/// What the log says last before the group makes it wait.
const JOINS: &str = "subscribing to what the stocks' ticks are in";

#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 250)]
    days: u32,
    #[command(flatten)]
    rounds: RoundsArgs,
}

/// Starts on one lake.
#[derive(Default, Serialize)]
struct Starts {
    /// Seconds from the start of the process until it asks to join its group, with every stock simulated from where it stands.
    until_simulated: Spread,
    /// The same until reading has begun, without the wait for the group.
    until_read_simulated: Spread,
    /// Seconds from the start of the process until all partitions are taken, without the wait for the group.
    until_taken: Spread,
    /// The same until reading has begun.
    until_read: Spread,
    /// Seconds from the assignment to the end of the process: what was open is read again, committed, its features in the lake.
    to_the_end: Spread,
    peak_rss_mb: Spread,
}

#[derive(Serialize)]
struct Figures {
    days: u32,
    on_empty: Starts,
    on_year: Starts,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !options.rounds.cargo.mean("restart") {
        return Ok(());
    }
    // Without a broker's address too it is a measurement: few ticks are enough for it.
    let (broker, _) = options.rounds.broker()?;
    let (days, runs) = if options.rounds.cargo.is_smoke() { (2, 1) } else { (options.days, options.rounds.runs) };
    let dir = tempfile::tempdir()?;
    let topics = FilledTopics::fill(&broker, Universe::of(Layout::Keyed), TICKS, dir.path())?;
    let (year, empty) = (dir.path().join("year"), dir.path().join("empty"));
    let began = Instant::now();
    let made = make_lake(&year, &group_of(&year, &topics), &topics, Shape { days })?;
    println!("{} bars in {} files, made in {:.0?}", made.bars, made.files, began.elapsed());
    // The first start reads the ticks and leaves their windows open. It joins a new group, which is quicker than joining again.
    for lake in [&empty, &year] {
        Starts::default().push(&topics, lake)?;
    }
    let (mut on_year, mut on_empty) = (Starts::default(), Starts::default());
    for _ in 0..runs {
        on_empty.push(&topics, &empty)?;
        on_year.push(&topics, &year)?;
    }
    for _ in 0..runs {
        on_empty.push_simulated(&topics, &empty)?;
        on_year.push_simulated(&topics, &year)?;
    }
    print_heading(&format!("a start on {days} days of 1,000 stocks, seconds"));
    for (name, starts) in [("empty lake", &on_empty), ("full lake", &on_year)] {
        print_row(&format!("{name}: simulating, until it asks to join the group"), &starts.until_simulated);
        print_row(&format!("{name}: simulating, until reading has begun"), &starts.until_read_simulated);
        print_row(&format!("{name}: until its partitions are taken, without the group's join"), &starts.until_taken);
        print_row(&format!("{name}: until reading has begun"), &starts.until_read);
        print_row(&format!("{name}: from the assignment to the end"), &starts.to_the_end);
        print_row(&format!("{name}: peak memory, MB"), &starts.peak_rss_mb);
    }
    print_row("full / empty: until its partitions are taken", &on_year.until_taken.over(&on_empty.until_taken));
    topics.delete()?;
    write_json(&Figures { days, on_empty, on_year }, options.rounds.json.as_deref())
}

/// A group for each lake.
fn group_of(lake: &Path, topics: &FilledTopics<'_>) -> String {
    topics.group(&lake.file_name().unwrap_or_default().to_string_lossy())
}

impl Starts {
    fn push(&mut self, topics: &FilledTopics<'_>, lake: &Path) -> Result<()> {
        let began = now()?;
        let measured = measure(&mut topics.program(lake, &group_of(lake, topics)))?;
        let summary = measured.json()?;
        ensure!(summary["read"].as_u64().is_some(), "no summary: {summary}");
        let moment = |message: &str| moment_of(&measured.stderr, message);
        let (joins, assigned, drained) = (moment(JOINS)?, moment("assigned by the group")?, moment("drained")?);
        let taken = last_moment_of(&measured.stderr, "partition taken")?;
        let before_joining = joins - began;
        self.until_taken.push(before_joining + taken - assigned);
        self.until_read.push(before_joining + moment("reading has begun")? - assigned);
        self.to_the_end.push(drained - assigned);
        self.peak_rss_mb.push(measured.peak_rss_mb);
        Ok(())
    }

    /// With the stocks simulated too, so slowly that it adds a tick a stock at most.
    fn push_simulated(&mut self, topics: &FilledTopics<'_>, lake: &Path) -> Result<()> {
        let mut command = topics.run(lake, &group_of(lake, topics));
        command.args(["--for", SIMULATED_FOR]);
        let producer = [("ENABLED", "true"), ("HISTORY", "0s"), ("SPEED", "0.001")];
        command.envs(producer.map(|(key, value)| (format!("STOCKSTREAM__PRODUCER__{key}"), value)));
        let began = now()?;
        let measured = measure(&mut command)?;
        let moment = |message: &str| moment_of(&measured.stderr, message);
        let before_joining = moment(JOINS)? - began;
        self.until_simulated.push(before_joining);
        self.until_read_simulated
            .push(before_joining + moment("reading has begun")? - moment("assigned by the group")?);
        Ok(())
    }
}

/// Seconds since the epoch.
fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("a clock before 1970")?.as_secs_f64())
}
