//! Reading, against the embedded broker.

mod kafka_support;
#[path = "kafka_support/tails.rs"]
mod tails;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafka_support::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stockstream::kafka::embedded::EmbeddedBroker;
use stockstream::kafka::publisher::{Outgoing, Publisher};
use stockstream::kafka::source::{FoundLog, LogBounds, RecordSource, SourceError, Start, TakeRefused};
use stockstream::market::checkpoint::{NextOffset, TopicPartition};
use tails::tails;

fn broker(topics: &[&str]) -> (EmbeddedBroker, Publisher) {
    let broker = EmbeddedBroker::start().unwrap();
    topics.iter().for_each(|topic| broker.create_topic(topic, 1).unwrap());
    let publisher = Publisher::connect(&settings(), broker.bootstrap_servers(), None).unwrap();
    (broker, publisher)
}

fn now_millis() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[test]
fn ten_thousand_records_arrive_once_in_order_with_the_wall_clock() {
    let (broker, publisher) = broker(&["t"]);
    let before = now_millis();
    publish_numbers(&publisher, "t", 0..10_000);
    let after = now_millis();
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["t"], from_the_start());
    let partition = TopicPartition::new("t", 0);
    let end = Seen::End(partition.clone(), NextOffset(10_000));
    reader.until(|seen| seen.contains(&end));
    assert_eq!(reader.seen.first(), Some(&Seen::Assigned(partition.clone())));
    assert_eq!(reader.seen.len(), 10_002, "one assignment, the records, one end");
    for (number, seen) in reader.seen[1..10_001].iter().enumerate() {
        let Seen::Record { offset, millis, key, payload, .. } = seen else { panic!("{seen:?}") };
        assert_eq!(*offset, number as i64);
        assert_eq!(payload, format!("payload-{number}").as_bytes());
        assert_eq!(key.as_deref(), Some(b"KEY".as_slice()));
        assert!((before..=after).contains(&millis.unwrap()));
    }
    reader.close();
}

#[test]
fn reading_begins_where_the_caller_says_and_ends_are_told_by_topic() {
    let (broker, publisher) = broker(&["a", "b", "empty"]);
    publish_numbers(&publisher, "a", 0..100);
    publish_numbers(&publisher, "b", 0..100);
    let take = |partition: &TopicPartition, _: &FoundLog| {
        Ok(Start::at(NextOffset(match &*partition.topic {
            "a" => 70,
            "b" => 100,
            _ => 0,
        })))
    };
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["a", "b", "empty"], Box::new(take));
    let [a, b, empty] = ["a", "b", "empty"].map(|topic| TopicPartition::new(topic, 0));
    let ends = [(&a, 100), (&b, 100), (&empty, 0)].map(|(p, next)| Seen::End(p.clone(), NextOffset(next)));
    reader.until(|seen| ends.iter().all(|end| seen.contains(end)));
    assert_eq!(reader.offsets(&a), (70..100).collect::<Vec<_>>());
    assert!(reader.offsets(&b).is_empty() && reader.offsets(&empty).is_empty());
    assert_eq!(reader.source.log_end(&a, PATIENCE), Ok(NextOffset(100)));
    reader.close();
}

#[test]
fn a_start_outside_the_log_is_an_error_and_never_a_skip() {
    let (broker, publisher) = broker(&["good", "gap"]);
    publish_numbers(&publisher, "good", 0..5);
    publish_numbers(&publisher, "gap", 0..5);
    let take = |partition: &TopicPartition, _: &FoundLog| {
        Ok(Start::at(NextOffset(if &*partition.topic == "gap" { 6 } else { 0 })))
    };
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["good", "gap"], Box::new(take));
    let (good, gap) = (TopicPartition::new("good", 0), TopicPartition::new("gap", 0));
    reader.until(|seen| seen.contains(&Seen::End(good.clone(), NextOffset(5))));
    publish_numbers(&publisher, "gap", 5..20);
    publish_numbers(&publisher, "good", 5..20);
    reader.until(|seen| seen.contains(&Seen::End(good.clone(), NextOffset(20))));
    let log = LogBounds { start: NextOffset(0), end: NextOffset(5) };
    let refused = SourceError::OutsideLog { partition: gap.clone(), wanted: NextOffset(6), log };
    assert!(refused.is_fatal() && refused.to_string().contains("0 to 5"));
    assert_eq!(reader.seen.iter().filter(|seen| **seen == Seen::Error(refused.clone())).count(), 1);
    assert!(reader.offsets(&gap).is_empty());
    assert!(!reader.seen.contains(&Seen::Assigned(gap)));
    assert_eq!(reader.offsets(&good), (0..20).collect::<Vec<_>>());
    reader.close();
}

#[test]
fn a_partition_that_is_not_taken_is_not_read_also_not_after_a_resume() {
    let (broker, publisher) = broker(&["t"]);
    publish_numbers(&publisher, "t", 0..5);
    let take = |_: &TopicPartition, _: &FoundLog| Err(TakeRefused::ForGood("the lake is another's".into()));
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["t"], Box::new(take));
    reader.until(|seen| !seen.is_empty());
    reader.source.resume();
    publish_numbers(&publisher, "t", 5..10);
    (0..20).for_each(|_| reader.poll());
    let reason = TakeRefused::ForGood("the lake is another's".into());
    let partition = TopicPartition::new("t", 0);
    assert_eq!(reader.seen, [Seen::Error(SourceError::Refused { partition, reason })]);
    reader.close();
}

#[test]
fn what_the_broker_dropped_unread_is_an_error() {
    let (broker, publisher) = broker(&["t"]);
    let payload = vec![b'x'; 10_000];
    for _ in 0..1_000 {
        publish(&publisher, &Outgoing { topic: "t", partition: Some(0), key: b"K", payload: &payload });
    }
    publisher.flush(PATIENCE).unwrap();
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["t"], from_the_start());
    reader.until(|seen| !seen.is_empty());
    let Seen::Error(SourceError::OutsideLog { log, .. }) = &reader.seen[0] else { panic!("{:?}", reader.seen[0]) };
    assert!(log.start.0 > 0 && log.end.0 == 1_000, "{log}");
    reader.close();
}

#[test]
fn a_pause_stops_the_records_and_a_resume_goes_on_after_the_last_one() {
    let (broker, publisher) = broker(&["t"]);
    publish_numbers(&publisher, "t", 0..3_000);
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["t"], from_the_start());
    let partition = TopicPartition::new("t", 0);
    let seen = &mut reader.seen;
    let deadline = Instant::now() + PATIENCE;
    while seen.len() < 500 && Instant::now() < deadline {
        reader.source.poll(7, Duration::from_millis(50), &mut |event| seen.push(event.into()));
    }
    reader.source.pause();
    let before = reader.seen.len();
    (0..10).for_each(|_| reader.poll());
    assert_eq!(reader.seen.len(), before);
    reader.source.resume();
    let end = Seen::End(partition.clone(), NextOffset(3_000));
    reader.until(|seen| seen.contains(&end));
    assert_eq!(reader.offsets(&partition), (0..3_000).collect::<Vec<_>>());

    // An end that a pause threw away is told again.
    reader.source.pause();
    reader.seen.clear();
    reader.source.resume();
    reader.until(|seen| seen.contains(&end));
    assert!(reader.offsets(&partition).is_empty());
    reader.close();
}

#[test]
fn a_partition_that_is_assigned_during_a_pause_waits_for_the_resume() {
    let (broker, publisher) = broker(&["t"]);
    publish_numbers(&publisher, "t", 0..100);
    let mut reader = Reader::new(&settings(), broker.bootstrap_servers(), &["t"], from_the_start());
    reader.source.pause();
    let partition = TopicPartition::new("t", 0);
    reader.until(|seen| seen.contains(&Seen::Assigned(partition.clone())));
    (0..10).for_each(|_| reader.poll());
    assert_eq!(reader.seen.len(), 1, "{:?}", reader.seen);
    reader.source.resume();
    reader.until(|seen| seen.contains(&Seen::End(partition.clone(), NextOffset(100))));
    assert_eq!(reader.offsets(&partition), (0..100).collect::<Vec<_>>());
    reader.close();
}

#[test]
fn a_restarted_partition_begins_anew_and_the_others_do_not_notice_cooperatively() {
    a_restarted_partition_begins_anew("cooperative-sticky");
}

#[test]
fn a_restarted_partition_begins_anew_and_the_others_do_not_notice_by_ranges() {
    a_restarted_partition_begins_anew("range");
}

/// Again and again, with records of the old position fetched already, and with everything paused now and then.
fn a_restarted_partition_begins_anew(strategy: &str) {
    const RECORDS: i64 = 20_000;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut settings = settings();
    settings.properties.insert("partition.assignment.strategy".into(), strategy.into());
    let (broker, publisher) = broker(&["again", "other"]);
    ["again", "other"].iter().for_each(|topic| publish_numbers(&publisher, topic, 0..RECORDS));
    let [again, other] = ["again", "other"].map(|topic| TopicPartition::new(topic, 0));
    let start = Arc::new(AtomicI64::new(0));
    let (wanted, from) = (again.clone(), start.clone());
    let take = move |partition: &TopicPartition, _: &FoundLog| {
        Ok(Start::at(NextOffset(if *partition == wanted { from.load(Ordering::SeqCst) } else { 0 })))
    };
    let mut reader = Reader::new(&settings, broker.bootstrap_servers(), &["again", "other"], Box::new(take));
    reader.until(|seen| seen.iter().any(|seen| matches!(seen, Seen::Record { .. })));
    for restart in 0..25 {
        let read = reader.offsets(&again);
        let position = read.last().map_or(0, |last| last + 1);
        start.store(random.random_range(0..=position), Ordering::SeqCst);
        let paused = random.random_bool(0.3);
        reader.source.hold(&again);
        if paused {
            reader.source.pause();
        }
        if random.random_bool(0.5) {
            (0..3).for_each(|_| reader.poll());
            assert_eq!(reader.offsets(&again), read, "seed {seed}, {restart}: nothing while it is held");
        }
        reader.source.restart(&again).unwrap();
        if paused {
            reader.poll();
            reader.source.resume();
        }
        let more = random.random_range(1..1_500);
        let first = start.load(Ordering::SeqCst);
        let end = (first + more).min(RECORDS);
        let begun = read.len();
        let deadline = Instant::now() + PATIENCE;
        while reader.offsets(&again).len() < begun + usize::try_from(end - first).unwrap() {
            assert!(Instant::now() < deadline, "seed {seed}, {restart}: {:?}", &reader.offsets(&again)[begun..]);
            let seen = &mut reader.seen;
            reader.source.poll(200, Duration::from_millis(50), &mut |event| seen.push(event.into()));
        }
        let read = reader.offsets(&again);
        let new = &read[begun..];
        assert_eq!(new, (first..first + new.len() as i64).collect::<Vec<_>>(), "seed {seed}, {restart}");
    }
    let ends = [&again, &other].map(|partition| Seen::End(partition.clone(), NextOffset(RECORDS)));
    reader.until(|seen| ends.iter().all(|end| seen.contains(end)));
    assert_eq!(reader.offsets(&other), (0..RECORDS).collect::<Vec<_>>());
    assert_eq!(owned(&reader.seen).len(), 2, "assigned once and never revoked");
    reader.close();
}

#[test]
fn two_members_share_the_partitions_cooperatively() {
    two_members_share_the_partitions("cooperative-sticky");
}

#[test]
fn two_members_share_the_partitions_by_ranges() {
    two_members_share_the_partitions("range");
}

/// Most of its time the mock cluster waits for members.
fn two_members_share_the_partitions(strategy: &str) {
    let mut settings = settings();
    settings.properties.insert("partition.assignment.strategy".into(), strategy.into());
    settings.properties.insert("heartbeat.interval.ms".into(), "500".into());
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("keyed", 4).unwrap();
    let mut first = Reader::new(&settings, broker.bootstrap_servers(), &["keyed"], from_the_start());
    first.until(|seen| owned(seen).len() == 4);
    let mut second = Reader::new(&settings, broker.bootstrap_servers(), &["keyed"], from_the_start());
    let deadline = Instant::now() + PATIENCE;
    while owned(&first.seen).len() != 2 || owned(&second.seen).len() != 2 {
        assert!(Instant::now() < deadline, "{:?} {:?}", first.seen, second.seen);
        first.poll();
        second.poll();
    }
    assert!(owned(&first.seen).is_disjoint(&owned(&second.seen)));
    second.close();
    first.until(|seen| owned(seen).len() == 4);
    first.close();
}

/// What a member has after these events, which must fit together.
fn owned(seen: &[Seen]) -> BTreeSet<TopicPartition> {
    let mut owned = BTreeSet::new();
    for event in seen {
        match event {
            Seen::Assigned(partition) => assert!(owned.insert(partition.clone()), "{partition} was assigned twice"),
            Seen::Revoked(partition) => assert!(owned.remove(partition), "{partition} was not assigned"),
            Seen::Record { partition, .. } => assert!(owned.contains(partition), "{partition} is not assigned"),
            Seen::End(..) | Seen::Error(_) => {}
        }
    }
    owned
}

#[test]
fn the_newest_records_of_all_partitions_are_found() {
    let (broker, publisher) = broker(&["t", "u", "empty"]);
    publish_numbers(&publisher, "t", 0..50);
    publish_numbers(&publisher, "u", 0..1);
    let places = ["empty", "t", "u", "none"];
    let tails =
        |max| tails(&settings(), broker.bootstrap_servers(), places.map(|topic| TopicPartition::new(topic, 0)), max);
    let payload = |number: i64| format!("payload-{number}").into_bytes();
    assert_eq!(tails(2), [vec![], vec![payload(48), payload(49)], vec![payload(0)], vec![]]);
    assert_eq!(tails(1000).map(|tail| tail.len()), [0, 50, 1, 0]);
}

#[test]
fn the_newest_records_are_asked_for_all_partitions_at_once() {
    const TOPICS: usize = 100;
    let topics: [String; TOPICS] = std::array::from_fn(|number| format!("t{number:02}"));
    let (broker, publisher) = broker(&topics.each_ref().map(String::as_str));
    topics.iter().for_each(|topic| publish_numbers(&publisher, topic, 0..20));
    let began = Instant::now();
    let found = tails(&settings(), broker.bootstrap_servers(), topics.map(|topic| TopicPartition::new(&topic, 0)), 10);
    assert_eq!(found.map(|tail| tail.len()), [10; TOPICS]);
    // One after the other they took ten seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
