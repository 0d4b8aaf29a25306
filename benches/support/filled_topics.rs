//! Topics with ticks in them, and the settings by which the program reads them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use stockstream::kafka::embedded::EmbeddedBroker;
use stockstream::kafka::publisher::{Outgoing, Publish, PublishRefused, Publisher};
use stockstream::kafka::topics::{Topics, topic_of};
use stockstream::market::symbol::Symbol;
use stockstream::settings::{Layout, Settings, Sources, load};

use super::bad_records::BadKind;
use super::own_kafka::OwnKafka;
use super::work::{Universe, Work, layout_name};

/// How long the broker may take to acknowledge the last ticks.
const FLUSH: Duration = Duration::from_secs(60);

/// Where the ticks are.
pub enum Broker {
    /// A running cluster at this address.
    Cluster(String),
    /// The same, which ends with the benchmark.
    Own(OwnKafka),
    /// Librdkafka's mock: for a few ticks only, it forgets what is more than 5 MiB a partition.
    Embedded(EmbeddedBroker),
}

impl Broker {
    pub fn address(&self) -> &str {
        match self {
            Self::Cluster(address) => address,
            Self::Own(kafka) => kafka.address(),
            Self::Embedded(broker) => broker.bootstrap_servers(),
        }
    }
}

/// What topics are filled with.
#[derive(Clone, Copy)]
pub struct Content {
    pub universe: Universe,
    pub ticks: usize,
    /// What else is published.
    pub flood: Option<Flood>,
}

/// Bad records, so many behind each tick of any stock.
#[derive(Clone, Copy)]
pub struct Flood {
    pub kind: BadKind,
    pub per_tick: usize,
    pub into: FloodPlace,
}

/// Where bad records go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FloodPlace {
    /// The partition of the tick.
    EachPartition,
    /// The partition of the last stock, all of them.
    LastPartition,
}

/// Topics of their own for one contest.
pub struct FilledTopics<'a> {
    pub broker: &'a Broker,
    pub settings: Settings,
    pub settings_file: PathBuf,
    pub topics: Vec<String>,
}

impl<'a> FilledTopics<'a> {
    /// Creates and fills them; the settings go into a file in `dir`.
    ///
    /// # Errors
    /// When the broker refuses or does not answer.
    pub fn fill(broker: &'a Broker, universe: Universe, ticks: usize, dir: &Path) -> Result<Self> {
        Self::fill_with(broker, Content { universe, ticks, flood: None }, dir)
    }

    /// The same with bad records among the ticks.
    ///
    /// # Errors
    /// When the broker refuses or does not answer.
    pub fn fill_with(broker: &'a Broker, content: Content, dir: &Path) -> Result<Self> {
        let Content { universe, ticks, flood } = content;
        let mut work = Work::new(universe);
        let settings_file = dir.join("settings.toml");
        let run = format!("stockstream_bench_{:08x}", rand::random::<u32>());
        std::fs::write(&settings_file, settings_text(broker.address(), &run, universe.partitions, &work))?;
        let settings = load(&Sources::from_process(vec![settings_file.clone()], Vec::new()))?.settings;
        let kafka = &settings.kafka;
        match broker {
            Broker::Embedded(embedded) => Topics::of_embedded(kafka, embedded).ensure(&work.symbols)?,
            cluster => Topics::of_cluster(kafka, cluster.address()).ensure(&work.symbols)?,
        }
        let publisher = Publisher::connect(kafka, broker.address(), None)?;
        let place = |symbol: &Symbol| match universe.layout {
            Layout::PerStock => (topic_of(kafka, symbol), Some(0)),
            Layout::Keyed => (kafka.topic.clone(), None),
        };
        let last_stock = work.symbols.last().context("no stocks")?.clone();
        let (mut buffer, mut bad) = (Vec::new(), Vec::new());
        for _ in 0..ticks {
            let line = work.next_line(&mut buffer);
            let send = |symbol: &Symbol, payload: &[u8]| {
                let ((topic, partition), key) = (place(symbol), symbol.as_str().as_bytes());
                publish(&publisher, &Outgoing { topic: &topic, partition, key, payload })
            };
            send(line.symbol, line.payload)?;
            let Some(flood) = flood else { continue };
            let symbol = if flood.into == FloodPlace::LastPartition { &last_stock } else { line.symbol };
            flood.kind.write(symbol, &mut bad);
            (0..flood.per_tick).try_for_each(|_| send(symbol, &bad))?;
        }
        publisher.flush(FLUSH)?;
        let topics = match universe.layout {
            Layout::PerStock => work.symbols.iter().map(|symbol| topic_of(kafka, symbol)).collect(),
            Layout::Keyed => vec![kafka.topic.clone()],
        };
        Ok(Self { broker, settings, settings_file, topics })
    }

    /// A group of its own for each name.
    pub fn group(&self, name: &str) -> String {
        format!("{}_{name}", self.settings.kafka.group_id)
    }

    /// The program that reads them to the end, as a member of a group.
    pub fn program(&self, lake: &Path, group: &str) -> Command {
        let mut command = self.run(lake, group);
        command.arg("--until-end");
        command
    }

    /// The program that runs until it is stopped, as a member of a group.
    pub fn run(&self, lake: &Path, group: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stockstream"));
        command.args(["run", "--json", "--settings"]).arg(&self.settings_file).arg("--lake").arg(lake);
        command.env("STOCKSTREAM__KAFKA__GROUP_ID", group);
        command
    }

    /// Deletes them from a cluster.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn delete(&self) -> Result<()> {
        if let Broker::Embedded(_) = self.broker {
            return Ok(());
        }
        let address = self.broker.address();
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", address).create().context("no admin client")?;
        let mut topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        topics.push(&self.settings.kafka.dead_letter_topic);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        for deleted in runtime.block_on(admin.delete_topics(&topics, &AdminOptions::new()))? {
            if let Err((topic, code)) = deleted {
                bail!("the topic {topic} is left behind: {code}");
            }
        }
        Ok(())
    }
}

fn publish(publisher: &Publisher, record: &Outgoing<'_>) -> Result<()> {
    while let Err(refused) = publisher.publish(record) {
        match refused {
            PublishRefused::Full => std::thread::sleep(Duration::from_millis(1)),
            PublishRefused::Failed(reason) => bail!(reason),
        }
    }
    Ok(())
}

fn settings_text(address: &str, run: &str, partitions: i32, work: &Work) -> String {
    let layout = layout_name(work.layout);
    let mut text = format!(
        r#"
[kafka]
mode = "cluster"
bootstrap_servers = "{address}"
layout = "{layout}"
topic_template = "{run}.{{symbol}}"
topic = "{run}"
partitions = {partitions}
group_id = "{run}"
dead_letter_topic = "{run}_dead_letters"
[producer]
enabled = false
[log]
format = "json"
"#
    );
    for symbol in &work.symbols {
        write!(text, "[[stocks]]\nsymbol = \"{symbol}\"\ninitial_price = 1.0\n")
            .expect("writing to a String cannot fail");
    }
    text
}
