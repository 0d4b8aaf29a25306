//! Changed settings while everything runs: read anew, planned, applied stock by stock.

use std::collections::{BTreeMap, BTreeSet};

use actix::prelude::*;
use tracing::{error, info, warn};

use super::start_points::{StartPoint, start_points};
use super::stopping::off_thread;
use super::{Coordinator, Stage};
use crate::market::symbol::Symbol;
use crate::prices::source_from;
use crate::settings::{ReloadPlan, Settings, SettingsErrors, StockSettings};

/// Settings that may change while everything runs.
pub struct Reload {
    /// Reads them anew from where they came from.
    pub load: Box<dyn Fn() -> Result<Settings, SettingsErrors>>,
    /// Shows a plan, verbatim, on a line of its own.
    pub announce: Box<dyn Fn(&str)>,
}

/// The content of a settings file has changed.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SettingsFilesChanged;

impl Handler<SettingsFilesChanged> for Coordinator {
    type Result = ();

    fn handle(&mut self, _: SettingsFilesChanged, ctx: &mut Self::Context) {
        let Some(Reload { load, announce }) = &self.reload else { return };
        if self.stage == Stage::Stopping {
            return;
        }
        let new = match load() {
            Ok(new) => new,
            Err(errors) => return warn!("the changed settings are refused, the old ones stay:\n{errors}"),
        };
        let plan = ReloadPlan::between(&self.settings, &new);
        for restart in &plan.needs_restart {
            let when = match restart.key.as_str() {
                "market.window" | "market.lateness" | "market.max_ahead" => {
                    "belongs to the lake, and a start on this one refuses it"
                }
                _ => "takes effect at the next start",
            };
            warn!("{} changed from {} to {}: {when}", restart.key, restart.old, restart.new);
        }
        if plan.changes_stocks() {
            announce(&plan.to_string());
            self.apply(plan, self.settings.with_live_part_of(&new), ctx);
        }
    }
}

impl Coordinator {
    /// Applies a plan. Nothing else is handled meanwhile, so a stop waits for it; it is bounded by what a broker may take.
    fn apply(&mut self, plan: ReloadPlan, settings: Settings, ctx: &mut Context<Self>) {
        let starting: Vec<StockSettings> =
            plan.added.iter().chain(plan.changed.iter().map(|change| &change.stock)).cloned().collect();
        let stopping: BTreeSet<Symbol> =
            plan.removed.iter().chain(starting.iter().map(|stock| &stock.symbol)).cloned().collect();
        let (ground, wanted) = (self.ground.clone(), settings.clone());
        let added: Vec<StockSettings> = plan.added.clone();
        // Where this process has not simulated a stock yet, only the topic and the lake tell where it stands.
        let new_here: Option<Vec<StockSettings>> = self.producers.as_ref().map(|producers| {
            starting.iter().filter(|stock| stock.enabled && !producers.have(&stock.symbol)).cloned().collect()
        });
        // First what can fail: without a topic nothing changes.
        let prepare = off_thread(move || {
            let symbols: Vec<Symbol> = added.iter().map(|stock| stock.symbol.clone()).collect();
            if !symbols.is_empty() {
                ground.ensure_topics(&wanted, &symbols)?;
            }
            match new_here {
                Some(stocks) => start_points(&ground, &wanted, &stocks, source_from(&wanted).as_ref()),
                None => Ok(BTreeMap::new()),
            }
        });
        ctx.wait(prepare.into_actor(self).map(move |prepared, coordinator, ctx| match prepared {
            Ok(points) => coordinator.restart_stocks(settings, stopping, starting, points, ctx),
            Err(error) => {
                error!(%error, "the plan cannot be applied, the old settings stay; save the file again to retry")
            }
        }));
    }

    fn restart_stocks(
        &mut self,
        settings: Settings,
        stopping: BTreeSet<Symbol>,
        starting: Vec<StockSettings>,
        points: BTreeMap<Symbol, StartPoint>,
        ctx: &mut Context<Self>,
    ) {
        self.settings = settings;
        let Some(producers) = &mut self.producers else { return self.applied() };
        let stopped = producers.stop(Some(&stopping)).wait();
        ctx.wait(stopped.into_actor(self).map(move |last, coordinator, _| {
            let Some(producers) = &mut coordinator.producers else { return };
            producers.stopped(last);
            for stock in starting.iter().filter(|stock| stock.enabled) {
                let point = points.get(&stock.symbol).copied().unwrap_or(StartPoint::fresh(stock.initial_price));
                producers.start(&coordinator.ground, &coordinator.settings, stock, point);
            }
            coordinator.applied();
        }));
    }

    fn applied(&self) {
        self.tell_stocks();
        info!(stocks = self.settings.stocks.len(), "settings applied");
    }
}
