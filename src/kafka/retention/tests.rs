use super::*;
use crate::kafka::embedded::EmbeddedBroker;

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

/// One look at logs of which nothing is known but their bounds.
fn look(
    needed: &NeededOffsets,
    bounds_of: impl Fn(&TopicPartition) -> Result<(i64, i64), KafkaError>,
) -> Option<NearestLoss> {
    let unlimited = |asked: &TopicPartition| Ok((bounds_of(asked)?, RetentionLimits::default()));
    nearest(needed, &mut StandingStill::default(), Duration::ZERO, unlimited)
}

/// Partition n needs offset 100 x n.
fn needed(partitions: i32) -> NeededOffsets {
    let needed = NeededOffsets::default();
    (1..=partitions).for_each(|n| needed.begin(&partition(n), NextOffset(i64::from(n) * 100), None));
    needed
}

#[test]
fn the_partition_with_the_least_left_is_told_and_how_many_are_near() {
    let found = look(&needed(3), |_| Ok((90, 1_000))).unwrap();
    assert_eq!((found.partition, found.distance.offsets_left(), found.near), (partition(1), 10, 2));
    let found = look(&needed(3), |_| Ok((0, 1_000))).unwrap();
    assert_eq!((found.partition, found.near), (partition(1), 0));
}

#[test]
fn an_offset_that_has_been_needed_for_half_of_what_the_topic_keeps_is_near() {
    let (needed, mut still) = (needed(1), StandingStill::default());
    let day = RetentionLimits { age: Some(Duration::from_secs(86_400)), bytes: None };
    let near = [0, 11, 13].map(|hours| {
        let now = Duration::from_secs(hours * 3_600);
        nearest(&needed, &mut still, now, |_| Ok(((0, 1_000), day))).unwrap().near
    });
    assert_eq!(near, [0, 0, 1]);
}

#[test]
fn without_partitions_or_answers_there_is_nothing_to_tell() {
    let needed = needed(1);
    assert_eq!(look(&needed, |_| Err(KafkaError::Canceled)), None);
    needed.forget(&partition(1));
    assert_eq!(look(&needed, |_| Ok((90, 1_000))), None);
}

#[test]
fn a_partition_that_goes_meanwhile_is_not_told() {
    let needed = needed(2);
    let found = look(&needed, |asked| {
        needed.forget(&partition(1));
        Ok(if *asked == partition(1) { (999, 1_000) } else { (50, 1_000) })
    });
    assert_eq!(found.map(|found| found.partition), Some(partition(2)));
}

#[test]
fn the_watch_asks_the_broker_and_ends_with_its_owner() {
    let settings = crate::kafka::testing::settings();
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 2).unwrap();
    let (tell, told) = mpsc::channel();
    let report = Box::new(move |nearest| tell.send(nearest).unwrap_or_default());
    let (often, address) = (Duration::from_millis(10), broker.bootstrap_servers());
    let watch = RetentionWatch::start(&settings, address, needed(1), often, report).unwrap();
    let Seen::Nearest(nearest) = told.recv_timeout(Duration::from_secs(60)).unwrap() else { panic!("made anew") };
    let NearestLoss { partition: of, distance, near } = nearest;
    assert_eq!((of, near, distance.needed_for), (partition(1), 0, Duration::ZERO));
    assert_eq!(
        (distance.log_start, distance.log_end, distance.resume),
        (NextOffset(0), NextOffset(0), NextOffset(100))
    );
    drop(watch);
    while told.recv_timeout(Duration::from_secs(60)).is_ok() {}
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected));
}

#[test]
fn a_warning_is_not_repeated_at_once() {
    let near = look(&needed(1), |_| Ok((90, 1_000))).unwrap();
    let mut quiet_until = Instant::now();
    say(&near, &mut quiet_until, RAISE);
    let first = quiet_until;
    assert!(first > Instant::now());
    say(&near, &mut quiet_until, RAISE);
    assert_eq!(quiet_until, first);
}

#[test]
fn a_topic_with_another_id_is_made_anew_and_one_of_which_nobody_tells_is_not() {
    let needed = NeededOffsets::default();
    let id = TopicId::new;
    needed.begin(&TopicPartition::new("a", 0), NextOffset(1), Some(id("1")));
    needed.begin(&TopicPartition::new("b", 0), NextOffset(1), None);
    needed.set(&TopicPartition::new("a", 0), NextOffset(7));
    let told = |ids: &[(&str, &str)]| {
        needed.made_anew(&ids.iter().map(|(topic, of)| (String::from(*topic), id(of))).collect())
    };
    assert_eq!(told(&[("a", "1"), ("b", "2")]), None);
    assert_eq!(told(&[]), None);
    assert_eq!(told(&[("a", "2")]), Some(MadeAnew { topic: String::from("a") }));
}
