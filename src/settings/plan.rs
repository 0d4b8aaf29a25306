//! What a reload changes: stocks, which are applied while the program runs, and keys that wait for a restart.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::restart_keys::restart_keys;
use super::types::{Settings, StockSettings};
use crate::market::symbol::Symbol;

/// The difference between two settings. Prints the stocks as `+NVDA -IBM ~AAPL.volatility`: added, removed, changed with the
/// names of the changed fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReloadPlan {
    /// In the order of the new settings.
    pub added: Vec<StockSettings>,
    /// In the order of the old settings.
    pub removed: Vec<Symbol>,
    /// In the order of the new settings.
    pub changed: Vec<StockChange>,
    /// Changed keys that are not applied until the next start.
    pub needs_restart: Vec<RestartNeeded>,
}

/// A stock that stays, with other values.
#[derive(Clone, Debug, PartialEq)]
pub struct StockChange {
    /// What it is to be.
    pub stock: StockSettings,
    /// Names of the fields that differ, never empty.
    pub fields: Vec<&'static str>,
}

/// A changed key that is only reported. Prints as `market.window: 5m -> 1m`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestartNeeded {
    pub key: String,
    /// `***` for a secret, empty for what was not set.
    pub old: String,
    pub new: String,
}

impl fmt::Display for RestartNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.old, self.new)
    }
}

impl ReloadPlan {
    /// What has to happen to come from the old settings to the new. The order of the stocks means nothing, and
    /// `producer.tick_interval` and `producer.speed` show as changes of the stocks that follow them.
    pub fn between(old: &Settings, new: &Settings) -> Self {
        let before: BTreeMap<&Symbol, &StockSettings> = old.stocks.iter().map(|stock| (&stock.symbol, stock)).collect();
        let mut plan = Self { needs_restart: restart_needed(old, new), ..Self::default() };
        for stock in &new.stocks {
            match before.get(&stock.symbol).map(|before| changed_fields(before, stock)) {
                None => plan.added.push(stock.clone()),
                Some(fields) if fields.is_empty() => {}
                Some(fields) => plan.changed.push(StockChange { stock: stock.clone(), fields }),
            }
        }
        let stays = |symbol: &Symbol| new.stocks.iter().any(|stock| stock.symbol == *symbol);
        plan.removed = old.stocks.iter().map(|stock| &stock.symbol).filter(|symbol| !stays(symbol)).cloned().collect();
        plan
    }

    /// Whether there is nothing to apply and nothing to report.
    pub fn is_empty(&self) -> bool {
        !self.changes_stocks() && self.needs_restart.is_empty()
    }

    /// Whether there is something to apply.
    pub fn changes_stocks(&self) -> bool {
        !(self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty())
    }
}

impl fmt::Display for ReloadPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let added = self.added.iter().map(|stock| format!("+{}", stock.symbol));
        let removed = self.removed.iter().map(|symbol| format!("-{symbol}"));
        let changed = self.changed.iter().map(|change| format!("~{}.{}", change.stock.symbol, change.fields.join(",")));
        f.write_str(&added.chain(removed).chain(changed).collect::<Vec<_>>().join(" "))
    }
}

impl Settings {
    /// These settings with everything of `new` that is applied without a restart: what holds after a reload. The rest keeps its
    /// value, so that the next plan reports it again.
    pub fn with_live_part_of(&self, new: &Settings) -> Settings {
        let mut settings = self.clone();
        settings.stocks.clone_from(&new.stocks);
        settings.producer.tick_interval = new.producer.tick_interval;
        settings.producer.speed = new.producer.speed;
        settings
    }
}

fn changed_fields(old: &StockSettings, new: &StockSettings) -> Vec<&'static str> {
    let StockSettings { symbol: _, initial_price, rate, volatility, tick_interval, speed, enabled } = old;
    let fields = [
        ("initial_price", *initial_price != new.initial_price),
        ("rate", *rate != new.rate),
        ("volatility", *volatility != new.volatility),
        ("tick_interval", *tick_interval != new.tick_interval),
        ("speed", *speed != new.speed),
        ("enabled", *enabled != new.enabled),
    ];
    fields.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}

fn restart_needed(old: &Settings, new: &Settings) -> Vec<RestartNeeded> {
    let (before, mut after) = (restart_keys(old), restart_keys(new));
    let mut changed = Vec::new();
    for (key, old) in before {
        let new = after.remove(&key).unwrap_or_default();
        if old != new {
            changed.push(RestartNeeded { key, old: old.shown(), new: new.shown() });
        }
    }
    let added = after.into_iter().map(|(key, new)| RestartNeeded { key, old: String::new(), new: new.shown() });
    changed.extend(added);
    changed
}
