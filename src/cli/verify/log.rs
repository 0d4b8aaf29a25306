//! `--against-log`: the bars of the lake against those that the log gives.
//!
//! - `pass`: the bars of a log, by the product's own rules; `rows`: two lists of bars side by side. Both pure.
//! - `partition`: the commits of one partition held against the records as they come.
//! - `untaken`: partitions that the log gives bars of, and the lake has no chain of.

mod partition;
mod pass;
mod rows;
mod untaken;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use indicatif::ProgressBar;
use serde::Serialize;

use super::chains::{self, ChainSeen};
use super::coverage::{Coverage, Cuts, coverage};
use super::remedy::Remedy;
use super::{Findings, LogRequest};
use crate::kafka::log_reader::{LogReadError, LogReader};
use crate::kafka::route::partition_of;
use crate::kafka::topics::Topics;
use crate::market::checkpoint::{Checkpoint, CommitNumber, NextOffset, TopicPartition};
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;
use crate::storage::{BarsFile, Dataset, Lake, StorageError};

use crate::words::counted;
use partition::{Comparison, Side};

#[cfg(test)]
pub(super) use {pass::LogPass, rows::compare as compare_rows, untaken::UntakenPass};

/// How many partitions whose logs are no longer whole are listed.
const LIMIT: usize = 100;
/// How many of them are printed.
const PRINTED: usize = 10;
/// How often a partition is read again whose log was deleted under the reader.
const ATTEMPTS: usize = 5;
/// Records between two steps of the progress.
const STEP: u64 = 4_096;

/// The settings lead to another cluster than the lake's.
#[derive(Debug, thiserror::Error)]
#[error(
    "the lake was made from the log of cluster `{lake}`, and kafka.bootstrap_servers leads to cluster `{found}`: give the \
     settings that the lake was made with"
)]
pub struct OtherCluster {
    lake: String,
    found: String,
}

/// How the bars compare with the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LogReport {
    /// Bars of the lake that were held against the log.
    pub compared: u64,
    /// Bars of the lake whose ticks, or some of them, the log no longer holds for certain.
    pub not_covered: u64,
    /// Records read.
    pub records: u64,
    /// Partitions whose log no longer gives all bars; the first hundred.
    pub partly_covered: Vec<PartlyCovered>,
}

/// A partition whose log has lost its start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartlyCovered {
    pub partition: String,
    /// The oldest offset that the log holds.
    pub log_start: NextOffset,
    /// Bars of windows that start after this were compared; `None`: none were.
    pub after: Option<String>,
}

impl fmt::Display for LogReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for PartlyCovered { partition, log_start, after } in self.partly_covered.iter().take(PRINTED) {
            write!(f, "{partition}: the log begins at offset {log_start}, ")?;
            match after {
                Some(after) => writeln!(f, "bars of windows that start after {after} were compared")?,
                None => writeln!(f, "no bar can be compared")?,
            }
        }
        let (compared, records) = (counted(self.compared, "bar"), counted(self.records, "record"));
        writeln!(f, "against the log: {compared} compared, {} not covered by it, {records} read", self.not_covered)
    }
}

/// What the verification before has seen.
pub struct Seen<'a> {
    pub lake: &'a Lake,
    pub root: &'a Path,
    pub chains: &'a BTreeMap<TopicPartition, ChainSeen>,
    pub cuts: &'a BTreeMap<TopicPartition, Cuts>,
    /// Bars of the lake.
    pub bars: u64,
}

/// A cluster that was found to be the lake's.
pub struct Log {
    reader: LogReader,
    cluster: String,
    /// The stocks of the settings, by the partition that their ticks go to.
    stocks: BTreeMap<TopicPartition, Vec<Symbol>>,
}

/// Connects to the cluster and makes sure that it is the lake's. Blocks, up to some seconds.
///
/// # Errors
/// [`OtherCluster`]; when there is no lake, or no broker answers.
pub fn connect(LogRequest { kafka, stocks }: &LogRequest, root: &Path) -> anyhow::Result<Log> {
    let identity = Lake::open_read_only(root)?.identity()?;
    let cluster = Topics::of_cluster(kafka, &kafka.bootstrap_servers).cluster_id()?;
    if let Some(identity) = identity.filter(|identity| identity.cluster != cluster) {
        return Err(OtherCluster { lake: identity.cluster, found: cluster }.into());
    }
    let mut by_partition: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for stock in stocks {
        by_partition.entry(partition_of(kafka, stock)).or_default().push(stock.clone());
    }
    Ok(Log { reader: LogReader::new(kafka)?, cluster, stocks: by_partition })
}

impl Log {
    /// Compares every partition that has a chain, and looks for those that should have one.
    ///
    /// # Errors
    /// When the lake cannot be listed, or the log not be read.
    pub fn compare(
        &self,
        seen: &Seen<'_>,
        progress: &ProgressBar,
        findings: &mut Findings,
    ) -> anyhow::Result<LogReport> {
        let mut report = LogReport::default();
        let mut files = index(seen)?;
        for (partition, chain) in seen.chains {
            let Some(newest) = &chain.newest else { continue };
            let own = files.remove(partition).unwrap_or_default();
            let Seen { lake, root, .. } = *seen;
            let side = Side { lake, root, partition, chain, newest, files: &own };
            let cuts = seen.cuts.get(partition).cloned().unwrap_or_default();
            progress.set_message(partition.to_string());
            self.compare_partition(&side, &cuts, progress, (&mut report, findings))?;
        }
        self.tell_untaken(seen, progress, findings)?;
        report.not_covered = seen.bars.saturating_sub(report.compared);
        Ok(report)
    }

    fn compare_partition(
        &self,
        side: &Side<'_>,
        cuts: &Cuts,
        progress: &ProgressBar,
        (report, findings): (&mut LogReport, &mut Findings),
    ) -> anyhow::Result<()> {
        for attempt in 1.. {
            let (start, end) = match self.reader.bounds(side.partition)? {
                Some(bounds) => bounds,
                None => {
                    let problem = format!("the topic of {} does not exist", side.partition);
                    tell(side, problem, findings);
                    return Ok(());
                }
            };
            if let Some(problem) = self.other_log(side, (start, end))? {
                tell(side, problem, findings);
                return Ok(());
            }
            let cover = coverage(start, side.newest, cuts).filter(|cover| cover.from < side.newest.cut);
            let outcome = match cover {
                Some(cover) => self.pass(side, cover, progress),
                None if start == NextOffset(0) => return Ok(()),
                None => Ok(None),
            };
            match outcome {
                Ok(comparison) => {
                    note_cover(side, (start, cover), report);
                    if let Some(comparison) = comparison {
                        report.compared += comparison.compared;
                        report.records += comparison.records;
                        findings.absorb(comparison.findings);
                    }
                    return Ok(());
                }
                Err(PassError::Log(LogReadError::Overtaken { .. })) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn pass<'a>(
        &self,
        side: &'a Side<'a>,
        cover: Coverage,
        progress: &ProgressBar,
    ) -> Result<Option<Comparison<'a>>, PassError> {
        let (from, cut) = (cover.from, side.newest.cut);
        progress.set_length((cut.0 - from.0).max(0).unsigned_abs());
        progress.set_position(0);
        let mut comparison = Comparison::new(side, cover);
        self.reader.read(side.partition, (from, cut), &mut |record| {
            comparison.read(record);
            if comparison.records.is_multiple_of(STEP) {
                progress.set_position((record.offset - from.0).max(0).unsigned_abs());
            }
            ControlFlow::Continue(())
        })?;
        comparison.finish()?;
        Ok(Some(comparison))
    }

    /// Why the log is not the one that the lake was made from.
    fn other_log(
        &self,
        side: &Side<'_>,
        (start, end): (NextOffset, NextOffset),
    ) -> Result<Option<String>, LogReadError> {
        let Side { partition, newest, .. } = side;
        let Checkpoint { cut, log, .. } = newest;
        if log.cluster != self.cluster {
            let (lake, found) = (&log.cluster, &self.cluster);
            return Ok(Some(format!("its log is of cluster {lake}, and this is cluster {found}")));
        }
        if let (Some(known), Some(found)) = (&log.topic, self.reader.topic_id(partition)?)
            && *known != found
        {
            return Ok(Some(format!(
                "the lake was made from the topic of {partition} with the id {known}, and it has the id {found} now: the topic was made anew"
            )));
        }
        if end < *cut {
            return Ok(Some(format!(
                "the lake was made of the records of {partition} up to {cut}, and its log ends at {end}"
            )));
        }
        let Some(at) = pass::remembered(newest).filter(|at| *at >= start) else { return Ok(None) };
        let mut is_other = false;
        self.reader.read(partition, (at, NextOffset(at.0 + 1)), &mut |record| {
            is_other = pass::is_of_another_log(newest, record);
            ControlFlow::Break(())
        })?;
        Ok(is_other.then(|| {
            format!("the record at offset {at} of {partition} is not the one the lake was made from: the topic was made anew")
        }))
    }
}

#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Log(#[from] LogReadError),
    #[error(transparent)]
    Lake(#[from] StorageError),
}

fn tell(side: &Side<'_>, problem: String, findings: &mut Findings) {
    let path = chains::entry_path(side.root, side.partition, side.chain.horizon);
    findings.of_file(&path, problem, Remedy::OtherLog);
}

fn note_cover(side: &Side<'_>, (log_start, cover): (NextOffset, Option<Coverage>), report: &mut LogReport) {
    let above = cover.map(|cover| cover.above);
    if above != Some(EventTime::MIN) && report.partly_covered.len() < LIMIT {
        let (partition, after) = (side.partition.to_string(), above.map(|above| above.to_string()));
        report.partly_covered.push(PartlyCovered { partition, log_start, after });
    }
}

/// The bars files of every partition, in the order of their commits, up to where its chain stood.
fn index(seen: &Seen<'_>) -> Result<BTreeMap<TopicPartition, Vec<BarsFile>>, StorageError> {
    let mut files: BTreeMap<TopicPartition, Vec<BarsFile>> = BTreeMap::new();
    for date in seen.lake.dates(Dataset::Bars)? {
        for file in seen.lake.files_of(Dataset::Bars, &date)? {
            let Some((partition, number)) = file.commit() else { continue };
            let horizon = seen.chains.get(&partition).map_or(CommitNumber(0), |chain| chain.horizon);
            if number <= horizon {
                let file = BarsFile { partition: partition.clone(), number, date: date.clone() };
                files.entry(partition).or_default().push(file);
            }
        }
    }
    files.values_mut().for_each(|files| files.sort_by_key(|file| file.number));
    Ok(files)
}
