//! Against a broker that outlives the program: reading to the end, stopping, being killed, going on.

mod support;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use stockstream::kafka::topics::partition_of_key;
use support::cluster::Cluster;
use support::flow::{Flow, PARTITIONS, PER_STOCK};
use support::lake::{bars, commits};
use support::oracle::Counts;
use support::program::Summary;
use support::ticks::{Recipe, STOCKS, Ticks};

#[track_caller]
fn assert_all_read(summary: &Summary, counts: &Counts) {
    let found = [summary.read, summary.late, summary.malformed, summary.future, summary.unknown];
    assert_eq!(found, [counts.read, counts.late, counts.malformed, counts.future, counts.unknown]);
    assert_eq!((summary.in_bars + summary.open as u64, summary.skipped_replayed), (counts.in_bars, 0));
}

fn backfill(flow: &Flow, seed: u64) {
    let ticks = Ticks::make(&Recipe { seed, lines: 10_000, ..Recipe::default() });
    flow.publish(&ticks.lines);
    let summary = flow.until_end();
    assert_all_read(&summary, &ticks.counts);
    assert!(summary.open > 0, "windows that the watermark has not passed stay open: {summary:?}");
    let counts = flow.assert_lake_is_right();
    assert_eq!((counts.in_bars, counts.open as i64), (summary.in_bars, summary.open));

    let mut letters = flow.cluster.dead_letters();
    letters.sort();
    let mut wanted: Vec<(String, Vec<u8>)> = Vec::new();
    for (reason, count) in [("future", counts.future), ("late", counts.late), ("malformed", counts.malformed)] {
        let own: Vec<_> = letters.iter().filter(|(of, _)| of == reason).cloned().collect();
        assert_eq!(own.len() as u64, count, "dead letters that are {reason}");
        wanted.extend(own);
    }
    assert_eq!(letters, wanted, "no other dead letters");
    assert!(letters.iter().all(|(_, payload)| ticks.lines.contains(payload)), "as they were published");

    // Nothing new: nothing is committed, so nothing is counted.
    let again = flow.until_end();
    assert_eq!((again.read, again.bars, again.commits), (0, 0, 0));
    flow.assert_lake_is_right();

    // Later ticks close what was open.
    let start = ticks.newest + 1;
    let more = Ticks::make(&Recipe { seed: seed + 1, lines: 5_000, start, ..Recipe::default() });
    flow.publish(&more.lines);
    let summary = flow.until_end();
    assert_eq!(summary.read, summary.skipped_replayed + 5_000, "what was open is read again, and counted once");
    assert!(summary.skipped_replayed >= counts.open, "{summary:?}");
    assert!(summary.bars > 0);
    let counts = flow.assert_lake_is_right();
    assert_eq!(counts.read, 15_000);
}

#[test]
fn a_topic_for_each_stock_is_read_to_its_end_and_on_from_there() {
    backfill(&Flow::new(false, ""), 10);
}

#[test]
fn a_keyed_topic_is_read_to_its_end_and_on_from_there() {
    backfill(&Flow::new(true, ""), 20);
}

#[test]
fn a_tick_in_a_partition_that_is_not_its_own_is_unknown() {
    let flow = Flow::new(true, "");
    let home = partition_of_key(b"AAPL", PARTITIONS);
    for (partition, price) in [(home, 1), ((home + 1) % PARTITIONS, 2), ((home + 2) % PARTITIONS, 3)] {
        flow.cluster.publish("stock_ticks", partition, [format!("2025-05-14 15:30:00,AAPL,{price}").as_bytes()]);
        flow.cluster.publish("stock_ticks", partition, [b"2025-05-14 16:30:00,AAPL,1".as_slice()]);
    }
    flow.cluster.flush();
    let summary = flow.until_end();
    assert_eq!((summary.read, summary.unknown, summary.in_bars, summary.open, summary.bars), (6, 4, 1, 1, 1));
    assert_eq!(flow.assert_lake_is_right().unknown, 4);
    assert_eq!(bars(&flow.lake())[0].close, 1.0);
}

#[test]
fn a_stop_keeps_open_windows_and_the_next_run_closes_them() {
    let flow = Flow::new(false, "");
    let minute = |minute: i64| format!("{},AAPL,{}", 1_747_236_600 + 60 * minute, minute + 1).into_bytes();
    flow.publish(&(0..8).map(minute).collect::<Vec<_>>());
    let mut running = flow.program(&["run"]).start();
    running.until_said("partition taken", 4);
    running.signal(Signal::TERM);
    let first = running.end().summary();
    assert_eq!((first.bars, first.in_bars), (0, 0), "no window was passed by the watermark, none is closed");
    flow.publish(&(8..30).map(minute).collect::<Vec<_>>());
    let second = flow.until_end();
    assert_eq!(first.open + second.open + second.in_bars as i64, 30, "each tick once: {first:?} {second:?}");
    let found = bars(&flow.lake());
    assert_eq!(found.iter().map(|bar| bar.ticks).collect::<Vec<_>>(), [5, 5, 5]);
    assert_eq!((found[0].open, found[0].close, found[2].close), (1.0, 5.0, 15.0));
    flow.assert_lake_is_right();
}

#[test]
fn another_lateness_and_another_cluster_are_refused() {
    let flow = Flow::new(false, "");
    flow.publish(&Ticks::make(&Recipe { lines: 500, ..Recipe::default() }).lines);
    flow.until_end();
    let other = flow.program(&["run", "--until-end"]).env("STOCKSTREAM__MARKET__LATENESS", "5m").run();
    other.refused(2, &["market.lateness: is \"5m\"", "\"10m\"", "another lake directory"]);
    let cluster = Cluster::start();
    PER_STOCK.iter().for_each(|topic| cluster.create_topic(topic, 1));
    let moved = flow.program(&["run", "--until-end"]).env("STOCKSTREAM__KAFKA__BOOTSTRAP_SERVERS", cluster.bootstrap());
    moved.run().refused(2, &["the lake", "cluster", "another directory"]);
    flow.assert_lake_is_right();
}

#[test]
fn a_file_that_the_lake_has_passed_is_not_published_into_its_topics() {
    let flow = Flow::new(false, "");
    let ticks = Ticks::make(&Recipe { lines: 2_000, spoiled: 0.0, ..Recipe::default() });
    flow.publish(&ticks.lines);
    flow.until_end();
    let replay = |lines: &[Vec<u8>]| {
        std::fs::write(flow.dir.path().join("ticks.csv"), lines.join(&b'\n')).unwrap();
        flow.program(&["replay", "ticks.csv", "--symbols", "settings"]).run()
    };
    // Not even one of the windows that are open yet.
    replay(&ticks.lines[..200]).refused(2, &["no tick of ticks.csv could count", "--lake", "kafka.group_id"]);
    assert_eq!(flow.until_end().read, 0, "nothing was published");
    // One that goes on far enough would have the ticks of these windows twice.
    replay(&ticks.lines).refused(2, &["0 records", "in windows that are open", "--lake", "kafka.group_id"]);
    flow.publish(&ticks.lines[..10]);
    replay(&ticks.lines).refused(2, &["that the lake", "has not read"]);
}

/// At its end a replay closes the windows of all partitions of a keyed topic.
#[test]
fn a_replay_is_refused_for_what_stocks_that_are_not_in_its_file_have_open() {
    let flow = Flow::new(true, "");
    let line = |symbol: &str| format!("2025-05-13 22:00:00,{symbol},1").into_bytes();
    let of_first = flow.partition_of(&line(STOCKS[0])).1;
    let elsewhere = STOCKS.iter().find(|symbol| flow.partition_of(&line(symbol)).1 != of_first);
    flow.publish(&[line(STOCKS[0])]);
    assert_eq!(flow.until_end().open, 1);
    std::fs::write(flow.dir.path().join("ticks.csv"), line(elsewhere.expect("not all are in one partition"))).unwrap();
    flow.program(&["replay", "ticks.csv"]).run().refused(2, &["1 tick in windows that are open", "kafka.group_id"]);
}

#[test]
fn a_program_killed_at_any_instant_goes_on_from_its_checkpoint_without_a_wrong_bar() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let flow = Flow::new(random.random(), "[lake]\ncommit_every = 300\n");
    let ticks = Ticks::make(&Recipe { seed, lines: 16_000, ..Recipe::default() });
    std::thread::scope(|scope| {
        // Ticks keep coming while it is killed.
        let publishing = scope.spawn(|| {
            for lines in ticks.lines.chunks(400) {
                flow.publish(lines);
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        for _ in 0..2 {
            let mut running = flow.program(&["run"]).start();
            let wanted = commits(&flow.lake()) + random.random_range(3..12);
            running.until("it has committed more", || commits(&flow.lake()) >= wanted);
            std::thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
            running.kill();
        }
        publishing.join().unwrap();
    });
    let summary = flow.until_end();
    assert!(summary.skipped_replayed > 0, "what was open at the kill is read again: {summary:?}");
    let counts = flow.assert_lake_is_right();
    let wanted = Counts { open: counts.open, in_bars: ticks.counts.in_bars - counts.open, ..ticks.counts };
    assert_eq!(counts, wanted, "seed {seed}: nothing was lost, nothing counted twice");
}
