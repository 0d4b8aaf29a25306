//! What a verification looked at and found, and how it is printed.

use std::fmt;

use serde::Serialize;

use super::Repairs;
use super::findings::Finding;
use super::log::LogReport;

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
    /// Findings that are not listed: there are too many.
    pub unlisted: usize,
    pub findings: Vec<Finding>,
    /// With `--repair`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Repairs>,
    /// With `--against-log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against_log: Option<LogReport>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.unlisted > 0 {
            writeln!(f, "... and {} more findings", self.unlisted)?;
        }
        if let Some(repairs) = &self.repaired {
            for deed in &repairs.listed {
                writeln!(f, "repaired {deed}")?;
            }
            if repairs.unlisted > 0 {
                writeln!(f, "... and {} more repairs", repairs.unlisted)?;
            }
        }
        if let Some(log) = &self.against_log {
            write!(f, "{log}")?;
        }
        let found = self.findings.len() + self.unlisted;
        if self.pending > 0 {
            writeln!(
                f,
                "{} commits are not complete yet; the running process or the next start does that",
                self.pending
            )?;
        }
        writeln!(
            f,
            "{}: {} files, {} bars, {} feature rows, {} stocks, {} partitions, {found} findings",
            if self.sound { "sound" } else { "NOT SOUND" },
            self.files,
            self.bars,
            self.feature_rows,
            self.stocks,
            self.partitions,
        )
    }
}
