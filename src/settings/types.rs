//! The validated settings, as the rest of the program reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::market::checkpoint::BarRules;
use crate::market::symbol::Symbol;

/// Everything, validated. Made only by the loader.
#[derive(Clone)]
pub struct Settings {
    pub kafka: KafkaSettings,
    pub market: MarketSettings,
    pub producer: ProducerSettings,
    pub lake: LakeSettings,
    pub supervision: SupervisionSettings,
    pub log: LogSettings,
    /// At least one; no symbol twice.
    pub stocks: Vec<StockSettings>,
}

impl Settings {
    /// Of all stocks, in the order of the settings.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> {
        self.stocks.iter().map(|stock| stock.symbol.clone())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KafkaMode {
    /// A broker inside this process: nothing to install, its log ends with the process.
    Embedded,
    /// A real cluster at `bootstrap_servers`.
    Cluster,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// One topic a stock, one partition each.
    PerStock,
    /// One topic for all, partitioned by the hash of the symbol.
    Keyed,
}

/// What becomes of a partition whose log no longer holds what the lake needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// It is refused, and nothing is committed.
    Stop,
    /// Reading goes on where the log begins, and every checkpoint from then on tells of the gap.
    Record,
}

#[derive(Clone)]
pub struct KafkaSettings {
    pub mode: KafkaMode,
    pub bootstrap_servers: String,
    pub layout: Layout,
    /// Topic name of a stock in the layout `per_stock`; holds `{symbol}` once.
    pub topic_template: String,
    /// The one topic of the layout `keyed`.
    pub topic: String,
    /// Partitions of `topic`.
    pub partitions: i32,
    pub group_id: String,
    /// How long the broker keeps ticks of topics that we create.
    pub retention: Duration,
    /// How many bytes a partition the broker keeps of topics that we create.
    pub retention_bytes: u64,
    /// What to do when the broker has deleted ticks that the lake still needed.
    pub on_gap: OnGap,
    /// Where late, malformed and future ticks go.
    pub dead_letter_topic: String,
    pub security: SecuritySettings,
    /// Further client properties, from an allow-list.
    pub properties: BTreeMap<String, String>,
}

/// How to reach a cluster that asks for encryption or credentials. No `Debug`: holds secrets.
#[derive(Clone)]
pub struct SecuritySettings {
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub protocol: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: Option<String>,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    pub ca_file: Option<PathBuf>,
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub key_password: Option<SecretString>,
}

#[derive(Clone, Debug)]
pub struct MarketSettings {
    /// Window, lateness and max_ahead.
    pub rules: BarRules,
    /// Silence of a partition (wall clock) after which its open windows may close without a tick.
    pub idle_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceSourceKind {
    /// `initial_price` of each stock.
    Fixed,
    /// The last close by Yahoo's public chart endpoint, cached on disk.
    Yahoo,
}

#[derive(Clone, Debug)]
pub struct ProducerSettings {
    /// Whether this process simulates ticks at all.
    pub enabled: bool,
    pub seed: u64,
    /// Event time between two ticks of a stock.
    pub tick_interval: Duration,
    /// Event seconds a wall second.
    pub speed: f64,
    /// How far in the past a first simulation starts.
    pub start_ago: Duration,
    /// How much event time is published at full speed at a first start.
    pub history: Duration,
    /// Ticks after which rate and volatility are drawn anew.
    pub trajectory_ticks: u32,
    /// Yearly rate: low and high end of the uniform draw.
    pub rate_range: (f64, f64),
    /// Yearly volatility: low and high end of the uniform draw.
    pub volatility_range: (f64, f64),
    pub price_source: PriceSourceKind,
    pub faults: FaultDials,
}

/// Shares of ticks (0 to 1) that the simulation spoils on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultDials {
    pub late: f64,
    pub out_of_order: f64,
    pub duplicate: f64,
    pub corrupt: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    Zstd,
    Snappy,
    Uncompressed,
}

#[derive(Clone, Debug)]
pub struct LakeSettings {
    pub dir: PathBuf,
    pub compression: Compression,
    /// Records of a partition after which a commit is made also if no window closed: bounds what a restart reads again.
    pub commit_every: u64,
}

#[derive(Clone, Debug)]
pub struct SupervisionSettings {
    /// How long a stop may take before the process gives up with exit code 1.
    pub drain_timeout: Duration,
    /// How long a thread may leave its actors' messages unanswered before it is taken for stuck.
    pub stuck_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A `tracing` filter such as `info` or `stockstream=debug`.
    pub level: String,
    pub format: LogFormat,
}

/// One stock, overrides resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct StockSettings {
    pub symbol: Symbol,
    /// Used when neither the topic, the lake nor the price source knows better.
    pub initial_price: f64,
    /// Pins the yearly rate of every trajectory.
    pub rate: Option<f64>,
    /// Pins the yearly volatility of every trajectory.
    pub volatility: Option<f64>,
    pub tick_interval: Duration,
    pub speed: f64,
    /// Whether its producer runs; its ticks are known either way.
    pub enabled: bool,
}
