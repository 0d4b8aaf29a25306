//! Keeps simulated stocks in step.
//!
//! Stocks that share a partition share its watermark: one that ran ahead by more than the lateness would make the ticks of the
//! others late. So none publishes further ahead of the slowest than the slack.

use std::collections::{BTreeSet, HashMap};

use super::symbol::Symbol;
use super::time::{EventTime, Span};

/// The next instant of every running stock.
#[derive(Debug)]
pub struct Pace {
    slack: Span,
    next: HashMap<Symbol, EventTime>,
    order: BTreeSet<(EventTime, Symbol)>,
}

impl Pace {
    /// `slack` must be less than the lateness.
    pub fn new(slack: Span) -> Self {
        Self { slack, next: HashMap::new(), order: BTreeSet::new() }
    }

    /// The stock wants to publish a tick of this instant next. Whether it may now.
    pub fn may_publish(&mut self, symbol: &Symbol, instant: EventTime) -> bool {
        if self.next.get(symbol) != Some(&instant) {
            self.leave(symbol);
            self.next.insert(symbol.clone(), instant);
            self.order.insert((instant, symbol.clone()));
        }
        self.order.first().is_none_or(|(slowest, _)| instant <= *slowest + self.slack)
    }

    /// The stock publishes no more; nobody waits for it.
    pub fn leave(&mut self, symbol: &Symbol) {
        if let Some(instant) = self.next.remove(symbol) {
            self.order.remove(&(instant, symbol.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> EventTime {
        EventTime::from_micros(micros)
    }

    #[test]
    fn nobody_runs_further_ahead_of_the_slowest_than_the_slack() {
        let (fast, slow) = (Symbol::new("FAST").unwrap(), Symbol::new("SLOW").unwrap());
        let mut pace = Pace::new(Span::from_micros(10));
        assert!(pace.may_publish(&slow, at(0)));
        assert!(pace.may_publish(&fast, at(10)));
        assert!(!pace.may_publish(&fast, at(11)));
        assert!(pace.may_publish(&slow, at(5)));
        assert!(pace.may_publish(&fast, at(11)));
        assert!(!pace.may_publish(&fast, at(100)));
        pace.leave(&slow);
        assert!(pace.may_publish(&fast, at(100)), "nobody waits for a stock that left");
    }
}
