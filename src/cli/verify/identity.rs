//! Whether the lake still says whom it belongs to: only that keeps a start on another cluster or group out.

use std::collections::BTreeMap;
use std::path::Path;

use super::Findings;
use super::chains::ChainSeen;
use super::remedy::Remedy;
use crate::market::checkpoint::TopicPartition;
use crate::storage::{Lake, layout};

/// Chains are looked at before: the record is made before the first of them is begun.
pub fn check(lake: &Lake, root: &Path, chains: &BTreeMap<TopicPartition, ChainSeen>, findings: &mut Findings) {
    let path = root.join(layout::IDENTITY);
    match lake.identity() {
        Ok(Some(_)) => {}
        Ok(None) => {
            let has_begun = chains.values().any(|chain| chain.horizon.0 > 0 || !chain.aside.is_empty());
            if has_begun {
                let problem =
                    "is missing, and the lake has chains: nothing says which group, cluster and layout they are of";
                findings.of_file(&path, problem, Remedy::RestoreIdentity);
            }
        }
        Err(error) => findings.unreadable(&path, error, None, Remedy::RestoreIdentity),
    }
}
