//! Simulated days at full speed, with everything at random: kills, stops, outages of the broker and of the disk, also two at once.

mod support;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use support::cluster::Cluster;
use support::effort::{Effort, seed};
use support::flow::Flow;
use support::lake::{commits, temporaries};
use support::proc::Usage;
use support::program::Running;
use support::simulated::Simulated;
use support::small_disk::SmallDisk;
use support::watcher::Watcher;

/// A mock broker keeps some minutes of what is published here.
const LOOK_AT_LOGS: Duration = Duration::from_secs(60);

/// What the program lives in for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weather {
    Fair,
    NoBroker,
    NoRoom,
}

/// What happens to the program in it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Blow {
    Nothing,
    /// Stopped for longer than its session lasts.
    Stopped,
    Killed,
}

/// Each of them alone, and two at once.
const EACH: [(Weather, Blow); 5] = [
    (Weather::NoBroker, Blow::Nothing),
    (Weather::NoRoom, Blow::Nothing),
    (Weather::Fair, Blow::Stopped),
    (Weather::Fair, Blow::Killed),
    (Weather::NoBroker, Blow::Killed),
];

fn any_trouble(random: &mut StdRng) -> (Weather, Blow) {
    let weather = *[Weather::Fair, Weather::NoBroker, Weather::NoRoom].choose(random).unwrap();
    let blow = match random.random_range(0..6) {
        0 => Blow::Killed,
        1 => Blow::Stopped,
        _ if weather == Weather::Fair => Blow::Stopped,
        _ => Blow::Nothing,
    };
    (weather, blow)
}

struct Soak {
    flow: Flow,
    disk: Option<SmallDisk>,
    running: Running,
    /// What this process used when it was young.
    young: Usage,
    kills: usize,
}

impl Soak {
    fn start(flow: Flow, disk: Option<SmallDisk>) -> Self {
        let (running, young) = start(&flow);
        Self { flow, disk, running, young, kills: 0 }
    }

    fn endure(&mut self, weather: Weather, blow: Blow, lasting: Duration) {
        match (weather, &self.disk) {
            (Weather::NoBroker, _) => self.flow.cluster.brokers().down(),
            (Weather::NoRoom, Some(disk)) => disk.fill(),
            _ => {}
        }
        std::thread::sleep(lasting / 2);
        match blow {
            Blow::Nothing => {}
            Blow::Stopped => {
                self.running.signal(Signal::STOP);
                std::thread::sleep(Duration::from_millis(2500));
                self.running.signal(Signal::CONT);
            }
            Blow::Killed => self.running.signal(Signal::KILL),
        }
        std::thread::sleep(lasting / 2);
        match (weather, &self.disk) {
            (Weather::NoBroker, _) => self.flow.cluster.brokers().up(),
            (Weather::NoRoom, Some(disk)) => disk.free(),
            _ => {}
        }
        if blow == Blow::Killed {
            (self.running, self.young) = start(&self.flow);
            self.kills += 1;
        } else {
            // It gets over it.
            let seen = commits(&self.flow.lake());
            self.running.until("it commits again", || commits(&self.flow.lake()) > seen);
            Usage::of(self.running.pid()).assert_flat_since(&self.young);
        }
    }
}

/// A process that has committed something.
fn start(flow: &Flow) -> (Running, Usage) {
    let seen = commits(&flow.lake());
    let mut running = flow.program(&["run"]).start();
    running.until("it is at work", || commits(&flow.lake()) > seen + 8);
    let young = Usage::of(running.pid());
    (running, young)
}

#[test]
fn f30_days_of_trouble_leave_the_bars_of_one_pass() {
    let effort = Effort::of_this_run();
    // Most of a day in 8 seconds; more than a day in 40; a week in ten minutes.
    let (length, speed) = effort.pick((8, 7200), (40, 2880), (600, 1008));
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    // Some ticks a batch: a mock broker looks through its batches at each fetch.
    let head = format!("\"linger.ms\" = 100\n[producer]\nspeed = {speed}\ntick_interval = \"10s\"\nhistory = \"1h\"\n");
    let flow = Flow::on(Cluster::start(), random.random(), &head);
    std::fs::create_dir(flow.lake()).unwrap();
    let disk = SmallDisk::mount(&flow.lake(), effort.pick(64, 128, 256));
    let watcher = Watcher::start(&flow.lake());
    let mut soak = Soak::start(flow, disk);
    let (begun, mut troubles) = (Instant::now(), 0);
    let mut looked = begun;
    // Each kind once, then whatever comes.
    let mut due = EACH.to_vec();
    due.shuffle(&mut random);
    while begun.elapsed() < Duration::from_secs(length) || !due.is_empty() {
        let (weather, blow) = due.pop().unwrap_or_else(|| any_trouble(&mut random));
        let lasting = Duration::from_millis(random.random_range(100..effort.pick(1500, 3000, 6000)));
        println!("{:6.1} s: {weather:?}, {blow:?}, for {lasting:?}", begun.elapsed().as_secs_f64());
        soak.endure(weather, blow, lasting);
        troubles += 1;
        if looked.elapsed() > LOOK_AT_LOGS {
            soak.flow.keep_logs();
            looked = Instant::now();
        }
    }
    let Soak { flow, disk: _disk, running, young, kills } = soak;
    let old = Usage::of(running.pid());
    running.signal(Signal::TERM);
    running.end().summary();
    flow.until_end();
    assert_eq!(temporaries(&flow.lake()), Vec::<std::path::PathBuf>::new(), "seed {seed}");
    let watched = watcher.end();
    let counts = flow.assert_lake_is_right();
    println!("{troubles} troubles, {kills} kills, {watched:?}, {counts:?}, {young:?}, then {old:?}");
    assert_eq!((counts.late, counts.malformed, counts.future, counts.unknown), (0, 0, 0, 0), "seed {seed}");
    assert!(kills >= 2 && troubles >= EACH.len(), "seed {seed}");
    assert!(Simulated::of(&flow).fewest() > 500);
}
