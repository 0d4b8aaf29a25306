//! A real Apache Kafka that dies, is restarted, and whose simulating client dies. Each test runs a broker of its own.
//!
//! Runs when `STOCKSTREAM_TEST_KAFKA` is set (to anything: the address is not used) and Java and Kafka's jars are there; else each
//! test says that it was skipped, or fails if `STOCKSTREAM_REQUIRE_KAFKA=1`.

mod support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use stockstream::market::time::Span;
use support::cluster::Cluster;
use support::effort::Effort;
use support::flow::Flow;
use support::program::Running;
use support::real_kafka::RealKafka;
use support::simulated::Simulated;
use support::watcher::Watcher;

const INTERVAL: Span = Span::from_secs(5);
const FAST: &str =
    "\"reconnect.backoff.max.ms\" = 1000\n[producer]\nspeed = 1000\nstart_ago = \"100 days\"\nhistory = \"1h\"\n";

/// Of clients that always ask who the brokers are. One that shuts down says for a moment that there are none, and this is how to hear it.
const CURIOUS: &str = "\"topic.metadata.refresh.interval.ms\" = 20\n";

#[track_caller]
fn assert_right_at_the_end(flow: &Flow, running: Running, watcher: Watcher) {
    running.signal(Signal::TERM);
    let summary = running.end().summary();
    assert_eq!(summary.restarts, 0, "an outage is no failure");
    flow.until_end();
    println!("{:?}", watcher.end());
    let counts = flow.assert_lake_is_right();
    assert_eq!((counts.late, counts.malformed, counts.future, counts.unknown), (0, 0, 0, 0));
}

/// Takes the broker away by `end` and brings it back after `outage`, again and again.
fn a_broker_that_comes_back(
    (keyed, properties): (bool, &str),
    end: impl Fn(&RealKafka),
    outage: Duration,
    times: usize,
) {
    let Some(kafka) = RealKafka::start() else { return };
    let flow = Flow::on(Cluster::real(&kafka.bootstrap()), keyed, &format!("{properties}{FAST}"));
    let watcher = Watcher::start(&flow.lake());
    let mut running = flow.program(&["run"]).start();
    flow.until_more_bars(&mut running, 12);
    for _ in 0..times {
        end(&kafka);
        std::thread::sleep(outage);
        kafka.up();
        let back = Instant::now();
        flow.until_more_bars(&mut running, 12);
        println!("12 windows on {:?} after the broker came back", back.elapsed());
    }
    assert_right_at_the_end(&flow, running, watcher);
    // The producer is idempotent and the broker knows a batch again: nothing is missing, nothing twice, nothing out of order.
    Simulated::of(&flow).assert_complete(INTERVAL);
}

#[test]
fn f08_a_real_broker_that_is_killed_comes_back_with_its_data_and_gets_every_tick_once() {
    let effort = Effort::of_this_run();
    let outage = effort.pick(Duration::from_secs(2), Duration::from_secs(2), Duration::from_secs(30));
    a_broker_that_comes_back((false, ""), RealKafka::kill, outage, effort.pick(1, 2, 5));
}

#[rstest::rstest]
#[case::with_clients_as_they_are("")]
#[case::with_curious_clients(CURIOUS)]
fn f09_a_real_broker_that_restarts_moves_leaders_and_coordinators_without_harm(#[case] properties: &str) {
    let times = Effort::of_this_run().pick(2, 2, 10);
    a_broker_that_comes_back((true, properties), RealKafka::stop, Duration::ZERO, times);
}

#[test]
fn f11_a_killed_simulation_goes_on_at_a_real_broker() {
    let Some(kafka) = RealKafka::start() else { return };
    let flow = Flow::on(Cluster::real(&kafka.bootstrap()), true, FAST);
    let watcher = Watcher::start(&flow.lake());
    for _ in 0..Effort::of_this_run().pick(2, 2, 10) {
        let mut running = flow.program(&["run"]).start();
        flow.until_more_bars(&mut running, 3);
        running.kill();
    }
    let mut running = flow.program(&["run"]).start();
    flow.until_more_bars(&mut running, 3);
    assert_right_at_the_end(&flow, running, watcher);
    Simulated::of(&flow).assert_goes_on();
}
