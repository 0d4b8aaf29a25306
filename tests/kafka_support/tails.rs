//! Ends of partitions, for those who look at them.

use std::collections::BTreeMap;

use stockstream::kafka::tail::read_tails;
use stockstream::market::checkpoint::TopicPartition;
use stockstream::settings::KafkaSettings;

/// The payloads of the newest records of each of these partitions.
pub fn tails<const N: usize>(
    settings: &KafkaSettings,
    bootstrap: &str,
    partitions: [TopicPartition; N],
    max: usize,
) -> [Vec<Vec<u8>>; N] {
    let mut tails: BTreeMap<TopicPartition, Vec<Vec<u8>>> = BTreeMap::new();
    read_tails(settings, bootstrap, &partitions.iter().cloned().collect(), max, &mut |partition, payload| {
        tails.entry(partition.clone()).or_default().push(payload.to_vec());
    })
    .unwrap();
    partitions.map(|partition| tails.remove(&partition).unwrap_or_default())
}
