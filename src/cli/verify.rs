//! `stockstream verify`: whether a lake keeps what is promised of it.
//!
//! - `chains`: every entry of every chain is readable, adds up, and is published as it is.
//! - `dates`: the walk over the published files, date by date; `listing` finds what does not belong there.
//! - `bars`, `features`: the rows of a file, by themselves and side by side.
//! - `history`: what the rows before a file say about it: each window once, the indicators, the count of ticks.
//! - `findings`: what was found, bounded.
//!
//! Beware: the lake may be written at the same moment. Each step looks at things in the order that makes a half-done commit
//! recognisable as such; the reasons stand where the looking is done.

mod bars;
mod chains;
mod dates;
mod features;
mod findings;
mod history;
mod listing;
#[cfg(test)]
pub(super) mod sample;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::OutputFormat;
use crate::storage::Lake;

pub use findings::{Finding, Findings};

/// What to verify.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    /// Directory of the lake.
    pub lake: PathBuf,
    pub format: OutputFormat,
}

/// Whether anything was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sound,
    Unsound,
}

/// What a verification looked at and found.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
}

/// Verifies a lake and prints what was found.
///
/// # Errors
/// When there is no lake, a directory of it cannot be listed, or `out` fails. A file that cannot be read is a finding.
pub fn verify(request: &VerifyRequest, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let progress = match request.format {
        OutputFormat::Text if std::io::stderr().is_terminal() => progress_bar(),
        _ => ProgressBar::hidden(),
    };
    let report = examine(&request.lake, &progress)?;
    progress.finish_and_clear();
    match request.format {
        OutputFormat::Json => {
            serde_json::to_writer(&mut *out, &report).context("cannot print the report")?;
            writeln!(out)?;
        }
        OutputFormat::Text => write!(out, "{report}")?,
    }
    Ok(if report.sound { Verdict::Sound } else { Verdict::Unsound })
}

fn examine(root: &Path, progress: &ProgressBar) -> anyhow::Result<Report> {
    let lake = Lake::open_read_only(root)?;
    let mut findings = Findings::default();
    // Chains first: what they hold now is published before the walk comes to it.
    let chains = chains::check_all(&lake, root, &mut findings)?;
    let dates = listing::dates(root, &mut findings)?;
    progress.set_length(dates.len() as u64);
    let mut walk = dates::Walk::new(&lake, root, chains, findings);
    for date in &dates {
        progress.set_message(date.clone());
        walk.date(date)?;
        progress.inc(1);
    }
    Ok(walk.finish())
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("verifying {msg} {wide_bar} {pos}/{len} dates")
        .expect("the template is a constant that indicatif accepts");
    ProgressBar::new(0).with_style(style)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.unlisted > 0 {
            writeln!(f, "... and {} more findings", self.unlisted)?;
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
