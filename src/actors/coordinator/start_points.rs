//! Where each stock's simulation goes on: at the newest of what its topic and the lake hold, or at a start price.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tracing::{debug, warn};

use super::ground::{Ground, StartError};
use crate::actors::wall_clock::WallClock;
use crate::kafka::route::partition_of;
use crate::kafka::tail::read_tails;
use crate::market::bar::Bar;
use crate::market::checkpoint::TopicPartition;
use crate::market::codec;
use crate::market::symbol::Symbol;
use crate::market::time::{EventTime, Span};
use crate::messages::lifecycle::LastTick;
use crate::prices::{PriceSource, start_price};
use crate::settings::{KafkaMode, Settings, StockSettings};

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
    let mut stocks_of: StocksOf = BTreeMap::new();
    for stock in stocks {
        stocks_of.entry(partition_of(&settings.kafka, &stock.symbol)).or_default().insert(stock.symbol.clone());
    }
    let pasts = pasts(ground, settings, &stocks_of)?;
    say_what_is_real(&pasts);
    let mut points = BTreeMap::new();
    for stock in stocks {
        let past = &pasts[&partition_of(&settings.kafka, &stock.symbol)];
        let closed_until = past.closed_until;
        let in_lake = past.bars.get(&stock.symbol).map(|bar| LastTick {
            event_time: bar.window_start + settings.market.rules.window.span() - Span::from(stock.tick_interval),
            price: bar.close,
        });
        let in_topic = past.ticks.get(&stock.symbol).copied();
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

/// Simulated ticks have no volume. Whoever has replayed a file into this lake may not want them behind it.
fn say_what_is_real(pasts: &BTreeMap<TopicPartition, Past>) {
    let bars = pasts.values().flat_map(|past| past.bars.values());
    let real: Vec<&Bar> = bars.filter(|bar| bar.volume.is_some()).collect();
    if let Some(first) = real.first() {
        warn!(
            stocks = real.len(), such_as = %first.symbol, newest = %first.window_start,
            "the newest bars have a volume, so they are of real ticks, and simulated ones will go on behind them: to keep the lake real, give the simulation another one (--lake), or set producer.enabled = false"
        );
    }
}

type StocksOf = BTreeMap<TopicPartition, BTreeSet<Symbol>>;

/// What is known of the stocks of a partition.
struct Past {
    /// Windows that end here or before are closed.
    closed_until: EventTime,
    bars: BTreeMap<Symbol, Bar>,
    /// The newest in the topic.
    ticks: NewestTicks,
}

fn pasts(
    ground: &Ground,
    settings: &Settings,
    stocks_of: &StocksOf,
) -> Result<BTreeMap<TopicPartition, Past>, StartError> {
    let mut pasts = BTreeMap::new();
    for (partition, symbols) in stocks_of {
        pasts.insert(partition.clone(), Past::in_lake(ground, settings, partition, symbols)?);
    }
    if settings.kafka.mode == KafkaMode::Cluster {
        let latest = WallClock::start().now() + settings.market.rules.max_ahead;
        let partitions = stocks_of.keys().cloned().collect();
        read_tails(&settings.kafka, &ground.bootstrap, &partitions, TAIL, &mut |partition, payload| {
            if let (Some(past), Some(symbols)) = (pasts.get_mut(partition), stocks_of.get(partition)) {
                note(&mut past.ticks, symbols, latest, payload);
            }
        })?;
    }
    Ok(pasts)
}

impl Past {
    fn in_lake(
        ground: &Ground,
        settings: &Settings,
        partition: &TopicPartition,
        symbols: &BTreeSet<Symbol>,
    ) -> Result<Self, StartError> {
        let watermark = ground.lake.newest_checkpoint(partition)?.map_or(EventTime::MIN, |newest| newest.watermark);
        let window = settings.market.rules.window;
        let closed_until = if watermark == EventTime::MIN { watermark } else { window.start_of(watermark) };
        let bars = ground.lake.newest_bar_of_each(partition, symbols)?;
        Ok(Self { closed_until, bars, ticks: NewestTicks::new() })
    }
}

type NewestTicks = HashMap<Symbol, LastTick>;

/// Keeps the tick of the greatest event time of each of these stocks: the last record may be a late one, or broken, or from a future beyond
/// `latest`, in which no simulation may go on.
fn note(newest: &mut NewestTicks, stocks: &BTreeSet<Symbol>, latest: EventTime, payload: &[u8]) {
    let Ok(tick) = codec::decode(payload) else { return };
    let Some(symbol) = stocks.get(tick.symbol).filter(|_| tick.event_time <= latest) else { return };
    let last = LastTick { event_time: tick.event_time, price: tick.price };
    let newest = newest.entry(symbol.clone()).or_insert(last);
    if last.event_time >= newest.event_time {
        *newest = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_tick_of_a_stock_is_the_one_of_the_greatest_event_time() {
        let lines = ["2025-05-14 15:30:05,A,2", "2025-05-14 15:31:00,B,9", "2025-05-14 15:30:00,A,1", "broken"];
        let newest = newest_of(["A", "B", "C"], &lines, at("2025-05-14 15:31:00"));
        let newest_of = |symbol| newest.get(symbol).map(|tick| (tick.price, tick.event_time.to_string()));
        assert_eq!(newest_of("A"), Some((2.0, String::from("2025-05-14T15:30:05.000000Z"))));
        assert_eq!((newest_of("B").map(|(price, _)| price), newest_of("C")), (Some(9.0), None));
    }

    #[test]
    fn no_simulation_goes_on_behind_a_tick_from_the_future() {
        let lines = ["2025-05-14 15:30:05,A,2", "2099-01-01 00:00:00,A,5", "2099-01-01 00:00:00,B,5"];
        let newest = newest_of(["A", "B", "C"], &lines, at("2025-05-14 15:31:05"));
        assert_eq!((newest["A"].price, newest.get("B")), (2.0, None));
    }

    #[test]
    fn stocks_that_nobody_asked_for_are_not_kept() {
        let newest = newest_of(["A", "B", "C"], &["2025-05-14 15:30:05,X,2"], at("2025-05-14 15:31:05"));
        assert!(newest.is_empty());
    }

    fn newest_of(stocks: [&str; 3], lines: &[&str], latest: EventTime) -> NewestTicks {
        let stocks = stocks.map(|text| Symbol::new(text).unwrap()).into();
        let mut newest = NewestTicks::new();
        lines.iter().for_each(|line| note(&mut newest, &stocks, latest, line.as_bytes()));
        newest
    }

    fn at(text: &str) -> EventTime {
        codec::decode(format!("{text},A,1").as_bytes()).unwrap().event_time
    }
}
