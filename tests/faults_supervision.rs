//! What fails inside the program: one partition restarts from its checkpoint, the others go on, and the lake is right.

mod support;

use std::time::{Duration, Instant};

use rstest::rstest;
use rustix::process::Signal;
use stockstream::market::bar::Bar;
use stockstream::storage::{Dataset, Lake};
use support::cluster::Cluster;
use support::effort::Effort;
use support::flow::Flow;
use support::lake::{assert_same, commits, temporaries};
use support::oracle::Counts;
use support::proc::Usage;
use support::program::{Running, Summary};
use support::ticks::{Recipe, Ticks};

/// Commits often, so that something is committed before a failure and after it.
const OFTEN: &str = "[lake]\ncommit_every = 40\n";

/// Said once a restart.
const RESTARTS: &str = "restarts from its checkpoint";

fn ticks(seed: u64, lines: usize) -> Ticks {
    Ticks::make(&Recipe { seed, lines, ..Recipe::default() })
}

/// A program with this going wrong on the way, which ticks come to little by little.
fn disturbed(failpoints: &str, flow: &Flow, ticks: &Ticks) -> Running {
    let mut running = flow.program(&["run"]).env("FAILPOINTS", failpoints).start();
    running.until_said("partition taken", 3);
    for lines in ticks.lines.chunks(200) {
        let (seen, published) = (commits(&flow.lake()), Instant::now());
        flow.publish(lines);
        std::thread::sleep(Duration::from_millis(30));
        // A slow disk has its commits all the same, unless nothing is committed any more.
        while commits(&flow.lake()) <= seen && published.elapsed() < Duration::from_millis(300) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    running
}

/// Reads everything with this going wrong on the way, until that has been said so often, and is right in spite of it.
#[track_caller]
fn is_right_in_spite_of(failpoints: &str, flow: &Flow, ticks: &Ticks, (said, times): (&str, usize)) -> Summary {
    let mut running = disturbed(failpoints, flow, ticks);
    running.until_said(said, times);
    running.signal(Signal::TERM);
    let summary = running.end().summary();
    flow.until_end();
    assert_right(flow, ticks);
    summary
}

/// Every tick counted once, every bar and its features there, nothing left over.
#[track_caller]
fn assert_right(flow: &Flow, ticks: &Ticks) {
    let counts = flow.assert_lake_is_right();
    let wanted = Counts { open: counts.open, in_bars: ticks.counts.in_bars - counts.open, ..ticks.counts };
    assert_eq!(counts, wanted, "nothing was lost, nothing counted twice");
    assert_eq!(temporaries(&flow.lake()), Vec::<std::path::PathBuf>::new());
}

#[track_caller]
fn one_panic_restarts_one_partition(place: &str, after: u32) {
    let flow = Flow::new(true, OFTEN);
    let failpoints = format!("{place}={after}*off->1*panic");
    let summary = is_right_in_spite_of(&failpoints, &flow, &ticks(3, 5_000), (RESTARTS, 1));
    assert_eq!(summary.restarts, 1, "{place}: {summary:?}");
}

#[test]
fn f03_a_panic_in_a_window_restarts_its_partition_alone() {
    one_panic_restarts_one_partition("window.fold", 5);
    one_panic_restarts_one_partition("window.close", 9);
}

#[test]
fn f03_a_panic_in_the_writer_restarts_the_partition_it_was_writing() {
    one_panic_restarts_one_partition("writer.commit", 7);
}

#[test]
fn f03_a_panic_in_the_indicator_engine_restarts_the_partition_it_was_computing() {
    one_panic_restarts_one_partition("engine.compute", 4);
}

#[test]
fn f03_a_panic_in_the_consumer_restarts_the_partition_whose_record_it_was_judging() {
    one_panic_restarts_one_partition("consumer.read", 1_500);
}

#[test]
fn f03_over_the_budget_the_process_ends_with_a_clear_message_and_what_is_committed_is_right() {
    let flow = Flow::new(true, OFTEN);
    let ticks = ticks(33, 6_000);
    let ended = disturbed("writer.commit=12*off->panic(boom)", &flow, &ticks).end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for said in
        ["error: stock_ticks-", "failed again, after 5 restarts within 60s", "boom", "what is committed is right"]
    {
        assert!(ended.stderr.contains(said), "{said:?} is not in: {}", ended.stderr);
    }
    assert_eq!(ended.summary_of_failure().restarts, 5);
    assert!(commits(&flow.lake()) > 6);
    assert_same("bars", &bars_alone(&flow), &flow.oracle().0);
    flow.until_end();
    assert_right(&flow, &ticks);
}

/// The features of the last commits may still be missing.
fn bars_alone(flow: &Flow) -> Vec<Bar> {
    let lake = Lake::open_read_only(&flow.lake()).unwrap();
    let files = lake.files(Dataset::Bars).unwrap();
    let mut bars: Vec<Bar> = files.iter().flat_map(|file| lake.read_bars(file).unwrap().unwrap().bars).collect();
    bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
    bars
}

#[test]
fn f03_several_panics_one_after_another_are_each_mended() {
    let flow = Flow::new(true, OFTEN);
    let ticks = ticks(34, 6_000);
    let failpoints = "window.fold=4*off->1*panic->4*off->1*panic->4*off->1*panic";
    let summary = is_right_in_spite_of(failpoints, &flow, &ticks, ("failpoint window.fold panic", 3));
    // A second window of a partition may panic before the first one's panic has been told: both are mended by one restart.
    assert!((1..=3).contains(&summary.restarts), "{summary:?}");
}

#[test]
fn f07_a_consumer_that_blocks_beyond_the_longest_poll_interval_takes_its_partitions_again() {
    let properties = "\"max.poll.interval.ms\" = 3000\n[producer]\nenabled = false\n";
    let flow = Flow::on(Cluster::start(), true, &format!("{properties}{OFTEN}"));
    let ticks = ticks(7, 6_000);
    let failpoints = "consumer.read=2000*off->1*sleep(5000)";
    let summary = is_right_in_spite_of(failpoints, &flow, &ticks, ("partition taken", 6));
    assert_eq!(summary.restarts, 0, "{summary:?}");
}

#[test]
fn f16_a_failed_fsync_writes_the_commit_anew_under_another_name() {
    for (place, after) in [("store.sync", 6), ("store.settled", 25), ("store.published", 5), ("engine.published", 3)] {
        let flow = Flow::new(true, OFTEN);
        let failpoints = format!("{place}={after}*off->1*return(EIO)");
        let summary = is_right_in_spite_of(&failpoints, &flow, &ticks(16, 4_000), (RESTARTS, 1));
        assert_eq!(summary.restarts, 1, "{place}: {summary:?}");
    }
}

#[test]
fn f16_a_full_disk_is_no_failure() {
    let flow = Flow::new(true, OFTEN);
    let failpoints = "store.write=20*off->4*return(ENOSPC)";
    let summary = is_right_in_spite_of(failpoints, &flow, &ticks(15, 5_000), ("not possible now, nothing is lost", 3));
    assert_eq!(summary.restarts, 0, "{summary:?}");
}

#[test]
fn stuck_windows_are_left_behind_and_made_anew() {
    let flow = Flow::new(true, &format!("{OFTEN}[supervision]\nstuck_after = \"1s\"\n"));
    let failpoints = "window.fold=9*off->1*sleep(600000)";
    let summary = is_right_in_spite_of(failpoints, &flow, &ticks(8, 5_000), (RESTARTS, 3));
    assert_eq!(summary.restarts, 3, "each partition has windows on that thread: {summary:?}");
}

#[rstest]
#[case::consumer("consumer.read=500*off->1*sleep(600000)", "the consumer has been stuck for")]
#[case::writer("writer.commit=5*off->1*sleep(600000)", "the writer has been stuck for")]
#[case::indicator_engine("engine.compute=3*off->1*sleep(600000)", "the indicator engine has been stuck for")]
fn a_stuck_thread_that_nobody_can_replace_ends_the_process_with_a_clear_message(
    #[case] failpoints: &str,
    #[case] says: &str,
) {
    let flow = Flow::new(true, &format!("{OFTEN}[supervision]\nstuck_after = \"1s\"\n"));
    let ticks = ticks(9, 5_000);
    let ended = disturbed(failpoints, &flow, &ticks).end();
    ended.refused(1, &[says, "the disk of the lake", "what is committed is right"]);
    flow.until_end();
    assert_right(&flow, &ticks);
}

/// Reads a backlog to its end while something is slow; returns the most memory it had, in MiB.
fn most_memory(running: &mut Running, flow: &Flow, wanted: u64) -> u64 {
    let mut most = 0;
    let pid = running.pid();
    running.until("it has read on", || {
        most = most.max(Usage::of(pid).resident_mib);
        commits(&flow.lake()) >= wanted
    });
    most
}

#[test]
fn f23_a_slow_window_and_a_writer_that_stalls_leave_memory_bounded_and_the_member_in_its_group() {
    let (stall, lines) = Effort::of_this_run().pick((5_000, 60_000), (20_000, 100_000), (60_000, 140_000));
    let flow = Flow::new(true, "[lake]\ncommit_every = 2000\n");
    let ticks = Ticks::make(&Recipe { seed: 23, lines, step_micros: 200_000, ..Recipe::default() });
    flow.publish(&ticks.lines);
    // Each of the three partitions has a writer of its own.
    let failpoints = format!("window.fold=25%sleep(20);writer.commit=6*off->3*sleep({stall})");
    let begun = Instant::now();
    let mut running = flow.program(&["run"]).env("FAILPOINTS", &failpoints).start();
    let most = most_memory(&mut running, &flow, 12);
    assert!(begun.elapsed() > Duration::from_millis(stall), "it has stalled");
    println!("{most} MiB at most while the writer stalled for {stall} ms");
    assert!(most < 400, "{most} MiB");
    let taken = running.stderr().matches("partition taken").count();
    running.signal(Signal::TERM);
    let summary = running.end().summary();
    assert_eq!((taken, summary.restarts), (3, 0), "it has stayed in its group: {summary:?}");
    flow.until_end();
    assert_right(&flow, &ticks);
}
