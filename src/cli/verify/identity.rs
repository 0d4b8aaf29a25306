//! Whether the lake still says whom it belongs to: only that keeps a start on another cluster or group out; and which chains it could
//! have by that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Findings;
use super::chains::ChainSeen;
use super::remedy::Remedy;
use crate::market::checkpoint::TopicPartition;
use crate::storage::{Dataset, Lake, StorageError, layout};

/// How many partitions without a chain are told.
const LIMIT: usize = 1_000;

/// The partitions of a keyed lake's topic that have no chain. Nothing in the lake tells whether they ever had one: of several processes
/// one commits while another has yet to take its share, and may die before it does.
pub fn without_chain(lake: &Lake, chains: &BTreeMap<TopicPartition, ChainSeen>) -> Vec<TopicPartition> {
    let count = lake.identity().ok().flatten().and_then(|identity| identity.partitions()).unwrap_or(0);
    let topics: BTreeSet<_> = chains.keys().map(|partition| &partition.topic).collect();
    let all = topics.into_iter().flat_map(|topic| (0..count).map(|number| TopicPartition::new(topic, number)));
    all.filter(|partition| !chains.contains_key(partition)).take(LIMIT).collect()
}

/// Chains are looked at before: the record is made before the first of them is begun.
///
/// # Errors
/// When the bars' dates cannot be listed.
pub fn check(
    lake: &Lake,
    root: &Path,
    chains: &BTreeMap<TopicPartition, ChainSeen>,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    let path = root.join(layout::IDENTITY);
    match lake.identity() {
        Ok(Some(_)) => {}
        Ok(None) => {
            let has_begun = chains.values().any(|chain| chain.horizon.0 > 0 || !chain.aside.is_empty());
            if has_begun || !lake.dates(Dataset::Bars)?.is_empty() {
                let problem = "is missing, and the lake has bars or chains: nothing says which group, cluster and layout they are of";
                findings.of_file(&path, problem, Remedy::RestoreIdentity);
            }
        }
        Err(error) => findings.unreadable(&path, error, None, Remedy::RestoreIdentity),
    }
    Ok(())
}
