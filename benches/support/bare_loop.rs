//! The limit to measure against: a loop that reads and does nothing with what it gets, as fast as librdkafka can be made to.

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
use super::native_batch::NativeBatches;
use super::process::{Measured, measure, thread_cpu_seconds};
use super::rounds::in_turn;

/// Of one call that waits.
const WAIT: Duration = Duration::from_millis(100);
/// Settings are tried in so many rounds, if there are as many.
const MOST_TRIALS: usize = 2;

/// Makes the process the loop instead of a benchmark.
#[derive(Args)]
pub struct BareArgs {
    /// Runs the competitor: its job, in JSON
    #[arg(long, hide = true)]
    bare_loop: Option<String>,
}

impl BareArgs {
    /// Whether this process is the loop; then it has run.
    ///
    /// # Errors
    /// When the client or the broker fails.
    pub fn run(&self) -> Result<bool> {
        let Some(job) = &self.bare_loop else { return Ok(false) };
        println!("{}", serde_json::to_string(&serde_json::from_str::<Job>(job)?.read()?)?);
        Ok(true)
    }
}

/// How records are taken from the client.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Taking {
    /// `BaseConsumer::poll`, a record a call.
    Poll,
    /// `rd_kafka_consume_batch_queue`, many records a call.
    Batch,
}

/// How much the client fetches ahead. Which is faster depends on the machine, so both are tried.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Fetching {
    /// Many records, in fetches as large as the client makes them by itself.
    FarAhead,
    /// As the program has it.
    AsTheProgram,
}

impl Fetching {
    /// As librdkafka names them. With the backoff's default of a second the loop would sleep most of the time.
    fn properties(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::FarAhead => &[("fetch.queue.backoff.ms", "2"), ("queued.min.messages", "100000")],
            Self::AsTheProgram => &[
                ("fetch.queue.backoff.ms", "2"),
                ("fetch.wait.max.ms", "100"),
                ("queued.min.messages", "20000"),
                ("queued.max.messages.kbytes", "8192"),
                ("fetch.max.bytes", "2097152"),
            ],
        }
    }
}

/// One loop.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BareLoop {
    taking: Taking,
    fetching: Fetching,
}

impl BareLoop {
    /// Good enough where nothing is compared with it.
    pub const PLAIN: Self = Self { taking: Taking::Poll, fetching: Fetching::FarAhead };

    /// With the settings that are faster on these topics, of as many rounds of both. What is read first is for the warm-up: of the broker's
    /// page cache and of its code that answers fetches, which are the same whoever reads.
    ///
    /// # Errors
    /// When a loop fails.
    pub fn fastest(taking: Taking, topics: &FilledTopics<'_>, records: usize, rounds: usize) -> Result<Self> {
        let mut trials = [Fetching::AsTheProgram, Fetching::FarAhead].map(|fetching| (Self { taking, fetching }, 0.0));
        let (first, _) = trials[0];
        first.measure(topics, &format!("warm_up_{taking:?}"), records)?;
        for round in 0..rounds.min(MOST_TRIALS) {
            for (bare, seconds) in in_turn(round, &mut trials) {
                *seconds +=
                    bare.measure(topics, &format!("trial_{taking:?}_{:?}_{round}", bare.fetching), records)?.0.seconds;
            }
        }
        let [(own, own_seconds), (far, far_seconds)] = trials;
        let chosen = if own_seconds < far_seconds { own } else { far };
        let seconds = format!("{own_seconds:.2} s as the program, {far_seconds:.2} s far ahead");
        println!("{taking:?} loop fetches {:?} from now on: {seconds}", chosen.fetching);
        Ok(chosen)
    }

    /// As librdkafka names them.
    pub fn properties(self) -> &'static [(&'static str, &'static str)] {
        self.fetching.properties()
    }

    /// Runs the loop over these topics as a process of its own, as a fresh group of this name. The benchmark must have [`BareArgs`].
    ///
    /// # Errors
    /// When it fails.
    pub fn measure(self, topics: &FilledTopics<'_>, name: &str, records: usize) -> Result<(BareResult, Measured)> {
        let job = Job {
            bare: self,
            broker: topics.broker.address().to_owned(),
            group: topics.group(name),
            topics: topics.topics.clone(),
            records,
        };
        let measured =
            measure(Command::new(std::env::current_exe()?).args(["--bare-loop", &serde_json::to_string(&job)?]))?;
        Ok((serde_json::from_value(measured.json()?)?, measured))
    }
}

/// What the loop says of itself, on stdout.
#[derive(Debug, Serialize, Deserialize)]
pub struct BareResult {
    /// From the assignment of its partitions to the last record.
    pub seconds: f64,
    /// Of the thread that takes the records, over the same time; the client's own threads are not in it.
    pub taking_cpu_seconds: f64,
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

/// What a loop's process has to do.
#[derive(Serialize, Deserialize)]
struct Job {
    bare: BareLoop,
    broker: String,
    group: String,
    topics: Vec<String>,
    records: usize,
}

impl Job {
    /// Joins a group and reads that many records.
    fn read(&self) -> Result<BareResult> {
        let consumer = self.consumer()?;
        consumer.subscribe(&self.topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        let cpu_before = thread_cpu_seconds()?;
        let bytes = match self.bare.taking {
            Taking::Poll => poll(&consumer, self.records)?,
            Taking::Batch => take_batches(&consumer, self.records)?,
        };
        let assigned = consumer.context().0.get().context("records without an assignment")?;
        let result = BareResult {
            seconds: assigned.elapsed().as_secs_f64(),
            taking_cpu_seconds: thread_cpu_seconds()? - cpu_before,
        };
        black_box(bytes);
        Ok(result)
    }

    fn consumer(&self) -> Result<BaseConsumer<Assigned>> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.broker)
            .set("group.id", &self.group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        for (name, value) in self.bare.properties() {
            config.set(*name, *value);
        }
        Ok(config.create_with_context(Assigned::default())?)
    }
}

/// Bytes of that many records.
fn poll(consumer: &BaseConsumer<Assigned>, records: usize) -> Result<usize> {
    let (mut read, mut bytes) = (0, 0);
    while read < records {
        if let Some(message) = consumer.poll(WAIT) {
            bytes += message?.payload_len();
            read += 1;
        }
    }
    Ok(bytes)
}

/// The same in batches, once the group has assigned partitions: only `BaseConsumer::poll` answers it.
fn take_batches(consumer: &BaseConsumer<Assigned>, records: usize) -> Result<usize> {
    let (mut read, mut bytes) = (0, 0);
    while consumer.context().0.get().is_none() {
        if let Some(message) = consumer.poll(Duration::from_millis(1)) {
            bytes += message?.payload_len();
            read += 1;
        }
    }
    let mut batches = NativeBatches::of(consumer).context("the consumer has no group")?;
    while read < records {
        let (taken, taken_bytes) = batches.take(WAIT, records - read)?;
        read += taken;
        bytes += taken_bytes;
    }
    Ok(bytes)
}
