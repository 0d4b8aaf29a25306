//! What several test modules here need.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::settings::{KafkaMode, KafkaSettings, Layout, OnGap, SecuritySettings};

/// Settings as the defaults have them, without a broker.
pub(crate) fn settings() -> KafkaSettings {
    KafkaSettings {
        mode: KafkaMode::Cluster,
        bootstrap_servers: "127.0.0.1:1".into(),
        layout: Layout::PerStock,
        topic_template: "stock_topic.{symbol}".into(),
        topic: "stock_ticks".into(),
        partitions: 8,
        group_id: "stockstream-test".into(),
        retention: Duration::from_secs(7 * 86_400),
        retention_bytes: 1 << 30,
        on_gap: OnGap::Stop,
        dead_letter_topic: "stock_dead_letters".into(),
        security: SecuritySettings {
            protocol: "plaintext".into(),
            sasl_mechanism: None,
            username: None,
            password: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            key_password: None,
        },
        properties: BTreeMap::new(),
    }
}
