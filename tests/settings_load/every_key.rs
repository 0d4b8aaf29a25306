//! Every key that stands alone can be given by a variable.

use std::collections::BTreeSet;

use stockstream::settings::{Sources, keys};
use tempfile::TempDir;

use super::{env, loaded, sources};

/// A value other than the default for every key that stands alone.
const OTHER_VALUES: &[(&str, &str)] = &[
    ("kafka.mode", "cluster"),
    ("kafka.bootstrap_servers", "a:1,b:2"),
    ("kafka.layout", "keyed"),
    ("kafka.topic_template", "t-{symbol}"),
    ("kafka.topic", "other"),
    ("kafka.partitions", "12"),
    ("kafka.group_id", "g"),
    ("kafka.retention", "1h"),
    ("kafka.retention_bytes", "2097152"),
    ("kafka.on_gap", "record"),
    ("kafka.dead_letter_topic", "dead"),
    ("kafka.properties", r#"{ "linger.ms" = 7 }"#),
    ("market.window", "1h"),
    ("market.lateness", "0s"),
    ("market.max_ahead", "2m"),
    ("market.idle_timeout", "1s"),
    ("producer.enabled", "false"),
    ("producer.seed", "9223372036854775807"),
    ("producer.tick_interval", "100ms"),
    ("producer.speed", "2.5"),
    ("producer.start_ago", "1 day"),
    ("producer.history", "1h"),
    ("producer.trajectory_ticks", "10"),
    ("producer.rate_range", "[0.0, 0.1]"),
    ("producer.volatility_range", "[0.2, 0.2]"),
    ("producer.price_source", "yahoo"),
    ("producer.faults.late", "0.1"),
    ("producer.faults.out_of_order", "0.2"),
    ("producer.faults.duplicate", "0.3"),
    ("producer.faults.corrupt", "1"),
    ("lake.dir", "/elsewhere"),
    ("lake.compression", "snappy"),
    ("lake.commit_every", "1"),
    ("supervision.drain_timeout", "1m"),
    ("supervision.stuck_after", "30s"),
    ("log.level", "warn,stockstream=debug"),
    ("log.format", "json"),
    ("stocks", r#"[{ symbol = "NVDA", initial_price = 120 }]"#),
];

#[test]
fn every_key_can_be_overridden_by_a_variable() {
    let dir = TempDir::new().unwrap();
    let default = loaded(&sources(&dir)).origins;
    let covered: BTreeSet<_> = OTHER_VALUES.iter().map(|(key, _)| *key).collect();
    let left: Vec<_> = keys().filter(|key| !covered.contains(key) && !key.starts_with("kafka.security.")).collect();
    assert!(left.is_empty(), "no value to try for {left:?}");
    for (key, value) in OTHER_VALUES {
        let name = format!("STOCKSTREAM__{}", key.to_uppercase().replace('.', "__"));
        let loaded = loaded(&Sources { env: env(&[(&name, value)]), ..sources(&dir) });
        let changed: Vec<_> = loaded.origins.iter().filter(|value| value.origin == name).collect();
        assert!(!changed.is_empty(), "{key} was not overridden");
        for value in changed {
            assert!(value.key.starts_with(key), "{key} changed {}", value.key);
            assert_ne!(default.get(&value.key), Some(value), "{key}");
        }
    }
}
