//! One partition's commits held against its log, as the records come.

use std::path::Path;

use super::pass::LogPass;
use super::rows;
use crate::cli::verify::Findings;
use crate::cli::verify::chains::{self, ChainSeen, published};
use crate::cli::verify::coverage::Coverage;
use crate::cli::verify::findings::RowFaults;
use crate::cli::verify::remedy::Remedy;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Checkpoint, NextOffset, TopicPartition};
use crate::market::partition::Record;
use crate::market::time::EventTime;
use crate::storage::reader::PublishedBars;
use crate::storage::{BarsFile, Dataset, Lake, StorageError};

/// A partition's side of the comparison.
pub struct Side<'a> {
    pub lake: &'a Lake,
    pub root: &'a Path,
    pub partition: &'a TopicPartition,
    pub chain: &'a ChainSeen,
    pub newest: &'a Checkpoint,
    /// In the order of their commits, up to the newest of the chain.
    pub files: &'a [BarsFile],
}

/// The comparison in progress.
pub struct Comparison<'a> {
    side: &'a Side<'a>,
    pass: LogPass,
    above: EventTime,
    files: std::slice::Iter<'a, BarsFile>,
    /// The commit that comes next in the log.
    next: Option<(&'a BarsFile, PublishedBars)>,
    pub findings: Findings,
    pub compared: u64,
    pub records: u64,
}

impl<'a> Comparison<'a> {
    pub fn new(side: &'a Side<'a>, coverage: Coverage) -> Self {
        let mut comparison = Self {
            side,
            pass: LogPass::new(side.newest, coverage),
            above: coverage.above,
            files: side.files.iter(),
            next: None,
            findings: Findings::default(),
            compared: 0,
            records: 0,
        };
        comparison.advance();
        comparison
    }

    /// The next record of the log, after the commits that were made before it.
    pub fn read(&mut self, record: Record<'_>) {
        self.hold_commits_up_to(NextOffset(record.offset));
        self.records += 1;
        self.pass.read(record);
    }

    /// The log has been read as far as the lake goes.
    ///
    /// # Errors
    /// When the newest entry of the chain cannot be read.
    pub fn finish(&mut self) -> Result<(), StorageError> {
        self.hold_commits_up_to(self.side.newest.cut);
        let Side { lake, root, partition, chain, newest, .. } = *self.side;
        let rows = match chain.unpublished && !self.side.files.iter().any(|file| file.number == chain.horizon) {
            true => lake.read_entry(partition, chain.horizon)?.rows.to_vec(),
            false => Vec::new(),
        };
        self.hold(&chains::entry_path(root, partition, chain.horizon), &rows, newest.watermark);
        Ok(())
    }

    fn hold_commits_up_to(&mut self, position: NextOffset) {
        while let Some((file, content)) = self.next.take_if(|(_, content)| content.checkpoint.cut <= position) {
            let path = self.side.root.join(file.path(Dataset::Bars));
            self.hold(&path, &content.bars, content.checkpoint.watermark);
            self.advance();
        }
    }

    /// A file that cannot be read is told by the walk over the files.
    fn advance(&mut self) {
        let Side { lake, root, .. } = *self.side;
        self.next = self.files.by_ref().find_map(|file| {
            let content = lake.read_bars(&published(root, file, Dataset::Bars)).ok().flatten()?;
            Some((file, content))
        });
    }

    fn hold(&mut self, path: &Path, rows: &[Bar], watermark: EventTime) {
        let mut covered: Vec<Bar> = rows.iter().filter(|bar| bar.window_start > self.above).cloned().collect();
        // rows out of order are told by the walk over the files
        covered.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
        self.compared += covered.len() as u64;
        let mut faults = RowFaults::default();
        rows::compare(&covered, &self.pass.close(watermark), &mut faults);
        self.findings.of_rows(path, faults, Remedy::RestoreOrReplay);
    }
}
