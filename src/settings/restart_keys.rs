//! The values that take effect only at a start, as text: what a reload compares and reports.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use humantime_serde::re::humantime::format_duration;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::types::*;
use crate::market::time::Span;

/// A value as text, to compare and to show.
#[derive(PartialEq, Default)]
pub(super) struct Printed {
    text: String,
    secret: Option<String>,
}

impl Printed {
    pub(super) fn shown(self) -> String {
        if self.secret.is_some() { "***".into() } else { self.text }
    }
}

#[derive(Default)]
struct Keys(BTreeMap<String, Printed>);

impl Keys {
    fn put(&mut self, key: &str, value: impl fmt::Display) {
        self.0.insert(key.into(), Printed { text: value.to_string(), secret: None });
    }

    fn put_optional(&mut self, key: &str, value: Option<impl fmt::Display>) {
        self.put(key, value.map(|value| value.to_string()).unwrap_or_default());
    }

    fn put_word(&mut self, key: &str, word: impl Serialize) {
        let word = serde_json::to_value(word).ok();
        self.put_optional(key, word.as_ref().and_then(serde_json::Value::as_str));
    }

    fn put_duration(&mut self, key: &str, duration: Duration) {
        self.put(key, format_duration(duration));
    }

    fn put_span(&mut self, key: &str, span: Span) {
        self.put_duration(key, Duration::from_micros(span.micros().unsigned_abs()));
    }

    fn put_secret(&mut self, key: &str, secret: &Option<SecretString>) {
        let secret = secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        self.0.insert(key.into(), Printed { text: String::new(), secret });
    }
}

/// Every value that is not applied live. Taken apart field by field, so that a field that is added does not go missing here.
pub(super) fn restart_keys(settings: &Settings) -> BTreeMap<String, Printed> {
    let Settings { kafka, market, producer, lake, supervision, log, stocks: _ } = settings;
    let mut keys = Keys::default();
    put_kafka(&mut keys, kafka);
    let MarketSettings { rules, idle_timeout } = market;
    keys.put_span("market.window", rules.window.span());
    keys.put_span("market.lateness", rules.lateness);
    keys.put_span("market.max_ahead", rules.max_ahead);
    keys.put_duration("market.idle_timeout", *idle_timeout);
    put_producer(&mut keys, producer);
    let LakeSettings { dir, compression, commit_every } = lake;
    keys.put("lake.dir", dir.display());
    keys.put_word("lake.compression", compression);
    keys.put("lake.commit_every", commit_every);
    let SupervisionSettings { drain_timeout, stuck_after } = supervision;
    keys.put_duration("supervision.drain_timeout", *drain_timeout);
    keys.put_duration("supervision.stuck_after", *stuck_after);
    let LogSettings { level, format } = log;
    keys.put("log.level", level);
    keys.put_word("log.format", format);
    keys.0
}

fn put_kafka(keys: &mut Keys, kafka: &KafkaSettings) {
    let KafkaSettings {
        mode,
        bootstrap_servers,
        layout,
        topic_template,
        topic,
        partitions,
        group_id,
        retention,
        retention_bytes,
        on_gap,
        dead_letter_topic,
        security,
        properties,
    } = kafka;
    keys.put_word("kafka.mode", mode);
    keys.put("kafka.bootstrap_servers", bootstrap_servers);
    keys.put_word("kafka.layout", layout);
    keys.put("kafka.topic_template", topic_template);
    keys.put("kafka.topic", topic);
    keys.put("kafka.partitions", partitions);
    keys.put("kafka.group_id", group_id);
    keys.put_duration("kafka.retention", *retention);
    keys.put("kafka.retention_bytes", retention_bytes);
    keys.put_word("kafka.on_gap", on_gap);
    keys.put("kafka.dead_letter_topic", dead_letter_topic);
    properties.iter().for_each(|(name, value)| keys.put(&format!("kafka.properties.{name}"), value));
    put_security(keys, security);
}

fn put_security(keys: &mut Keys, security: &SecuritySettings) {
    let SecuritySettings {
        protocol,
        sasl_mechanism,
        username,
        password,
        ca_file,
        certificate_file,
        key_file,
        key_password,
    } = security;
    keys.put("kafka.security.protocol", protocol);
    keys.put_optional("kafka.security.sasl_mechanism", sasl_mechanism.as_ref());
    keys.put_optional("kafka.security.username", username.as_ref());
    keys.put_secret("kafka.security.password", password);
    keys.put_optional("kafka.security.ca_file", ca_file.as_ref().map(|path| path.display()));
    keys.put_optional("kafka.security.certificate_file", certificate_file.as_ref().map(|path| path.display()));
    keys.put_optional("kafka.security.key_file", key_file.as_ref().map(|path| path.display()));
    keys.put_secret("kafka.security.key_password", key_password);
}

fn put_producer(keys: &mut Keys, producer: &ProducerSettings) {
    let ProducerSettings {
        enabled,
        seed,
        tick_interval: _,
        speed: _,
        start_ago,
        history,
        trajectory_ticks,
        rate_range,
        volatility_range,
        price_source,
        faults,
    } = producer;
    keys.put("producer.enabled", enabled);
    keys.put("producer.seed", seed);
    keys.put_duration("producer.start_ago", *start_ago);
    keys.put_duration("producer.history", *history);
    keys.put("producer.trajectory_ticks", trajectory_ticks);
    keys.put("producer.rate_range", format!("[{}, {}]", rate_range.0, rate_range.1));
    keys.put("producer.volatility_range", format!("[{}, {}]", volatility_range.0, volatility_range.1));
    keys.put_word("producer.price_source", price_source);
    let FaultDials { late, out_of_order, duplicate, corrupt } = faults;
    keys.put("producer.faults.late", late);
    keys.put("producer.faults.out_of_order", out_of_order);
    keys.put("producer.faults.duplicate", duplicate);
    keys.put("producer.faults.corrupt", corrupt);
}
