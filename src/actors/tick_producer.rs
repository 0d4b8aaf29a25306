//! Simulates one stock: a geometric Brownian price path on the process's simulated clock, published to Kafka.
//!
//! A record that is not taken (queue full, consumer far behind) is kept and offered again before anything newer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use tokio::task::yield_now;
use tracing::warn;

use super::wall_clock::WallClock;
use crate::kafka::publisher::{Outgoing, PublishRefused};
use crate::kafka::route::Route;
use crate::market::faults::FaultInjector;
use crate::market::gbm::PricePath;
use crate::market::pace::Pace;
use crate::market::sim_clock::{SimClock, TickSchedule};
use crate::market::symbol::Symbol;
use crate::market::tick::WireTick;
use crate::market::time::EventTime;
use crate::messages::lifecycle::{LastTick, PipelineFailed, StopProducing};

/// Ticks published before others on this thread get their turn.
const BURST: usize = 256;
/// When a record is offered again.
const OFFER_AGAIN: Duration = Duration::from_millis(10);
/// The shortest pause between two looks at the clock.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// Where a producer puts its records.
pub type PublishTo = Box<dyn Fn(&Outgoing<'_>) -> Result<(), PublishRefused> + Send>;

/// Everything that makes one stock's ticks.
pub struct Simulation {
    pub symbol: Symbol,
    pub path: PricePath,
    pub schedule: TickSchedule,
    pub clock: SimClock,
    /// Shared by all stocks of the process.
    pub pace: Arc<Mutex<Pace>>,
    pub faults: FaultInjector,
    /// Wall time between two ticks.
    pub pause: Duration,
    /// Where the stock stands before the first tick of this simulation.
    pub past: Option<LastTick>,
}

impl Simulation {
    /// Makes the pace wait for this stock, before another one publishes.
    pub fn register(&self) {
        self.may_publish(self.schedule.next());
    }

    fn may_publish(&self, instant: EventTime) -> bool {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).may_publish(&self.symbol, instant)
    }
}

pub struct TickProducer {
    simulation: Simulation,
    route: Route,
    wall: WallClock,
    publish: PublishTo,
    failed: Recipient<PipelineFailed>,
    /// Encoded, not yet taken, oldest first.
    waiting: VecDeque<Vec<u8>>,
    /// The tick behind what is waiting.
    simulated: Option<LastTick>,
    /// The last one that was handed over with all before it, by this producer or the one before it.
    last: Option<LastTick>,
    stopped: bool,
}

/// Publish what is due.
#[derive(Message)]
#[rtype(result = "()")]
struct Produce;

impl TickProducer {
    pub fn new(
        simulation: Simulation,
        route: Route,
        wall: WallClock,
        publish: PublishTo,
        failed: Recipient<PipelineFailed>,
    ) -> Self {
        let (waiting, simulated, last) = (VecDeque::new(), None, simulation.past);
        Self { simulation, route, wall, publish, failed, waiting, simulated, last, stopped: false }
    }

    /// Publishes at most a burst. Returns when to go on.
    fn produce(&mut self) -> Result<Duration, String> {
        let now = self.simulation.clock.now(self.wall.elapsed(), self.wall.now());
        for _ in 0..BURST {
            if self.waiting.is_empty()
                && let Some(pause) = self.simulate(now)
            {
                return Ok(pause);
            }
            if !self.offer()? {
                return Ok(OFFER_AGAIN);
            }
        }
        Ok(Duration::ZERO)
    }

    /// Makes the next tick; or says how long to wait for it.
    fn simulate(&mut self, now: EventTime) -> Option<Duration> {
        // Also when it is not due yet: the others go by how far this one is.
        if !self.simulation.may_publish(self.simulation.schedule.next()) {
            return Some(SHORTEST_PAUSE);
        }
        let Some(event_time) = self.simulation.schedule.due(now) else {
            return Some(self.simulation.pause.max(SHORTEST_PAUSE));
        };
        let price = self.simulation.path.next_price();
        let symbol = self.simulation.symbol.as_str();
        let tick = WireTick { event_time, symbol, price, volume: None };
        self.waiting.extend(self.simulation.faults.spoil(&tick).into_iter().map(|line| line.payload));
        self.simulated = Some(LastTick { event_time, price });
        None
    }

    /// Offers the oldest waiting record; `false` when it has to wait.
    fn offer(&mut self) -> Result<bool, String> {
        let Some(payload) = self.waiting.front() else { return Ok(true) };
        let key = self.simulation.symbol.as_str().as_bytes();
        match (self.publish)(&Outgoing { topic: &self.route.topic, partition: self.route.partition, key, payload }) {
            Ok(()) => {
                self.waiting.pop_front();
                if self.waiting.is_empty() {
                    self.last = self.simulated;
                }
                Ok(true)
            }
            Err(PublishRefused::Full) => Ok(false),
            Err(PublishRefused::Failed(reason)) => Err(reason),
        }
    }
}

impl Actor for TickProducer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Produce);
    }
}

impl Handler<Produce> for TickProducer {
    type Result = ();

    fn handle(&mut self, _: Produce, ctx: &mut Self::Context) {
        if self.stopped {
            return;
        }
        match self.produce() {
            // A message to itself would come before anything else on this thread.
            Ok(Duration::ZERO) => {
                ctx.spawn(yield_now().into_actor(self).map(|(), _, ctx| ctx.address().do_send(Produce)));
            }
            Ok(pause) => {
                ctx.notify_later(Produce, pause);
            }
            Err(reason) => {
                warn!(symbol = %self.simulation.symbol, reason, "cannot publish");
                self.failed
                    .do_send(PipelineFailed(format!("cannot publish ticks of {}: {reason}", self.simulation.symbol)));
            }
        }
    }
}

impl Handler<StopProducing> for TickProducer {
    type Result = MessageResult<StopProducing>;

    fn handle(&mut self, _: StopProducing, ctx: &mut Self::Context) -> Self::Result {
        self.stopped = true;
        let pace = &self.simulation.pace;
        pace.lock().unwrap_or_else(PoisonError::into_inner).leave(&self.simulation.symbol);
        ctx.stop();
        MessageResult(self.last)
    }
}

#[cfg(test)]
mod tests;
