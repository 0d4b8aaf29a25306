//! What a lake must hold after files of ticks were replayed into it, one after the other, on the embedded broker.

use std::collections::BTreeMap;

use stockstream::kafka::topics::partition_of_key;
use stockstream::market::bar::Bar;
use stockstream::market::symbol::Symbol;
use stockstream::market::time::{EventTime, Span, WindowSize};

use super::oracle::{Counts, Facts, LogRecord, one_pass};

/// Later than any tick that counts.
const NOW: i64 = 4_000_000_000_000_000;
/// Closes every window.
const END_OF_TIME: EventTime = EventTime::from_micros(i64::MAX / 2);

/// The rules of the default settings.
pub fn default_facts(known: &[&str]) -> Facts {
    Facts {
        window: WindowSize::new(Span::from_secs(300)).unwrap(),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
        known: known.iter().map(|symbol| (Symbol::new(symbol).unwrap(), 0)).collect(),
        forced: Vec::new(),
        gaps: Vec::new(),
    }
}

/// Partitions by number; each replay has a new log, the watermarks stay.
pub struct Replays {
    facts: Facts,
    /// `None`: a partition for each stock.
    keyed: Option<i32>,
    watermarks: BTreeMap<usize, EventTime>,
    bars: Vec<Bar>,
}

impl Replays {
    pub fn per_stock(facts: Facts) -> Self {
        Self { facts, keyed: None, watermarks: BTreeMap::new(), bars: Vec::new() }
    }

    pub fn keyed(facts: Facts, partitions: i32) -> Self {
        Self { keyed: Some(partitions), ..Self::per_stock(facts) }
    }

    /// One more file; the counts of this one.
    pub fn replay(&mut self, lines: &[Vec<u8>]) -> Counts {
        let mut logs: BTreeMap<usize, Vec<LogRecord>> = BTreeMap::new();
        for line in lines {
            let log = logs.entry(self.partition_of(line)).or_default();
            let (offset, timestamp) = (log.len() as i64, Some(EventTime::from_micros(NOW)));
            log.push(LogRecord { offset, timestamp, payload: line.clone() });
        }
        let mut counts = Counts::default();
        for (partition, log) in logs {
            let before = self.watermarks.get(&partition).copied().unwrap_or(EventTime::MIN);
            let mut facts = self.facts.clone();
            facts.forced = vec![(0, before), (log.len() as i64, END_OF_TIME)];
            let outcome = one_pass(&log, &facts);
            let ends = outcome.bars.iter().map(|bar| bar.window_start + facts.window.span());
            self.watermarks.insert(partition, ends.chain([before]).max().expect("there is one before"));
            self.bars.extend(outcome.bars);
            counts = sum(&counts, &outcome.counts);
        }
        counts
    }

    /// All bars of all replays, sorted by (symbol, window start).
    pub fn bars(&self) -> Vec<Bar> {
        let mut bars = self.bars.clone();
        bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
        bars
    }

    /// A line of no known stock goes where the first stock's lines go; which partition counts it changes no bar.
    fn partition_of(&self, line: &[u8]) -> usize {
        let symbol = line.split(|byte| *byte == b',').nth(1).unwrap_or_default();
        match self.keyed {
            None => self.facts.known.keys().position(|known| known.as_str().as_bytes() == symbol).unwrap_or(0),
            Some(partitions) => partition_of_key(symbol, partitions) as usize,
        }
    }
}

pub fn sum(a: &Counts, b: &Counts) -> Counts {
    Counts {
        read: a.read + b.read,
        in_bars: a.in_bars + b.in_bars,
        open: a.open + b.open,
        late: a.late + b.late,
        malformed: a.malformed + b.malformed,
        future: a.future + b.future,
        unknown: a.unknown + b.unknown,
    }
}
