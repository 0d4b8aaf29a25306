//! One pass over what is left of a partition's log, by the product's own rules. Pure.

use std::collections::VecDeque;

use crate::cli::verify::coverage::Coverage;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Checkpoint, ForcedAdvance, NextOffset};
use crate::market::partition::{PartitionCursor, Record, Verdict};
use crate::market::time::EventTime;
use crate::market::watermark::Watermark;
use crate::market::window::StockWindows;

/// The bars that a log gives, closed where the lake's commits closed them.
pub struct LogPass {
    cursor: PartitionCursor,
    /// By slot.
    windows: Vec<StockWindows>,
    /// Those that are still to be made.
    forced: VecDeque<ForcedAdvance>,
    above: EventTime,
}

impl LogPass {
    /// `newest` says what the log alone does not: since when each stock is known, and where the watermark was advanced without a
    /// tick.
    pub fn new(newest: &Checkpoint, coverage: Coverage) -> Self {
        let Coverage { from, above } = coverage;
        let mut start = Checkpoint { resume: from, cut: from, watermark: EventTime::MIN, ..newest.clone() };
        let forced = std::mem::take(&mut start.forced).into();
        // what was lost in them lies before what this pass can tell
        start.gaps.clear();
        let cursor = PartitionCursor::new(start, []);
        let window = newest.rules.window;
        let windows = cursor.symbols().iter().map(|symbol| StockWindows::new(symbol.clone(), window)).collect();
        Self { cursor, windows, forced, above }
    }

    /// The next record.
    pub fn read(&mut self, record: Record<'_>) {
        while let Some(advance) = self.forced.pop_front_if(|advance| advance.offset.0 <= record.offset) {
            self.cursor.force(advance.watermark);
        }
        if let Verdict::Tick(slot, tick) = self.cursor.read(record) {
            self.windows[slot.0].fold(&tick);
        }
    }

    /// The bars of the windows that a commit's watermark has passed, as far as the log gives them whole, sorted by (symbol, window
    /// start).
    pub fn close(&mut self, watermark: EventTime) -> Vec<Bar> {
        // forgets the windows that it counts as open
        let (Checkpoint { .. }, _) = self.cursor.cut();
        let closed = self.windows.iter_mut().flat_map(|windows| windows.close(Watermark::restored(watermark)));
        let mut bars: Vec<Bar> = closed.map(|closed| closed.bar).filter(|bar| bar.window_start > self.above).collect();
        bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
        bars
    }
}

/// Whether a record is another than the one that a checkpoint remembers at its offset.
pub fn is_of_another_log(newest: &Checkpoint, record: Record<'_>) -> bool {
    PartitionCursor::new(newest.clone(), []).read(record) == Verdict::OtherLog
}

/// Where the newest record below the cut stands.
pub fn remembered(newest: &Checkpoint) -> Option<NextOffset> {
    newest.log.last_record.map(|record| NextOffset(record.offset))
}
