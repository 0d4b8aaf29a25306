//! The oracle: what the lake must hold, by one plain pass over a partition's log.
//!
//! It shares no decision with the program, not even the reading of a line, only plain types: bar, symbol, instant, checkpoint. It
//! is meant to be obviously right, not fast: all ticks of a window are kept until the end.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike};
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::{BarRules, Checkpoint};
use stockstream::market::symbol::Symbol;
use stockstream::market::time::{EventTime, Span, WindowSize};

/// A record of the log.
#[derive(Clone, Debug)]
pub struct LogRecord {
    pub offset: i64,
    /// The record's own timestamp, if it has one.
    pub timestamp: Option<EventTime>,
    pub payload: Vec<u8>,
}

/// What the log alone does not say.
#[derive(Clone, Debug)]
pub struct Facts {
    pub window: WindowSize,
    pub lateness: Span,
    pub max_ahead: Span,
    /// From which offset on each stock is known.
    pub known: BTreeMap<Symbol, i64>,
    /// (offset, watermark): the watermark was advanced to this before the record at this offset was read, or the next one that
    /// exists. A watermark restored onto a new log is such an advance at offset 0; the end of the stream is one at the log's end.
    pub forced: Vec<(i64, EventTime)>,
    /// What the log lost before it was read, in this order.
    pub gaps: Vec<Gap>,
}

/// Records below `cut` were read; then the log began at `to`, and reading went on there from this watermark.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    pub cut: i64,
    pub to: i64,
    pub watermark: EventTime,
}

impl Facts {
    /// As the newest checkpoint of the partition's chain states them; pass over the records below its `cut`.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let BarRules { window, lateness, max_ahead } = checkpoint.rules;
        let known = checkpoint.known.iter().map(|(symbol, since)| (symbol.clone(), since.0)).collect();
        let forced = checkpoint.forced.iter().map(|advance| (advance.offset.0, advance.watermark)).collect();
        let gaps = checkpoint.gaps.iter();
        let gaps = gaps.map(|gap| Gap { cut: gap.cut.0, to: gap.to.0, watermark: gap.watermark }).collect();
        Self { window, lateness, max_ahead, known, forced, gaps }
    }
}

/// Records by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub read: u64,
    /// In windows that the final watermark has passed.
    pub in_bars: u64,
    /// In windows that it has not.
    pub open: u64,
    pub late: u64,
    pub malformed: u64,
    pub future: u64,
    pub unknown: u64,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    /// The closed bars, sorted by (symbol, window start).
    pub bars: Vec<Bar>,
    pub counts: Counts,
    /// `EventTime::MIN` before the first tick.
    pub watermark: EventTime,
}

/// A line, read.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedLine {
    pub event_time: EventTime,
    pub symbol: String,
    pub price: f64,
    pub volume: Option<f64>,
}

/// A tick of an open or closed window.
struct Folded {
    event_time: EventTime,
    offset: i64,
    price: f64,
    volume: Option<f64>,
}

/// Passes over the log, as it was before it lost anything. The records must be in offset order; holes are fine.
pub fn one_pass(log: &[LogRecord], facts: &Facts) -> Outcome {
    let mut pass = Pass { facts, watermark: EventTime::MIN, windows: BTreeMap::new(), counts: Counts::default() };
    let mut gaps = facts.gaps.iter().peekable();
    let mut log_start = 0;
    for record in log {
        while let Some(gap) = gaps.next_if(|gap| gap.cut <= record.offset) {
            pass.cross(gap, log);
            log_start = gap.to;
        }
        if record.offset >= log_start {
            pass.read(record);
        }
    }
    gaps.for_each(|gap| pass.cross(gap, log));
    pass.outcome()
}

struct Pass<'f> {
    facts: &'f Facts,
    watermark: EventTime,
    windows: BTreeMap<(Symbol, EventTime), Vec<Folded>>,
    counts: Counts,
}

/// What a record is.
enum Fate {
    Malformed,
    Unknown,
    Future,
    Late,
    Folded,
}

impl Pass<'_> {
    fn read(&mut self, record: &LogRecord) {
        self.counts.read += 1;
        match self.fold(record) {
            Fate::Malformed => self.counts.malformed += 1,
            Fate::Unknown => self.counts.unknown += 1,
            Fate::Future => self.counts.future += 1,
            Fate::Late => self.counts.late += 1,
            Fate::Folded => {}
        }
    }

    fn fold(&mut self, record: &LogRecord) -> Fate {
        let facts = self.facts;
        self.watermark = self.watermark.max(forced_until(facts, record.offset));
        let Some(line) = parse(&record.payload) else { return Fate::Malformed };
        let known = Symbol::new(&line.symbol)
            .ok()
            .filter(|symbol| facts.known.get(symbol).is_some_and(|since| record.offset >= *since));
        let Some(symbol) = known else { return Fate::Unknown };
        if record.timestamp.is_some_and(|published| line.event_time - published > facts.max_ahead) {
            return Fate::Future;
        }
        let window_start = floor(line.event_time, facts.window);
        if window_start + facts.window.span() <= self.watermark {
            return Fate::Late;
        }
        self.watermark = self.watermark.max(line.event_time - facts.lateness);
        let ParsedLine { event_time, price, volume, .. } = line;
        let folded = Folded { event_time, offset: record.offset, price, volume };
        self.windows.entry((symbol, window_start)).or_default().push(folded);
        Fate::Folded
    }

    /// Whatever was open is folded anew from what is left of the log below the cut, and what is not left counts as not read.
    fn cross(&mut self, gap: &Gap, log: &[LogRecord]) {
        self.watermark = gap.watermark;
        let (size, watermark) = (self.facts.window.span(), gap.watermark);
        for (_, ticks) in self.windows.extract_if(.., |(_, start), _| *start + size > watermark) {
            self.counts.read -= ticks.len() as u64;
        }
        for record in log.iter().filter(|record| (gap.to..gap.cut).contains(&record.offset)) {
            if matches!(self.fold(record), Fate::Folded) {
                self.counts.read += 1;
            }
        }
    }

    fn outcome(mut self) -> Outcome {
        let watermark = self.watermark.max(forced_until(self.facts, i64::MAX));
        let mut bars = Vec::new();
        for ((symbol, window_start), ticks) in self.windows {
            if window_start + self.facts.window.span() <= watermark {
                self.counts.in_bars += ticks.len() as u64;
                bars.push(bar_of(symbol, window_start, &ticks));
            } else {
                self.counts.open += ticks.len() as u64;
            }
        }
        Outcome { bars, counts: self.counts, watermark }
    }
}

fn forced_until(facts: &Facts, offset: i64) -> EventTime {
    let until = facts.forced.iter().filter(|(at, _)| *at <= offset);
    until.map(|(_, watermark)| *watermark).max().unwrap_or(EventTime::MIN)
}

/// The greatest multiple of the window since the epoch that is not after `time`.
fn floor(time: EventTime, window: WindowSize) -> EventTime {
    let size = window.span().micros();
    EventTime::from_micros(time.micros() - time.micros().rem_euclid(size))
}

fn bar_of(symbol: Symbol, window_start: EventTime, ticks: &[Folded]) -> Bar {
    let order = |tick: &&Folded| (tick.event_time, tick.offset);
    let prices = || ticks.iter().map(|tick| tick.price);
    let with_volume: Vec<(f64, f64)> = ticks.iter().filter_map(|tick| Some((tick.price, tick.volume?))).collect();
    let sum: f64 = with_volume.iter().fold(0.0, |sum, (_, volume)| sum + volume);
    let weighted: f64 = with_volume.iter().fold(0.0, |sum, (price, volume)| sum + price * volume);
    let finite = |number: f64| Some(number).filter(|number| number.is_finite());
    let volume = if with_volume.is_empty() { None } else { finite(sum) };
    Bar {
        symbol,
        window_start,
        open: ticks.iter().min_by_key(order).expect("a window is made by a tick").price,
        high: prices().fold(f64::MIN, f64::max),
        low: prices().fold(f64::MAX, f64::min),
        close: ticks.iter().max_by_key(order).expect("a window is made by a tick").price,
        volume,
        vwap: volume.filter(|sum| *sum != 0.0).and_then(|sum| finite(weighted / sum)),
        ticks: ticks.len() as i64,
    }
}

/// Reads `timestamp,symbol,price[,volume]`.
pub fn parse(payload: &[u8]) -> Option<ParsedLine> {
    let text = str::from_utf8(payload).ok().filter(|text| text.len() <= 4096)?;
    let line = text.strip_suffix("\r\n").or(text.strip_suffix(['\r', '\n'])).unwrap_or(text);
    let fields: Vec<&str> = line.split(',').collect();
    let (timestamp, symbol, price, volume) = match fields[..] {
        [timestamp, symbol, price] => (timestamp, symbol, price, None),
        [timestamp, symbol, price, volume] => (timestamp, symbol, price, Some(volume)),
        _ => return None,
    };
    if symbol.is_empty() || symbol.contains(|c: char| c == ' ' || c == '"' || c.is_ascii_control()) {
        return None;
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let volume = match volume {
        Some(volume) => Some(number(volume).filter(|volume| *volume >= 0.0)?.abs()),
        None => None,
    };
    let price = number(price).filter(|price| *price > 0.0)?;
    Some(ParsedLine { event_time: parse_timestamp(timestamp)?, symbol: symbol.to_owned(), price, volume })
}

fn parse_timestamp(text: &str) -> Option<EventTime> {
    if !text.is_empty() && text.len() <= 19 && text.chars().all(|c| c.is_ascii_digit()) {
        let epoch: i128 = text.parse().ok()?;
        let micros = if epoch < 100_000_000_000 {
            epoch * 1_000_000
        } else if epoch < 100_000_000_000_000 {
            epoch * 1_000
        } else if epoch < 100_000_000_000_000_000 {
            epoch
        } else {
            epoch / 1_000
        };
        return i64::try_from(micros).ok().map(EventTime::from_micros);
    }
    // chrono is lenient about layouts, so the layout is compared first, and completed to RFC 3339.
    let layout: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() }).collect();
    let rest = ["0000-00-00 00:00:00", "0000-00-00T00:00:00"].iter().find_map(|start| layout.strip_prefix(start))?;
    let offset = match rest.strip_prefix('.').map(|fraction| (fraction, fraction.trim_start_matches('0'))) {
        Some((fraction, offset)) if fraction != offset => offset,
        Some(_) => return None,
        None => rest,
    };
    if &text[17..19] == "60" {
        return None;
    }
    let rfc_3339 = match offset {
        "" => format!("{}T{}Z", &text[..10], &text[11..]),
        "Z" | "+00:00" | "-00:00" => format!("{}T{}", &text[..10], &text[11..]),
        _ => return None,
    };
    let time = DateTime::parse_from_rfc3339(&rfc_3339).ok()?.to_utc();
    (1..=9999).contains(&time.year()).then(|| EventTime::from_micros(time.timestamp_micros()))
}
