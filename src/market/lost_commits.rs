//! Commits that are lost for good: their entry had become unreadable, and the log that would give them again was gone.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, CommitNumber};
use super::symbol::Symbol;
use super::time::EventTime;
use crate::words::counted;

/// How many losses a checkpoint lists; when there are more, the two oldest become one that spans both.
const LOSSES_KEPT: usize = 100;
/// How many stocks are printed.
const PRINTED: usize = 5;

/// Commits whose entries were put aside as unreadable when the partition was taken, and whose ticks no log held any more: that of the
/// embedded broker ends with its process. Every later checkpoint says so, or a lake without their bars would look whole.
///
/// The windows may have other bars since: reading went on behind the commit before, so ticks that came anew were not late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostCommits {
    pub first: CommitNumber,
    /// The first, but where older losses have become one.
    pub last: CommitNumber,
    /// The watermark of the commit before: bars of windows that had ended by then are not among the lost ones. `EventTime::MIN` when
    /// there is no such commit.
    pub watermark: EventTime,
    /// What they held, as their features told; `None`: nothing did. They may have held no bars at all.
    pub bars: Option<LostBars>,
}

/// Bars of lost commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostBars {
    pub count: u64,
    pub stocks: BTreeSet<Symbol>,
    /// Start of the oldest window.
    pub oldest: EventTime,
    /// Start of the youngest window.
    pub youngest: EventTime,
}

impl LostCommits {
    /// Whether this commit is among them.
    pub fn covers(&self, number: CommitNumber) -> bool {
        (self.first..=self.last).contains(&number)
    }

    fn joined(self, younger: Self) -> Self {
        let bars = self.bars.zip(younger.bars).map(|(older, younger)| older.joined(younger));
        Self { last: younger.last, bars, ..self }
    }
}

impl LostBars {
    /// The bars of these stocks and windows; `None`: there are none.
    pub fn of(rows: impl IntoIterator<Item = (Symbol, EventTime)>) -> Option<Self> {
        let one = |(stock, window)| Self { count: 1, stocks: [stock].into(), oldest: window, youngest: window };
        rows.into_iter().map(one).reduce(Self::joined)
    }

    fn joined(mut self, mut other: Self) -> Self {
        self.stocks.append(&mut other.stocks);
        Self {
            count: self.count.saturating_add(other.count),
            stocks: self.stocks,
            oldest: self.oldest.min(other.oldest),
            youngest: self.youngest.max(other.youngest),
        }
    }
}

impl Checkpoint {
    /// The same state, and that these commits, which came after it, are lost.
    pub fn without(mut self, lost: &[LostCommits]) -> Self {
        self.lost.extend_from_slice(lost);
        while self.lost.len() > LOSSES_KEPT {
            let oldest = self.lost.remove(0);
            self.lost[0] = oldest.joined(self.lost[0].clone());
        }
        self
    }
}

impl fmt::Display for LostCommits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bars {
            Some(bars) => bars.fmt(f),
            None if self.watermark == EventTime::MIN => f.write_str("whatever bars it held: nothing tells which"),
            None => {
                write!(f, "whatever bars it held of windows that end after {}: nothing tells which", self.watermark)
            }
        }
    }
}

impl fmt::Display for LostBars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, stocks, oldest, youngest } = self;
        write!(f, "{} of ", counted(*count, "bar"))?;
        for (at, stock) in stocks.iter().take(PRINTED).enumerate() {
            write!(f, "{}{stock}", if at == 0 { "" } else { ", " })?;
        }
        if stocks.len() > PRINTED {
            write!(f, " and {}", counted(stocks.len() - PRINTED, "more stock"))?;
        }
        write!(f, ", of windows from {oldest}")?;
        if youngest > oldest { write!(f, " to {youngest}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
