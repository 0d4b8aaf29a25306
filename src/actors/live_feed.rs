//! What is going on, for people: the newest open and closed bar of each stock, rates and lag.
//!
//! Keeps the newest of everything it is told and shows it at an interval. It may be late or skip, the lake does not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;
use tracing::{Level, debug, enabled};

use crate::indicators::feature_row::FeatureRow;
use crate::kafka::retention::NearestLoss;
use crate::market::bar::Bar;
use crate::market::symbol::Symbol;
use crate::messages::commits::FeaturesComputed;
use crate::messages::live::{LagMeasured, OpenBarChanged, RetentionMeasured, ShowStocks};
use crate::run_summary::{Latencies, Latency};

/// What is known of a stock.
#[derive(Clone, Debug, Default)]
pub struct LiveStock {
    /// The newest open bar as it stands; its close is the last price.
    pub open_bar: Option<Bar>,
    /// The newest closed bar with its indicators.
    pub closed: Option<FeatureRow>,
    pub ticks_per_second: f64,
    ticks: u64,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct LiveView {
    pub stocks: BTreeMap<Symbol, LiveStock>,
    /// Records in the log that are not read yet.
    pub lag: u64,
    /// Of ticks when they reached their bars, since the view before; `None` when none did.
    pub age: Option<Latency>,
    /// The partition that is nearest to losing ticks unread to the broker's retention.
    pub nearest_loss: Option<NearestLoss>,
}

/// Shows a view: on a terminal, in a log, or nowhere.
pub type ShowView = Box<dyn FnMut(&LiveView) + Send>;

pub struct LiveFeed {
    view: LiveView,
    ages: Latencies,
    /// Only where it will be logged: its quantiles are work.
    since_first: Option<SinceFirstView>,
    interval: Duration,
    shown: Instant,
    show: ShowView,
    /// All, until it is told which.
    shown_stocks: Option<BTreeSet<Symbol>>,
}

/// Over the whole run but for its beginning, in which stocks are started.
#[derive(Default)]
struct SinceFirstView {
    ages: Latencies,
    most_lag: u64,
}

impl SinceFirstView {
    fn log(&self) {
        if let Some(Latency { median, p99, longest }) = self.ages.summary() {
            debug!(median, p99, longest, most_lag = self.most_lag, "seconds that ticks were old, since the first view");
        }
    }
}

impl LiveFeed {
    pub fn new(interval: Duration, show: ShowView) -> Self {
        Self {
            view: LiveView::default(),
            ages: Latencies::default(),
            since_first: None,
            interval,
            shown: Instant::now(),
            show,
            shown_stocks: None,
        }
    }

    fn stock(&mut self, symbol: &Symbol) -> Option<&mut LiveStock> {
        let shown = self.shown_stocks.as_ref().is_none_or(|shown| shown.contains(symbol));
        shown.then(|| self.view.stocks.entry(symbol.clone()).or_default())
    }

    fn show(&mut self) {
        let seconds = self.shown.elapsed().as_secs_f64().max(1e-3);
        self.shown = Instant::now();
        for stock in self.view.stocks.values_mut() {
            stock.ticks_per_second = std::mem::take(&mut stock.ticks) as f64 / seconds;
        }
        self.view.age = std::mem::take(&mut self.ages).summary();
        (self.show)(&self.view);
        if enabled!(Level::DEBUG) {
            self.since_first.get_or_insert_default().log();
        }
    }
}

impl Actor for LiveFeed {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.shown = Instant::now();
        ctx.run_interval(self.interval, |feed, _| feed.show());
    }
}

impl Handler<OpenBarChanged> for LiveFeed {
    type Result = ();

    fn handle(&mut self, changed: OpenBarChanged, _: &mut Self::Context) {
        if let Some(age) = changed.age {
            self.ages.add(age.as_secs_f64());
            if let Some(since_first) = &mut self.since_first {
                since_first.ages.add(age.as_secs_f64());
            }
        }
        let Some(stock) = self.stock(&changed.bar.symbol) else { return };
        stock.ticks += changed.ticks;
        stock.open_bar = Some(changed.bar);
    }
}

impl Handler<FeaturesComputed> for LiveFeed {
    type Result = ();

    fn handle(&mut self, FeaturesComputed(rows): FeaturesComputed, _: &mut Self::Context) {
        for row in rows.iter() {
            let Some(stock) = self.stock(&row.symbol) else { continue };
            if stock.closed.as_ref().is_none_or(|known| known.window_start < row.window_start) {
                stock.closed = Some(row.clone());
            }
        }
    }
}

impl Handler<ShowStocks> for LiveFeed {
    type Result = ();

    fn handle(&mut self, ShowStocks(stocks): ShowStocks, _: &mut Self::Context) {
        self.view.stocks.retain(|symbol, _| stocks.contains(symbol));
        self.shown_stocks = Some(stocks);
    }
}

impl Handler<LagMeasured> for LiveFeed {
    type Result = ();

    fn handle(&mut self, lag: LagMeasured, _: &mut Self::Context) {
        self.view.lag = lag.records;
        if let Some(since_first) = &mut self.since_first {
            since_first.most_lag = since_first.most_lag.max(lag.records);
        }
    }
}

impl Handler<RetentionMeasured> for LiveFeed {
    type Result = ();

    fn handle(&mut self, RetentionMeasured(nearest): RetentionMeasured, _: &mut Self::Context) {
        self.view.nearest_loss = Some(nearest);
    }
}

#[cfg(test)]
mod tests;
