//! Where each stock's simulation goes on: at the newest of what its topic and the lake hold, or at a start price.

use std::collections::BTreeMap;

use tracing::{debug, warn};

use super::ground::{Ground, StartError};
use crate::kafka::route::partition_of;
use crate::kafka::tail::last_ticks;
use crate::market::bar::Bar;
use crate::market::checkpoint::TopicPartition;
use crate::market::codec;
use crate::market::symbol::Symbol;
use crate::market::time::{EventTime, Span};
use crate::messages::lifecycle::LastTick;
use crate::prices::{PriceSource, start_price};
use crate::settings::{KafkaMode, Settings, StockSettings};
use crate::storage::{Lake, StorageError};

/// Records at the end of a partition in which a stock's newest tick is looked for.
const TAIL: usize = 1_000;

/// Where a stock's simulation begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartPoint {
    pub price: f64,
    /// The newest tick, if the stock has a past.
    pub last: Option<EventTime>,
    /// Windows that end here or before are closed; a tick for them would be late.
    pub closed_until: EventTime,
}

impl StartPoint {
    /// Where the simulation of the process has to be at least for this stock to go on.
    pub fn earliest(&self) -> Option<EventTime> {
        self.last.map(|last| last.max(self.closed_until))
    }

    /// Goes on where a producer of this process stopped.
    pub fn after(last: LastTick) -> Self {
        Self { price: last.price, last: Some(last.event_time), closed_until: EventTime::MIN }
    }

    /// A stock that this process has not seen yet.
    pub fn fresh(price: f64) -> Self {
        Self { price, last: None, closed_until: EventTime::MIN }
    }
}

/// Looks up all stocks. Blocks: reads the lake, on a cluster the ends of the topics, and asks the price source.
///
/// # Errors
/// When the lake or the broker cannot be read. A price source that fails is no error.
pub fn start_points(
    ground: &Ground,
    settings: &Settings,
    stocks: &[StockSettings],
    prices: &dyn PriceSource,
) -> Result<BTreeMap<Symbol, StartPoint>, StartError> {
    let mut tails = BTreeMap::new();
    let mut points = BTreeMap::new();
    for stock in stocks {
        let partition = partition_of(&settings.kafka, &stock.symbol);
        let rules = &settings.market.rules;
        let watermark = ground.lake.newest_checkpoint(&partition)?.map_or(EventTime::MIN, |newest| newest.watermark);
        let closed_until = if watermark == EventTime::MIN { watermark } else { rules.window.start_of(watermark) };
        let in_lake = newest_bar(&ground.lake, &stock.symbol)?.map(|bar| LastTick {
            event_time: bar.window_start + rules.window.span() - Span::from(stock.tick_interval),
            price: bar.close,
        });
        let in_topic = match settings.kafka.mode {
            KafkaMode::Embedded => None,
            KafkaMode::Cluster => {
                if !tails.contains_key(&partition) {
                    let tail = last_ticks(&settings.kafka, &ground.bootstrap, &partition, TAIL)?;
                    tails.insert(partition.clone(), tail);
                }
                newest_in(&tails, &partition, &stock.symbol)
            }
        };
        let newest = [in_lake, in_topic].into_iter().flatten().max_by_key(|tick| tick.event_time);
        let point = match newest {
            Some(tick) => StartPoint { price: tick.price, last: Some(tick.event_time), closed_until },
            None => {
                let last = (closed_until != EventTime::MIN).then_some(closed_until);
                StartPoint { price: start_price(prices, stock), last, closed_until }
            }
        };
        debug!(symbol = %stock.symbol, price = point.price, last = point.last.map(tracing::field::display), "simulation starts");
        points.insert(stock.symbol.clone(), point);
    }
    Ok(points)
}

/// A damaged file keeps nobody from starting: who takes its partition mends it, and `verify` names it.
fn newest_bar(lake: &Lake, symbol: &Symbol) -> Result<Option<Bar>, StorageError> {
    match lake.newest_bars(symbol, 1) {
        Ok(mut bars) => Ok(bars.pop()),
        Err(error @ StorageError::Damaged { .. }) => {
            warn!(%symbol, %error, "the newest bar is not known, the simulation begins at the watermark with a start price");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The tick of the greatest event time: the last record may be a late one, or broken.
fn newest_in(
    tails: &BTreeMap<TopicPartition, Vec<Vec<u8>>>,
    partition: &TopicPartition,
    symbol: &Symbol,
) -> Option<LastTick> {
    let ticks = tails.get(partition)?.iter().filter_map(|payload| codec::decode(payload).ok());
    let own = ticks.filter(|tick| tick.symbol == symbol.as_str());
    own.max_by_key(|tick| tick.event_time).map(|tick| LastTick { event_time: tick.event_time, price: tick.price })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_tick_of_a_stock_is_the_one_of_the_greatest_event_time() {
        let partition = TopicPartition::new("t", 0);
        let lines = ["2025-05-14 15:30:05,A,2", "2025-05-14 15:31:00,B,9", "2025-05-14 15:30:00,A,1", "broken"];
        let tail = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        let tails = BTreeMap::from([(partition.clone(), tail)]);
        let newest = newest_in(&tails, &partition, &Symbol::new("A").unwrap()).unwrap();
        assert_eq!((newest.price, newest.event_time.to_string().as_str()), (2.0, "2025-05-14T15:30:05.000000Z"));
        assert_eq!(newest_in(&tails, &partition, &Symbol::new("C").unwrap()), None);
    }
}
