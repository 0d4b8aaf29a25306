//! From which window on a log whose start is gone still gives whole bars. Pure.
//!
//! Where the log begins, the watermark is not known, only bounded: it was no further than at any later checkpoint or forced
//! advance, for a watermark never steps back. Be `bound` the least of these. Every tick that counted before the log's start had
//! an event time of at most its watermark plus the lateness, so no window that starts above `bound + lateness` has lost one. And
//! until the watermark of a pass over what is left reaches `bound` it is at most the true one, which is at most `bound`: of these
//! windows neither judges a tick late; from then on both are the same.

use crate::market::checkpoint::{Checkpoint, NextOffset};
use crate::market::partition::FORCED_KEPT;
use crate::market::time::EventTime;

/// Where the log of a partition was cut, and how far the watermark was there: of the checkpoints in its files.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    /// Ascending. Not all: every one of them is a bound, only a looser one.
    known: Vec<(NextOffset, EventTime)>,
    /// One of this many is kept.
    step: u64,
    seen: u64,
}

/// How many cuts of a partition are kept.
const KEPT: usize = 2_048;

impl Cuts {
    /// Checkpoints come in the order of their commits.
    pub fn observe(&mut self, checkpoint: &Checkpoint) {
        let Checkpoint { cut, watermark, .. } = *checkpoint;
        // Of several commits of one barrier all but the last state a midnight, below where the watermark was.
        if watermark == EventTime::MIN || watermark == watermark.midnight() {
            return;
        }
        if self.seen.is_multiple_of(self.step.max(1)) {
            self.known.push((cut, watermark));
        }
        self.seen += 1;
        if self.known.len() >= KEPT {
            self.step = 2 * self.step.max(1);
            let mut nth = 0;
            self.known.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
        }
    }

    /// The least watermark at or after an offset.
    fn least_from(&self, offset: NextOffset) -> Option<EventTime> {
        self.known.iter().filter(|(cut, _)| *cut >= offset).map(|(_, watermark)| *watermark).min()
    }
}

/// What a pass over the log can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Where the pass begins.
    pub from: NextOffset,
    /// Windows that start above this are given whole; [`EventTime::MIN`]: all are.
    pub above: EventTime,
}

/// What a log that begins at `log_start` covers, by the newest checkpoint and those before it; `None`: nothing.
pub fn coverage(log_start: NextOffset, newest: &Checkpoint, cuts: &Cuts) -> Option<Coverage> {
    // Older forced advances than the checkpoint lists may have been forgotten.
    let first_forced = newest.forced.first().filter(|_| newest.forced.len() >= FORCED_KEPT).map(|first| first.offset);
    let from = log_start.max(first_forced.unwrap_or_default());
    if from == NextOffset(0) {
        return Some(Coverage { from, above: EventTime::MIN });
    }
    let forced = newest.forced.iter().filter(|advance| advance.offset >= from).map(|advance| advance.watermark).min();
    let mut cuts = cuts.clone();
    cuts.observe(newest);
    let bound = [cuts.least_from(from), forced].into_iter().flatten().min()?;
    Some(Coverage { from, above: bound + newest.rules.lateness })
}
