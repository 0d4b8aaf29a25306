//! How long and how much of a topic its brokers keep, as they say themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use tracing::debug;

use super::PATIENCE;
use crate::kafka::client_log::QuietContext;
use crate::kafka::wait::wait_for;
use crate::market::retention::RetentionLimits;
use crate::settings::{KafkaMode, KafkaSettings};

/// What topics are created with, and so what is taken for theirs where no broker tells. `None` on the embedded broker: there it is none
/// of what a topic can say.
pub(super) fn of_settings(settings: &KafkaSettings) -> Option<RetentionLimits> {
    let limits = RetentionLimits { age: Some(settings.retention), bytes: Some(settings.retention_bytes) };
    (settings.mode == KafkaMode::Cluster).then_some(limits)
}

/// Of those of the topics whose brokers answer. They can be changed at any time.
pub(super) fn of_brokers(
    admin: &AdminClient<QuietContext>,
    topics: &BTreeSet<String>,
) -> BTreeMap<String, RetentionLimits> {
    if topics.is_empty() {
        return BTreeMap::new();
    }
    let wanted: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answers = wait_for(admin.describe_configs(&wanted, &options)).unwrap_or_else(|error| {
        debug!(%error, "no broker tells how long it keeps the topics; taking what the settings say");
        Vec::new()
    });
    answers.into_iter().filter_map(|answer| named(&answer.ok()?)).collect()
}

fn named(resource: &ConfigResource) -> Option<(String, RetentionLimits)> {
    let OwnedResourceSpecifier::Topic(topic) = &resource.specifier else { return None };
    // -1: for ever
    let number = |name| resource.get(name)?.value.as_ref()?.parse::<u64>().ok();
    let limits =
        RetentionLimits { age: number("retention.ms").map(Duration::from_millis), bytes: number("retention.bytes") };
    Some((topic.clone(), limits))
}
