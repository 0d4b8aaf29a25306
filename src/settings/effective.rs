//! Every key with its value and where that comes from: what `stockstream check` prints.

use std::fmt;

use config::{Value, ValueKind};
use serde_json::json;

use super::kind::Kind;
use super::load::Merged;
use super::place::DEFAULT;
use super::schema::{FIELDS, STOCK_FIELDS};

/// One line of `stockstream check`.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectiveValue {
    /// Full key; of a stock `stocks.<symbol>.<key>`.
    pub key: String,
    /// As it was written; secrets that are set are `***`.
    pub value: serde_json::Value,
    /// `default`, `file:line`, the name of a variable or an option.
    pub origin: String,
}

/// The effective settings in the order of `default.toml`. `Display` is a table for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    values: Vec<EffectiveValue>,
}

impl Effective {
    pub(super) fn of(merged: &Merged) -> Self {
        let mut effective = Self { values: Vec::new() };
        for field in FIELDS {
            let Some(value) = merged.get(field.key) else { continue };
            match (field.kind, &value.kind) {
                (Kind::Properties, ValueKind::Table(properties)) => {
                    let mut properties: Vec<_> = properties.iter().collect();
                    properties.sort_by_key(|(name, _)| *name);
                    for (name, value) in properties {
                        effective.push(format!("{}.{name}", field.key), Kind::Properties, value);
                    }
                }
                (Kind::Stocks, ValueKind::Array(stocks)) => stocks.iter().for_each(|stock| effective.push_stock(stock)),
                (kind, _) => effective.push(field.key.into(), kind, value),
            }
        }
        effective
    }

    fn push_stock(&mut self, stock: &Value) {
        let ValueKind::Table(table) = &stock.kind else { return };
        let symbol = table.get("symbol").map(ToString::to_string).unwrap_or_default();
        for field in STOCK_FIELDS {
            if let Some(value) = table.get(field.key) {
                self.push(format!("stocks.{symbol}.{}", field.key), field.kind, value);
            }
        }
    }

    fn push(&mut self, key: String, kind: Kind, value: &Value) {
        let shown = match (kind, &value.kind) {
            (Kind::Secret, ValueKind::String(text)) if !text.is_empty() => json!("***"),
            (_, kind) => json_of(kind),
        };
        self.values.push(EffectiveValue { key, value: shown, origin: value.origin().unwrap_or(DEFAULT).to_owned() });
    }

    pub fn iter(&self) -> impl Iterator<Item = &EffectiveValue> {
        self.values.iter()
    }

    /// The value of a key, `None` when there is no such key.
    pub fn get(&self, key: &str) -> Option<&EffectiveValue> {
        self.values.iter().find(|value| value.key == key)
    }

    /// `{"market.window": {"value": "5m", "origin": "default"}, …}`
    pub fn to_json(&self) -> serde_json::Value {
        let entry =
            |value: &EffectiveValue| (value.key.clone(), json!({ "value": value.value, "origin": value.origin }));
        serde_json::Value::Object(self.values.iter().map(entry).collect())
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.values.iter().map(|value| value.value.to_string()).collect();
        let width = |longest: Option<usize>| longest.unwrap_or(0).min(60);
        let key_width = width(self.values.iter().map(|value| value.key.chars().count()).max());
        let value_width = width(values.iter().map(|value| value.chars().count()).max());
        for (EffectiveValue { key, origin, .. }, value) in self.values.iter().zip(values) {
            writeln!(f, "{key:key_width$}  {value:value_width$}  {origin}")?;
        }
        Ok(())
    }
}

fn json_of(value: &ValueKind) -> serde_json::Value {
    match value {
        ValueKind::Boolean(word) => json!(word),
        ValueKind::I64(number) => json!(number),
        ValueKind::Float(number) => json!(number),
        ValueKind::Array(values) => values.iter().map(|value| json_of(&value.kind)).collect(),
        other => json!(other.to_string()),
    }
}
