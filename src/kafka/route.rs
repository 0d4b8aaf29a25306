//! Which partition a stock's ticks go to.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::partitioner::partition_of_key;
use super::topics::topic_of;
use crate::market::checkpoint::TopicPartition;
use crate::market::symbol::Symbol;
use crate::settings::{KafkaSettings, Layout};

/// The partition that holds the ticks of a stock, and in which alone they count.
pub fn partition_of(settings: &KafkaSettings, symbol: &Symbol) -> TopicPartition {
    let partition = match settings.layout {
        Layout::PerStock => 0,
        Layout::Keyed => partition_of_key(symbol.as_str().as_bytes(), settings.partitions),
    };
    TopicPartition::new(&topic_of(settings, symbol), partition)
}

/// Where a record is addressed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub topic: Arc<str>,
    /// `None`: the client hashes the key.
    pub partition: Option<i32>,
}

impl Route {
    pub fn of(settings: &KafkaSettings, symbol: &Symbol) -> Self {
        let TopicPartition { topic, .. } = partition_of(settings, symbol);
        let partition = (settings.layout == Layout::PerStock).then_some(0);
        Self { topic, partition }
    }
}

/// Addresses raw lines of a file, whose symbols may be anything.
#[derive(Clone, Debug)]
pub struct Router {
    by_symbol: FxHashMap<Symbol, Route>,
    /// For lines of no known stock: the consumer must see and count them too.
    other: Route,
}

impl Router {
    /// `None` when there are no stocks.
    pub fn new(settings: &KafkaSettings, symbols: &[Symbol]) -> Option<Self> {
        let other = Route::of(settings, symbols.first()?);
        let by_symbol = symbols.iter().map(|symbol| (symbol.clone(), Route::of(settings, symbol))).collect();
        Some(Self { by_symbol, other })
    }

    /// The key of a line (its symbol, or nothing) and where it goes.
    pub fn route<'l>(&self, line: &'l [u8]) -> (&'l [u8], &Route) {
        let symbol = line.split(|byte| *byte == b',').nth(1).unwrap_or_default();
        let known = std::str::from_utf8(symbol).ok().and_then(|symbol| self.by_symbol.get(symbol));
        match known {
            Some(route) => (symbol, route),
            None => (b"", &self.other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};

    #[test]
    fn a_line_goes_to_its_stock_and_one_of_no_stock_is_not_lost() {
        let settings = load(&Sources::default()).unwrap().settings;
        let symbols: Vec<Symbol> = ["IBM", "AAPL"].iter().map(|text| Symbol::new(text).unwrap()).collect();
        let router = Router::new(&settings.kafka, &symbols).unwrap();
        let (key, route) = router.route(b"2025-05-14 15:30:00,AAPL,211.45");
        assert_eq!((key, &*route.topic, route.partition), (b"AAPL".as_slice(), "stock_topic.AAPL", Some(0)));
        for odd in [b"nonsense".as_slice(), b"2025-05-14 15:30:00,OTHER,1", b",\xff\xfe,", b""] {
            let (key, route) = router.route(odd);
            assert_eq!((key, &*route.topic), (b"".as_slice(), "stock_topic.IBM"));
        }
    }
}
