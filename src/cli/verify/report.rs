//! What a verification looked at and found, and how it is printed.

use std::fmt;

use serde::Serialize;

use super::Repairs;
use super::findings::Finding;
use super::log::LogReport;
use crate::market::checkpoint::{BarRules, NextOffset, TopicPartition};
use crate::market::log_gap::LogGap;
use crate::words::counted;

/// How many partitions without a chain are printed.
const PRINTED: usize = 10;

/// How many gaps are listed.
const LIMIT: usize = 100;

/// What a verification looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub sound: bool,
    pub bars: u64,
    pub feature_rows: u64,
    /// Bars files and features files that were read.
    pub files: u64,
    pub stocks: usize,
    pub partitions: usize,
    /// Commits that a running process, or the next start, has yet to publish, or to compute the features of. Nothing is wrong
    /// with them.
    pub pending: usize,
    /// Files that dead processes left half-written, which the next start removes. Nothing is wrong with the lake.
    pub leftovers: usize,
    /// Findings that are not listed: there are too many.
    pub unlisted: usize,
    pub findings: Vec<Finding>,
    /// What the log lost before it was read, as the checkpoints tell it. The settings allow it (`kafka.on_gap`): no finding.
    pub gaps: Vec<GapNotice>,
    /// Gaps that are not listed.
    pub unlisted_gaps: usize,
    /// Partitions of a keyed lake that have no chain, the first thousand: not taken yet, or removed with all their files.
    pub without_chain: Vec<String>,
    /// With `--repair`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Repairs>,
    /// With `--against-log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against_log: Option<LogReport>,
}

impl Report {
    /// Lists the gaps of a partition, as its newest checkpoint tells them.
    pub fn tell_gaps(&mut self, partition: &TopicPartition, gaps: &[LogGap], rules: &BarRules) {
        let listed = gaps.len().min(LIMIT.saturating_sub(self.gaps.len()));
        self.gaps.extend(gaps[..listed].iter().map(|gap| GapNotice::new(partition, gap, rules)));
        self.unlisted_gaps += gaps.len() - listed;
    }
}

/// A gap of a partition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GapNotice {
    pub partition: String,
    /// The oldest offset that was needed.
    pub from: NextOffset,
    /// Where reading went on.
    pub to: NextOffset,
    /// Offsets that were never read.
    pub unread: u64,
    /// Ticks of open windows that were read and lost; `None`: not known yet.
    pub open_ticks_lost: Option<u64>,
    /// Bars of windows that end after this ...
    pub after: String,
    /// ... and start up to this may lack ticks; `None`: not known yet.
    pub up_to: Option<String>,
}

impl GapNotice {
    pub fn new(partition: &TopicPartition, gap: &LogGap, rules: &BarRules) -> Self {
        let up_to = gap.next_tick.map(|tick| (tick + rules.lateness).to_string());
        Self {
            partition: partition.to_string(),
            from: gap.from,
            to: gap.to,
            unread: gap.unread(),
            open_ticks_lost: gap.open_ticks_lost,
            after: gap.watermark.to_string(),
            up_to,
        }
    }
}

impl fmt::Display for GapNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, from, to, unread, after, .. } = self;
        write!(
            f,
            "partition {partition}: of the offsets from {from} up to {to}, deleted by the broker, never read: {unread}"
        )?;
        if let Some(lost) = self.open_ticks_lost {
            write!(f, "; ticks of open windows lost: {lost}")?;
        }
        write!(f, "; bars of windows that end after {after}")?;
        if let Some(up_to) = &self.up_to {
            write!(f, " and start up to {up_to}")?;
        }
        f.write_str(" may lack ticks")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.unlisted > 0 {
            writeln!(f, "... and {}", counted(self.unlisted, "more finding"))?;
        }
        for gap in &self.gaps {
            writeln!(f, "note: {gap}")?;
        }
        if self.unlisted_gaps > 0 {
            writeln!(f, "note: ... and {}", counted(self.unlisted_gaps, "more gap"))?;
        }
        if !self.without_chain.is_empty() {
            let more = self.without_chain.len().saturating_sub(PRINTED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let names = self.without_chain[..self.without_chain.len().min(PRINTED)].join(", ");
            writeln!(
                f,
                "note: partitions without a chain: {names}{more}; not taken yet, or removed with all their files (`--against-log` tells \
                 whether bars are missing)"
            )?;
        }
        if let Some(repairs) = &self.repaired {
            for deed in &repairs.listed {
                writeln!(f, "repaired {deed}")?;
            }
            if repairs.unlisted > 0 {
                writeln!(f, "... and {}", counted(repairs.unlisted, "more repair"))?;
            }
        }
        if let Some(log) = &self.against_log {
            write!(f, "{log}")?;
        }
        if self.leftovers > 0 {
            writeln!(
                f,
                "note: {} left half-written by a process that died, for the next start to remove",
                counted(self.leftovers, "file")
            )?;
        }
        let found = self.findings.len() + self.unlisted;
        if self.pending > 0 {
            writeln!(
                f,
                "{} not complete yet; the running process or the next start does that",
                counted(self.pending, "commit")
            )?;
        }
        writeln!(
            f,
            "{}: {}, {}, {}, {}, {}, {}",
            if self.sound { "sound" } else { "NOT SOUND" },
            counted(self.files, "file"),
            counted(self.bars, "bar"),
            counted(self.feature_rows, "feature row"),
            counted(self.stocks, "stock"),
            counted(self.partitions, "partition"),
            counted(found, "finding"),
        )
    }
}
