//! `stockstream replay FILE`: a file of ticks through Kafka and the whole flow.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use tracing::info;

use super::args::{Common, ReplayArgs};
use super::console::Console;
use super::outcome::{Outcome, WrongInput};
use super::run::{End, Prepared, conclude, prepare, supervise};
use super::settings_for_lake;
use super::ticks_file::TicksFile;
use crate::actors::coordinator::{Job, bounds_on_cluster, refuse_other_members};
use crate::actors::replay_producer::ReplayRate;
use crate::kafka::route::partition_of;
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::market::symbol::Symbol;
use crate::market::watermark::Watermark;
use crate::settings::{KafkaMode, Settings, StockSettings};
use crate::storage::Lake;
use crate::words::counted;

/// What gives a file on a cluster everything of its own.
const OF_ITS_OWN: &str = "--lake, kafka.topic_template or kafka.topic, kafka.dead_letter_topic, kafka.group_id";
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
    let (name, rate) = (args.file.clone(), args.rate);
    let prepare = move |settings| prepare_replay(settings, &name, chosen, rate);
    let finished = supervise(settings, prepare, &console, End::default()).map(|mut finished| {
        // One that was stopped before it began has published nothing; one that failed at its end is not whole either.
        let file = finished.replayed.get_or_insert_default();
        file.complete &= finished.failure.is_none();
        finished
    });
    conclude(common, finished)
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
            let symbols: Result<BTreeSet<Symbol>, _> = names.iter().map(|name| Symbol::new(name)).collect();
            symbols
                .map(|symbols| Chosen::These(symbols.into_iter().collect()))
                .map_err(|error| format!("--symbols: {error}"))
        }
    }
}

/// Opens the file and puts its stocks, or those that were chosen, into the settings.
fn stocks_and_file(name: &Path, settings: &mut Settings, chosen: Chosen) -> Result<TicksFile> {
    let file = TicksFile::open(name)?;
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

/// A file of which no tick could count would only leave late ticks in the topics of the lake, and close the windows that a run has open
/// there.
fn refuse_passed(settings: &Settings, name: &Path, file: &TicksFile) -> Result<()> {
    let passed = passed(settings);
    let window = settings.market.rules.window;
    let (mut newest_late, mut is_all_late) = (None, true);
    file.each_tick(|tick| match passed.get(tick.symbol) {
        Some(watermark) if watermark.has_passed(window.end_of(tick.event_time)) => {
            newest_late = newest_late.max(Some(tick.event_time));
            ControlFlow::Continue(())
        }
        Some(_) => {
            is_all_late = false;
            ControlFlow::Break(())
        }
        // of no stock that is read
        None => ControlFlow::Continue(()),
    })?;
    match newest_late {
        Some(newest) if is_all_late => bail!(
            "no tick of {} could count: the newest is of {newest}, and the lake at {} has passed that, so all would be late, and stay in the \
             topics of that lake; give the file a lake, topics and a group of its own ({OF_ITS_OWN})",
            name.display(),
            settings.lake.dir.display()
        ),
        _ => Ok(()),
    }
}

/// What is in the topics and in no bar yet would be closed with the file, or, of a replay that was interrupted, be there twice.
fn refuse_unfinished(settings: &Settings) -> Result<()> {
    let kafka = &settings.kafka;
    let lake = Lake::open_read_only(&settings.lake.dir).ok();
    let partitions = settings.symbols().map(|symbol| partition_of(kafka, &symbol)).collect();
    for (partition, log) in bounds_on_cluster(settings, &partitions)? {
        let newest = lake.as_ref().and_then(|lake| lake.newest_checkpoint(&partition).ok().flatten());
        let (cut, open) = newest.map_or((NextOffset(0), 0), |newest| (newest.cut, newest.open_ticks));
        let unread = log.end.0 - cut.max(log.start).0;
        if unread > 0 || open > 0 {
            bail!(WrongInput(anyhow!(
                "{partition} has {} that the lake {} has not read and {} in windows that are open there, of an interrupted replay perhaps, which \
                 cannot go on: this file would mix with them, or be there twice; give it a lake, topics and a group of its own ({OF_ITS_OWN})",
                counted(unread.max(0), "record"),
                settings.lake.dir.display(),
                counted(open, "tick"),
            )));
        }
    }
    Ok(())
}

/// How far the lake is with each stock. What of it cannot be read is for the start to say.
fn passed(settings: &Settings) -> BTreeMap<Symbol, Watermark> {
    let lake = Lake::open_read_only(&settings.lake.dir).ok();
    let watermark_of = |partition: &TopicPartition| {
        let newest = lake.as_ref().and_then(|lake| lake.newest_checkpoint(partition).ok().flatten());
        newest.map_or(Watermark::START, |newest| Watermark::restored(newest.watermark))
    };
    let mut of_partitions = BTreeMap::new();
    let with_watermark = |symbol: Symbol| {
        let partition = partition_of(&settings.kafka, &symbol);
        let watermark = *of_partitions.entry(partition).or_insert_with_key(watermark_of);
        (symbol, watermark)
    };
    settings.symbols().map(with_watermark).collect()
}

fn prepare_replay(mut settings: Settings, name: &Path, chosen: Chosen, rate: ReplayRate) -> Result<Prepared> {
    // A big one takes a while.
    info!(file = %name.display(), "looking through the file");
    let file = stocks_and_file(name, &mut settings, chosen).map_err(WrongInput)?;
    if settings.kafka.mode == KafkaMode::Cluster {
        refuse_passed(&settings, name, &file).map_err(WrongInput)?;
        refuse_unfinished(&settings)?;
        refuse_other_members(&settings)?;
    }
    let lines = file.lines()?;
    let ground = prepare(&settings).context("cannot begin")?;
    Ok(Prepared { settings, ground, job: Job::Replay { lines, rate } })
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
