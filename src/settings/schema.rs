//! Every key with what it accepts: the one list that files, environment and `check` are held against.

use std::time::Duration;

use super::kind::Kind;
use super::text;

/// One key.
pub(super) struct Field {
    /// Full key such as `kafka.security.protocol`; in a stock's table its name alone.
    pub(super) key: &'static str,
    pub(super) kind: Kind,
}

const fn field(key: &'static str, kind: Kind) -> Field {
    Field { key, kind }
}

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

const fn number(min: f64, max: f64) -> Kind {
    Kind::Number { min, max }
}

const fn number_range(min: f64, max: f64) -> Kind {
    Kind::NumberRange { min, max }
}

const fn millis(min: u64, max: u64) -> Kind {
    Kind::Duration { min: Duration::from_millis(min), max: Duration::from_millis(max) }
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const MEBIBYTE: i64 = 1 << 20;
const BILLION: i64 = 1_000_000_000;
const TICK_INTERVAL: Kind = millis(1, DAY);
const SPEED: Kind = number(0.001, 100_000.0);
const SHARE: Kind = number(0.0, 1.0);
pub(super) const MAX_STOCKS: usize = 10_000;

/// In the order in which `check` prints them.
pub(super) const FIELDS: &[Field] = &[
    field("kafka.mode", Kind::Word(&["embedded", "cluster"])),
    field("kafka.bootstrap_servers", Kind::Text(text::brokers)),
    field("kafka.layout", Kind::Word(&["per_stock", "keyed"])),
    field("kafka.topic_template", Kind::Text(text::topic_template)),
    field("kafka.topic", Kind::Text(text::topic)),
    field("kafka.partitions", integer(1, 10_000)),
    field("kafka.group_id", Kind::Text(text::group_id)),
    field("kafka.retention", millis(MINUTE, 3650 * DAY)),
    field("kafka.retention_bytes", integer(MEBIBYTE, MEBIBYTE << 30)),
    field("kafka.on_gap", Kind::Word(&["stop", "record"])),
    field("kafka.dead_letter_topic", Kind::Text(text::topic)),
    field("kafka.security.protocol", Kind::Word(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"])),
    field("kafka.security.sasl_mechanism", Kind::Word(&["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])),
    field("kafka.security.username", Kind::Text(text::any)),
    field("kafka.security.password", Kind::Secret),
    field("kafka.security.password_file", Kind::Text(text::any)),
    field("kafka.security.ca_file", Kind::Text(text::any)),
    field("kafka.security.certificate_file", Kind::Text(text::any)),
    field("kafka.security.key_file", Kind::Text(text::any)),
    field("kafka.security.key_password", Kind::Secret),
    field("kafka.security.key_password_file", Kind::Text(text::any)),
    field("kafka.properties", Kind::Properties),
    field("market.window", Kind::Window),
    field("market.lateness", millis(0, 7 * DAY)),
    field("market.max_ahead", millis(0, DAY)),
    field("market.idle_timeout", millis(100, DAY)),
    field("producer.enabled", Kind::Bool),
    field("producer.seed", integer(0, i64::MAX)),
    field("producer.tick_interval", TICK_INTERVAL),
    field("producer.speed", SPEED),
    field("producer.start_ago", millis(0, 3650 * DAY)),
    field("producer.history", millis(0, 3650 * DAY)),
    field("producer.trajectory_ticks", integer(1, BILLION)),
    field("producer.rate_range", number_range(-1.0, 1.0)),
    field("producer.volatility_range", number_range(0.0, 5.0)),
    field("producer.price_source", Kind::Word(&["fixed", "yahoo"])),
    field("producer.faults.late", SHARE),
    field("producer.faults.out_of_order", SHARE),
    field("producer.faults.duplicate", SHARE),
    field("producer.faults.corrupt", SHARE),
    field("lake.dir", Kind::Text(text::not_empty)),
    field("lake.compression", Kind::Word(&["zstd", "snappy", "uncompressed"])),
    field("lake.commit_every", integer(1, BILLION)),
    field("supervision.drain_timeout", millis(100, HOUR)),
    field("supervision.stuck_after", millis(1_000, DAY)),
    field("log.level", Kind::Text(text::log_filter)),
    field("log.format", Kind::Word(&["text", "json"])),
    field("stocks", Kind::Stocks),
];

/// Of each `[[stocks]]`; the first two are required.
pub(super) const STOCK_FIELDS: &[Field] = &[
    field("symbol", Kind::Text(symbol)),
    field("initial_price", number(0.0001, 1e9)),
    field("rate", number(-1.0, 1.0)),
    field("volatility", number(0.0, 5.0)),
    field("tick_interval", TICK_INTERVAL),
    field("speed", SPEED),
    field("enabled", Kind::Bool),
];
pub(super) const REQUIRED_OF_A_STOCK: &[&str] = &["symbol", "initial_price"];

/// Every key outside `[[stocks]]`, and `stocks` itself.
pub fn keys() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|field| field.key)
}

/// What stands at a path.
pub(super) enum Entry {
    Field(&'static Field),
    Section,
    Unknown,
}

pub(super) fn entry(path: &str) -> Entry {
    let is_section = |field: &Field| field.key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    match FIELDS.iter().find(|field| field.key == path) {
        Some(field) => Entry::Field(field),
        None if FIELDS.iter().any(is_section) => Entry::Section,
        None => Entry::Unknown,
    }
}

/// A longer name is no misspelt one, and to compare it takes time.
const LONGEST_GUESS: usize = 100;

/// Why an unknown key is refused, with the known one that was likely meant.
pub(super) fn unknown<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    if given.len() > LONGEST_GUESS {
        return "there is no such key".into();
    }
    let closest = known
        .map(|key| {
            let misplaced = last(key) == last(given);
            (if misplaced { 0 } else { edits(given, key) }, key)
        })
        .min_by_key(|(edits, _)| *edits);
    match closest {
        Some((edits, key)) if edits <= 1 + last(given).len() / 4 => {
            format!("there is no such key; did you mean `{key}`?")
        }
        _ => "there is no such key".into(),
    }
}

/// Number of characters to insert, delete or replace (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// # Errors
/// Says what a symbol is, and gives the upper-case one when only the case is wrong.
fn symbol(text: &str) -> Result<(), String> {
    use crate::market::symbol::Symbol;
    let upper = text.to_ascii_uppercase();
    if Symbol::is_valid(text) {
        Ok(())
    } else if Symbol::is_valid(&upper) {
        Err(format!("must be upper case (`{upper}`)"))
    } else {
        Err("must be 1 to 16 of A-Z 0-9 . ^ = _ -, the first a letter or digit".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_or_misplaced_key_is_recognised() {
        assert!(unknown("kafka.partition", keys()).contains("`kafka.partitions`"));
        assert!(unknown("window", keys()).contains("`market.window`"));
        assert!(!unknown("web.port", keys()).contains("did you mean"));
    }
}
