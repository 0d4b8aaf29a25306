//! Whose turn it is to simulate the stocks: of the processes that share a lake, one at a time (`docs/adr/0004`).
//!
//! The turn is a lock on the lake. A process that does not get it follows the stocks and asks again; when it gets it, it looks up
//! where every stock stands, exactly as at a start, so that event time goes on and never steps back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tracing::{info, warn};

use super::ground::{Ground, StartError};
use super::producers::Producers;
use super::start_points::{StartPoint, start_points};
use super::stopping::{Flushed, off_thread};
use super::{Coordinator, Stage};
use crate::market::symbol::Symbol;
use crate::prices::source_from;
use crate::settings::{KafkaMode, Settings, StockSettings};
use crate::storage::{ProducersLock, Simulating, take_producers_lock};

/// Between two tries, of the lock or of the look-up behind it.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// What a killed holder had handed to the network may still arrive: the ends of the topics are looked at after this long.
const SETTLE: Duration = Duration::from_secs(1);

/// Where this process stands with the simulation.
#[derive(Debug)]
pub enum Turn {
    /// It simulates nothing, whatever others do.
    Never,
    /// Another process simulates.
    Waiting,
    /// This one does. Without a lock where no other can: the embedded broker's lake has one process.
    Ours(Option<ProducersLock>),
}

/// Takes the turn if it is free, and looks up where the stocks stand; no points without a turn. Blocks, up to some seconds.
///
/// # Errors
/// When the lake or the broker cannot be read.
pub fn first_turn(ground: &Ground, settings: &Settings) -> Result<(Turn, BTreeMap<Symbol, StartPoint>), StartError> {
    let turn = match (settings.producer.enabled, settings.kafka.mode) {
        (false, _) => Turn::Never,
        (true, KafkaMode::Embedded) => Turn::Ours(None),
        (true, KafkaMode::Cluster) => match take_producers_lock(&settings.lake.dir)? {
            Simulating::Ours(lock) => Turn::Ours(Some(lock)),
            Simulating::Other { holder } => {
                info!(
                    holder,
                    "another process simulates the stocks; this one follows, and takes over when that one ends"
                );
                Turn::Waiting
            }
        },
    };
    let points = match turn {
        Turn::Ours(_) => start_points(ground, settings, &simulated(&settings.stocks), source_from(settings).as_ref())?,
        Turn::Never | Turn::Waiting => BTreeMap::new(),
    };
    Ok((turn, points))
}

/// Others need no point: where they stand may be far back in the lake.
fn simulated(stocks: &[StockSettings]) -> Vec<StockSettings> {
    stocks.iter().filter(|stock| stock.enabled).cloned().collect()
}

/// Waits until nobody else simulates.
async fn next_turn(lake: Arc<Path>) -> ProducersLock {
    loop {
        tokio::time::sleep(TRY_AGAIN).await;
        let asked = lake.clone();
        match off_thread(move || take_producers_lock(&asked)).await {
            Ok(Simulating::Ours(lock)) => {
                tokio::time::sleep(SETTLE).await;
                return lock;
            }
            Ok(Simulating::Other { .. }) => {}
            Err(error) => warn!(%error, "cannot ask who simulates the stocks; asking again"),
        }
    }
}

impl Coordinator {
    /// Begins to simulate, or to wait for it.
    pub(super) fn begin_turn(
        &mut self,
        turn: Turn,
        points: &BTreeMap<Symbol, StartPoint>,
        producers: ArbiterHandle,
        ctx: &mut Context<Self>,
    ) {
        match turn {
            Turn::Never => {}
            Turn::Waiting => {
                let lock = next_turn(self.settings.lake.dir.as_path().into());
                ctx.spawn(lock.into_actor(self).map(move |lock, coordinator, ctx| {
                    if coordinator.stage == Stage::Running {
                        coordinator.turn = Turn::Ours(Some(lock));
                        coordinator.look_up(producers, ctx);
                    }
                }));
            }
            Turn::Ours(_) => self.simulate(points, producers, ctx),
        }
        self.turn = turn;
    }

    fn simulate(&mut self, points: &BTreeMap<Symbol, StartPoint>, arbiter: ArbiterHandle, ctx: &mut Context<Self>) {
        let mut producers = Producers::new(&self.settings, points, arbiter, ctx.address().recipient());
        producers.start_all(&self.ground, &self.settings, points);
        self.producers = Some(producers);
    }

    /// Looks up where the stocks stand, and simulates them from there. The turn is kept meanwhile.
    fn look_up(&mut self, producers: ArbiterHandle, ctx: &mut Context<Self>) {
        let (ground, settings) = (self.ground.clone(), self.settings.clone());
        let looked_up = off_thread(move || {
            let points =
                start_points(&ground, &settings, &simulated(&settings.stocks), source_from(&settings).as_ref());
            (points, settings.stocks)
        });
        ctx.spawn(looked_up.into_actor(self).map(move |(points, stocks), coordinator, ctx| match points {
            _ if coordinator.stage != Stage::Running => {}
            // The settings were changed meanwhile.
            Ok(_) if stocks != coordinator.settings.stocks => coordinator.look_up(producers, ctx),
            Ok(points) => {
                info!(stocks = stocks.len(), "the process that simulated the stocks has ended; this one goes on with them");
                coordinator.simulate(&points, producers, ctx);
            }
            Err(error) => {
                warn!(%error, "it is this process's turn to simulate, but where the stocks stand is not known; asking again");
                ctx.run_later(TRY_AGAIN, move |coordinator, ctx| coordinator.look_up(producers, ctx));
            }
        }));
    }
}

impl Turn {
    /// The producers have stopped. If everything they published is acknowledged the next process may begin; otherwise it waits until
    /// this one has ended, for the client may still publish some of it.
    pub(super) fn hand_over(self, flushed: Flushed) {
        if flushed == Flushed::NotAll {
            std::mem::forget(self);
        }
    }
}
