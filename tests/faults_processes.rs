//! Several processes, one group, one lake: they share, take over, are taken from, come and go.

mod support;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use support::cluster::Cluster;
use support::effort::{Effort, seed};
use support::flow::{Flow, PARTITIONS, PER_STOCK};
use support::lake::{bars, checkpoints, commits, temporaries};
use support::members::{STRATEGIES, Together, flow_with, owned, until_shared};
use support::oracle::Counts;
use support::program::{Program, Running};
use support::ticks::{Recipe, Ticks};
use support::watcher::Watcher;
use tempfile::TempDir;

/// The mock cluster forgets what is older than 5 MiB of a partition.
const MOST_LINES: usize = 60_000;
const CONSUMING: &str = "[producer]\nenabled = false\n";

/// The lake is right and holds all of the ticks; every member together counted each once.
#[track_caller]
fn assert_all_there(flow: &Flow, ticks: &Ticks, together: &Together) {
    let counts = flow.assert_lake_is_right();
    let wanted = Counts { open: counts.open, in_bars: ticks.counts.in_bars - counts.open, ..ticks.counts };
    assert_eq!(counts, wanted, "nothing was lost, nothing counted twice");
    assert_eq!((together.read, together.in_bars), (counts.read as i64, counts.in_bars), "{together:?}");
    assert_eq!((together.open, together.bars), (counts.open as i64, bars(&flow.lake()).len() as u64), "{together:?}");
    assert_eq!(together.dropped, [counts.late, counts.malformed, counts.future, counts.unknown]);
}

fn share(strategy: &str, keyed: bool, members: usize) {
    let flow = flow_with(strategy, keyed, CONSUMING);
    let partitions = flow.partitions().len();
    let watcher = Watcher::start(&flow.lake());
    let mut members: Vec<Running> = (0..members).map(|_| flow.program(&["run"]).start()).collect();
    until_shared(&mut members, partitions);
    let ticks = Ticks::make(&Recipe { seed: 5, lines: 12_000, ..Recipe::default() });
    for lines in ticks.lines.chunks(2_000) {
        flow.publish(lines);
        std::thread::sleep(Duration::from_millis(100));
    }
    let begun = |flow: &Flow| checkpoints(&flow.lake()).values().all(|newest| newest.cut.0 > 0);
    members[0].until("each partition is read", || begun(&flow));
    members.iter().for_each(|member| member.signal(Signal::TERM));
    let mut summaries: Vec<_> = members.into_iter().map(|member| member.end().summary()).collect();
    assert!(summaries.iter().all(|summary| summary.commits > 0), "each did its part: {summaries:?}");
    summaries.push(flow.until_end());
    let watched = watcher.end();
    assert_all_there(&flow, &ticks, &Together::of(&summaries));
    assert_eq!(watched.bars, watched.features);
}

#[test]
fn two_processes_share_the_partitions_by_range() {
    share("range", true, 2);
}

#[test]
fn three_processes_share_the_partitions_by_the_sticky_strategy() {
    share("cooperative-sticky", true, 3);
}

#[test]
fn two_processes_share_the_topics_of_the_stocks() {
    share("cooperative-sticky", false, 2);
}

#[test]
fn two_runs_to_the_end_in_one_group_both_end() {
    for keyed in [true, false] {
        let flow = flow_with("cooperative-sticky", keyed, CONSUMING);
        let ticks = Ticks::make(&Recipe { seed: 6, lines: 30_000, ..Recipe::default() });
        flow.publish(&ticks.lines);
        let watcher = Watcher::start(&flow.lake());
        let members = [(); 2].map(|()| flow.program(&["run", "--until-end"]).start());
        let summaries = members.map(|member| member.end().summary());
        println!("{summaries:#?}");
        watcher.end();
        assert_all_there(&flow, &ticks, &Together::of(&summaries));
    }
}

/// How often a program said that it was fenced, for each partition.
fn fenced(stderr: &str, flow: &Flow) -> Vec<usize> {
    let fenced = |name: &str| stderr.lines().filter(|line| line.contains("fenced") && line.contains(name)).count();
    flow.partitions().iter().map(|(topic, number)| fenced(&format!("{topic}-{number}"))).collect()
}

/// Whether an entry of a chain is being written.
fn is_writing(flow: &Flow) -> bool {
    let chains = std::fs::read_dir(flow.lake().join("state")).unwrap().map(|entry| entry.unwrap().path());
    let mut names = chains.filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().map(|entry| entry.unwrap());
    names.any(|entry| entry.file_name().to_string_lossy().starts_with(".tmp-"))
}

#[test]
fn f05_an_owner_stopped_beyond_its_session_is_fenced_once_and_goes_on_with_what_it_owns() {
    for strategy in STRATEGIES {
        let flow = flow_with(strategy, true, CONSUMING);
        let watcher = Watcher::start(&flow.lake());
        // It makes the lake its own, takes three partitions, and takes long over its first commit.
        let mut stopped = flow.program(&["run"]).env("FAILPOINTS", "store.written=4*off->1*sleep(5000)->off").start();
        until_shared(std::slice::from_mut(&mut stopped), PARTITIONS as usize);
        let ticks = Ticks::make(&Recipe { seed: 7, lines: 12_000, ..Recipe::default() });
        let (first, second) = ticks.lines.split_at(6_000);
        flow.publish(first);
        stopped.until("it is about to commit", || is_writing(&flow));
        stopped.signal(Signal::STOP);

        let before = commits(&flow.lake());
        let mut other = flow.program(&["run"]).start();
        until_shared(std::slice::from_mut(&mut other), PARTITIONS as usize);
        // An entry for each taking, and a commit of what the stopped one has not committed: the other writers of that have gone on.
        other.until("it has gone on where the other stopped", || commits(&flow.lake()) > before + PARTITIONS as u64);
        let taken = owned(&other);

        stopped.signal(Signal::CONT);
        stopped.until_said("fenced", 1);
        let mut both = [stopped, other];
        until_shared(&mut both, PARTITIONS as usize);
        assert_eq!(taken, PARTITIONS as usize);
        let cuts = |flow: &Flow| checkpoints(&flow.lake()).into_values().map(|newest| newest.cut).collect::<Vec<_>>();
        let before = cuts(&flow);
        flow.publish(second);
        both[0].until("each partition goes on", || cuts(&flow).iter().zip(&before).all(|(now, before)| now > before));
        both.iter().for_each(|member| member.signal(Signal::TERM));
        let [continued, other] = both.map(Running::end);
        let times = fenced(&continued.stderr, &flow);
        assert!(times.iter().all(|times| *times <= 1), "{strategy}: {times:?}:\n{}", continued.stderr);
        assert_eq!(fenced(&other.stderr, &flow), [0; PARTITIONS as usize], "{}", other.stderr);
        let summaries = [continued.summary(), other.summary(), flow.until_end()];
        assert!(summaries[0].commits > 0, "{strategy}: the continued one has work again: {summaries:?}");
        watcher.end();
        assert_all_there(&flow, &ticks, &Together::of(&summaries));
    }
}

fn storm(strategy: &str) {
    let seed = seed();
    println!("{strategy}");
    let mut random = StdRng::seed_from_u64(seed);
    let lasts = Effort::of_this_run().pick(8, 40, 600);
    let stays = Effort::of_this_run().pick(1_200, 1_500, 3_000);
    let flow = flow_with(strategy, true, CONSUMING);
    let ticks = Ticks::make(&Recipe { seed, lines: (lasts as usize * 1_500).min(MOST_LINES), ..Recipe::default() });
    let watcher = Watcher::start(&flow.lake());
    let mut staying = [(); 2].map(|()| flow.program(&["run"]).start());
    until_shared(&mut staying, PARTITIONS as usize);
    let until = Instant::now() + Duration::from_secs(lasts);
    let mut came = 0;
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let chunk = ticks.lines.len() / (lasts as usize * 4);
            for lines in ticks.lines.chunks(chunk) {
                flow.publish(lines);
                std::thread::sleep(Duration::from_millis(250).min(until.saturating_duration_since(Instant::now())));
            }
        });
        while Instant::now() < until || !publishing.is_finished() {
            let third = flow.program(&["run"]).start();
            std::thread::sleep(Duration::from_millis(random.random_range(stays / 2..=stays)));
            came += 1;
            if random.random_bool(0.3) {
                third.kill();
            } else {
                third.signal(Signal::TERM);
                let ended = third.end();
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            }
        }
    });
    until_shared(&mut staying, PARTITIONS as usize);
    staying.iter().for_each(|member| member.signal(Signal::TERM));
    for member in staying {
        member.end().summary();
    }
    flow.until_end();
    let watched = watcher.end();
    println!("it came and left {came} times; {} commits, {watched:?}", commits(&flow.lake()));
    let counts = flow.assert_lake_is_right();
    let wanted = Counts { open: counts.open, in_bars: ticks.counts.in_bars - counts.open, ..ticks.counts };
    assert_eq!(counts, wanted, "seed {seed}: nothing was lost, nothing counted twice");
    assert_eq!(temporaries(&flow.lake()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn f06_a_third_process_that_comes_and_goes_disturbs_no_bar_when_all_partitions_are_taken_back_each_time() {
    storm("range");
}

#[test]
fn f06_a_third_process_that_comes_and_goes_disturbs_no_bar_when_only_some_partitions_move() {
    storm("cooperative-sticky");
}

#[test]
fn f20_a_second_start_on_one_lake_shares_it_or_is_refused() {
    let flow = Flow::new(false, "");
    let mut first = flow.program(&["run"]).start();
    first.until_said("partition taken", PER_STOCK.len());
    let group = flow.program(&["run"]).env("STOCKSTREAM__KAFKA__GROUP_ID", "another").run();
    group.refused(2, &["the lake", "group", "stockstream", "another"]);
    let other = Cluster::start();
    PER_STOCK.iter().for_each(|topic| other.create_topic(topic, 1));
    let cluster = flow.program(&["run"]).env("STOCKSTREAM__KAFKA__BOOTSTRAP_SERVERS", other.bootstrap()).run();
    cluster.refused(2, &["the lake", "cluster", "another directory"]);
    let embedded = flow.program(&["run"]).env("STOCKSTREAM__KAFKA__MODE", "embedded").run();
    embedded.refused(2, &["the lake", "cluster", "`embedded`"]);
    let mut both = [first, flow.program(&["run"]).start()];
    until_shared(&mut both, PER_STOCK.len());
    both.iter().for_each(|member| member.signal(Signal::INT));
    for member in both {
        member.end().summary();
    }
}

#[test]
fn f20_a_second_start_on_the_embedded_brokers_lake_names_the_process_that_has_it() {
    let dir = TempDir::new().unwrap();
    let mut first = Program::new(dir.path(), &["run"]).start();
    first.until_said("partition taken", 4);
    Program::new(dir.path(), &["run"]).run().refused(1, &["lake", &format!("process {}", first.pid())]);
}
