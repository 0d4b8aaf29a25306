//! `stockstream replay FILE`: a file of ticks through Kafka and the whole flow.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::args::{Common, ReplayArgs};
use super::console::Console;
use super::outcome::Outcome;
use super::run::{End, conclude, prepare, supervise};
use super::settings_for_lake;
use super::ticks_file::TicksFile;
use crate::actors::coordinator::{Ground, Job};
use crate::actors::replay_producer::ReplayRate;
use crate::market::symbol::Symbol;
use crate::settings::{KafkaMode, Settings, StockSettings};

/// Instead of a list of symbols: those of the settings.
const OF_SETTINGS: &str = "settings";

pub fn replay(common: &Common, args: &ReplayArgs) -> Outcome {
    let mut settings = match settings_for_lake(common) {
        Ok(loaded) => loaded.settings,
        Err(outcome) => return outcome,
    };
    let chosen = match chosen(args) {
        Ok(chosen) => chosen,
        Err(reason) => return Outcome::Usage(reason),
    };
    let console = Console::new();
    if let Err(reason) = console.log(&settings.log) {
        return Outcome::Usage(reason);
    }
    settings.producer.enabled = false;
    let file = match stocks_and_file(args, &mut settings, chosen) {
        Ok(file) => file,
        Err(error) => return Outcome::Usage(format!("{error:#}")),
    };
    let rate = args.rate;
    let prepare = move |settings: &Settings| prepare_replay(settings, &file, rate);
    conclude(common, supervise(settings, prepare, &console, End::default()))
}

/// Which stocks to read.
enum Chosen {
    OfFile,
    OfSettings,
    These(Vec<Symbol>),
}

fn chosen(args: &ReplayArgs) -> Result<Chosen, String> {
    match args.symbols.as_slice() {
        [] => Ok(Chosen::OfFile),
        [one] if one == OF_SETTINGS => Ok(Chosen::OfSettings),
        names => {
            let symbols: Result<Vec<Symbol>, _> = names.iter().map(|name| Symbol::new(name)).collect();
            symbols.map(Chosen::These).map_err(|error| format!("--symbols: {error}"))
        }
    }
}

/// Opens the file and puts its stocks, or those that were chosen, into the settings.
fn stocks_and_file(args: &ReplayArgs, settings: &mut Settings, chosen: Chosen) -> Result<TicksFile> {
    let file = TicksFile::open(&args.file)?;
    let symbols = match chosen {
        Chosen::OfFile => Some(file.symbols()?),
        Chosen::OfSettings => None,
        Chosen::These(symbols) => Some(symbols),
    };
    if let Some(symbols) = symbols {
        settings.stocks = symbols.into_iter().map(|symbol| stock(settings, symbol)).collect();
    }
    if settings.kafka.mode == KafkaMode::Embedded {
        // Whoever suspends a replay for a while must not lose the partitions: what was read already may be gone from the broker.
        settings.kafka.properties.entry(String::from("session.timeout.ms")).or_insert_with(|| String::from("240000"));
    }
    Ok(file)
}

fn prepare_replay(settings: &Settings, file: &TicksFile, rate: ReplayRate) -> Result<(Arc<Ground>, Job)> {
    let lines = file.lines()?;
    let ground = prepare(settings).context("cannot begin")?;
    if settings.kafka.mode == KafkaMode::Cluster {
        ground.refuse_other_members(settings)?;
    }
    Ok((ground, Job::Replay { lines, rate }))
}

/// A stock that is only read: what concerns its simulation has no effect.
fn stock(settings: &Settings, symbol: Symbol) -> StockSettings {
    StockSettings {
        symbol,
        initial_price: 1.0,
        rate: None,
        volatility: None,
        tick_interval: settings.producer.tick_interval,
        speed: settings.producer.speed,
        enabled: false,
    }
}
