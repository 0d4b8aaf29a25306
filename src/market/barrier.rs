//! Barriers: how closed bars and their checkpoint become commits.
//!
//! The consumer sends a [`Barrier`] through the mailboxes that the ticks use; where it stands in the log is the cut. Each window
//! actor answers with its closed bars and the oldest offset it still needs. When all have answered, [`Assembly`] makes the
//! commits: one a date, oldest first.

use std::sync::Arc;

use super::bar::Bar;
use super::checkpoint::{Checkpoint, Commit, Epoch, NextOffset, TopicPartition};
use super::symbol::Symbol;
use super::time::{EventTime, MICROS_PER_DAY, Span};
use super::window::{ClosedBar, StillOpen};
use crate::words::counted;

/// A cut through the log of a partition. `checkpoint` is complete but for what the windows answer: `resume`, `open_ticks` and
/// `counters.in_bars`.
#[derive(Clone, Debug, PartialEq)]
pub struct Barrier {
    pub partition: TopicPartition,
    pub epoch: Epoch,
    /// How many windows will answer.
    pub windows: usize,
    pub checkpoint: Checkpoint,
    /// Records read again below the cut that was restored, since the partition was taken.
    pub skipped_replayed: u64,
}

/// What one stock's windows say to a barrier.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowAnswer {
    /// Oldest first.
    pub closed: Vec<ClosedBar>,
    pub still_open: StillOpen,
}

/// The counters and the windows do not add up: a defect of ours, and nothing may be committed on top of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{partition}: {} read below offset {cut}, but {accounted} in bars, open, late, malformed, future or unknown",
    counted(*read, "tick")
)]
pub struct ConservationBroken {
    partition: TopicPartition,
    cut: NextOffset,
    read: u64,
    accounted: u64,
}

/// Collects the answers to one barrier.
#[derive(Debug)]
pub struct Assembly {
    barrier: Arc<Barrier>,
    missing: usize,
    closed: Vec<ClosedBar>,
    open: StillOpen,
}

impl Assembly {
    pub fn new(barrier: Arc<Barrier>) -> Self {
        Self { missing: barrier.windows, barrier, closed: Vec::new(), open: StillOpen::default() }
    }

    pub fn barrier(&self) -> &Arc<Barrier> {
        &self.barrier
    }

    pub fn answer(&mut self, answer: WindowAnswer) {
        self.missing = self.missing.saturating_sub(1);
        self.closed.extend(answer.closed);
        self.open.oldest_offset =
            [self.open.oldest_offset, answer.still_open.oldest_offset].into_iter().flatten().min();
        self.open.ticks += answer.still_open.ticks;
    }

    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// The commits of this barrier, to be made in this order. `in_bars_before` is the counter of the commit before it.
    ///
    /// # Errors
    /// When read ticks are not all accounted for.
    pub fn into_commits(mut self, in_bars_before: u64) -> Result<Vec<Commit>, ConservationBroken> {
        self.closed.sort_by(|a, b| row_order(a).cmp(&row_order(b)));
        let mut commits = Vec::new();
        let mut in_bars = in_bars_before;
        let mut rest = self.closed.as_slice();
        loop {
            let date = rest.first().map(|closed| closed.bar.window_start.midnight());
            let end = rest.partition_point(|closed| Some(closed.bar.window_start.midnight()) == date);
            let (today, later) = rest.split_at(end);
            in_bars += ticks_of(today);
            let checkpoint = self.checkpoint(date, later, in_bars);
            commits.push(self.commit(today, checkpoint)?);
            rest = later;
            if rest.is_empty() {
                return Ok(commits);
            }
        }
    }

    /// The checkpoint behind the rows of `date`: the windows of later dates are still open as far as it is concerned, and its
    /// watermark stops at the midnight that ends the date.
    fn checkpoint(&self, date: Option<EventTime>, later: &[ClosedBar], in_bars: u64) -> Checkpoint {
        let mut checkpoint = self.barrier.checkpoint.clone();
        let needed = later.iter().map(|closed| closed.first_offset).chain(self.open.oldest_offset).min();
        checkpoint.resume = needed.map_or(checkpoint.cut, |offset| checkpoint.cut.min(NextOffset(offset)));
        checkpoint.open_ticks = self.open.ticks + ticks_of(later);
        checkpoint.counters.in_bars = in_bars;
        if let (Some(date), false) = (date, later.is_empty()) {
            let midnight = date + Span::from_micros(MICROS_PER_DAY);
            checkpoint.watermark = midnight;
            // Who goes on from here has not seen the watermark advanced any further: nor may the list say that it was.
            checkpoint.forced.iter_mut().for_each(|advance| advance.watermark = advance.watermark.min(midnight));
        }
        checkpoint.settle_lost();
        checkpoint
    }

    fn commit(&self, rows: &[ClosedBar], checkpoint: Checkpoint) -> Result<Commit, ConservationBroken> {
        let counters = checkpoint.counters;
        let dropped = counters.late + counters.malformed + counters.future + counters.unknown;
        let accounted = counters.in_bars + checkpoint.open_ticks + dropped;
        if accounted != counters.read {
            let (partition, cut) = (self.barrier.partition.clone(), checkpoint.cut);
            return Err(ConservationBroken { partition, cut, read: counters.read, accounted });
        }
        let rows: Arc<[Bar]> = rows.iter().map(|closed| closed.bar.clone()).collect();
        Ok(Commit { rows, checkpoint })
    }
}

/// By date, and within a date as the rows of a file stand: by (symbol, window start).
fn row_order(closed: &ClosedBar) -> (EventTime, &Symbol, EventTime) {
    (closed.bar.window_start.midnight(), &closed.bar.symbol, closed.bar.window_start)
}

fn ticks_of(closed: &[ClosedBar]) -> u64 {
    closed.iter().map(|closed| closed.bar.ticks.unsigned_abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::checkpoint::{BarRules, ForcedAdvance};
    use crate::market::time::WindowSize;

    const HOUR: i64 = 3_600_000_000;

    fn barrier(windows: usize, read: u64) -> Arc<Barrier> {
        let rules = BarRules {
            window: WindowSize::new(Span::from_secs(300)).unwrap(),
            lateness: Span::from_secs(600),
            max_ahead: Span::from_secs(60),
        };
        let mut checkpoint = Checkpoint::genesis(rules, "test");
        checkpoint.cut = NextOffset(100);
        checkpoint.resume = NextOffset(100);
        checkpoint.watermark = EventTime::from_micros(60 * HOUR);
        checkpoint.counters.read = read;
        let partition = TopicPartition::new("t", 0);
        Arc::new(Barrier { partition, epoch: Epoch(1), windows, checkpoint, skipped_replayed: 0 })
    }

    fn closed(symbol: &str, hour: i64, first_offset: i64, ticks: i64) -> ClosedBar {
        let bar = Bar {
            symbol: Symbol::new(symbol).unwrap(),
            window_start: EventTime::from_micros(hour * HOUR),
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: None,
            vwap: None,
            ticks,
        };
        ClosedBar { bar, first_offset }
    }

    fn open(oldest_offset: i64, ticks: u64) -> StillOpen {
        StillOpen { oldest_offset: Some(oldest_offset), ticks }
    }

    #[test]
    fn one_commit_a_date_oldest_first_and_each_resume_counts_the_later_dates() {
        let mut assembly = Assembly::new(barrier(2, 17));
        assembly.answer(WindowAnswer {
            closed: vec![closed("B", 1, 10, 2), closed("B", 25, 20, 3)],
            still_open: open(50, 4),
        });
        assert!(!assembly.is_complete());
        let closed = vec![closed("A", 2, 11, 5), closed("A", 49, 30, 2)];
        assembly.answer(WindowAnswer { closed, still_open: open(40, 1) });
        assert!(assembly.is_complete());

        let commits = assembly.into_commits(0).unwrap();
        let seen: Vec<_> = commits
            .iter()
            .map(|c| {
                let names: Vec<_> = c.rows.iter().map(|bar| bar.symbol.as_str()).collect();
                (names.join(""), c.checkpoint.resume.0, c.checkpoint.open_ticks, c.checkpoint.watermark.micros() / HOUR)
            })
            .collect();
        let expected = [("AB", 20, 10, 24), ("B", 30, 7, 48), ("A", 40, 5, 60)];
        assert_eq!(seen, expected.map(|(names, resume, ticks, hour)| (names.to_owned(), resume, ticks, hour)));
        assert_eq!(commits.iter().map(|c| c.checkpoint.counters.in_bars).collect::<Vec<_>>(), [7, 10, 12]);
    }

    #[test]
    fn a_commit_lists_no_forced_advance_beyond_its_own_watermark() {
        let forced =
            |hours: i64| ForcedAdvance { offset: NextOffset(100), watermark: EventTime::from_micros(hours * HOUR) };
        let mut barrier = Arc::unwrap_or_clone(barrier(1, 5));
        barrier.checkpoint.forced = vec![forced(60)];
        let mut assembly = Assembly::new(Arc::new(barrier));
        let closed = vec![closed("A", 2, 11, 3), closed("A", 49, 30, 2)];
        assembly.answer(WindowAnswer { closed, still_open: StillOpen::default() });
        let commits = assembly.into_commits(0).unwrap();
        assert_eq!(commits[0].checkpoint.forced, [forced(24)], "a restart from here has not advanced further");
        assert_eq!(commits[1].checkpoint.forced, [forced(60)]);
    }

    #[test]
    fn a_barrier_that_closed_nothing_commits_no_rows_and_resumes_at_the_cut() {
        let mut assembly = Assembly::new(barrier(1, 5));
        assembly.answer(WindowAnswer { closed: vec![], still_open: StillOpen::default() });
        let commits = assembly.into_commits(5).unwrap();
        assert_eq!(commits.len(), 1);
        assert!(commits[0].rows.is_empty());
        assert_eq!(commits[0].checkpoint.resume, NextOffset(100));
    }

    #[test]
    fn a_partition_without_windows_is_complete_at_once() {
        assert!(Assembly::new(barrier(0, 0)).is_complete());
    }

    #[test]
    fn ticks_that_are_not_accounted_for_stop_the_commit() {
        let mut assembly = Assembly::new(barrier(1, 6));
        assembly.answer(WindowAnswer { closed: vec![closed("A", 1, 1, 3)], still_open: open(4, 2) });
        let error = assembly.into_commits(0).unwrap_err();
        assert!(error.to_string().contains("6 ticks read"), "{error}");
    }
}
