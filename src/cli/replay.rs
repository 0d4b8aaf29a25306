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
use crate::market::checkpoint::{Checkpoint, NextOffset, TopicPartition};
use crate::market::symbol::Symbol;
use crate::market::watermark::Watermark;
use crate::settings::{KafkaMode, Layout, Settings, StockSettings};
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
fn refuse_passed(settings: &Settings, name: &Path, file: &TicksFile, lake: &InLake) -> Result<()> {
    let with_watermark = |symbol: Symbol| {
        let newest = lake.newest.get(&partition_of(&settings.kafka, &symbol));
        (symbol, newest.map_or(Watermark::START, |newest| Watermark::restored(newest.watermark)))
    };
    let passed: BTreeMap<Symbol, Watermark> = settings.symbols().map(with_watermark).collect();
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
fn refuse_unfinished(settings: &Settings, lake: &InLake) -> Result<()> {
    let partitions = partitions(settings);
    let (cluster, logs) = bounds_on_cluster(settings, &partitions)?;
    // What is wrong with the lake is for the start to say, or to mend.
    if lake.cluster.as_ref().is_some_and(|of| *of != cluster) {
        return Ok(());
    }
    for (partition, log) in logs.into_iter().filter(|(partition, _)| !lake.unreadable.contains(partition)) {
        let newest = lake.newest.get(&partition);
        let (cut, open) = newest.map_or((NextOffset(0), 0), |newest| (newest.cut, newest.open_ticks));
        let unread = log.end.0 - cut.max(log.start).0;
        if unread > 0 || open > 0 {
            bail!(WrongInput(anyhow!(
                "{partition} has {} that the lake {} has not read and {} in windows that are open there, of a run, or of a replay that was \
                 interrupted and cannot go on: this file would mix with them, or be there twice; give it a lake, topics and a group of its \
                 own ({OF_ITS_OWN})",
                counted(unread.max(0), "record"),
                settings.lake.dir.display(),
                counted(open, "tick"),
            )));
        }
    }
    Ok(())
}

/// All that a replay reads to the end: of a keyed topic not only where its stocks are.
fn partitions(settings: &Settings) -> BTreeSet<TopicPartition> {
    let kafka = &settings.kafka;
    match kafka.layout {
        Layout::PerStock => settings.symbols().map(|symbol| partition_of(kafka, &symbol)).collect(),
        Layout::Keyed => (0..kafka.partitions).map(|number| TopicPartition::new(&kafka.topic, number)).collect(),
    }
}

/// How far the lake is with the partitions of a replay.
#[derive(Default)]
struct InLake {
    /// Of which cluster its offsets are; `None` where there is none yet, or it does not say.
    cluster: Option<String>,
    newest: BTreeMap<TopicPartition, Checkpoint>,
    /// Whose newest commit is damaged.
    unreadable: BTreeSet<TopicPartition>,
}

impl InLake {
    /// What of it cannot be read is for the start to say.
    fn of(settings: &Settings) -> Self {
        let Ok(lake) = Lake::open_read_only(&settings.lake.dir) else { return Self::default() };
        let cluster = lake.identity().ok().flatten().map(|identity| identity.cluster);
        let mut this = Self { cluster, ..Self::default() };
        for partition in partitions(settings) {
            let top = lake.entries(&partition).map(|entries| entries.last().copied());
            match top.and_then(|top| top.map(|top| lake.read_entry(&partition, top)).transpose()) {
                Ok(Some(commit)) => _ = this.newest.insert(partition, commit.checkpoint),
                Ok(None) => {}
                Err(_) => _ = this.unreadable.insert(partition),
            }
        }
        this
    }
}

fn prepare_replay(mut settings: Settings, name: &Path, chosen: Chosen, rate: ReplayRate) -> Result<Prepared> {
    // A big one takes a while.
    info!(file = %name.display(), "looking through the file");
    let file = stocks_and_file(name, &mut settings, chosen).map_err(WrongInput)?;
    if settings.kafka.mode == KafkaMode::Cluster {
        let lake = InLake::of(&settings);
        refuse_passed(&settings, name, &file, &lake).map_err(WrongInput)?;
        refuse_unfinished(&settings, &lake)?;
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
