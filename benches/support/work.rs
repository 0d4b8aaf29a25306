//! The ticks that every measurement reads: `YYYY-MM-DD HH:MM:SS,SYMBOL,price`, prices from a seeded walk. The same for the same arguments.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::io::Write;

use stockstream::kafka::topics::partition_of_key;
use stockstream::market::symbol::Symbol;
use stockstream::market::time::EventTime;
use stockstream::settings::Layout;

/// 2024-01-01 00:00:00 UTC.
pub const FIRST_TICK_SECS: i64 = 1_704_067_200;
/// Partitions of the layout `keyed`, unless it is their number that is measured.
pub const KEYED_PARTITIONS: i32 = 8;

/// Stocks, and the layout of their topics.
#[derive(Clone, Copy)]
pub struct Universe {
    pub layout: Layout,
    pub stocks: usize,
    /// Of the topic of the layout `keyed`.
    pub partitions: i32,
    /// Event time between two ticks of a stock, in seconds.
    pub tick_interval: i64,
}

impl Universe {
    /// Four stocks with a topic each, or a thousand in one topic of 8 partitions; a tick every 5 seconds.
    pub fn of(layout: Layout) -> Self {
        let stocks = if layout == Layout::Keyed { 1_000 } else { 4 };
        Self { layout, stocks, partitions: KEYED_PARTITIONS, tick_interval: 5 }
    }
}

/// As in the settings.
pub fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::PerStock => "per_stock",
        Layout::Keyed => "keyed",
    }
}

/// The ticks of a universe.
pub struct Work {
    pub layout: Layout,
    pub symbols: Vec<Symbol>,
    prices: Vec<f64>,
    tick_interval: i64,
    noise: u64,
    next: usize,
}

/// One tick as it is published.
pub struct Line<'a> {
    pub symbol: &'a Symbol,
    pub payload: &'a [u8],
}

impl Work {
    pub fn new(Universe { layout, stocks, tick_interval, .. }: Universe) -> Self {
        let named = ["AAPL", "GOOG", "MSFT", "NVDA"].map(String::from);
        let names: Vec<String> = match layout {
            Layout::PerStock if stocks <= named.len() => named[..stocks].to_vec(),
            _ => (0..stocks).map(|stock| format!("S{stock:03}")).collect(),
        };
        let symbols: Vec<Symbol> =
            names.iter().map(|name| Symbol::new(name).expect("letters and digits are a symbol")).collect();
        let prices = vec![100.0; symbols.len()];
        Self { layout, symbols, prices, tick_interval, noise: 0x9e37_79b9_7f4a_7c15, next: 0 }
    }

    /// Only the stocks of the partition that `index` names; their ticks are one partition's log.
    pub fn of_one_partition(universe: Universe, index: i32) -> Self {
        let mut work = Self::new(universe);
        match universe.layout {
            Layout::PerStock => work.symbols = vec![work.symbols[usize::try_from(index).unwrap_or(0)].clone()],
            Layout::Keyed => {
                work.symbols
                    .retain(|symbol| partition_of_key(symbol.as_str().as_bytes(), universe.partitions) == index);
            }
        }
        work.prices.truncate(work.symbols.len());
        work
    }

    /// Writes the next tick into `buffer`: the stocks take turns, and event time goes on when each has had one.
    pub fn next_line<'a>(&'a mut self, buffer: &'a mut Vec<u8>) -> Line<'a> {
        let (round, stock) = (self.next / self.symbols.len(), self.next % self.symbols.len());
        self.next += 1;
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let step = (self.noise >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
        // The pull to the middle keeps every price at three digits before the point, and lines at one length.
        self.prices[stock] += step + (500.0 - self.prices[stock]) * 1e-3;
        let seconds = FIRST_TICK_SECS + round as i64 * self.tick_interval;
        let time = EventTime::from_micros(seconds * 1_000_000).to_string();
        let (date, clock) = (&time[..10], &time[11..19]);
        buffer.clear();
        write!(buffer, "{date} {clock},{},{:.4}", self.symbols[stock], self.prices[stock])
            .expect("writing to a Vec cannot fail");
        Line { symbol: &self.symbols[stock], payload: buffer }
    }

    /// The next `count` ticks, payloads only.
    pub fn payloads(&mut self, count: usize) -> Payloads {
        let (mut payloads, mut buffer) = (Payloads::default(), Vec::new());
        for _ in 0..count {
            payloads.push(self.next_line(&mut buffer).payload);
        }
        payloads
    }
}

/// Payloads one behind the other, as a fetched batch has them.
#[derive(Default)]
pub struct Payloads {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Payloads {
    pub fn push(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}
