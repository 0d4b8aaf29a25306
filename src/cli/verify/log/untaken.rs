//! Partitions of the settings that have no chain, though the log gives bars of them.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::{ATTEMPTS, Log, Seen};
use crate::cli::verify::Findings;
use crate::cli::verify::remedy::Remedy;
use crate::kafka::log_reader::LogReadError;
use crate::market::checkpoint::{BarRules, Checkpoint, TopicPartition};
use crate::market::partition::{PartitionCursor, Record};
use crate::market::symbol::Symbol;
use crate::storage::{StorageError, layout};

/// How long a process that has just started may take for its first commit to a partition.
const GRACE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A pass over the log of a partition that nobody has taken, until it closes a window. Pure.
pub struct UntakenPass {
    cursor: PartitionCursor,
}

impl UntakenPass {
    /// As the first process that takes it would begin.
    pub fn new(rules: BarRules, stocks: &[Symbol]) -> Self {
        Self { cursor: PartitionCursor::new(Checkpoint::genesis(rules, ""), stocks.iter().cloned()) }
    }

    /// The next record; breaks when the log has given a bar.
    pub fn read(&mut self, record: Record<'_>) -> ControlFlow<()> {
        self.cursor.read(record);
        if self.gives_bars() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub fn gives_bars(&self) -> bool {
        self.cursor.can_close()
    }
}

impl Log {
    /// In a lake that has begun, each partition of the settings' stocks has a chain by the time that a window of it is over. Where the
    /// files are still there, the walk over them has said so.
    pub(super) fn tell_untaken(
        &self,
        seen: &Seen<'_>,
        progress: &ProgressBar,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let Some(rules) = seen.chains.values().find_map(|chain| Some(chain.newest.as_ref()?.rules)) else {
            return Ok(());
        };
        for (partition, stocks) in &self.stocks {
            if seen.chains.contains_key(partition) || seen.cuts.contains_key(partition) {
                continue;
            }
            progress.set_message(partition.to_string());
            if self.gives_bars(partition, rules, stocks)? && !is_taken_since(seen, partition)? {
                let problem = "is missing: the log gives bars of this partition, and the lake has none of them (it was never \
                               taken, or its chain was removed with all its files)";
                findings.of_file(&seen.root.join(layout::chain_dir(partition)), problem, Remedy::NextStart);
            }
        }
        Ok(())
    }

    fn gives_bars(&self, partition: &TopicPartition, rules: BarRules, stocks: &[Symbol]) -> Result<bool, LogReadError> {
        for attempt in 1.. {
            let Some(bounds) = self.reader.bounds(partition)? else { break };
            let mut pass = UntakenPass::new(rules, stocks);
            match self.reader.read(partition, bounds, &mut |record| pass.read(record)) {
                Ok(()) => return Ok(pass.gives_bars()),
                Err(LogReadError::Overtaken { .. }) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// A running process may be about to take it.
fn is_taken_since(seen: &Seen<'_>, partition: &TopicPartition) -> Result<bool, StorageError> {
    let deadline = Instant::now() + GRACE;
    loop {
        if !seen.lake.chain_names(partition)?.is_empty() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(LOOK_AGAIN);
    }
}
