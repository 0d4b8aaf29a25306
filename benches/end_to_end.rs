//! The whole program, from the log to the lake, against a loop that only polls.
//!
//! ```text
//! cargo bench --bench end_to_end -- --broker 127.0.0.1:9092 --ticks 4000000 --layout keyed --runs 5 --json figures.json
//! cargo bench --bench end_to_end -- --ticks 5000000          without a broker: a replay on the embedded one
//! cargo bench --bench end_to_end -- --test                   everything once, with few ticks
//! ```
//!
//! With a broker, both competitors are processes of their own, read the same topics in turn, each as a fresh group, and are
//! timed from their assignment on. Without one there is no contest: the embedded broker keeps 5 MiB a partition, so a file is
//! replayed through it instead. What is printed and why is in `docs/PERFORMANCE.md`.

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
use support::replayed_file::replay;
use support::work::Universe;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Few enough for the embedded broker to keep all of them.
const SMOKE_TICKS: usize = 40_000;

#[derive(Parser)]
struct Options {
    /// Address of a running Kafka [default: replay on the embedded broker]
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
    let layout = match options.layout {
        LayoutName::PerStock => Layout::PerStock,
        LayoutName::Keyed => Layout::Keyed,
    };
    let usual = Universe::of(layout);
    let universe = Universe { stocks: options.stocks.unwrap_or(usual.stocks), ..usual };
    let figures = match options.broker {
        Some(broker) => {
            let contest = contest(&Broker::Cluster(broker), universe, options.ticks, options.runs)?;
            contest.print();
            json!({ "contest": contest })
        }
        None if options.cargo.is_smoke() => smoke()?,
        None => {
            println!("no --broker: measuring a replay on the embedded broker, which keeps too little for a contest");
            let replays = replay(layout, options.ticks, options.runs)?;
            replays.print();
            json!({ "replay": replays })
        }
    };
    write_json(&figures, options.json.as_deref())
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
