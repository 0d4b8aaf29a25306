//! Everything at once, at random: two partitions, three processes, kills, pauses, rebalances that some hear of and some do not, power
//! cuts, late and spoiled ticks, idle partitions, a stock added on the way. Each run is told by its seed alone.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use stockstream::market::symbol::Symbol;
use stockstream::market::time::{EventTime, Span};

use crate::HOUR;
use crate::actors::Style;
use crate::core_search::{BEGIN, symbol};
use crate::store_rules::StoreRule;
use crate::support::effort::{Effort, seed};
use crate::support::oracle::LogRecord;
use crate::world::{Ownership, Process, World, part};

/// What a storm is made of.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub broken: Option<StoreRule>,
    pub partitions: usize,
    pub ticks: usize,
    /// How many times something is decided.
    pub turns: usize,
    /// Of a thousand turns these are power cuts, kills of a process, new owners of a partition.
    pub power_cuts: u32,
    pub kills: u32,
    pub rebalances: u32,
}

pub const STORM: Weather =
    Weather { broken: None, partitions: 2, ticks: 50, turns: 120, power_cuts: 15, kills: 25, rebalances: 90 };

/// As little as shows what a power cut can undo.
pub const POWER: Weather =
    Weather { partitions: 1, ticks: 10, turns: 30, power_cuts: 60, kills: 10, rebalances: 60, ..STORM };

fn random_log(random: &mut StdRng, length: usize, stocks: &[BTreeSet<Symbol>; 2]) -> Vec<LogRecord> {
    let known: Vec<&Symbol> = stocks[0].iter().chain(&stocks[0]).chain(&stocks[1]).collect();
    let mut now = 0;
    let mut record = |offset| {
        let on = [0, 0, 1, 1, 2, 2, 3];
        now += if random.random_bool(0.03) { random.random_range(9..20) } else { *on.choose(random).expect("some") };
        let behind = *[0, 0, 0, 0, 1, 1, 2, 3, 5, 9].choose(random).expect("some");
        let time = EventTime::from_micros((BEGIN + i64::max(0, now - behind) * 4 * HOUR) * 1_000_000);
        let price = f64::from(random.random_range(100..2_000)) / 7.0;
        let mut payload = format!("{},{},{price},{}", time.micros(), known.choose(random).expect("some"), offset % 5);
        let mut timestamp = Some(time);
        match random.random_range(0..40) {
            0 => payload = "no tick".to_owned(),
            1 => timestamp = Some(time - crate::rules().max_ahead - Span::from_secs(1)),
            _ => {}
        }
        LogRecord { offset, timestamp, payload: payload.into_bytes() }
    };
    (0..length as i64).map(&mut record).collect()
}

struct Storm {
    random: StdRng,
    world: World,
    processes: Vec<Process>,
    owners: Vec<(usize, Ownership)>,
    /// Process and until which turn it sleeps.
    asleep: Vec<(usize, usize)>,
}

impl Storm {
    fn start_process(&mut self, at: usize) {
        let process = self.world.process();
        match self.processes.get_mut(at) {
            Some(place) => *place = process,
            None => self.processes.push(process),
        }
    }

    /// The process dies with all its actors, and another one takes its place.
    fn kill(&mut self, at: usize) {
        let dead = self.processes[at].id;
        self.owners.retain(|(_, ownership)| ownership.process != dead);
        self.world.disk().dead.insert(dead);
        self.start_process(at);
    }

    fn cut_the_power(&mut self) {
        self.owners.clear();
        for process in &self.processes {
            self.world.disk().dead.insert(process.id);
        }
        let survivors: u64 = self.random.random();
        self.world.power_cut(|at| survivors >> (at % 64) & 1 == 1);
        (0..self.processes.len()).for_each(|at| self.start_process(at));
    }

    /// A process gets a partition; owners of before may hear of it.
    fn rebalance(&mut self) {
        let part = self.random.random_range(0..self.world.parts.len());
        let hear = self.random.random_bool(0.5);
        self.owners.retain(|(of, _)| *of != part || !hear);
        let at = self.random.random_range(0..self.processes.len());
        let style = Style::Moody { seed: self.random.random() };
        let ownership = self.world.ownership(&self.processes[at], part, style);
        self.owners.push((part, ownership));
    }

    fn run_somebody(&mut self, turn: usize) {
        let asleep = |process: usize| self.asleep.iter().any(|(of, until)| *of == process && *until > turn);
        let awake: Vec<usize> = (0..self.owners.len()).filter(|at| !asleep(self.owners[*at].1.process)).collect();
        let Some(at) = awake.choose(&mut self.random) else { return };
        let ownership = &mut self.owners[*at].1;
        let actor = if self.random.random_bool(0.6) { &mut ownership.owner } else { &mut ownership.engine };
        actor.run(*[1, 2, 5, 12, 40].choose(&mut self.random).expect("some"));
    }
}

/// One run; what is wrong with it.
pub fn storm(seed: u64, weather: &Weather) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    let stocks = |names: &str| names.split(' ').map(symbol).collect::<BTreeSet<Symbol>>();
    let all = [("t", [stocks("A B"), stocks("N")]), ("u", [stocks("D"), stocks("M")])];
    let parts = all.into_iter().take(weather.partitions).map(|(name, stocks)| {
        let log = random_log(&mut random, weather.ticks, &stocks);
        part(name, log, stocks)
    });
    let world = World::new(parts.collect(), weather.broken);
    for part in world.parts.iter() {
        part.visible.store(0, SeqCst);
        part.added.store(false, SeqCst);
    }
    let mut storm = Storm { random, world, processes: Vec::new(), owners: Vec::new(), asleep: Vec::new() };
    (0..3).for_each(|at| storm.start_process(at));
    (0..weather.partitions).for_each(|_| storm.rebalance());
    for turn in 0..weather.turns {
        for part in storm.world.parts.iter() {
            let published = storm.random.random_range(0..=2 * part.log.len() / weather.turns + 1);
            let visible = part.visible.load(SeqCst) + published;
            part.visible.store(visible.min(part.log.len()), SeqCst);
            part.added.store(turn > weather.turns / 3, SeqCst);
        }
        let (cut, kill) = (weather.power_cuts, weather.power_cuts + weather.kills);
        match storm.random.random_range(0..1_000) {
            at if at < cut => storm.cut_the_power(),
            at if at < kill => {
                let process = storm.random.random_range(0..3);
                storm.kill(process);
            }
            at if at < kill + weather.rebalances => storm.rebalance(),
            at if at < kill + weather.rebalances + 30 => {
                let (process, long) = (storm.random.random_range(0..3), storm.random.random_range(0..30));
                storm.asleep.push((storm.processes[process].id, turn + long));
            }
            _ => storm.run_somebody(turn),
        }
        if let Some(violation) = &storm.world.disk().violation {
            return Err(violation.clone());
        }
    }
    storm.owners.clear();
    for part in storm.world.parts.iter() {
        part.added.store(true, SeqCst);
    }
    storm.world.finish()
}

/// So many seeds from this one on, which begin anew behind the last; the first that is found to be wrong, by two threads.
fn storms(weather: &Weather, from: u64, seeds: u64) -> Result<(), (u64, String)> {
    std::thread::scope(|scope| {
        let half = |first: u64| {
            scope.spawn(move || {
                let mut numbers = (first..seeds).step_by(2);
                numbers.find_map(|number| {
                    let seed = from.wrapping_add(number);
                    storm(seed, weather).err().map(|problem| (number, seed, problem))
                })
            })
        };
        let halves = [half(0), half(1)];
        let found = halves.into_iter().filter_map(|half| half.join().expect("a storm does not panic"));
        found.min().map_or(Ok(()), |(_, seed, problem)| Err((seed, problem)))
    })
}

/// Other seeds each time, unless the run names the first.
#[track_caller]
fn assert_right(name: &str, weather: &Weather, seeds: u64) {
    let (begun, from) = (std::time::Instant::now(), seed());
    if let Err((seed, problem)) = storms(weather, from, seeds) {
        panic!("{name}, STOCKSTREAM_FAULTS_SEED={seed}: {problem}");
    }
    println!("{name}: {seeds} seeds from {from} in {:?}", begun.elapsed());
}

#[test]
fn storms_leave_the_lake_of_one_pass() {
    assert_right("storms", &STORM, Effort::of_this_run().pick(25, 300, 5_000));
}

#[test]
fn f19_power_cuts_that_undo_what_was_not_synced_leave_the_lake_of_one_pass() {
    assert_right("power cuts", &POWER, Effort::of_this_run().pick(1_000, 2_000, 10_000));
}
