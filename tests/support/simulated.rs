//! What a simulation has published, as the log holds it.

use std::collections::BTreeMap;

use stockstream::market::time::{EventTime, Span};

use super::flow::Flow;
use super::oracle::parse;

/// The ticks of every stock, in the order of the log.
pub struct Simulated(BTreeMap<String, Vec<(EventTime, f64)>>);

impl Simulated {
    pub fn of(flow: &Flow) -> Self {
        let mut paths: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for record in flow.logs().into_iter().flatten() {
            let tick = parse(&record.payload).expect("a simulation without faults publishes good ticks");
            paths.entry(tick.symbol).or_default().push((tick.event_time, tick.price));
        }
        Self(paths)
    }

    /// How many ticks the stock with the fewest has; 0 when there is no stock.
    pub fn fewest(&self) -> usize {
        self.0.values().map(Vec::len).min().unwrap_or(0)
    }

    /// Each tick published once, in order, and every one of them, without a pause in event time.
    #[track_caller]
    pub fn assert_complete(&self, interval: Span) {
        for (symbol, path) in &self.0 {
            for pair in path.windows(2) {
                assert_eq!(pair[1].0 - pair[0].0, interval, "{symbol}: {pair:?}");
            }
        }
    }

    /// Every tick is there, some perhaps more than once or after a younger one.
    #[track_caller]
    pub fn assert_nothing_missing(&self, interval: Span) {
        for (symbol, path) in &self.0 {
            let unique: BTreeMap<EventTime, f64> = path.iter().copied().collect();
            let times: Vec<EventTime> = unique.into_keys().collect();
            for pair in times.windows(2) {
                assert_eq!(pair[1] - pair[0], interval, "{symbol}: {pair:?}");
            }
        }
    }

    /// Event time never steps back and the price never jumps, over all restarts of the simulation.
    #[track_caller]
    pub fn assert_goes_on(&self) {
        for (symbol, path) in &self.0 {
            for pair in path.windows(2) {
                assert!(pair[1].0 > pair[0].0, "{symbol}: event time steps back: {pair:?}");
                assert!((pair[1].1 / pair[0].1 - 1.0).abs() < 0.02, "{symbol}: the price jumps: {pair:?}");
            }
        }
    }

    /// How many ticks stand in the log more than once.
    pub fn repeated(&self) -> usize {
        let unique = |path: &Vec<(EventTime, f64)>| {
            path.iter().map(|tick| tick.0).collect::<std::collections::BTreeSet<_>>().len()
        };
        self.0.values().map(|path| path.len() - unique(path)).sum()
    }
}
