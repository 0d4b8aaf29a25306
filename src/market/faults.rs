//! Ticks spoiled on purpose: late, out of order, twice or broken, each a given share of a simulated stream.
//!
//! Every line says what it is and is tallied, so that the counters of a consumer can be held against what was really sent: its
//! `late` equals the tally's, its `malformed` the tally's `corrupt`, and all others are in bars.

#[cfg(test)]
mod tests;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::checkpoint::BarRules;
use super::codec::{MAX_PAYLOAD, encode};
use super::gbm::random_stream;
use super::symbol::Symbol;
use super::tick::WireTick;
use super::time::{EventTime, Span};
use crate::settings::FaultDials;

/// What was done to a tick before it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TickKind {
    /// Nothing.
    Honest,
    /// Its event time was moved back into a window that the watermark has passed.
    Late,
    /// It comes after a tick of a later event time, but inside the lateness.
    OutOfOrder,
    /// The line before it once more.
    Duplicate,
    /// Its line is no tick.
    Corrupt,
}

/// A payload to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedLine {
    pub payload: Vec<u8>,
    pub kind: TickKind,
}

/// Lines by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultTally {
    pub honest: u64,
    pub late: u64,
    pub out_of_order: u64,
    pub duplicate: u64,
    pub corrupt: u64,
}

impl FaultTally {
    fn count(&mut self, kind: TickKind) {
        *match kind {
            TickKind::Honest => &mut self.honest,
            TickKind::Late => &mut self.late,
            TickKind::OutOfOrder => &mut self.out_of_order,
            TickKind::Duplicate => &mut self.duplicate,
            TickKind::Corrupt => &mut self.corrupt,
        } += 1;
    }
}

/// Spoils the ticks of one stock. Feed it the honest ticks in the order of their event times, publish what it returns, and
/// [`finish`](Self::finish) at the end.
#[derive(Clone, Debug)]
pub struct FaultInjector {
    dials: FaultDials,
    rules: BarRules,
    random: Xoshiro256PlusPlus,
    /// The newest event time sent on time, which the watermark follows.
    newest: Option<EventTime>,
    /// Waits for the next tick that is sent on time, to come after it.
    held: Option<Held>,
    tally: FaultTally,
}

#[derive(Clone, Debug)]
struct Held {
    event_time: EventTime,
    payload: Vec<u8>,
}

impl FaultInjector {
    /// `seed` and `continues_at` are those of the stock's price path. A tick gets at most one fault; shares that add up to more than
    /// 1 leave the last of them less than they say.
    pub fn new(
        dials: FaultDials,
        rules: BarRules,
        seed: u64,
        symbol: &Symbol,
        continues_at: Option<EventTime>,
    ) -> Self {
        let random = random_stream(seed, "faults", symbol, continues_at);
        Self { dials, rules, random, newest: None, held: None, tally: FaultTally::default() }
    }

    /// What to publish now for the next honest tick: no line if it is held back to be swapped with the one after it, up to three
    /// otherwise.
    ///
    /// A tick stays honest where its fault is not possible: none is late before the first that is on time, none swapped while
    /// another is held back or over more than the lateness.
    pub fn spoil(&mut self, tick: &WireTick<'_>) -> Vec<SimulatedLine> {
        let mut lines = Vec::new();
        let wanted = self.draw();
        match (wanted, self.newest) {
            (TickKind::Late, Some(newest)) => {
                let event_time = self.closed_instant(newest);
                self.send(line_of(&WireTick { event_time, ..*tick }), TickKind::Late, &mut lines);
            }
            (TickKind::Corrupt, _) => {
                let broken = self.broken_line(tick);
                self.send(broken, TickKind::Corrupt, &mut lines);
            }
            (TickKind::OutOfOrder, _) if self.held.is_none() => {
                self.held = Some(Held { event_time: tick.event_time, payload: line_of(tick) });
            }
            _ => self.send_on_time(tick, wanted, &mut lines),
        }
        lines
    }

    /// The tick that is still held back, if any.
    pub fn finish(&mut self) -> Option<SimulatedLine> {
        let mut lines = Vec::new();
        self.release(TickKind::Honest, &mut lines);
        lines.pop()
    }

    /// What has been returned so far.
    pub fn tally(&self) -> FaultTally {
        self.tally
    }

    fn draw(&mut self) -> TickKind {
        let FaultDials { late, out_of_order, duplicate, corrupt } = self.dials;
        let mut left: f64 = self.random.random();
        let shares = [
            (late, TickKind::Late),
            (out_of_order, TickKind::OutOfOrder),
            (duplicate, TickKind::Duplicate),
            (corrupt, TickKind::Corrupt),
        ];
        for (share, kind) in shares {
            if left < share {
                return kind;
            }
            left -= share;
        }
        TickKind::Honest
    }

    fn send_on_time(&mut self, tick: &WireTick<'_>, wanted: TickKind, lines: &mut Vec<SimulatedLine>) {
        let swap = self.held.as_ref().is_some_and(|held| {
            let step = tick.event_time - held.event_time;
            step > Span::ZERO && step <= self.rules.lateness
        });
        if !swap {
            self.release(TickKind::Honest, lines);
        }
        self.newest = self.newest.max(Some(tick.event_time));
        let payload = line_of(tick);
        if wanted == TickKind::Duplicate {
            self.send(payload.clone(), TickKind::Honest, lines);
            self.send(payload, TickKind::Duplicate, lines);
        } else {
            self.send(payload, TickKind::Honest, lines);
        }
        self.release(TickKind::OutOfOrder, lines);
    }

    fn release(&mut self, kind: TickKind, lines: &mut Vec<SimulatedLine>) {
        if let Some(held) = self.held.take() {
            self.newest = self.newest.max(Some(held.event_time));
            self.send(held.payload, kind, lines);
        }
    }

    fn send(&mut self, payload: Vec<u8>, kind: TickKind, lines: &mut Vec<SimulatedLine>) {
        self.tally.count(kind);
        lines.push(SimulatedLine { payload, kind });
    }

    /// An instant in the two windows before the one that holds the watermark, so in a closed one.
    fn closed_instant(&mut self, newest: EventTime) -> EventTime {
        let window = self.rules.window.span();
        let closed_until = self.rules.window.start_of(newest - self.rules.lateness);
        closed_until - Span::from_micros(self.random.random_range(1..=window.micros().saturating_mul(2)))
    }

    /// One of the ways in which a line can be no tick.
    fn broken_line(&mut self, tick: &WireTick<'_>) -> Vec<u8> {
        let WireTick { event_time, symbol, price, .. } = tick;
        let honest = line_of(tick);
        match self.random.random_range(0..7) {
            0 => Vec::new(),
            1 => format!("{event_time},{symbol}").into_bytes(),
            2 => format!("{event_time},{symbol},NaN").into_bytes(),
            3 => format!("{event_time},{symbol},-{price}").into_bytes(),
            4 => format!("yesterday,{symbol},{price}").into_bytes(),
            5 => [honest.as_slice(), b"\xff"].concat(),
            _ => [honest, vec![b'0'; MAX_PAYLOAD]].concat(),
        }
    }
}

fn line_of(tick: &WireTick<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    encode(tick, &mut line);
    line
}
