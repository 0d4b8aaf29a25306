//! The broker is gone for a while, answers with errors, moves its leaders, loses its answers, or is slower than the simulation.

mod support;

use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaApiKey as Request;
use rdkafka::types::RDKafkaRespErr::{
    self as Error, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as COORDINATOR_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR as NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
    RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS as REBALANCE_IN_PROGRESS,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as REQUEST_TIMED_OUT,
};
use rustix::process::Signal;
use stockstream::market::time::Span;
use support::cluster::Cluster;
use support::effort::Effort;
use support::flow::{Flow, PER_STOCK};
use support::proc::Usage;
use support::program::{Running, Summary};
use support::simulated::Simulated;
use support::watcher::Watcher;

/// Between two ticks of a simulated stock.
const INTERVAL: Span = Span::from_secs(5);

/// Four hundred ticks a second of each stock; a window takes a seventh of a second. The past lasts longer than any test: what has caught
/// up with the present has a tick in five seconds. And some ticks a batch: a mock broker looks through its batches at each fetch.
const FAST: &str = "\"linger.ms\" = 50\n[producer]\nspeed = 2000\nstart_ago = \"100 days\"\nhistory = \"1h\"\n";

/// Stops it well, reads what is left, holds the lake against the log.
#[track_caller]
fn assert_right_at_the_end(flow: &Flow, running: Running, watcher: Watcher) -> Summary {
    running.signal(Signal::TERM);
    let ended = running.end();
    let summary = ended.summary();
    assert!(!ended.stderr.contains("a record was not published"), "{}", ended.stderr);
    flow.until_end();
    let watched = watcher.end();
    assert!(watched.bars > 0, "{watched:?}");
    let counts = flow.assert_lake_is_right();
    assert_eq!((counts.late, counts.malformed, counts.future, counts.unknown), (0, 0, 0, 0));
    summary
}

fn a_broker_that_comes_back(keyed: bool) {
    let outage = Effort::of_this_run().pick(Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(30));
    let flow = Flow::on(Cluster::start(), keyed, FAST);
    let watcher = Watcher::start(&flow.lake());
    let mut running = flow.program(&["run"]).start();
    flow.until_more_bars(&mut running, 12);
    flow.cluster.brokers().down_for(outage);
    let back = Instant::now();
    flow.until_more_bars(&mut running, 20);
    println!("20 windows on {:?} after an outage of {outage:?}", back.elapsed());
    let summary = assert_right_at_the_end(&flow, running, watcher);
    assert_eq!(summary.restarts, 0, "an outage is no failure");
    Simulated::of(&flow).assert_nothing_missing(INTERVAL);
}

#[test]
fn f08_a_broker_that_was_down_gets_every_tick_of_a_topic_for_each_stock() {
    a_broker_that_comes_back(false);
}

#[test]
fn f08_a_broker_that_was_down_gets_every_tick_of_a_keyed_topic() {
    a_broker_that_comes_back(true);
}

/// What brokers answer when leaders and coordinators change or are busy.
const PASSING: [(Request, &[Error]); 9] = [
    (Request::Produce, &[NOT_LEADER, NOT_LEADER, NOT_LEADER]),
    (Request::Fetch, &[NOT_LEADER, NOT_LEADER]),
    (Request::ListOffsets, &[NOT_LEADER]),
    (Request::FindCoordinator, &[COORDINATOR_NOT_AVAILABLE, COORDINATOR_NOT_AVAILABLE]),
    (Request::JoinGroup, &[NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE]),
    (Request::SyncGroup, &[REBALANCE_IN_PROGRESS]),
    (Request::Heartbeat, &[REBALANCE_IN_PROGRESS, NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE]),
    (Request::OffsetCommit, &[REBALANCE_IN_PROGRESS, REQUEST_TIMED_OUT, NOT_COORDINATOR]),
    (Request::InitProducerId, &[COORDINATOR_NOT_AVAILABLE]),
];

#[test]
fn f09_errors_of_brokers_and_moving_leaders_change_no_bar() {
    let rounds = Effort::of_this_run().pick(2, 6, 60);
    let cluster = Cluster::of(3);
    let flow = Flow::on(cluster, false, FAST);
    let watcher = Watcher::start(&flow.lake());
    let brokers = flow.cluster.brokers();
    // Some of them before there is a member, and a producer.
    PASSING.iter().for_each(|(request, errors)| brokers.fail(*request, errors));
    let mut running = flow.program(&["run"]).start();
    flow.until_more_bars(&mut running, 12);
    for round in 0..rounds {
        PASSING.iter().for_each(|(request, errors)| brokers.fail(*request, errors));
        for (topic, number) in PER_STOCK.into_iter().zip(round..) {
            brokers.move_leader(topic, 0, 1 + number % 3);
        }
        flow.until_more_bars(&mut running, 10);
        flow.keep_logs();
    }
    // Those of requests that nobody makes while all is well have piled up, for whoever joins next.
    PASSING.iter().for_each(|(request, _)| brokers.fail_no_more(*request));
    assert_right_at_the_end(&flow, running, watcher);
    Simulated::of(&flow).assert_nothing_missing(INTERVAL);
}

#[test]
fn f09_publishing_that_times_out_at_the_broker_changes_no_bar() {
    let rounds = Effort::of_this_run().pick(1, 3, 30);
    let flow = Flow::on(Cluster::start(), true, FAST);
    let watcher = Watcher::start(&flow.lake());
    let mut running = flow.program(&["run"]).start();
    for _ in 0..rounds {
        flow.until_more_bars(&mut running, 8);
        flow.cluster.brokers().fail(Request::Produce, &[REQUEST_TIMED_OUT, REQUEST_TIMED_OUT, REQUEST_TIMED_OUT]);
    }
    flow.until_more_bars(&mut running, 8);
    // Ticks may be missing in this log, unlike in a real one: a real broker takes a batch of an idempotent producer only behind the one
    // before it, so the client holds one that timed out for written as soon as the next is; the mock brokers take any.
    assert_right_at_the_end(&flow, running, watcher);
}

#[test]
fn f10_acknowledgements_that_are_lost_after_the_append_double_ticks_and_bars_say_so() {
    let times = Effort::of_this_run().pick(2, 5, 30);
    let flow = Flow::on(Cluster::start(), true, FAST);
    let watcher = Watcher::start(&flow.lake());
    let brokers = flow.cluster.brokers();
    let mut running = flow.program(&["run"]).start();
    flow.until_more_bars(&mut running, 12);
    for _ in 0..times {
        // Written, and the connection gone before the answer comes.
        brokers.answer_late(Request::Produce, 1, Duration::from_secs(60));
        running.until("a batch is written whose answer waits", || brokers.answers_left(Request::Produce) == 0);
        brokers.down_for(Duration::from_millis(100));
        flow.until_more_bars(&mut running, 3);
    }
    assert_right_at_the_end(&flow, running, watcher);
    let simulated = Simulated::of(&flow);
    simulated.assert_nothing_missing(INTERVAL);
    // The mock brokers, unlike real ones, do not know a batch again.
    println!("{} ticks stand twice in the log", simulated.repeated());
    assert!(simulated.repeated() > 0);
}

/// Microseconds since the epoch.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// At least: a hundred thousand records, and what the client keeps of each.
const GROWTH_MIB: u64 = 8;

#[test]
fn f12_a_full_queue_holds_the_simulation_back_and_drops_nothing() {
    let rest = Effort::of_this_run().pick(Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30));
    // More ticks to publish at once than the queue to the broker takes: 144,000 and 100,000.
    let many = "[producer]\nspeed = 1\nhistory = \"1h\"\ntick_interval = \"100ms\"\n";
    let flow = Flow::on(Cluster::start(), false, many);
    let watcher = Watcher::start(&flow.lake());
    // Without an answer to this an idempotent producer sends nothing.
    flow.cluster.brokers().answer_late(Request::InitProducerId, 1, Duration::from_secs(600));
    let mut running = flow.program(&["run"]).start();
    running.until_said("partition taken", 4);
    let pid = running.pid();
    let begun = Usage::of(pid);
    let (mut before, mut since) = (begun, Instant::now());
    running.until("its memory has grown by what a full queue holds, and stays as it is", || {
        let last = std::mem::replace(&mut before, Usage::of(pid));
        if last.resident_mib != before.resident_mib {
            since = Instant::now();
        }
        since.elapsed() > Duration::from_secs(1) && before.resident_mib > begun.resident_mib + GROWTH_MIB
    });
    let full = now();
    std::thread::sleep(rest);
    let after = Usage::of(pid);
    let up = now();
    // The question is asked again, and answered.
    flow.cluster.brokers().down_for(Duration::from_millis(100));
    println!("the queue was full for {rest:?}, with {before:?}, then {after:?}");
    after.assert_flat_since(&before);
    flow.until_more_bars(&mut running, 10);
    assert_right_at_the_end(&flow, running, watcher);
    // A record is stamped when the queue takes it.
    let stamps: Vec<i64> = flow.logs().into_iter().flatten().map(|record| record.timestamp.unwrap().micros()).collect();
    let held_back = stamps.iter().filter(|stamp| (full..up).contains(*stamp)).count();
    let (earlier, later) =
        (stamps.iter().filter(|stamp| **stamp < up).count(), stamps.iter().filter(|stamp| **stamp >= up).count());
    println!("{earlier} were waiting, {held_back} taken meanwhile, {later} came later");
    assert_eq!(held_back, 0, "a full queue takes nothing");
    assert!(later > 10_000, "there was more to publish: {later}");
    Simulated::of(&flow).assert_complete(Span::from_micros(100_000));
}
