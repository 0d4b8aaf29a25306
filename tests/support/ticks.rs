//! Files of ticks with everything that can be wrong with a tick, and how many of each kind there are.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use stockstream::market::time::EventTime;

use super::oracle::Counts;

/// Symbols with every kind of character, in different partitions of a keyed topic.
pub const STOCKS: [&str; 4] = ["AAPL", "BRK.B", "EURUSD=X", "GSPC_5^"];
/// A stock that nobody asked for.
pub const STRANGER: &str = "ZZZ";
/// 2025-05-13 22:00 UTC, two hours before a midnight.
pub const START: i64 = 1_747_173_600_000_000;

const SECOND: i64 = 1_000_000;

/// What a file is to hold.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub seed: u64,
    /// Lines that are no ticks included.
    pub lines: usize,
    /// Event time of the first tick, microseconds since the epoch.
    pub start: i64,
    /// Event time between two ticks of any stock, on the average.
    pub step_micros: i64,
    /// Share of the lines that are late, malformed, from the future, of a stranger; as much of each.
    pub spoiled: f64,
    /// Of a window and the lateness, as the program is told.
    pub window_secs: i64,
    pub lateness_secs: i64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 1,
            lines: 20_000,
            start: START,
            step_micros: SECOND,
            spoiled: 0.01,
            window_secs: 300,
            lateness_secs: 600,
        }
    }
}

/// Lines without their ends, and what must become of them. `counts.open` and `counts.in_bars` are not told apart: all good ticks
/// are in `in_bars`.
pub struct Ticks {
    pub lines: Vec<Vec<u8>>,
    pub counts: Counts,
    /// The newest event time.
    pub newest: i64,
}

impl Ticks {
    pub fn make(recipe: &Recipe) -> Self {
        let mut maker = Maker { random: StdRng::seed_from_u64(recipe.seed), newest: recipe.start, of_stock: [None; 4] };
        let mut prices = [211.45, 498.2, 1.1187, 5892.58];
        let mut counts = Counts { read: recipe.lines as u64, ..Counts::default() };
        let mut lines = Vec::with_capacity(recipe.lines);
        for number in 0..recipe.lines {
            // Not the first: a header may stand there.
            let spoiled = maker.random.random_bool(recipe.spoiled * 4.0) && number > 0;
            let (counter, line) = match (spoiled, maker.random.random_range(0..4)) {
                (true, 0) => match maker.late(recipe, &prices) {
                    Some(line) => (&mut counts.late, line),
                    None => (&mut counts.malformed, maker.malformed()),
                },
                (true, 1) => (&mut counts.malformed, maker.malformed()),
                (true, 2) => (&mut counts.future, b"2999-01-01 00:00:00,AAPL,1.5".to_vec()),
                (true, _) => (&mut counts.unknown, maker.of_a_stranger()),
                (false, _) => (&mut counts.in_bars, maker.good(recipe, &mut prices)),
            };
            *counter += 1;
            lines.push(line);
        }
        Self { lines, counts, newest: maker.newest }
    }

    /// As a file with a line end after each.
    pub fn file(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
    }
}

struct Maker {
    random: StdRng,
    newest: i64,
    /// The newest event time of each stock.
    of_stock: [Option<i64>; 4],
}

impl Maker {
    fn good(&mut self, recipe: &Recipe, prices: &mut [f64; 4]) -> Vec<u8> {
        let stock = self.random.random_range(0..STOCKS.len());
        prices[stock] *= self.random.random_range(0.999..1.001);
        self.newest += self.random.random_range(0..=2 * recipe.step_micros);
        // Within the lateness by the newest tick of all, so by that of any partition.
        let back =
            if self.random.random_bool(0.2) { self.random.random_range(0..=recipe.lateness_secs * SECOND) } else { 0 };
        let time = (self.newest - back).max(recipe.start);
        self.of_stock[stock] = self.of_stock[stock].max(Some(time));
        self.line(time, STOCKS[stock], prices[stock])
    }

    /// Older than what the stock's own ticks have passed; `None` while there are none.
    fn late(&mut self, recipe: &Recipe, prices: &[f64; 4]) -> Option<Vec<u8>> {
        let stock = self.random.random_range(0..STOCKS.len());
        let newest = self.of_stock[stock]?;
        let more = self.random.random_range(0..7200);
        let time = newest - (recipe.lateness_secs + recipe.window_secs + more) * SECOND;
        Some(self.line(time, STOCKS[stock], prices[stock]))
    }

    fn of_a_stranger(&mut self) -> Vec<u8> {
        self.line(self.newest, STRANGER, 7.5)
    }

    fn malformed(&mut self) -> Vec<u8> {
        let long = format!("2025-05-14 15:30:00,AAPL,{}", "1".repeat(6_000));
        let broken: [&[u8]; 10] = [
            b"nonsense",
            b"2025-05-14 15:30:60,AAPL,1",
            b"2025-05-14 15:30:00,AAPL,-1",
            b"2025-05-14 15:30:00,AAPL,NaN",
            b"2025-05-14 15:30:00,AAPL,1,-5",
            b"2025-05-14 15:30:00,AAPL,1,5,6",
            b"2025-05-14 15:30:00,\"AAPL\",1",
            b"2025-05-14 15:30:00,AAPL\xff,1",
            b"timestamp,symbol,price",
            long.as_bytes(),
        ];
        broken.choose(&mut self.random).unwrap().to_vec()
    }

    fn line(&mut self, time: i64, symbol: &str, price: f64) -> Vec<u8> {
        let stamp = EventTime::from_micros(time).to_string();
        let stamp = match self.random.random_range(0..4) {
            0 => time.to_string(),
            1 => stamp.replace('T', " ").replace('Z', ""),
            2 => stamp.replace('Z', "+00:00"),
            _ => stamp,
        };
        match self.random.random_range(0..10) {
            0 => format!("{stamp},{symbol},{price}"),
            1 => format!("{stamp},{symbol},{price},0"),
            _ => format!("{stamp},{symbol},{price:.4},{}", self.random.random_range(1..500)),
        }
        .into_bytes()
    }
}
