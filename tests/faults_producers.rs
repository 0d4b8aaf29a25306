//! Several processes that may simulate the stocks: one does, the others take over when it ends, never while it lives.

mod support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::flow::{Flow, PARTITIONS};
use support::lake::count_of;
use support::members::{flow_with, until_shared};
use support::program::Running;
use support::simulated::Simulated;
use support::watcher::Watcher;

/// A simulated hour in seven seconds.
const SIMULATION: &str = "[producer]\nspeed = 500\nhistory = \"2h\"\n[market]\nidle_timeout = \"500ms\"\n";
const WAITS: &str = "another process simulates the stocks";
const TAKES_OVER: &str = "this one goes on with them";

fn published(flow: &Flow) -> usize {
    flow.logs().iter().map(Vec::len).sum()
}

/// Waits until this many ticks more are published.
#[track_caller]
fn until_published(flow: &Flow, running: &mut Running, more: usize) {
    let wanted = published(flow) + more;
    running.until("more ticks are published", || published(flow) >= wanted);
}

fn one_simulates_at_a_time(keyed: bool) {
    let flow = flow_with("cooperative-sticky", keyed, SIMULATION);
    let partitions = flow.partitions().len();
    let watcher = Watcher::start(&flow.lake());

    let mut first = flow.program(&["run"]).start();
    until_published(&flow, &mut first, 2_000);
    let mut second = flow.program(&["run"]).start();
    second.until_said(WAITS, 1);
    assert!(second.stderr().contains(&format!("process {}", first.pid())), "{}", second.stderr());
    let mut both = [first, second];
    until_shared(&mut both, partitions);
    let [mut first, mut second] = both;
    until_published(&flow, &mut first, 500);
    assert!(!second.stderr().contains(TAKES_OVER), "{}", second.stderr());

    // Killed: the kernel has released its turn, another one goes on.
    first.kill();
    let killed = Instant::now();
    second.until_said(TAKES_OVER, 1);
    assert!(killed.elapsed() < Duration::from_secs(20), "within seconds: {:?}", killed.elapsed());
    until_published(&flow, &mut second, 500);
    Simulated::of(&flow).assert_goes_on();

    // Stopped: it keeps its turn, though its partitions go to others.
    let mut third = flow.program(&["run"]).start();
    third.until_said(WAITS, 1);
    second.signal(Signal::STOP);
    until_shared(std::slice::from_mut(&mut third), partitions);
    let standing = published(&flow);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((published(&flow), third.stderr().contains(TAKES_OVER)), (standing, false), "{}", third.stderr());
    second.signal(Signal::CONT);
    until_published(&flow, &mut second, 500);

    // Told to stop: it hands over.
    second.signal(Signal::TERM);
    let second = second.end().summary();
    third.until_said(TAKES_OVER, 1);
    until_published(&flow, &mut third, 500);
    assert_eq!(third.stderr().matches(WAITS).count(), 1, "it says so once: {}", third.stderr());
    third.signal(Signal::TERM);
    let third = third.end().summary();

    assert_eq!((second.dropped(), third.dropped()), ([0; 4], [0; 4]), "no tick came into a closed window");
    let simulated = Simulated::of(&flow);
    simulated.assert_goes_on();
    assert_eq!(simulated.repeated(), 0);
    flow.until_end();
    watcher.end();
    let counts = flow.assert_lake_is_right();
    assert_eq!((counts.late, counts.malformed, counts.future, counts.unknown), (0, 0, 0, 0));
}

#[test]
fn one_process_simulates_and_hands_over_when_it_ends_on_a_keyed_topic() {
    one_simulates_at_a_time(true);
}

#[test]
fn one_process_simulates_and_hands_over_when_it_ends_on_a_topic_for_each_stock() {
    one_simulates_at_a_time(false);
}

#[test]
fn a_process_that_only_consumes_takes_no_turn() {
    let flow = flow_with("cooperative-sticky", true, SIMULATION);
    let mut consuming = flow.program(&["run"]).env("STOCKSTREAM__PRODUCER__ENABLED", "false").start();
    until_shared(std::slice::from_mut(&mut consuming), PARTITIONS as usize);
    let mut simulating = flow.program(&["run"]).start();
    until_published(&flow, &mut simulating, 100);
    assert!(!simulating.stderr().contains(WAITS), "{}", simulating.stderr());
    simulating.kill();
    let standing = published(&flow);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(published(&flow), standing);
    consuming.signal(Signal::TERM);
    assert!(!consuming.end().stderr.contains(TAKES_OVER));
    flow.assert_lake_is_right();
}

#[test]
fn a_stock_that_is_added_is_simulated_by_one_process_and_followed_by_all() {
    let flow = flow_with("cooperative-sticky", true, SIMULATION);
    let mut members = [(); 2].map(|()| flow.program(&["run"]).start());
    until_shared(&mut members, PARTITIONS as usize);
    let file = flow.dir.path().join("cluster.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{settings}[[stocks]]\nsymbol = \"NVDA\"\ninitial_price = 1.0\n")).unwrap();
    for member in &mut members {
        member.until_line("+NVDA");
        member.until_said("settings applied", 1);
    }
    let lake = flow.lake();
    members[0].until("the added stock has bars", || count_of(&lake, "NVDA") >= 2);
    // Whoever simulates: the other one goes on, with the added stock as well.
    let simulates = members.iter().position(|member| !member.stderr().contains(WAITS)).unwrap();
    let mut members = Vec::from(members);
    members.remove(simulates).kill();
    let mut left = members.remove(0);
    left.until_said(TAKES_OVER, 1);
    let wanted = count_of(&lake, "NVDA") + 2;
    left.until("the added stock goes on", || count_of(&lake, "NVDA") >= wanted);
    left.signal(Signal::TERM);
    assert_eq!(left.end().summary().dropped(), [0; 4]);
    flow.until_end();
    assert_eq!(flow.assert_lake_is_right().unknown, 0);
    let simulated = Simulated::of(&flow);
    simulated.assert_goes_on();
    assert_eq!(simulated.repeated(), 0);
}
