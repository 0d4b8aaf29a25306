//! The limit to measure against: `BaseConsumer::poll` in a loop that does nothing with what it gets, with the client settings
//! that let it run fastest.

use std::hint::black_box;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::{ClientConfig, ClientContext};
use serde::{Deserialize, Serialize};

use super::filled_topics::FilledTopics;
use super::process::{Measured, measure, thread_cpu_seconds};

/// Makes the process the loop instead of a benchmark.
#[derive(Args)]
pub struct BareArgs {
    /// Runs the competitor: the topics to read
    #[arg(long, hide = true, value_delimiter = ',', requires_all = ["bare_broker", "bare_group", "bare_records"])]
    bare_loop: Vec<String>,
    #[arg(long, hide = true)]
    bare_broker: Option<String>,
    #[arg(long, hide = true)]
    bare_group: Option<String>,
    #[arg(long, hide = true)]
    bare_records: Option<usize>,
}

impl BareArgs {
    /// Whether this process is the loop; then it has run.
    ///
    /// # Errors
    /// When the client or the broker fails.
    pub fn run(&self) -> Result<bool> {
        let Self { bare_loop, bare_broker: Some(broker), bare_group: Some(group), bare_records: Some(records) } = self
        else {
            return Ok(false);
        };
        println!("{}", serde_json::to_string(&read(broker, group, bare_loop, *records)?)?);
        Ok(true)
    }
}

/// Runs the loop over these topics as a process of its own, as a fresh group of this name. The benchmark must have [`BareArgs`].
///
/// # Errors
/// When it fails.
pub fn measure_bare(topics: &FilledTopics<'_>, name: &str, records: usize) -> Result<(BareResult, Measured)> {
    let measured = measure(
        Command::new(std::env::current_exe()?)
            .args(["--bare-loop", &topics.topics.join(","), "--bare-broker", topics.broker.address()])
            .args(["--bare-group", &topics.group(name), "--bare-records", &records.to_string()]),
    )?;
    Ok((serde_json::from_value(measured.json()?)?, measured))
}

/// What the loop says of itself, on stdout.
#[derive(Debug, Serialize, Deserialize)]
pub struct BareResult {
    /// From the assignment of its partitions to the last record.
    pub seconds: f64,
    /// Of the thread that polls, over the same time; the client's own threads are not in it.
    pub polling_cpu_seconds: f64,
}

#[derive(Default)]
struct Assigned(OnceLock<Instant>);

impl ClientContext for Assigned {}

impl ConsumerContext for Assigned {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(_) = rebalance {
            self.0.get_or_init(Instant::now);
        }
    }
}

/// Joins a group and reads that many records.
fn read(broker: &str, group: &str, topics: &[String], records: usize) -> Result<BareResult> {
    let consumer: BaseConsumer<Assigned> = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "2")
        .set("queued.min.messages", "100000")
        .create_with_context(Assigned::default())?;
    consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    let cpu_before = thread_cpu_seconds()?;
    let (mut read, mut bytes) = (0, 0);
    while read < records {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message?.payload_len();
            read += 1;
        }
    }
    let assigned = consumer.context().0.get().context("records without an assignment")?;
    let result = BareResult {
        seconds: assigned.elapsed().as_secs_f64(),
        polling_cpu_seconds: thread_cpu_seconds()? - cpu_before,
    };
    black_box(bytes);
    Ok(result)
}
