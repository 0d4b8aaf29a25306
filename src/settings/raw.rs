//! The settings as they stand in a document, one struct a section: every key there, nothing resolved yet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::rules::Secrets;
use super::types::*;
use crate::market::checkpoint::BarRules;
use crate::market::symbol::Symbol;
use crate::market::time::{Span, WindowSize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) kafka: RawKafka,
    pub(super) market: RawMarket,
    pub(super) producer: RawProducer,
    lake: RawLake,
    supervision: RawSupervision,
    log: RawLog,
    stocks: Vec<RawStock>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKafka {
    mode: KafkaMode,
    bootstrap_servers: String,
    pub(super) layout: Layout,
    pub(super) topic_template: String,
    pub(super) topic: String,
    partitions: i32,
    group_id: String,
    #[serde(with = "humantime_serde")]
    retention: Duration,
    retention_bytes: u64,
    on_gap: OnGap,
    pub(super) dead_letter_topic: String,
    pub(super) security: RawSecurity,
    properties: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecurity {
    pub(super) protocol: String,
    pub(super) sasl_mechanism: String,
    pub(super) username: String,
    pub(super) password: SecretString,
    pub(super) password_file: String,
    pub(super) ca_file: String,
    pub(super) certificate_file: String,
    pub(super) key_file: String,
    pub(super) key_password: SecretString,
    pub(super) key_password_file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMarket {
    #[serde(with = "humantime_serde")]
    window: Duration,
    #[serde(with = "humantime_serde")]
    lateness: Duration,
    #[serde(with = "humantime_serde")]
    max_ahead: Duration,
    #[serde(with = "humantime_serde")]
    idle_timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProducer {
    enabled: bool,
    seed: u64,
    #[serde(with = "humantime_serde")]
    tick_interval: Duration,
    speed: f64,
    #[serde(with = "humantime_serde")]
    pub(super) start_ago: Duration,
    #[serde(with = "humantime_serde")]
    pub(super) history: Duration,
    trajectory_ticks: u32,
    rate_range: (f64, f64),
    volatility_range: (f64, f64),
    price_source: PriceSourceKind,
    faults: FaultDials,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLake {
    dir: PathBuf,
    compression: Compression,
    commit_every: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSupervision {
    #[serde(with = "humantime_serde")]
    drain_timeout: Duration,
    #[serde(with = "humantime_serde")]
    stuck_after: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    level: String,
    format: LogFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStock {
    symbol: Symbol,
    initial_price: f64,
    rate: Option<f64>,
    volatility: Option<f64>,
    #[serde(default, with = "humantime_serde")]
    tick_interval: Option<Duration>,
    speed: Option<f64>,
    enabled: Option<bool>,
}

impl Raw {
    /// The settings, overrides of stocks resolved. Only for values that passed the schema and the rules.
    pub(super) fn resolve(self, secrets: Secrets) -> Settings {
        let Raw { kafka, market, producer, lake, supervision, log, stocks } = self;
        let stocks = stocks.into_iter().map(|stock| stock.resolve(&producer)).collect();
        Settings {
            kafka: kafka.resolve(secrets),
            market: market.resolve(),
            producer: producer.resolve(),
            lake: LakeSettings { dir: lake.dir, compression: lake.compression, commit_every: lake.commit_every },
            supervision: SupervisionSettings {
                drain_timeout: supervision.drain_timeout,
                stuck_after: supervision.stuck_after,
            },
            log: LogSettings { level: log.level, format: log.format },
            stocks,
        }
    }
}

impl RawKafka {
    fn resolve(self, secrets: Secrets) -> KafkaSettings {
        KafkaSettings {
            mode: self.mode,
            bootstrap_servers: self.bootstrap_servers,
            layout: self.layout,
            topic_template: self.topic_template,
            topic: self.topic,
            partitions: self.partitions,
            group_id: self.group_id,
            retention: self.retention,
            retention_bytes: self.retention_bytes,
            on_gap: self.on_gap,
            dead_letter_topic: self.dead_letter_topic,
            security: self.security.resolve(secrets),
            properties: self.properties,
        }
    }
}

impl RawSecurity {
    fn resolve(self, secrets: Secrets) -> SecuritySettings {
        let text = |text: String| (!text.is_empty()).then_some(text);
        let path = |path: String| (!path.is_empty()).then(|| PathBuf::from(path));
        SecuritySettings {
            protocol: self.protocol,
            sasl_mechanism: text(self.sasl_mechanism),
            username: text(self.username),
            password: secrets.password,
            ca_file: path(self.ca_file),
            certificate_file: path(self.certificate_file),
            key_file: path(self.key_file),
            key_password: secrets.key_password,
        }
    }
}

impl RawMarket {
    fn resolve(self) -> MarketSettings {
        let window =
            WindowSize::new(Span::from(self.window)).expect("the schema takes only windows that divide 24 hours");
        let rules = BarRules { window, lateness: self.lateness.into(), max_ahead: self.max_ahead.into() };
        MarketSettings { rules, idle_timeout: self.idle_timeout }
    }
}

impl RawProducer {
    fn resolve(self) -> ProducerSettings {
        ProducerSettings {
            enabled: self.enabled,
            seed: self.seed,
            tick_interval: self.tick_interval,
            speed: self.speed,
            start_ago: self.start_ago,
            history: self.history,
            trajectory_ticks: self.trajectory_ticks,
            rate_range: self.rate_range,
            volatility_range: self.volatility_range,
            price_source: self.price_source,
            faults: self.faults,
        }
    }
}

impl RawStock {
    fn resolve(self, producer: &RawProducer) -> StockSettings {
        StockSettings {
            symbol: self.symbol,
            initial_price: self.initial_price,
            rate: self.rate,
            volatility: self.volatility,
            tick_interval: self.tick_interval.unwrap_or(producer.tick_interval),
            speed: self.speed.unwrap_or(producer.speed),
            enabled: self.enabled.unwrap_or(true),
        }
    }
}
