//! Tumbling event-time windows of one stock: folds ticks into open bars and closes them when the watermark has passed.

use super::bar::Bar;
use super::symbol::Symbol;
use super::tick::Tick;
use super::time::{EventTime, WindowSize};
use super::watermark::Watermark;

/// Room for so many open windows is kept; a backlog may have needed more.
const ROOM_KEPT: usize = 64;

/// A bar that is still being folded.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenBar {
    pub window_start: EventTime,
    /// The offset of its first tick: a restart must read from here to fold it again.
    pub first_offset: i64,
    pub ticks: i64,
    pub high: f64,
    pub low: f64,
    first: Edge,
    last: Edge,
    /// Sums of volume and of price x volume in offset order, over the ticks that have a volume.
    volume: Option<(f64, f64)>,
}

/// The tick that opens or closes a bar: the least and the greatest by (event time, offset).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    event_time: EventTime,
    offset: i64,
    price: f64,
}

impl OpenBar {
    fn new(window_start: EventTime, tick: &Tick) -> Self {
        let edge = Edge { event_time: tick.event_time, offset: tick.offset, price: tick.price };
        Self {
            window_start,
            first_offset: tick.offset,
            ticks: 1,
            high: tick.price,
            low: tick.price,
            first: edge,
            last: edge,
            volume: tick.volume.map(|volume| (volume, tick.price * volume)),
        }
    }

    fn fold(&mut self, tick: &Tick) {
        self.ticks += 1;
        self.high = self.high.max(tick.price);
        self.low = self.low.min(tick.price);
        let edge = Edge { event_time: tick.event_time, offset: tick.offset, price: tick.price };
        if (edge.event_time, edge.offset) < (self.first.event_time, self.first.offset) {
            self.first = edge;
        }
        if (edge.event_time, edge.offset) > (self.last.event_time, self.last.offset) {
            self.last = edge;
        }
        if let Some(volume) = tick.volume {
            let (sum, weighted) = self.volume.unwrap_or((0.0, 0.0));
            self.volume = Some((sum + volume, weighted + tick.price * volume));
        }
    }

    pub fn open(&self) -> f64 {
        self.first.price
    }

    pub fn close(&self) -> f64 {
        self.last.price
    }

    /// The bar as it stands. A sum that overflows to infinity is no number that a reader could use: absent.
    pub fn to_bar(&self, symbol: &Symbol) -> Bar {
        let finite = |value: f64| value.is_finite().then_some(value);
        Bar {
            symbol: symbol.clone(),
            window_start: self.window_start,
            open: self.first.price,
            high: self.high,
            low: self.low,
            close: self.last.price,
            volume: self.volume.and_then(|(sum, _)| finite(sum)),
            vwap: self
                .volume
                .and_then(|(sum, weighted)| if sum > 0.0 { finite(weighted / finite(sum)?) } else { None }),
            ticks: self.ticks,
        }
    }
}

/// A closed bar and the oldest offset it was made of.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedBar {
    pub bar: Bar,
    pub first_offset: i64,
}

/// What the windows that stay open still need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StillOpen {
    /// The smallest offset over all open windows, not that of the oldest window: with out-of-order ticks a younger window may
    /// hold the older offset. `None` when no window is open.
    pub oldest_offset: Option<i64>,
    pub ticks: u64,
}

/// The open windows of one stock. Whether a tick is late is decided before it gets here.
#[derive(Clone, Debug, PartialEq)]
pub struct StockWindows {
    symbol: Symbol,
    size: WindowSize,
    /// Sorted by window start; a handful at most (lateness / window + 2). The newest is the last.
    open: Vec<OpenBar>,
}

impl StockWindows {
    pub fn new(symbol: Symbol, size: WindowSize) -> Self {
        Self { symbol, size, open: Vec::new() }
    }

    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// Folds a tick; ticks must come in offset order, in any order of event time.
    pub fn fold(&mut self, tick: &Tick) {
        // Nearly every tick belongs to the newest window: compare bounds there before dividing.
        if let Some(newest) = self.open.last_mut()
            && tick.event_time >= newest.window_start
            && tick.event_time < newest.window_start + self.size.span()
        {
            return newest.fold(tick);
        }
        let start = self.size.start_of(tick.event_time);
        match self.open.binary_search_by_key(&start, |bar| bar.window_start) {
            Ok(at) => self.open[at].fold(tick),
            Err(at) => self.open.insert(at, OpenBar::new(start, tick)),
        }
    }

    /// Removes and returns the windows that the watermark has passed, oldest first.
    pub fn close(&mut self, watermark: Watermark) -> Vec<ClosedBar> {
        let closed = self.open.partition_point(|bar| watermark.has_passed(bar.window_start + self.size.span()));
        let symbol = &self.symbol;
        let closed = self.open.drain(..closed);
        let closed = closed.map(|bar| ClosedBar { first_offset: bar.first_offset, bar: bar.to_bar(symbol) }).collect();
        self.open.shrink_to(ROOM_KEPT);
        closed
    }

    pub fn still_open(&self) -> StillOpen {
        StillOpen {
            oldest_offset: self.open.iter().map(|bar| bar.first_offset).min(),
            ticks: self.open.iter().map(|bar| bar.ticks.unsigned_abs()).sum(),
        }
    }

    /// The newest open bar, for the live view.
    pub fn newest(&self) -> Option<&OpenBar> {
        self.open.last()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::time::Span;

    const MINUTE: i64 = 60_000_000;

    fn windows() -> StockWindows {
        StockWindows::new(Symbol::new("AAPL").unwrap(), WindowSize::new(Span::from_secs(300)).unwrap())
    }

    fn tick(offset: i64, minutes: f64, price: f64, volume: Option<f64>) -> Tick {
        Tick { offset, event_time: EventTime::from_micros((minutes * MINUTE as f64) as i64), price, volume }
    }

    fn all(mut windows: StockWindows) -> Vec<ClosedBar> {
        windows.close(Watermark::restored(EventTime::from_micros(i64::MAX)))
    }

    #[test]
    fn open_and_close_follow_event_time_and_then_the_offset() {
        let mut windows = windows();
        for t in [tick(0, 2.0, 10.0, None), tick(1, 1.0, 11.0, None), tick(2, 1.0, 12.0, None), tick(3, 2.0, 9.0, None)]
        {
            windows.fold(&t);
        }
        let bar = all(windows).remove(0).bar;
        assert_eq!((bar.open, bar.high, bar.low, bar.close, bar.ticks), (11.0, 12.0, 9.0, 9.0, 4));
        assert_eq!((bar.volume, bar.vwap), (None, None));
    }

    #[test]
    fn volume_and_vwap_count_only_ticks_that_have_a_volume() {
        let mut windows = windows();
        for t in [tick(0, 0.0, 10.0, None), tick(1, 1.0, 20.0, Some(3.0)), tick(2, 2.0, 40.0, Some(1.0))] {
            windows.fold(&t);
        }
        windows.fold(&tick(3, 6.0, 5.0, Some(0.0)));
        let bars = all(windows);
        assert_eq!((bars[0].bar.volume, bars[0].bar.vwap), (Some(4.0), Some(25.0)));
        assert_eq!((bars[1].bar.volume, bars[1].bar.vwap), (Some(0.0), None), "a volume of 0 has no average");
    }

    #[test]
    fn a_window_closes_when_the_watermark_reaches_its_end_and_not_before() {
        let mut windows = windows();
        windows.fold(&tick(0, 1.0, 10.0, None));
        assert!(windows.close(Watermark::restored(EventTime::from_micros(5 * MINUTE - 1))).is_empty());
        assert_eq!(windows.close(Watermark::restored(EventTime::from_micros(5 * MINUTE))).len(), 1);
        assert_eq!(windows.still_open(), StillOpen::default());
    }

    #[test]
    fn the_oldest_offset_may_belong_to_a_younger_window() {
        let mut windows = windows();
        windows.fold(&tick(7, 6.0, 10.0, None));
        windows.fold(&tick(8, 1.0, 10.0, None));
        assert_eq!(windows.still_open(), StillOpen { oldest_offset: Some(7), ticks: 2 });
        windows.close(Watermark::restored(EventTime::from_micros(5 * MINUTE)));
        assert_eq!(windows.still_open(), StillOpen { oldest_offset: Some(7), ticks: 1 });
    }

    #[test]
    fn sums_that_overflow_are_absent_not_infinite() {
        let mut windows = windows();
        windows.fold(&tick(0, 0.0, 0.5, Some(f64::MAX)));
        windows.fold(&tick(1, 0.0, 0.25, Some(f64::MAX)));
        let bar = all(windows).remove(0).bar;
        assert_eq!((bar.volume, bar.vwap), (None, None));
    }

    proptest! {
        #[test]
        fn arrival_order_changes_only_the_sums(times in prop::collection::vec((0i64..20, 1u32..1000), 1..40), seed: u64) {
            let honest: Vec<Tick> = times.iter().enumerate()
                .map(|(i, &(minute, price))| tick(i as i64, minute as f64 + i as f64 / 1000.0, f64::from(price), None)).collect();
            let mut shuffled = honest.clone();
            let mut state = seed;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            shuffled.iter_mut().enumerate().for_each(|(i, tick)| tick.offset = i as i64);
            let fold = |ticks: &[Tick]| {
                let mut windows = windows();
                ticks.iter().for_each(|tick| windows.fold(tick));
                all(windows).into_iter().map(|closed| closed.bar).collect::<Vec<_>>()
            };
            let bars = fold(&honest);
            prop_assert_eq!(&bars, &fold(&shuffled));
            prop_assert_eq!(bars.iter().map(|bar| bar.ticks).sum::<i64>(), honest.len() as i64);
            for bar in bars {
                prop_assert!(bar.low <= bar.open && bar.open <= bar.high && bar.low <= bar.close && bar.close <= bar.high);
            }
        }
    }
}
