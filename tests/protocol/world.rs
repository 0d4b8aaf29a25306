//! A disk, the partitions whose bars are on it, and what must be true of it when everybody is dead and one process does the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use stockstream::indicators::feature_row::FeatureRow;
use stockstream::indicators::stock::StockIndicators;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::TopicPartition;
use stockstream::market::symbol::Symbol;
use stockstream::settings::Compression;
use stockstream::storage::{Dataset, Lake, LakeIdentity};

use crate::actors::{Ended, Feed, Part, Style, follow, own};
use crate::disk::{Content, Disk};
use crate::model_store::ModelStore;
use crate::store_rules::StoreRule;
use crate::support::oracle::{Counts, Facts, LogRecord, one_pass};
use crate::turn::Actor;

#[derive(Clone)]
pub struct World {
    disk: Arc<Mutex<Disk>>,
    pub parts: Arc<[Arc<Part>]>,
    broken: Option<StoreRule>,
    processes: Arc<AtomicUsize>,
}

/// A process that has the lake open.
pub struct Process {
    pub id: usize,
    lake: Lake,
}

/// One ownership of a partition: the owner and the engine of one process.
pub struct Ownership {
    pub owner: Actor,
    pub engine: Actor,
    pub process: usize,
}

pub fn part(name: &str, log: Vec<LogRecord>, stocks: [BTreeSet<Symbol>; 2]) -> Arc<Part> {
    let visible = AtomicUsize::new(log.len());
    Arc::new(Part { partition: TopicPartition::new(name, 0), log, visible, stocks, added: AtomicBool::new(true) })
}

impl World {
    pub fn new(parts: Vec<Arc<Part>>, broken: Option<StoreRule>) -> Self {
        let disk = Arc::new(Mutex::new(Disk::new()));
        Self { disk, parts: parts.into(), broken, processes: Arc::default() }
    }

    /// The same disk once more; what happens to one is not seen by the other.
    pub fn fork(&self) -> Self {
        let disk = self.disk().clone();
        Self { disk: Arc::new(Mutex::new(disk)), ..self.clone() }
    }

    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("nobody panics with the disk in hand")
    }

    /// Opens the lake, and sweeps what dead processes have left.
    pub fn process(&self) -> Process {
        let id = self.processes.fetch_add(1, SeqCst);
        let identity = LakeIdentity { group: "g".into(), cluster: "c".into(), layout: "per_stock".into() };
        let store = ModelStore::new(self.disk.clone(), id, self.broken);
        let lake = Lake::over(Box::new(store), Compression::Uncompressed, &identity).expect("the disk never refuses");
        Process { id, lake }
    }

    /// An owner and its engine, not begun.
    pub fn ownership(&self, process: &Process, part: usize, style: Style) -> Ownership {
        let (feed, part) = (Arc::new(Feed::default()), self.parts[part].clone());
        let of_engine = (process.lake.clone(), part.clone(), feed.clone());
        let lake = process.lake.clone();
        let owner = Actor::new(move || drop(own(&lake, &part, &feed, style)));
        let engine = Actor::new(move || drop(follow(&of_engine.0, &of_engine.1, &of_engine.2)));
        Ownership { owner, engine, process: process.id }
    }

    /// Everybody is dead: of the changes that are not sure these survive.
    pub fn power_cut(&self, survives: impl Fn(usize) -> bool) {
        self.disk().power_cut(survives);
    }

    /// All processes are dead; a fresh one does the rest alone. What is wrong then?
    pub fn finish(&self) -> Result<(), String> {
        let everybody = self.processes.load(SeqCst);
        self.disk().dead.extend(0..everybody);
        let process = self.process();
        for part in self.parts.iter() {
            let feed = Feed::default();
            for ended in [own(&process.lake, part, &feed, Style::Final), follow(&process.lake, part, &feed)] {
                if !matches!(ended, Ended::Done) {
                    return Err(format!("a fresh process does not come to its end: {ended}"));
                }
            }
        }
        self.parts.iter().try_for_each(|part| {
            // the lake takes the disk for itself while it is asked
            let mut disk = self.disk().clone();
            check(&mut disk, &process.lake, part)
        })?;
        let disk = self.disk();
        match (&disk.violation, disk.leftovers().first()) {
            (Some(violation), _) => Err(violation.clone()),
            (None, Some(name)) => Err(format!("{name} is left behind")),
            (None, None) => Ok(()),
        }
    }
}

/// Bars, counters and features of a partition that has been read to its end.
fn check(disk: &mut Disk, lake: &Lake, part: &Part) -> Result<(), String> {
    let newest = lake.newest_checkpoint(&part.partition).map_err(|e| e.to_string())?;
    let Some(newest) = newest else { return Err("nothing was ever committed".to_owned()) };
    if newest.cut.0 as usize != part.log.len() {
        return Err(format!("read up to {} of {}", newest.cut, part.log.len()));
    }
    let expected = one_pass(&part.log, &Facts::of(&newest));
    let (mut bars, mut features): (Vec<Bar>, Vec<FeatureRow>) = (Vec::new(), Vec::new());
    let files = [Dataset::Bars, Dataset::Features].map(|dataset| disk.public_of(&part.partition, dataset));
    for content in files.iter().flat_map(BTreeMap::values) {
        match content.as_deref() {
            Some(Content::Bars(rows)) => bars.extend(rows.iter().cloned()),
            Some(Content::Features(rows)) => features.extend(rows.iter().cloned()),
            None => return Err("a public file is torn".to_owned()),
        }
    }
    bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
    if let Some(lost) = expected.bars.iter().find(|bar| !bars.contains(bar)) {
        return Err(format!("{} at {} is lost, or has other ticks", lost.symbol, lost.window_start));
    }
    if bars != expected.bars {
        return Err("a bar stands twice, or should not be".to_owned());
    }
    let counted = newest.counters;
    let stated = Counts {
        read: counted.read,
        in_bars: counted.in_bars,
        open: newest.open_ticks,
        late: counted.late,
        malformed: counted.malformed,
        future: counted.future,
        unknown: counted.unknown,
    };
    if stated != expected.counts {
        return Err(format!("counted {stated:?}, by the log {:?}", expected.counts));
    }
    let [bars_files, features_files] = files;
    if !bars_files.keys().eq(features_files.keys()) {
        return Err("features files are not named as the bars files".to_owned());
    }
    features.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
    let mut indicators: BTreeMap<&Symbol, StockIndicators> = BTreeMap::new();
    let full_pass = bars.iter().map(|bar| indicators.entry(&bar.symbol).or_default().push(bar));
    if !full_pass.eq(features) {
        return Err("features are not those of a full pass over the bars".to_owned());
    }
    Ok(())
}
