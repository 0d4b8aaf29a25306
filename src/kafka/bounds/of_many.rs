//! The bounds of many logs, asked with two questions a broker for all of them.
//!
//! `rd_kafka_offsets_for_times` takes the two ends of a log in the place of a time. It tells an error for the partition that has it, or
//! nothing at all, so that here no answer has to be confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::{MOMENT, TRY, is_described, is_missing};
use crate::kafka::client_log::QuietContext;
use crate::kafka::source::LogBounds;
use crate::market::checkpoint::{NextOffset, TopicPartition};

/// A partition, one of perhaps several, whose bounds nobody told in time.
#[derive(Debug)]
pub(in crate::kafka) struct Untold {
    pub partition: TopicPartition,
    pub reason: String,
}

/// Asks until the deadline; partitions that there are not are left out.
///
/// # Errors
/// The last one.
pub(in crate::kafka) fn fetch_those_there(
    deadline: Instant,
    consumer: &BaseConsumer<QuietContext>,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, LogBounds>, Untold> {
    let Some(any) = partitions.first() else { return Ok(BTreeMap::new()) };
    // Waits for the connection, without which the questions below go to nobody, and are repeated after a tenth of a second.
    let _asked_for_below = consumer.fetch_metadata(Some(&any.topic), TRY.min(left(deadline)));
    let starts = ask_until(deadline, consumer, partitions, Offset::Beginning)?;
    // Afterwards: so no end is before its start.
    let ends = ask_until(deadline, consumer, &starts.keys().cloned().collect(), Offset::End)?;
    let bounds = ends.into_iter().map(|(partition, end)| {
        let start = starts[&partition];
        (partition, LogBounds { start, end })
    });
    Ok(bounds.collect())
}

fn ask_until(
    deadline: Instant,
    consumer: &BaseConsumer<QuietContext>,
    partitions: &BTreeSet<TopicPartition>,
    which: Offset,
) -> Result<BTreeMap<TopicPartition, NextOffset>, Untold> {
    let (mut told, mut open) = (BTreeMap::new(), partitions.clone());
    let mut reason = String::from("no answer");
    while let Some(first) = open.first() {
        if left(deadline).is_zero() {
            return Err(Untold { partition: first.clone(), reason });
        }
        match ask(deadline, consumer, &open, which) {
            Ok(answers) => {
                for element in answers.elements() {
                    let partition = TopicPartition::new(element.topic(), element.partition());
                    match answer(&element) {
                        Answer::Told(offset) => _ = (open.remove(&partition), told.insert(partition, offset)),
                        Answer::Missing => _ = open.remove(&partition),
                        Answer::NotYet(why) => reason = why,
                    }
                }
            }
            // Of no partition is a leader known: of one, the topic's own description tells why.
            Err(error) if is_missing(&error) => match is_described(deadline, consumer.client(), first) {
                Ok(true) => reason = String::from("it has no leader"),
                Ok(false) => {
                    let first = first.clone();
                    open.remove(&first);
                    continue;
                }
                Err(error) => reason = error.to_string(),
            },
            Err(error) => reason = error.to_string(),
        }
        if !open.is_empty() {
            thread::sleep(MOMENT);
        }
    }
    Ok(told)
}

fn ask(
    deadline: Instant,
    consumer: &BaseConsumer<QuietContext>,
    partitions: &BTreeSet<TopicPartition>,
    which: Offset,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for TopicPartition { topic, partition } in partitions {
        list.add_partition_offset(topic, *partition, which)?;
    }
    consumer.offsets_for_times(list, TRY.min(left(deadline)))
}

enum Answer {
    Told(NextOffset),
    Missing,
    NotYet(String),
}

fn answer(element: &TopicPartitionListElem<'_>) -> Answer {
    match (element.error(), element.offset()) {
        (Ok(()), Offset::Offset(offset)) => Answer::Told(NextOffset(offset)),
        (Err(error), _) if is_missing(&error) => Answer::Missing,
        (Err(error), _) => Answer::NotYet(error.to_string()),
        (Ok(()), _) => Answer::NotYet(String::from("no answer")),
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    #[test]
    fn all_that_are_there_are_told_whoever_leads_them_and_whatever_fails_once() {
        let broker = MockCluster::new(3).unwrap();
        broker.create_topic("t", 4, 1).unwrap();
        broker.create_topic("empty", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers()).set("group.id", "g");
        let producer: BaseProducer = config.create().unwrap();
        for number in 0..10 {
            let record = BaseRecord::<(), [u8]>::to("t").partition(number % 4).payload(b"x".as_slice());
            producer.send(record).unwrap();
        }
        producer.flush(Duration::from_secs(60)).unwrap();
        let consumer: BaseConsumer<QuietContext> = config.create_with_context(QuietContext::default()).unwrap();
        let partitions: BTreeSet<_> =
            [("t", 0), ("t", 1), ("t", 2), ("t", 3), ("t", 9), ("empty", 0), ("none", 0)].map(of).into();
        let ends = [("empty", 0, 0), ("t", 0, 3), ("t", 1, 3), ("t", 2, 2), ("t", 3, 2)];
        let wanted: BTreeMap<_, _> = ends
            .map(|(topic, number, end)| (of((topic, number)), LogBounds { start: NextOffset(0), end: NextOffset(end) }))
            .into();
        let deadline = Instant::now() + Duration::from_secs(60);
        for _ in 0..3 {
            let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION];
            broker.request_errors(RDKafkaApiKey::ListOffsets, &errors);
            assert_eq!(fetch_those_there(deadline, &consumer, &partitions).unwrap(), wanted);
        }
        let missing = [("none", 0), ("t", 9)].map(of).into();
        assert_eq!(fetch_those_there(deadline, &consumer, &missing).unwrap(), BTreeMap::new());
    }

    fn of((topic, number): (&str, i32)) -> TopicPartition {
        TopicPartition::new(topic, number)
    }
}
