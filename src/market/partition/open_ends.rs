//! The windows of a partition that have a tick and are not closed by a barrier yet, and how many bars they hold.

use std::collections::BTreeMap;

use super::Slot;
use crate::market::time::{EventTime, WindowSize};
use crate::market::watermark::Watermark;

/// By where they end.
#[derive(Clone, Debug)]
pub(super) struct OpenEnds {
    /// Bars of each; a stock whose ticks go back and forth between two windows counts more than once.
    bars: BTreeMap<EventTime, u64>,
    /// By slot: of the stock's newest tick.
    newest: Vec<EventTime>,
    /// Of the newest tick of all.
    last: EventTime,
}

impl OpenEnds {
    pub fn new() -> Self {
        Self { bars: BTreeMap::new(), newest: Vec::new(), last: EventTime::MIN }
    }

    /// Another stock may have ticks.
    pub fn add_slot(&mut self) {
        self.newest.push(EventTime::MIN);
    }

    /// End of a tick's window; without a division when it is the window of the tick before.
    pub fn end_of(&self, event_time: EventTime, size: WindowSize) -> EventTime {
        if event_time < self.last && event_time >= self.last - size.span() {
            self.last
        } else {
            size.end_of(event_time)
        }
    }

    /// A tick of this stock belongs to the window that ends here.
    pub fn hold(&mut self, slot: Slot, end: EventTime) {
        self.last = end;
        if self.newest[slot.0] != end {
            self.newest[slot.0] = end;
            *self.bars.entry(end).or_default() += 1;
        }
    }

    pub fn first(&self) -> Option<EventTime> {
        self.bars.keys().next().copied()
    }

    pub fn last(&self) -> Option<EventTime> {
        self.bars.keys().next_back().copied()
    }

    /// How many bars the windows hold that the watermark has passed.
    pub fn bars_passed(&self, watermark: Watermark) -> u64 {
        self.bars.range(..=watermark.get()).map(|(_, bars)| bars).sum()
    }

    /// Forgets the windows that the watermark has passed; none of their ticks can come any more.
    pub fn close(&mut self, watermark: Watermark) {
        while self.first().is_some_and(|end| watermark.has_passed(end)) {
            self.bars.pop_first();
        }
    }
}
