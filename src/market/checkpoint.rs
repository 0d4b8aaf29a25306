//! What a commit carries besides its rows: everything a restart needs to go on as if it had never stopped.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bar::Bar;
use super::log_gap::LogGap;
use super::lost_commits::LostCommits;
use super::symbol::Symbol;
use super::time::{EventTime, Span, WindowSize};

/// The offset of the next record to read: every record below it has been seen. Exclusive bounds are always this type, the
/// offset of one record is a plain `i64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NextOffset(pub i64);

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A Kafka topic-partition: the unit of order, checkpoint, ownership and restart. Prints as `topic-partition`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// One ownership of a partition by this process; a higher one has replaced it. Answers of an old epoch are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Ticks of a partition by what became of them, cumulative over the life of its chain; only ticks below `cut` are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// `in_bars` + ticks of open windows + the four below.
    pub read: u64,
    /// In bars that are committed.
    pub in_bars: u64,
    pub late: u64,
    pub malformed: u64,
    pub future: u64,
    pub unknown: u64,
}

/// Which log the offsets of a checkpoint belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogIdentity {
    /// The cluster's id; a random one for every start of the embedded broker.
    pub cluster: String,
    /// The topic's id; `None` where brokers give none, and in entries of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicId>,
    /// The newest record below `cut`; `None` before the first.
    pub last_record: Option<Fingerprint>,
}

/// What brokers call a topic by: one that is deleted and made anew gets another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(String);

impl TopicId {
    pub fn new(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Enough of a record to recognise it when it is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    pub offset: i64,
    /// CRC-32 of the record's timestamp (ms, little endian) and payload.
    pub crc: u32,
}

/// The watermark was advanced without a tick (idle, end of stream) before the record at `offset` was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForcedAdvance {
    pub offset: NextOffset,
    pub watermark: EventTime,
}

/// The rules that decide what a bar is; a lake is made with one set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarRules {
    pub window: WindowSize,
    /// How far the watermark stays behind the newest event time.
    pub lateness: Span,
    /// How far an event time may be ahead of its record's own timestamp.
    pub max_ahead: Span,
}

/// A rule that was another one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedRule {
    /// Its key in the settings.
    pub key: &'static str,
    /// As in settings: `5m`.
    pub before: String,
    pub now: String,
}

impl BarRules {
    /// Those of these rules that are not as `before`.
    pub fn changed_from(&self, before: &BarRules) -> impl Iterator<Item = ChangedRule> + use<> {
        let pairs = [
            ("market.window", before.window.span(), self.window.span()),
            ("market.lateness", before.lateness, self.lateness),
            ("market.max_ahead", before.max_ahead, self.max_ahead),
        ];
        let changed = pairs.into_iter().filter(|(_, before, now)| before != now);
        changed.map(|(key, before, now)| ChangedRule { key, before: before.as_setting(), now: now.as_setting() })
    }
}

/// The state of a partition at a cut of its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The oldest offset that an open window still needs, at most `cut`.
    pub resume: NextOffset,
    /// Where the barrier stood in the log.
    pub cut: NextOffset,
    /// `EventTime::MIN` before the first tick.
    pub watermark: EventTime,
    /// Ticks below `cut` in windows that are still open.
    pub open_ticks: u64,
    pub counters: Counters,
    /// From which offset on each stock is known.
    pub known: BTreeMap<Symbol, NextOffset>,
    pub rules: BarRules,
    pub log: LogIdentity,
    pub forced: Vec<ForcedAdvance>,
    /// What this log lost before it was read, oldest first; mostly empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<LogGap>,
    /// What the lake itself lost and has no bars of again, oldest first; mostly empty. Stays when the log begins anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostCommits>,
}

impl Checkpoint {
    /// Before the first record of a log.
    pub fn genesis(rules: BarRules, cluster: &str) -> Self {
        Self {
            resume: NextOffset(0),
            cut: NextOffset(0),
            watermark: EventTime::MIN,
            open_ticks: 0,
            counters: Counters::default(),
            known: BTreeMap::new(),
            rules,
            log: LogIdentity { cluster: cluster.to_owned(), topic: None, last_record: None },
            forced: Vec::new(),
            gaps: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// The same state at the beginning of another log: the embedded broker's log begins anew at every start, while the watermark
    /// stays. Ticks that were still open are gone with the old log, and so is what it was still to give again.
    pub fn on_new_log(mut self, cluster: &str) -> Self {
        self.lose_pending();
        self.resume = NextOffset(0);
        self.cut = NextOffset(0);
        self.counters.read -= self.open_ticks;
        self.open_ticks = 0;
        self.known.values_mut().for_each(|since| *since = NextOffset(0));
        self.log = LogIdentity { cluster: cluster.to_owned(), topic: None, last_record: None };
        self.forced.clear();
        self.gaps.clear();
        self
    }
}

/// One commit: the rows of one UTC date, sorted by (symbol, window start), and the checkpoint behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    pub rows: Arc<[Bar]>,
    pub checkpoint: Checkpoint,
}

impl Commit {
    /// The UTC date of the rows, `None` when there are none.
    pub fn date(&self) -> Option<String> {
        self.rows.first().map(|bar| bar.window_start.date())
    }
}

/// Commit `number` of a partition's chain; 1 is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitNumber(pub u64);

impl fmt::Display for CommitNumber {
    /// Nine digits, as in file names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:09}", self.0)
    }
}
