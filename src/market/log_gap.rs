//! Gaps: what the log lost before it was read, and how a checkpoint goes on behind it.

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, Counters, NextOffset};
use super::time::EventTime;

/// How many gaps a checkpoint lists; when there are more, the two oldest become one that spans both.
const GAPS_KEPT: usize = 100;

/// Records that the broker deleted before the lake was done with them.
///
/// Reading was to go on at `from`; the log begins at `to`, above it. The records from `from` up to `to` are gone, of two kinds:
///
/// - at or above `cut`: never read, in no counter, and nobody can say what they were (or read, and in commits that became unreadable:
///   [`LostCommits`](super::lost_commits::LostCommits) tells of these);
/// - below `cut`: read and counted. Of these the ticks of windows that were open are missed: they leave the counter `read`
///   ([`open_ticks_lost`](Self::open_ticks_lost)), so that what was read still equals what it became.
///
/// Reading goes on at `to`, with the watermark as it was. What the log still holds below `cut` is folded again, not counted again,
/// as after any restart. Windows that were open give a bar of the ticks that are left, and none when none is left: whether the
/// records that nobody read belonged to them cannot be known, so no bar near a gap is better than another. Bars whose window ended
/// at or before `watermark` lack nothing. Younger ones may lack ticks, up to those that start at `next_tick` plus the lateness: in
/// a log that is in order within the lateness no lost tick can be younger.
///
/// A lake that is begun on a log whose oldest records are gone has such an entry as well, from offset 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogGap {
    /// The oldest offset that was needed.
    pub from: NextOffset,
    /// Every record below this had been read.
    pub cut: NextOffset,
    /// Where the log began when reading went on.
    pub to: NextOffset,
    /// Of the partition, when reading went on.
    pub watermark: EventTime,
    /// Event time of the first tick for an open window that was read behind the gap; `None` until there is one.
    pub next_tick: Option<EventTime>,
    /// Ticks of open windows that had been read and are gone; `None` until those that are left have been read again.
    pub open_ticks_lost: Option<u64>,
}

impl LogGap {
    /// How many offsets were never read.
    pub fn unread(&self) -> u64 {
        (self.to.0 - self.cut.0).max(0).unsigned_abs()
    }

    fn joined(self, younger: Self) -> Self {
        let lost = self.open_ticks_lost.zip(younger.open_ticks_lost).map(|(older, younger)| older + younger);
        Self { to: younger.to, next_tick: younger.next_tick, open_ticks_lost: lost, ..self }
    }
}

impl Checkpoint {
    /// The same state behind a gap: the log begins at `log_start`, above `resume`.
    pub fn over_gap(mut self, log_start: NextOffset) -> Self {
        // Below the cut nothing is left to be folded again: then all that was open is lost, and this is known now.
        let open_ticks_lost = (log_start >= self.cut).then_some(self.open_ticks);
        match self.gaps.last_mut() {
            // Nothing was committed behind the newest gap before the log lost still more.
            Some(gap) if gap.open_ticks_lost.is_none() => (gap.to, gap.open_ticks_lost) = (log_start, open_ticks_lost),
            _ => self.gaps.push(LogGap {
                from: self.resume,
                cut: self.cut,
                to: log_start,
                watermark: self.watermark,
                next_tick: None,
                open_ticks_lost,
            }),
        }
        if self.gaps.len() > GAPS_KEPT {
            let oldest = self.gaps.remove(0);
            self.gaps[0] = oldest.joined(self.gaps[0]);
        }
        if let Some(lost) = open_ticks_lost {
            self.counters.read -= lost;
            self.open_ticks = 0;
            self.cut = log_start;
        }
        self.resume = log_start;
        self
    }

    /// Ticks that were read and then lost in gaps, over the life of the chain.
    pub fn open_ticks_lost(&self) -> u64 {
        self.gaps.iter().filter_map(|gap| gap.open_ticks_lost).sum()
    }
}

/// Learns, while reading behind the newest gap, what its entry does not say yet.
#[derive(Clone, Debug)]
pub(super) struct BehindGap {
    /// Ticks in open windows by the checkpoint, when how many of them are left is yet to be seen.
    open_before: Option<u64>,
    folded_again: u64,
    next_tick: Option<EventTime>,
}

impl BehindGap {
    /// `None` when there is nothing to learn.
    pub(super) fn of(checkpoint: &Checkpoint) -> Option<Self> {
        let gap = checkpoint.gaps.last()?;
        let open_before = gap.open_ticks_lost.is_none().then_some(checkpoint.open_ticks);
        let has_to_learn = open_before.is_some() || gap.next_tick.is_none();
        has_to_learn.then_some(Self { open_before, folded_again: 0, next_tick: gap.next_tick })
    }

    /// A tick for an open window; one below the restored cut is folded again.
    pub(super) fn folds(&mut self, event_time: EventTime, fresh: bool) {
        self.next_tick.get_or_insert(event_time);
        self.folded_again += u64::from(!fresh);
    }

    /// At a cut, where nothing below the restored cut is left to be read. Returns whether all is said.
    pub(super) fn settle(&mut self, gap: &mut LogGap, counters: &mut Counters) -> bool {
        gap.next_tick = self.next_tick;
        if let Some(open_before) = self.open_before.take() {
            gap.open_ticks_lost = Some(open_before.saturating_sub(self.folded_again));
            counters.read = counters.read - open_before + self.folded_again;
        }
        self.next_tick.is_some()
    }
}

#[cfg(test)]
mod tests;
