//! Where a partition's log begins and ends.
//!
//! `rd_kafka_query_watermark_offsets` asks a broker twice, for the start and for the end. When the first answer is an error (the leader
//! is moving) and the second one comes together with it, librdkafka 2.12 forgets the error and tells the end as the start too: as if
//! everything had been deleted. So a log counts as empty only when it is said several times.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use super::client_log::QuietContext;
use super::source::LogBounds;
use crate::market::checkpoint::{NextOffset, TopicPartition};

pub(super) mod of_many;

/// How often a log must be said to be empty. A leader would have to move between both questions each time.
const TIMES: usize = 3;

/// A pause between two tries.
const MOMENT: Duration = Duration::from_millis(50);
/// For one try: no broker may have known the leader.
const TRY: Duration = Duration::from_secs(5);

/// Whether the brokers say that there is no such partition.
fn is_missing(error: &KafkaError) -> bool {
    let unknown = [Code::UnknownTopicOrPartition, Code::UnknownTopic, Code::UnknownPartition];
    error.rdkafka_error_code().is_some_and(|code| unknown.contains(&code))
}

/// Asks until the deadline for a partition that there must be: a leader may be moving at this very moment.
///
/// # Errors
/// The last one.
pub(super) fn fetch_until(
    deadline: Instant,
    client: &Client<QuietContext>,
    partition: &TopicPartition,
) -> KafkaResult<LogBounds> {
    ask_until(deadline, client, partition, |_| false)
}

/// The same for one that there may not be: then `None`, once the topic's own description says so. The client alone says that it does not know
/// a partition also where it has only not been told yet.
///
/// # Errors
/// The last one.
pub(super) fn fetch_if_there(
    deadline: Instant,
    client: &Client<QuietContext>,
    partition: &TopicPartition,
) -> KafkaResult<Option<LogBounds>> {
    let mut is_told_missing = false;
    let bounds = ask_until(deadline, client, partition, |error| {
        is_told_missing = is_missing(error) && is_described(deadline, client, partition) == Ok(false);
        is_told_missing
    });
    if is_told_missing { Ok(None) } else { bounds.map(Some) }
}

/// Whether the brokers describe the topic with this partition.
fn is_described(
    deadline: Instant,
    client: &Client<QuietContext>,
    TopicPartition { topic, partition }: &TopicPartition,
) -> KafkaResult<bool> {
    let left = deadline.saturating_duration_since(Instant::now()).clamp(MOMENT, TRY);
    let described = client.fetch_metadata(Some(topic), left)?;
    let mut partitions = described.topics().iter().flat_map(|topic| topic.partitions());
    Ok(partitions.any(|described| described.id() == *partition))
}

fn ask_until(
    deadline: Instant,
    client: &Client<QuietContext>,
    TopicPartition { topic, partition }: &TopicPartition,
    mut is_final: impl FnMut(&KafkaError) -> bool,
) -> KafkaResult<LogBounds> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).clamp(MOMENT, TRY);
        match fetch(client, topic, *partition, left) {
            Ok((start, end)) => return Ok(LogBounds { start: NextOffset(start), end: NextOffset(end) }),
            Err(error) if is_final(&error) || Instant::now() >= deadline => return Err(error),
            Err(_) => thread::sleep(MOMENT),
        }
    }
}

/// The first offset, and the one behind the last. Each question blocks up to `timeout`.
///
/// # Errors
/// When no broker answers in time, or there is no such partition.
pub(super) fn fetch(
    client: &Client<QuietContext>,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> KafkaResult<(i64, i64)> {
    confirmed(|| ask(client, topic, partition, timeout))
}

/// The same, as it is told the first time: the end is right.
///
/// # Errors
/// As above.
pub(super) fn ask(
    client: &Client<QuietContext>,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> KafkaResult<(i64, i64)> {
    client.fetch_watermarks(topic, partition, timeout).inspect_err(|_| {
        let lost = &client.context().lost;
        lost.suspect();
        lost.find_again(client);
    })
}

fn confirmed<E>(mut ask: impl FnMut() -> Result<(i64, i64), E>) -> Result<(i64, i64), E> {
    let mut bounds = ask()?;
    for _ in 1..TIMES {
        let (start, end) = bounds;
        // Nothing was ever written, or the start was told.
        if end == 0 || start < end {
            break;
        }
        bounds = ask()?;
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of these answers, and how many were asked for.
    fn of(answers: &[Result<(i64, i64), &'static str>]) -> (Result<(i64, i64), &'static str>, usize) {
        let mut asked = 0;
        let bounds = confirmed(|| {
            asked += 1;
            answers[asked - 1]
        });
        (bounds, asked)
    }

    #[test]
    fn a_start_that_was_told_is_believed_at_once() {
        assert_eq!(of(&[Ok((3, 9))]), (Ok((3, 9)), 1));
        assert_eq!(of(&[Ok((0, 0))]), (Ok((0, 0)), 1));
    }

    #[test]
    fn an_end_that_was_told_as_the_start_is_not_believed() {
        assert_eq!(of(&[Ok((9, 9)), Ok((3, 9))]), (Ok((3, 9)), 2));
        assert_eq!(of(&[Ok((9, 9)), Ok((11, 11)), Ok((3, 12))]), (Ok((3, 12)), 3));
    }

    #[test]
    fn a_log_that_is_empty_is_so_every_time() {
        assert_eq!(of(&[Ok((9, 9)), Ok((9, 9)), Ok((9, 9))]), (Ok((9, 9)), 3));
    }

    #[test]
    fn an_error_is_told() {
        assert_eq!(of(&[Ok((9, 9)), Err("gone")]), (Err("gone"), 2));
    }

    #[test]
    fn an_error_in_the_place_of_the_start_is_not_taken_for_an_empty_log() {
        use rdkafka::ClientConfig;
        use rdkafka::admin::AdminClient;
        use rdkafka::mocking::MockCluster;
        use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
        use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
        let broker = MockCluster::new(1).unwrap();
        broker.create_topic("t", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers());
        let client: BaseProducer = config.create().unwrap();
        let asker: AdminClient<QuietContext> = config.create_with_context(QuietContext::default()).unwrap();
        for _ in 0..10 {
            client.send(BaseRecord::<(), [u8]>::to("t").partition(0).payload(b"x".as_slice())).unwrap();
        }
        let patience = Duration::from_secs(60);
        client.flush(patience).unwrap();
        for _ in 0..20 {
            let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION];
            broker.request_errors(RDKafkaApiKey::ListOffsets, &errors);
            match fetch(asker.inner(), "t", 0, patience) {
                Ok(bounds) => assert_eq!(bounds, (0, 10)),
                Err(error) => println!("told, and for the caller to ask again: {error}"),
            }
        }
    }
}
