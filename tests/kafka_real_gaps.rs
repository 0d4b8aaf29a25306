//! What only a real Apache Kafka does to a log: retention overtakes the resume offset, a topic is deleted and made anew.
//!
//! Runs when `STOCKSTREAM_TEST_KAFKA` holds a bootstrap address, as in `kafka_real.rs`; else each test says that it was skipped, or
//! fails if `STOCKSTREAM_REQUIRE_KAFKA=1`.

mod support;

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustix::process::Signal;
use serde_json::Value;
use stockstream::market::checkpoint::{Checkpoint, TopicPartition};
use support::cluster::Cluster;
use support::flow::Flow;
use support::lake::{assert_same, bars, checkpoints, commits};
use support::program::{PATIENCE, Program};
use support::skip::real_kafka;
use support::ticks::START;

/// A stock's topic on a real broker, and a lake of it.
struct RealFlow {
    flow: Flow,
    run: String,
    published: i64,
}

impl RealFlow {
    /// With names that no other run uses; `None`: skip.
    fn new() -> Option<Self> {
        let bootstrap = real_kafka("STOCKSTREAM_TEST_KAFKA")?;
        let flow = Flow::on(Cluster::real(&bootstrap), false, "[producer]\nenabled = false\n");
        let run = format!("test_{:08x}", rand::random::<u32>());
        let this = Self { flow, run, published: 0 };
        // Makes the topics.
        this.program(&["run", "--until-end"]).run().summary();
        Some(this)
    }

    fn program(&self, arguments: &[&str]) -> Program {
        let run = &self.run;
        self.flow
            .program(arguments)
            .env("STOCKSTREAM__KAFKA__TOPIC_TEMPLATE", &format!("{run}.{{symbol}}"))
            .env("STOCKSTREAM__KAFKA__GROUP_ID", run)
            .env("STOCKSTREAM__KAFKA__DEAD_LETTER_TOPIC", &format!("{run}_dead"))
    }

    fn partition(&self) -> TopicPartition {
        TopicPartition::new(&format!("{}.AAPL", self.run), 0)
    }

    /// A tick every ten seconds.
    fn publish(&mut self, ticks: i64) {
        let topic = self.partition().topic;
        for number in self.published..self.published + ticks {
            let line = format!("{},AAPL,{}.5", START + number * 10_000_000, 100 + number % 7);
            self.flow.cluster.publish(&topic, 0, [line.as_bytes()]);
        }
        self.flow.cluster.flush();
        self.published += ticks;
        self.flow.keep_log(&self.partition());
    }

    fn checkpoint(&self) -> Checkpoint {
        checkpoints(&self.flow.lake()).remove(&self.partition()).unwrap()
    }

    /// Moves the start of the log, as retention does.
    async fn delete_below(&self, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.partition().topic, 0, Offset::Offset(offset)).unwrap();
        self.admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", self.flow.cluster.bootstrap()).create().unwrap()
    }
}

#[rstest::rstest]
#[case::beyond_what_was_read(250)]
#[case::to_the_midst_of_what_was_read(150)]
#[actix::test]
async fn f13_retention_that_overtakes_the_resume_offset_is_refused_or_recorded(#[case] log_start: i64) {
    let Some(mut real) = RealFlow::new() else { return };
    real.publish(200);
    real.program(&["run", "--until-end"]).run().summary();
    let before = real.checkpoint();
    assert!((1..150).contains(&before.resume.0) && before.cut.0 == 200, "{before:?}");
    real.publish(200);
    real.delete_below(log_start).await;

    let refused = real.program(&["run", "--until-end"]).run();
    let [resume, lost] = [before.resume.0, log_start - before.resume.0];
    let said = [format!("from offset {resume}"), format!("begins at {log_start}"), format!("{lost} records")];
    refused.refused(1, &[&said[0], &said[1], &said[2], "kafka.on_gap = \"record\""]);
    assert_eq!(real.checkpoint(), before, "the lake is as it was");

    let recorded = real.program(&["run", "--until-end"]).env("STOCKSTREAM__KAFKA__ON_GAP", "record").run();
    assert!(recorded.stderr.contains("the lake records the gap"), "{}", recorded.stderr);
    recorded.summary();
    let gaps = real.checkpoint().gaps;
    assert_eq!(
        gaps.iter().map(|gap| [gap.from.0, gap.cut.0, gap.to.0]).collect::<Vec<_>>(),
        [[resume, 200, log_start]]
    );
    assert_eq!(gaps[0].open_ticks_lost, Some((log_start.min(200) - resume).unsigned_abs()));
    real.flow.assert_lake_is_right();

    real.publish(300);
    assert!(real.program(&["run", "--until-end"]).run().summary().bars > 0);
    real.flow.assert_lake_is_right();

    // What the log no longer gives is not held against the lake, and the rest is.
    let verified = real.program(&["verify", "--against-log"]).run();
    assert_eq!(verified.code, Some(0), "{}\n{}", verified.stdout, verified.stderr);
    let report: Value = serde_json::from_str(verified.stdout.lines().last().unwrap()).unwrap();
    let count = |name: &str| report["against_log"][name].as_u64().unwrap();
    assert!(count("compared") > 0 && count("not_covered") > 0, "{report}");
}

#[rstest::rstest]
#[case::and_is_refused("stop", "cooperative-sticky")]
#[case::and_is_recorded("record", "cooperative-sticky")]
#[case::and_is_recorded_by_ranges("record", "range")]
#[actix::test]
async fn f13_retention_overtakes_the_reading(#[case] on_gap: &str, #[case] strategy: &str) {
    let Some(mut real) = RealFlow::new() else { return };
    real.publish(200);
    let before = commits(&real.flow.lake());
    let strategy = format!("{{ \"partition.assignment.strategy\" = \"{strategy}\" }}");
    let run = real.program(&["run"]).env("STOCKSTREAM__KAFKA__ON_GAP", on_gap);
    let mut running = run.env("STOCKSTREAM__KAFKA__PROPERTIES", &strategy).start();
    let lake = real.flow.lake();
    running.until("the ticks are read", || commits(&lake) > before + 4);
    running.signal(Signal::STOP);
    // The broker answers the question that is waiting for records with the first; what follows is not asked for yet.
    real.publish(1);
    real.publish(199);
    real.delete_below(300).await;
    running.signal(Signal::CONT);
    running.until_said("no longer holds offset", 1);
    if on_gap == "stop" {
        running.end().refused(1, &["begins at 300", "kafka.on_gap = \"record\""]);
        let resume = real.checkpoint().resume;
        let refused = real.program(&["run", "--until-end"]).run();
        refused.refused(1, &[&format!("from offset {resume}"), "begins at 300"]);
        real.program(&["run", "--until-end"]).env("STOCKSTREAM__KAFKA__ON_GAP", "record").run().summary();
    } else {
        running.until_said("the lake records the gap", 1);
        running.until("bars come from behind the gap", || checkpoints(&lake)[&real.partition()].cut.0 > 300);
        running.signal(Signal::TERM);
        running.end().summary();
    }
    assert_eq!(real.checkpoint().gaps.iter().map(|gap| gap.to.0).collect::<Vec<_>>(), [300]);
    real.flow.assert_lake_is_right();
}

#[rstest::rstest]
#[case::with_as_many_records(200, 0)]
#[case::with_fewer_records(50, 0)]
#[case::that_begins_above_what_was_read(400, 250)]
#[actix::test]
async fn f14_a_topic_that_is_deleted_and_made_anew_is_refused(#[case] ticks: i64, #[case] log_start: i64) {
    let Some(mut real) = RealFlow::new() else { return };
    real.publish(200);
    real.program(&["run", "--until-end"]).run().summary();
    let (before, old_bars) = (real.checkpoint(), bars(&real.flow.lake()));
    make_anew(&real).await;
    // Other prices: the second log is not the first.
    real.published = 1;
    real.publish(ticks);
    real.delete_below(log_start).await;
    for on_gap in ["stop", "record"] {
        let refused = real.program(&["run", "--until-end"]).env("STOCKSTREAM__KAFKA__ON_GAP", on_gap).run();
        refused.refused(1, &["deleted and made anew", "use another topic", "another lake directory"]);
        let after = real.checkpoint();
        assert_eq!((after.counters, after.cut, after.gaps), (before.counters, before.cut, vec![]), "{on_gap}");
    }
    assert_same("bars", &bars(&real.flow.lake()), &old_bars);
}

/// The new topic has more records than were read of the old one before anybody looks: its offsets say nothing.
#[actix::test]
async fn f14_a_topic_that_is_made_anew_while_it_is_read_ends_the_process_and_is_refused_from_then_on() {
    let Some(mut real) = RealFlow::new() else { return };
    real.publish(200);
    let mut running = real.program(&["run"]).start();
    let lake = real.flow.lake();
    running.until("the ticks are read", || checkpoints(&lake)[&real.partition()].cut.0 == 200);
    running.signal(Signal::STOP);
    make_anew(&real).await;
    real.published = 1;
    real.publish(400);
    running.signal(Signal::CONT);
    running.end().refused(1, &["was deleted and made anew while it was being read", "verify --against-log"]);
    real.program(&["run", "--until-end"]).run().refused(1, &["deleted and made anew", "another lake directory"]);
    let verified = real.program(&["verify", "--against-log"]).run();
    assert_eq!(verified.code, Some(3), "{}\n{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("the topic was made anew"), "{}", verified.stdout);
}

/// A broker needs a while to delete a topic.
async fn make_anew(real: &RealFlow) {
    let topic = real.partition().topic;
    let (admin, options) = (real.admin(), AdminOptions::new());
    admin.delete_topics(&[&topic], &options).await.unwrap()[0].as_ref().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let anew = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
        match &admin.create_topics([&anew], &options).await.unwrap()[0] {
            Ok(_) => return,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
