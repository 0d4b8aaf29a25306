//! What the consumer decides about the records of one partition, as a function of the log and the checkpoint alone.
//!
//! Each record is judged on its own against the watermark as it stood at that record, never against that of a batch: so how
//! the log was cut into batches changes nothing. Late, malformed, future and unknown ticks do not move the watermark.

mod open_ends;
mod verdict;

use std::time::Duration;

use rustc_hash::FxHashMap;

use super::checkpoint::{Checkpoint, Counters, Fingerprint, ForcedAdvance, NextOffset};
use super::codec;
use super::log_gap::BehindGap;
use super::sim_clock::idle_event_time;
use super::symbol::Symbol;
use super::tick::{Tick, WireTick};
use super::time::EventTime;
use super::watermark::Watermark;
use open_ends::OpenEnds;

pub use verdict::{DropReason, Record, Slot, Verdict};

/// How many forced advances a checkpoint remembers.
pub const FORCED_KEPT: usize = 1_000;
/// How much of a payload its fingerprint covers: more than a well-formed tick can have.
const FINGERPRINT_BYTES: usize = 4_097;

/// The reading position of a partition and all that goes with it.
#[derive(Clone, Debug)]
pub struct PartitionCursor {
    /// What was restored, or stood at the newest barrier; its `known`, `rules` and `forced` are kept up to date.
    base: Checkpoint,
    /// Below this, records are read again: they were counted, and may be needed by windows that were open.
    restored_cut: NextOffset,
    position: NextOffset,
    watermark: Watermark,
    newest_event: EventTime,
    counters: Counters,
    skipped_replayed: u64,
    slots: FxHashMap<Symbol, (Slot, NextOffset)>,
    symbols: Vec<Symbol>,
    /// The stock of the previous tick: consecutive ticks are mostly of one stock.
    previous: Option<(Slot, NextOffset)>,
    open_ends: OpenEnds,
    last_record: Option<LastRecord>,
    behind_gap: Option<BehindGap>,
}

#[derive(Clone, Debug, Default)]
struct LastRecord {
    offset: i64,
    timestamp: Option<EventTime>,
    payload: Vec<u8>,
}

impl PartitionCursor {
    /// Starts from a checkpoint. `stocks` are those that the settings assign to this partition; new ones among them become known at
    /// the cut. Stocks of the checkpoint stay known also when the settings have dropped them.
    pub fn new(checkpoint: Checkpoint, stocks: impl IntoIterator<Item = Symbol>) -> Self {
        let newest_event = match checkpoint.watermark {
            EventTime::MIN => EventTime::MIN,
            watermark => watermark + checkpoint.rules.lateness,
        };
        let mut cursor = Self {
            restored_cut: checkpoint.cut,
            position: checkpoint.resume,
            watermark: Watermark::restored(checkpoint.watermark),
            newest_event,
            counters: checkpoint.counters,
            skipped_replayed: 0,
            slots: FxHashMap::default(),
            symbols: Vec::new(),
            previous: None,
            open_ends: OpenEnds::new(),
            last_record: None,
            behind_gap: BehindGap::of(&checkpoint),
            base: checkpoint,
        };
        for (symbol, since) in cursor.base.known.clone() {
            cursor.admit(symbol, since);
        }
        for symbol in stocks {
            cursor.add_stock(symbol);
        }
        cursor
    }

    /// A stock is known from the present position on, which every later checkpoint carries. Returns its slot if it is new.
    pub fn add_stock(&mut self, symbol: Symbol) -> Option<Slot> {
        if self.slots.contains_key(&symbol) {
            return None;
        }
        let since = self.position.max(self.restored_cut);
        self.base.known.insert(symbol.clone(), since);
        Some(self.admit(symbol, since))
    }

    fn admit(&mut self, symbol: Symbol, since: NextOffset) -> Slot {
        let slot = Slot(self.symbols.len());
        self.slots.insert(symbol.clone(), (slot, since));
        self.symbols.push(symbol);
        self.open_ends.add_slot();
        slot
    }

    /// All known stocks; a [`Slot`] is an index into this.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    pub fn position(&self) -> NextOffset {
        self.position
    }

    pub fn watermark(&self) -> Watermark {
        self.watermark
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Still below the restored cut: no barrier may be made.
    pub fn is_replaying(&self) -> bool {
        self.position < self.restored_cut
    }

    /// Judges the next record of the log. Offsets only ascend; there may be holes.
    pub fn read(&mut self, record: Record<'_>) -> Verdict {
        if self.is_of_another_log(&record) {
            return Verdict::OtherLog;
        }
        let fresh = record.offset >= self.restored_cut.0;
        self.position = self.position.max(NextOffset(record.offset + 1));
        self.remember(&record);
        let verdict = self.judge(&record);
        if fresh {
            self.counters.read += 1;
        } else {
            self.skipped_replayed += 1;
        }
        match verdict {
            Verdict::Dropped(_) if !fresh => return Verdict::Replayed,
            Verdict::Dropped(DropReason::Late(_)) => self.counters.late += 1,
            Verdict::Dropped(DropReason::Malformed(_)) => self.counters.malformed += 1,
            Verdict::Dropped(DropReason::Future(_)) => self.counters.future += 1,
            Verdict::Dropped(DropReason::Unknown) => self.counters.unknown += 1,
            Verdict::Tick(_, tick) => {
                if let Some(behind) = &mut self.behind_gap {
                    behind.folds(tick.event_time, fresh);
                }
            }
            Verdict::Replayed | Verdict::OtherLog => {}
        }
        verdict
    }

    fn judge(&mut self, record: &Record<'_>) -> Verdict {
        let tick = match codec::decode(record.payload) {
            Ok(tick) => tick,
            Err(reason) => return Verdict::Dropped(DropReason::Malformed(reason)),
        };
        let Some(slot) = self.slot_of(tick.symbol, record.offset) else {
            return Verdict::Dropped(DropReason::Unknown);
        };
        if let Some(published) = record.timestamp
            && tick.event_time > published + self.base.rules.max_ahead
        {
            return Verdict::Dropped(DropReason::Future(tick.event_time - published));
        }
        let end = self.open_ends.end_of(tick.event_time, self.base.rules.window);
        if self.watermark.has_passed(end) {
            return Verdict::Dropped(DropReason::Late(self.watermark.get() - end));
        }
        self.watermark.observe(tick.event_time, self.base.rules.lateness);
        self.newest_event = self.newest_event.max(tick.event_time);
        self.open_ends.hold(slot, end);
        let WireTick { event_time, price, volume, .. } = tick;
        Verdict::Tick(slot, Tick { offset: record.offset, event_time, price, volume })
    }

    fn slot_of(&mut self, symbol: &str, offset: i64) -> Option<Slot> {
        let (slot, since) = match self.previous {
            Some((slot, since)) if self.symbols[slot.0].as_str() == symbol => (slot, since),
            _ => *self.slots.get(symbol)?,
        };
        self.previous = Some((slot, since));
        (offset >= since.0).then_some(slot)
    }

    fn is_of_another_log(&self, record: &Record<'_>) -> bool {
        self.base.log.last_record.is_some_and(|known| known.offset == record.offset && known != fingerprint(record))
    }

    fn remember(&mut self, record: &Record<'_>) {
        let last = self.last_record.get_or_insert_default();
        (last.offset, last.timestamp) = (record.offset, record.timestamp);
        last.payload.clear();
        last.payload.extend_from_slice(&record.payload[..record.payload.len().min(FINGERPRINT_BYTES)]);
    }

    /// Whether a barrier would close a window.
    pub fn can_close(&self) -> bool {
        !self.is_replaying() && self.open_ends.first().is_some_and(|end| self.watermark.has_passed(end))
    }

    /// How many bars a barrier would close, or a few more.
    pub fn closable_bars(&self) -> u64 {
        if self.is_replaying() { 0 } else { self.open_ends.bars_passed(self.watermark) }
    }

    /// Records read since the newest barrier: a barrier that closes nothing is due when this grows large.
    pub fn since_barrier(&self) -> u64 {
        (self.position.0 - self.base.cut.0).max(0).unsigned_abs()
    }

    /// Whether there is anything that the newest barrier does not say.
    pub fn has_news(&self) -> bool {
        !self.is_replaying() && self.since_barrier() > 0
    }

    /// The end of stream closes everything: where the watermark has to go for that, if a window is open.
    pub fn end_of_stream(&self) -> Option<EventTime> {
        self.open_ends.last().filter(|_| !self.is_replaying())
    }

    /// Where an idle partition's watermark may go: to the next end of an open window, once event time would have passed it if the
    /// stream had gone on at `speed` (event seconds a wall second) during the `silence`, no later than the `wall` clock.
    pub fn idle_advance(&self, silence: Duration, speed: f64, wall: EventTime) -> Option<EventTime> {
        let end = self.open_ends.first().filter(|_| !self.is_replaying())?;
        let reached = idle_event_time(self.newest_event, silence, speed, wall);
        (reached >= end + self.base.rules.lateness).then_some(end)
    }

    /// Advances the watermark without a tick. Must be followed by a barrier of its own before the next record is read.
    pub fn force(&mut self, to: EventTime) {
        self.watermark.advance_to(to);
        let advance = ForcedAdvance { offset: self.position, watermark: self.watermark.get() };
        self.base.forced.retain(|earlier| earlier.offset != advance.offset);
        self.base.forced.push(advance);
        let surplus = self.base.forced.len().saturating_sub(FORCED_KEPT);
        self.base.forced.drain(..surplus);
    }

    /// Cuts the log here: the checkpoint that a barrier carries, complete but for what the windows answer. From now on the windows
    /// that the watermark has passed count as closed.
    pub fn cut(&mut self) -> (Checkpoint, u64) {
        self.open_ends.close(self.watermark);
        let last = self.last_record.as_ref().map(|last| {
            let record = Record { offset: last.offset, timestamp: last.timestamp, payload: &last.payload };
            fingerprint(&record)
        });
        if let (Some(behind), Some(gap)) = (&mut self.behind_gap, self.base.gaps.last_mut())
            && behind.settle(gap, &mut self.counters)
        {
            self.behind_gap = None;
        }
        self.base.cut = self.position;
        self.base.resume = self.position;
        self.base.watermark = self.watermark.get();
        self.base.counters = self.counters;
        self.base.log.last_record = last.or(self.base.log.last_record);
        (self.base.clone(), self.skipped_replayed)
    }
}

fn fingerprint(record: &Record<'_>) -> Fingerprint {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&record.timestamp.map_or(-1, EventTime::micros).to_le_bytes());
    crc.update(&record.payload[..record.payload.len().min(FINGERPRINT_BYTES)]);
    Fingerprint { offset: record.offset, crc: crc.finalize() }
}

#[cfg(test)]
mod tests;
