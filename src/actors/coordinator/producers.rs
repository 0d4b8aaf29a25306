//! The simulated stocks of this process: one clock, one pace, one producer actor each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use actix::prelude::*;

use super::ground::Ground;
use super::start_points::StartPoint;
use crate::actors::tick_producer::{Simulation, TickProducer};
use crate::actors::wall_clock::WallClock;
use crate::kafka::publisher::{Outgoing, Publish};
use crate::kafka::route::Route;
use crate::market::faults::FaultInjector;
use crate::market::gbm::{PathParams, PricePath};
use crate::market::pace::Pace;
use crate::market::sim_clock::{SimClock, TickSchedule};
use crate::market::symbol::Symbol;
use crate::market::time::{EventTime, Span};
use crate::messages::lifecycle::{LastTick, PipelineFailed, StopProducing};
use crate::settings::{Settings, StockSettings};

pub struct Producers {
    clock: SimClock,
    wall: WallClock,
    pace: Arc<Mutex<Pace>>,
    arbiter: ArbiterHandle,
    failed: Recipient<PipelineFailed>,
    running: HashMap<Symbol, Addr<TickProducer>>,
    /// Where stocks stopped that this process has simulated.
    stopped: HashMap<Symbol, LastTick>,
}

impl Producers {
    /// The clock goes on at the newest event time of any stock; without a past it starts with one.
    pub fn new(
        settings: &Settings,
        points: &BTreeMap<Symbol, StartPoint>,
        arbiter: ArbiterHandle,
        failed: Recipient<PipelineFailed>,
    ) -> Self {
        let wall = WallClock::start();
        let producer = &settings.producer;
        let clock = match points.values().filter_map(StartPoint::earliest).max() {
            Some(newest) => SimClock::continued(newest, producer.speed),
            None => {
                let (ago, history) = (Span::from(producer.start_ago), Span::from(producer.history));
                SimClock::first_start(wall.now(), ago, history, producer.speed)
            }
        };
        // Half the lateness: a stock that is ahead by this much makes no other one late.
        let slack = Span::from_micros(settings.market.rules.lateness.micros() / 2);
        let pace = Arc::new(Mutex::new(Pace::new(slack)));
        Self { clock, wall, pace, arbiter, failed, running: HashMap::new(), stopped: HashMap::new() }
    }

    /// Starts the stocks of a new process, from where the clock begins.
    pub fn start_all(&mut self, ground: &Arc<Ground>, settings: &Settings, points: &BTreeMap<Symbol, StartPoint>) {
        let begin = self.clock.begin();
        let enabled = settings.stocks.iter().filter(|stock| stock.enabled);
        let placed = enabled.filter_map(|stock| points.get(&stock.symbol).map(|point| (stock, *point)));
        let simulations: Vec<_> = placed.map(|(stock, point)| self.simulation(settings, stock, point, begin)).collect();
        // All are known to the pace before the first of them publishes.
        for simulation in &simulations {
            simulation.register();
        }
        for simulation in simulations {
            self.spawn(ground, settings, simulation);
        }
    }

    /// Starts a stock beside the running ones, from the clock's now; `point` is for one that this process has not simulated yet.
    pub fn start(&mut self, ground: &Arc<Ground>, settings: &Settings, stock: &StockSettings, point: StartPoint) {
        let now = self.clock.now(self.wall.elapsed(), self.wall.now());
        if self.clock.speed() != settings.producer.speed {
            self.clock = self.clock.with_speed(self.wall.elapsed(), now, settings.producer.speed);
        }
        let point = self.stopped.get(&stock.symbol).copied().map_or(point, StartPoint::after);
        let simulation = self.simulation(settings, stock, point, now);
        simulation.register();
        self.spawn(ground, settings, simulation);
    }

    /// Whether this process simulates the stock, or knows where its simulation stopped.
    pub fn have(&self, symbol: &Symbol) -> bool {
        self.running.contains_key(symbol) || self.stopped.contains_key(symbol)
    }

    fn spawn(&mut self, ground: &Arc<Ground>, settings: &Settings, simulation: Simulation) {
        let symbol = simulation.symbol.clone();
        let route = Route::of(&settings.kafka, &symbol);
        let (wall, failed, publisher) = (self.wall.clone(), self.failed.clone(), ground.publisher.clone());
        let address = TickProducer::start_in_arbiter(&self.arbiter, move |_| {
            let publish = Box::new(move |record: &Outgoing<'_>| publisher.publish(record));
            TickProducer::new(simulation, route, wall, publish, failed)
        });
        self.running.insert(symbol, address);
    }

    fn simulation(&self, settings: &Settings, stock: &StockSettings, point: StartPoint, from: EventTime) -> Simulation {
        let producer = &settings.producer;
        let interval = Span::from(stock.tick_interval);
        let schedule = match point.last {
            Some(last) => TickSchedule::continued(last, point.closed_until, from, interval),
            None => TickSchedule::new(from.max(point.closed_until), interval),
        };
        // A stock with a speed of its own leaves the common clock here, and one that had a higher one does not wait for it.
        let reached = point.last.unwrap_or(EventTime::MIN);
        let clock = if stock.speed == self.clock.speed() && reached <= self.clock.latest() {
            self.clock
        } else {
            self.clock.with_speed(self.wall.elapsed(), reached, stock.speed)
        };
        Simulation {
            symbol: stock.symbol.clone(),
            path: PricePath::new(PathParams {
                symbol: &stock.symbol,
                seed: producer.seed,
                initial_price: point.price,
                rate: stock.rate,
                volatility: stock.volatility,
                rate_range: producer.rate_range,
                volatility_range: producer.volatility_range,
                trajectory_ticks: producer.trajectory_ticks,
                tick_interval: interval,
                continues_at: point.last,
            }),
            faults: FaultInjector::new(
                producer.faults,
                settings.market.rules,
                producer.seed,
                &stock.symbol,
                point.last,
            ),
            schedule,
            clock,
            pace: self.pace.clone(),
            pause: stock.tick_interval.div_f64(stock.speed),
            past: point.last.map(|event_time| LastTick { event_time, price: point.price }),
        }
    }

    /// Stops these stocks, or all; each says where it stopped.
    pub fn stop(&mut self, symbols: Option<&BTreeSet<Symbol>>) -> Stopping {
        let chosen = |symbol: &Symbol| symbols.is_none_or(|symbols| symbols.contains(symbol));
        let going: Vec<_> = self.running.extract_if(|symbol, _| chosen(symbol)).collect();
        Stopping(going.into_iter().map(|(symbol, address)| (symbol, address.send(StopProducing))).collect())
    }

    pub fn stopped(&mut self, last: Vec<(Symbol, LastTick)>) {
        self.stopped.extend(last);
    }
}

/// Producers that were told to stop.
pub struct Stopping(Vec<(Symbol, Request<TickProducer, StopProducing>)>);

impl Stopping {
    /// Where they stopped; a producer that died says nothing.
    pub async fn wait(self) -> Vec<(Symbol, LastTick)> {
        let mut last = Vec::new();
        for (symbol, request) in self.0 {
            if let Ok(Some(tick)) = request.await {
                last.push((symbol, tick));
            }
        }
        last
    }
}
