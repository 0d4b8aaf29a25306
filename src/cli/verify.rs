//! `stockstream verify`: whether a lake keeps what is promised of it.
//!
//! - `chains`: every entry of every chain is readable, adds up, and is published as it is.
//! - `dates`: the walk over the published files, date by date; `listing` finds what does not belong there.
//! - `bars`, `features`: the rows of a file, by themselves and side by side.
//! - `history`: what the rows before a file say about it: each window once, the indicators, the count of ticks.
//! - `identity`: whether the lake says whom it belongs to, and has all chains that it can have.
//! - `losses`: what the checkpoints themselves say is lost.
//! - `held`: which rows a file held that is damaged or gone, as another one tells.
//! - `findings`: what was found, bounded; `remedy`: what helps; `report`: how it is printed.
//! - `repair`: what was put right. That is done where it is found, look after look, until nothing more can be done.
//! - `log`: the bars against those that the log gives; `coverage`: which of them it still gives whole.
//!
//! Beware: the lake may be written at the same moment. Each step looks at things in the order that makes a half-done commit
//! recognisable as such; the reasons stand where the looking is done.

mod bars;
mod chains;
mod coverage;
mod dates;
mod features;
mod findings;
mod held;
mod history;
mod identity;
mod listing;
mod log;
mod losses;
mod remedy;
mod repair;
mod report;
#[cfg(test)]
pub(super) mod sample;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::OutputFormat;
use crate::market::symbol::Symbol;
use crate::settings::{Compression, KafkaSettings};
use crate::storage::Lake;

use chains::ChainCheck;
use dates::Walked;

pub use findings::{Finding, Findings};
pub use log::OtherCluster;
pub use repair::{Deed, Repairs};
pub use report::Report;

/// How often a repair looks at the lake at most: each look mends what the one before made it possible to mend.
const ROUNDS: usize = 8;

/// What to verify.
#[derive(Clone)]
pub struct VerifyRequest {
    /// Directory of the lake.
    pub lake: PathBuf,
    pub format: OutputFormat,
    /// The cluster whose log the bars are compared with.
    pub against_log: Option<LogRequest>,
    /// Puts right what can be put right; features are written with this compression.
    pub repair: Option<Compression>,
}

/// The cluster whose log is read.
#[derive(Clone)]
pub struct LogRequest {
    pub kafka: KafkaSettings,
    /// Those of the settings: their partitions should have chains.
    pub stocks: Vec<Symbol>,
}

/// Whether anything was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sound,
    Unsound,
}

/// Verifies a lake and prints what was found.
///
/// # Errors
/// When there is no lake, a directory of it cannot be listed, another process has it open that is to be repaired, no broker
/// answers, or `out` fails. A file that cannot be read is a finding.
pub fn verify(request: &VerifyRequest, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let progress = match request.format {
        OutputFormat::Text if std::io::stderr().is_terminal() => progress_bar(),
        _ => ProgressBar::hidden(),
    };
    let report = report_on(request, &progress)?;
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

fn report_on(request: &VerifyRequest, progress: &ProgressBar) -> anyhow::Result<Report> {
    let root = &request.lake;
    // before anything is changed or hours are spent
    let log = request.against_log.as_ref().map(|asked| log::connect(asked, root)).transpose()?;
    let (lake, repaired) = match request.repair {
        Some(compression) => {
            let lake = Lake::open_for_repair(root, compression)?;
            let repairs = put_right(&lake, root, progress)?;
            (lake, Some(repairs))
        }
        None => (Lake::open_read_only(root)?, None),
    };
    let Walked { mut report, mut findings, chains, cuts } = examine(&lake, root, progress, None)?;
    for (partition, newest) in chains.iter().filter_map(|(of, chain)| Some((of, chain.newest.as_ref()?))) {
        losses::tell(root, partition, newest, &mut findings);
        report.tell_gaps(partition, &newest.gaps, &newest.rules);
    }
    report.without_chain = identity::without_chain(&lake, &chains).iter().map(ToString::to_string).collect();
    if let Some(log) = log {
        let seen = log::Seen { lake: &lake, root, chains: &chains, cuts: &cuts, bars: report.bars };
        report.against_log = Some(log.compare(&seen, progress, &mut findings)?);
    }
    // one that cannot be read is a finding already
    if lake.identity().ok().flatten().is_some_and(|identity| identity.is_embedded()) {
        findings.are_without_log();
    }
    (report.findings, report.unlisted) = findings.into_parts();
    report.sound = report.findings.is_empty();
    report.repaired = repaired;
    Ok(report)
}

/// Until there is nothing more that can be done.
fn put_right(lake: &Lake, root: &Path, progress: &ProgressBar) -> anyhow::Result<Repairs> {
    let mut repairs = Repairs::default();
    for _ in 0..ROUNDS {
        let before = repairs.count();
        examine(lake, root, progress, Some(&mut repairs))?;
        if repairs.count() == before {
            break;
        }
    }
    Ok(repairs)
}

fn examine(
    lake: &Lake,
    root: &Path,
    progress: &ProgressBar,
    mut repairs: Option<&mut Repairs>,
) -> anyhow::Result<Walked> {
    let mut findings = Findings::default();
    listing::root(root, &mut findings)?;
    let leftovers = listing::state(root, &mut findings)?;
    if let Some(repairs) = &mut repairs {
        for path in &leftovers {
            lake.sweep_temporaries()?;
            repairs.did(path, "removed: its writer is dead");
        }
    }
    // Chains first: what they hold now is published before the walk comes to it.
    let check = ChainCheck { lake, root, findings: &mut findings, repairs: repairs.as_deref_mut() };
    let chains = check.all()?;
    identity::check(lake, root, &chains, &mut findings)?;
    let dates = listing::dates(root, &mut findings)?;
    progress.set_position(0);
    progress.set_length(dates.len() as u64);
    let mut walk = dates::Walk::new(lake, root, (chains, findings), repairs);
    for date in &dates {
        progress.set_message(date.clone());
        walk.date(date)?;
        progress.inc(1);
    }
    let mut walked = walk.finish()?;
    walked.report.leftovers = leftovers.len();
    Ok(walked)
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("verifying {msg} {wide_bar} {pos}/{len}")
        .expect("the template is a constant that indicatif accepts");
    ProgressBar::new(0).with_style(style)
}
