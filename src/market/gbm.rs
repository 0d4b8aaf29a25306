//! Simulated prices: geometric Brownian motion, one reproducible path per stock.
//!
//! Per tick `S' = S * exp((r - sigma^2 / 2) dt + sigma sqrt(dt) Z)` with `dt` in years of 365 days and Z standard normal. The yearly
//! rate r and volatility sigma are drawn anew for every trajectory. The same parameters give the same path, on every run and
//! with every release of the random number library, for the generator is named, not its default.

mod stream;
#[cfg(test)]
mod tests;

use rand::RngExt;
use rand::distr::Distribution;
use rand::rngs::Xoshiro256PlusPlus;
use statrs::distribution::Normal;

pub(super) use stream::random_stream;

use super::symbol::Symbol;
use super::time::{EventTime, MICROS_PER_DAY, Span};

const MICROS_PER_YEAR: f64 = 365.0 * MICROS_PER_DAY as f64;

/// What a path is made of.
#[derive(Clone, Copy, Debug)]
pub struct PathParams<'a> {
    pub symbol: &'a Symbol,
    /// The seed of the settings; every stock gets an independent stream of it.
    pub seed: u64,
    /// The price before the first tick; finite and above 0.
    pub initial_price: f64,
    /// Pins the yearly rate of every trajectory.
    pub rate: Option<f64>,
    /// Pins the yearly volatility of every trajectory.
    pub volatility: Option<f64>,
    /// Yearly rate: low and high end of the uniform draw.
    pub rate_range: (f64, f64),
    /// Yearly volatility: low and high end of the uniform draw.
    pub volatility_range: (f64, f64),
    /// Ticks after which rate and volatility are drawn anew; at least 1.
    pub trajectory_ticks: u32,
    /// Event time between two ticks.
    pub tick_interval: Span,
    /// The event time after which the path goes on, so that a restart does not repeat the steps that led there.
    pub continues_at: Option<EventTime>,
}

/// The prices of one stock, tick by tick.
#[derive(Clone, Debug)]
pub struct PricePath {
    price: f64,
    rate: Draw,
    volatility: Draw,
    trajectory_ticks: u32,
    /// `tick_interval` in years.
    dt: f64,
    random: Xoshiro256PlusPlus,
    trajectory: Trajectory,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Trajectory {
    rate: f64,
    volatility: f64,
    ticks_left: u32,
}

/// How a yearly figure is found for a trajectory.
#[derive(Clone, Copy, Debug)]
struct Draw {
    pinned: Option<f64>,
    range: (f64, f64),
}

impl Draw {
    /// Draws also when pinned, so that pinning one figure leaves the rest of the path's chances as they were.
    fn next(self, random: &mut Xoshiro256PlusPlus) -> f64 {
        let (low, high) = self.range;
        let drawn = low + (high - low) * random.random::<f64>();
        self.pinned.unwrap_or_else(|| (drawn * 1000.0).round() / 1000.0)
    }
}

impl PricePath {
    pub fn new(params: PathParams<'_>) -> Self {
        Self {
            price: params.initial_price,
            rate: Draw { pinned: params.rate, range: params.rate_range },
            volatility: Draw { pinned: params.volatility, range: params.volatility_range },
            trajectory_ticks: params.trajectory_ticks,
            dt: params.tick_interval.micros() as f64 / MICROS_PER_YEAR,
            random: random_stream(params.seed, "price", params.symbol, params.continues_at),
            trajectory: Trajectory { rate: 0.0, volatility: 0.0, ticks_left: 0 },
        }
    }

    /// One step on; always finite and above 0.
    pub fn next_price(&mut self) -> f64 {
        if self.trajectory.ticks_left == 0 {
            self.trajectory = Trajectory {
                rate: self.rate.next(&mut self.random),
                volatility: self.volatility.next(&mut self.random),
                ticks_left: self.trajectory_ticks.max(1),
            };
        }
        self.trajectory.ticks_left -= 1;
        let Trajectory { rate, volatility, .. } = self.trajectory;
        let z: f64 = Normal::standard().sample(&mut self.random);
        let log_return = (rate - volatility * volatility / 2.0) * self.dt + volatility * self.dt.sqrt() * z;
        // Absurd settings could leave the doubles; the path then stays at their edge.
        self.price = (self.price * log_return.exp()).clamp(f64::MIN_POSITIVE, f64::MAX);
        self.price
    }
}
