//! The whole program, from the log to the lake, against loops that only read.
//!
//! ```text
//! cargo bench --bench end_to_end -- --broker 127.0.0.1:9092 --ticks 4000000 --layout keyed --runs 5 --json figures.json
//! cargo bench --bench end_to_end                             with a Kafka of its own, if there is Java
//! cargo bench --bench end_to_end -- --broker embedded        a replay on the embedded broker
//! cargo bench --bench end_to_end -- --test                   everything once, with few ticks
//! ```
//!
//! All competitors are processes of their own, read the same topics in turn, each as a fresh group, and are timed from their assignment
//! on. Where neither a broker nor Java is, there is no contest: the embedded broker keeps 5 MiB a partition, so a file is replayed
//! through it instead. What is printed and why is in `docs/PERFORMANCE.md`.

mod support;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use stockstream::kafka::embedded::EmbeddedBroker;
use stockstream::settings::Layout;

use support::args::{CargoArgs, write_json};
use support::bare_loop::BareArgs;
use support::contest::contest;
use support::filled_topics::Broker;
use support::own_kafka::OwnKafka;
use support::replayed_file::replay;
use support::work::Universe;

/// Few enough for the embedded broker to keep all of them.
const SMOKE_TICKS: usize = 40_000;

#[derive(Parser)]
struct Options {
    /// Address of a running Kafka, or `embedded` for a replay [default: a Kafka of its own, by Java]
    #[arg(long)]
    broker: Option<String>,
    #[arg(long, default_value_t = 1_000_000)]
    ticks: usize,
    #[arg(long, value_enum, default_value = "per_stock")]
    layout: LayoutName,
    /// [default: 4 in `per_stock`, 1,000 in `keyed`]
    #[arg(long)]
    stocks: Option<usize>,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Writes the figures here
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    bare: BareArgs,
    #[command(flatten)]
    cargo: CargoArgs,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum LayoutName {
    PerStock,
    Keyed,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.bare.run()? || !options.cargo.mean("end_to_end") {
        return Ok(());
    }
    let figures = match options.broker.as_deref() {
        Some("embedded") => options.replay()?,
        Some(address) => options.contest(&Broker::Cluster(address.to_owned()))?,
        None if options.cargo.is_smoke() => smoke()?,
        None => match OwnKafka::start() {
            Ok(kafka) => options.contest(&Broker::Own(kafka))?,
            Err(reason) => {
                println!("no --broker, and no Kafka of its own ({reason:#}): a replay on the embedded broker instead");
                options.replay()?
            }
        },
    };
    write_json(&figures, options.json.as_deref())
}

impl Options {
    fn layout(&self) -> Layout {
        match self.layout {
            LayoutName::PerStock => Layout::PerStock,
            LayoutName::Keyed => Layout::Keyed,
        }
    }

    fn contest(&self, broker: &Broker) -> Result<Value> {
        let usual = Universe::of(self.layout());
        let universe = Universe { stocks: self.stocks.unwrap_or(usual.stocks), ..usual };
        let contest = contest(broker, universe, self.ticks, self.runs)?;
        contest.print();
        Ok(json!({ "contest": contest }))
    }

    fn replay(&self) -> Result<Value> {
        let replays = replay(self.layout(), self.ticks, self.runs)?;
        replays.print();
        Ok(json!({ "replay": replays }))
    }
}

/// Everything once; the figures mean nothing.
fn smoke() -> Result<Value> {
    let broker = Broker::Embedded(EmbeddedBroker::start()?);
    let mut figures = Vec::new();
    for layout in [Layout::PerStock, Layout::Keyed] {
        let contest = contest(&broker, Universe::of(layout), SMOKE_TICKS, 1)?;
        contest.print();
        let replays = replay(layout, SMOKE_TICKS, 1)?;
        replays.print();
        figures.push(json!({ "contest": contest, "replay": replays }));
    }
    Ok(Value::Array(figures))
}
