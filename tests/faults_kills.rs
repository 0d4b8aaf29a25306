//! The program is killed, stopped, and told to stop twice: what it leaves behind is right, and the next start goes on.

mod support;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use support::cluster::Cluster;
use support::effort::{Effort, seed};
use support::flow::Flow;
use support::lake::{commits, count_of, temporaries};
use support::oracle::Counts;
use support::replays::sum;
use support::simulated::Simulated;
use support::ticks::{Recipe, START, STOCKS, Ticks};
use support::watcher::Watcher;

/// Ticks published while the program lives once.
const LINES: usize = 800;

/// Kills the program again and again while ticks come in and somebody reads the lake.
fn killed_at_random_instants(keyed: bool) {
    let kills = Effort::of_this_run().pick(5, 15, 100);
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let flow = Flow::new(keyed, "[lake]\ncommit_every = 100\n");
    let watcher = Watcher::start(&flow.lake());
    let (mut start, mut published) = (START, Counts::default());
    for kill in 0..kills {
        let recipe =
            Recipe { seed: seed.wrapping_add(kill), lines: LINES, start, step_micros: 2_000_000, ..Recipe::default() };
        let ticks = Ticks::make(&recipe);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for lines in ticks.lines.chunks(LINES / 16) {
                    flow.publish(lines);
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            let mut running = flow.program(&["run"]).start();
            let (begun, seen) = (Instant::now(), commits(&flow.lake()));
            // Anywhere in its life, or close to a commit.
            let (instant, wanted) = (random.random_range(0..2500), seen + random.random_range(1..12));
            let near_a_commit = random.random_bool(0.5);
            running.until("its time has come", || match near_a_commit {
                true => commits(&flow.lake()) >= wanted || begun.elapsed() > Duration::from_secs(6),
                false => begun.elapsed() >= Duration::from_millis(instant),
            });
            std::thread::sleep(Duration::from_micros(random.random_range(0..15_000)));
            running.kill();
        });
        published = sum(&published, &ticks.counts);
        start = ticks.newest;
    }
    flow.until_end();
    assert_eq!(temporaries(&flow.lake()), Vec::<std::path::PathBuf>::new(), "seed {seed}: swept by the next start");
    let watched = watcher.end();
    let counts = flow.assert_lake_is_right();
    let wanted = Counts { open: counts.open, in_bars: published.in_bars - counts.open, ..published };
    assert_eq!(counts, wanted, "seed {seed}: nothing was lost, nothing counted twice");
    println!("{} commits, {watched:?}", commits(&flow.lake()));
    assert!(watched.bars > 0 && watched.features == watched.bars, "{watched:?}");
}

#[test]
fn f01_kills_at_random_instants_change_no_bar_of_a_topic_for_each_stock() {
    killed_at_random_instants(false);
}

#[test]
fn f01_kills_at_random_instants_change_no_bar_of_a_keyed_topic() {
    killed_at_random_instants(true);
}

/// A program that has much to read, and has committed something.
fn under_load(flow: &Flow) -> support::program::Running {
    let before = commits(&flow.lake());
    let mut running = flow.program(&["run"]).start();
    running.until("it is at work", || commits(&flow.lake()) > before + 4);
    running
}

#[test]
fn f04_a_stop_under_load_drains_in_time_and_a_second_signal_hurts_nothing() {
    let flow = Flow::new(true, "[lake]\ncommit_every = 200\n");
    let ticks = Ticks::make(&Recipe { seed: 4, lines: 60_000, step_micros: 100_000, ..Recipe::default() });
    flow.publish(&ticks.lines);
    let watcher = Watcher::start(&flow.lake());
    let running = under_load(&flow);
    running.signal(Signal::TERM);
    let asked = Instant::now();
    let summary = running.end().summary();
    assert!(asked.elapsed() < Duration::from_secs(30), "within the drain time: {:?}", asked.elapsed());
    let counts = flow.assert_lake_is_right();
    println!("stopped after {} of {} records in {:?}", summary.read, ticks.lines.len(), asked.elapsed());
    assert_eq!((summary.read - summary.open as u64, summary.dropped()[0]), (counts.read - counts.open, counts.late));

    // The second signal ends at once, unless the first one was faster.
    let running = under_load(&flow);
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    let ended = running.end();
    assert!(matches!(ended.code, Some(0 | 130)), "{ended:?}");

    // Features of the last commits may be missing by then: the next start makes them.
    flow.until_end();
    watcher.end();
    let counts = flow.assert_lake_is_right();
    assert_eq!(counts, Counts { open: counts.open, in_bars: ticks.counts.in_bars - counts.open, ..ticks.counts });
    assert_eq!(temporaries(&flow.lake()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn f11_a_killed_simulation_goes_on_in_event_time_and_price() {
    let kills = Effort::of_this_run().pick(2, 5, 20);
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let simulation = "[producer]\nspeed = 500\nhistory = \"2h\"\n[market]\nidle_timeout = \"500ms\"\n";
    let flow = Flow::on(Cluster::start(), random.random(), simulation);
    for _ in 0..kills {
        let wanted = count_of(&flow.lake(), STOCKS[3]) + 2;
        let mut running = flow.program(&["run"]).start();
        running.until("it goes on", || count_of(&flow.lake(), STOCKS[3]) >= wanted);
        std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
        running.kill();
        Simulated::of(&flow).assert_goes_on();
    }
    let last = flow.program(&["run", "--for", "4s"]).run().summary();
    assert_eq!(last.dropped(), [0; 4], "seed {seed}: {last:?}");
    flow.until_end();
    let counts = flow.assert_lake_is_right();
    assert_eq!((counts.late, counts.malformed, counts.future, counts.unknown), (0, 0, 0, 0), "seed {seed}");
    let simulated = Simulated::of(&flow);
    simulated.assert_goes_on();
    assert!(simulated.fewest() > 1000, "{}", simulated.fewest());
}
