//! Commits whose entry had become unreadable: lost for good when the log that would give their bars again has ended or lost their ticks,
//! pending while it has not.

use std::collections::BTreeSet;
use std::fmt;
use std::mem;

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, CommitNumber, NextOffset};
use super::symbol::Symbol;
use super::time::EventTime;
use crate::words::counted;

/// How many losses a checkpoint lists; when there are more, the two oldest become one that spans both.
const LOSSES_KEPT: usize = 100;
/// How many stocks of a loss are named.
const NAMED: usize = 5;

/// Commits whose entries were put aside as unreadable when the partition was taken: on the embedded broker, whose log ends with its
/// process, and on a cluster that has deleted records which would have given them again ([`LogGap`](super::log_gap::LogGap)). Every later checkpoint lists them until their bars are made again, or a lake without these would look whole.
///
/// The windows may have other bars since: where the log has ended, reading goes on behind the commit before, so ticks that come
/// anew are not late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostCommits {
    pub first: CommitNumber,
    /// The first, but where older losses have become one.
    pub last: CommitNumber,
    /// Bars of windows that had ended by then are not among the lost ones: the watermark of the newest commit that was left, or up to
    /// which the log has given them again. `EventTime::MIN` when there is no such commit.
    pub watermark: EventTime,
    /// What they held, as their features told; `None`: nothing tells. They may have held no bars at all.
    pub bars: Option<LostBars>,
    /// Pending: the log goes on, and its ticks below this offset give the bars again. `None`: it has ended, they are lost for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<NextOffset>,
}

/// Bars of lost commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostBars {
    pub count: u64,
    /// The first few by name: a checkpoint must not grow with the number of stocks.
    pub stocks: BTreeSet<Symbol>,
    /// How many stocks there are besides; at least so many where older losses have become one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_stocks: u64,
    /// Start of the oldest window.
    pub oldest: EventTime,
    /// Start of the youngest window.
    pub youngest: EventTime,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl LostCommits {
    /// One commit that is lost for good.
    pub fn of(number: CommitNumber, watermark: EventTime, bars: Option<LostBars>) -> Self {
        Self { first: number, last: number, watermark, bars, until: None }
    }

    /// Whether this commit is among them.
    pub fn covers(&self, number: CommitNumber) -> bool {
        (self.first..=self.last).contains(&number)
    }

    /// Whether the log has given all their bars again by this checkpoint of it.
    pub fn are_made_again(&self, checkpoint: &Checkpoint) -> bool {
        let window = checkpoint.rules.window.span();
        // What was closed without a tick need not be closed yet where the log has been read as far: no open window may need these ticks.
        self.until.is_some_and(|until| {
            until <= checkpoint.resume
                || self.bars.as_ref().is_some_and(|bars| bars.youngest + window <= checkpoint.watermark)
        })
    }

    fn joined(self, younger: Self) -> Self {
        let bars = self.bars.zip(younger.bars).map(|(older, younger)| older.joined(younger));
        // where one is lost for good, both are told as that
        let until = self.until.zip(younger.until).map(|(older, younger)| older.max(younger));
        Self { last: younger.last, bars, until, ..self }
    }
}

impl LostBars {
    /// The bars of these stocks and windows; `None`: there are none.
    pub fn of(rows: impl IntoIterator<Item = (Symbol, EventTime)>) -> Option<Self> {
        let one = |(stock, window)| Self {
            count: 1,
            stocks: [stock].into(),
            more_stocks: 0,
            oldest: window,
            youngest: window,
        };
        rows.into_iter().map(one).reduce(Self::with).map(Self::bounded)
    }

    fn joined(self, other: Self) -> Self {
        // those not named may be the same
        let most = self.stocks_in_all().max(other.stocks_in_all());
        let joined = Self { more_stocks: 0, ..self }.with(other);
        let more_stocks = most.saturating_sub(joined.stocks_in_all());
        Self { more_stocks, ..joined }.bounded()
    }

    /// Both, where all stocks are named.
    fn with(mut self, mut other: Self) -> Self {
        self.stocks.append(&mut other.stocks);
        Self {
            count: self.count.saturating_add(other.count),
            oldest: self.oldest.min(other.oldest),
            youngest: self.youngest.max(other.youngest),
            ..self
        }
    }

    fn bounded(mut self) -> Self {
        let in_all = self.stocks_in_all();
        while self.stocks.len() > NAMED {
            self.stocks.pop_last();
        }
        let more_stocks = in_all - self.stocks.len() as u64;
        Self { more_stocks, ..self }
    }

    fn stocks_in_all(&self) -> u64 {
        self.more_stocks.saturating_add(self.stocks.len() as u64)
    }
}

impl Checkpoint {
    /// The same state, and that these commits, which came after it, are lost or pending.
    pub fn without(mut self, lost: &[LostCommits]) -> Self {
        self.lost.extend_from_slice(lost);
        while self.lost.len() > LOSSES_KEPT {
            let oldest = self.lost.remove(0);
            self.lost[0] = oldest.joined(self.lost[0].clone());
        }
        self
    }

    /// Lists no more what the log has given again.
    pub(super) fn settle_lost(&mut self) {
        let lost = mem::take(&mut self.lost);
        self.lost = lost.into_iter().filter(|lost| !lost.are_made_again(self)).collect();
    }

    /// The log has ended: what is pending is lost for good.
    pub(super) fn lose_pending(&mut self) {
        self.settle_lost();
        let window = self.rules.window.span();
        for lost in self.lost.iter_mut().filter(|lost| lost.until.is_some()) {
            lost.until = None;
            lost.watermark = lost.watermark.max(self.watermark);
            // some of them were made again, and nothing tells how many
            lost.bars.take_if(|bars| bars.oldest + window <= self.watermark);
        }
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
        let Self { count, stocks, more_stocks, oldest, youngest } = &self.clone().bounded();
        write!(f, "{} of ", counted(*count, "bar"))?;
        for (at, stock) in stocks.iter().enumerate() {
            write!(f, "{}{stock}", if at == 0 { "" } else { ", " })?;
        }
        if *more_stocks > 0 {
            write!(f, " and {}", counted(*more_stocks, "more stock"))?;
        }
        write!(f, ", of windows from {oldest}")?;
        if youngest > oldest { write!(f, " to {youngest}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
