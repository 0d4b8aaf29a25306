//! The features of one partition, from its chain to the lake: what is restored at a start, in which order files are published, and
//! when the indicator state may be saved.
//!
//! The state is exact and survives a restart: it is saved now and then with the number of the newest file it includes, and a start
//! goes on from there over the entries that the chain still holds.

use std::collections::VecDeque;
use std::sync::Arc;

use super::features::FeaturesOutcome;
use super::layout::{BarsFile, Dataset};
use super::{Lake, StorageError};
use crate::indicators::feature_row::FeatureRow;
use crate::indicators::state::IndicatorState;
use crate::market::bar::Bar;
use crate::market::checkpoint::{Commit, CommitNumber, TopicPartition};

/// The state is saved when it is this many files ahead of what was saved.
const SAVE_EVERY: u64 = 64;

/// How far the features of a partition have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureProgress {
    /// The newest file whose features are in the lake.
    pub published: CommitNumber,
    /// The newest file that the saved state includes, 0 before this run has saved one: entries up to it are needed no more.
    pub saved: CommitNumber,
    /// Feature rows that this run put into the lake since the last report.
    pub rows: usize,
}

/// The indicators of one partition and what they still have to bring into the lake.
pub struct FeatureFlow {
    lake: Lake,
    partition: TopicPartition,
    state: IndicatorState,
    /// The newest file that the saved state includes; `None` until this run has saved it once.
    saved: Option<CommitNumber>,
    /// Computed, not yet in the lake, oldest first.
    waiting: VecDeque<(BarsFile, Arc<[FeatureRow]>)>,
    /// Rows that are in the lake, but not yet reported.
    unreported: usize,
}

impl FeatureFlow {
    /// Goes on from the saved state, or from one full pass where there is no usable one, over the entries that the chain holds.
    ///
    /// # Errors
    /// When the lake cannot be read. [`StorageError::Missing`] passes: an owner of before, who does not know it yet, has let go of
    /// an entry that was listed.
    pub fn restore(lake: &Lake, partition: &TopicPartition) -> Result<Self, StorageError> {
        let mut held = held(lake, partition)?;
        let oldest = held.first().map_or(CommitNumber(1), |(number, _)| *number);
        // The newest may be on its way: not durable, its rows not public. Who commits it tells when it is.
        if let Some((number, newest)) = held.last()
            && let Some(file) = BarsFile::of(partition, *number, &newest.rows)
            && !lake.store().exists(&file.path(Dataset::Bars))?
        {
            held.pop();
        }
        let saved = saved_state(lake, partition)?;
        // Entries go only when the saved state includes them: a state older than the chain is of another lake. And a state is saved only
        // when the features are in the lake: if somebody has removed them, they are made again.
        let complete = |state: &IndicatorState| {
            let files = held.iter().filter(|(number, _)| *number <= state.last());
            files
                .filter_map(|(number, commit)| BarsFile::of(partition, *number, &commit.rows))
                .all(|file| lake.has_features(&file))
        };
        let state = match saved.filter(|state| state.last().0 + 1 >= oldest.0 && complete(state)) {
            Some(state) => state,
            None => full_pass(lake, partition, oldest)?,
        };
        let (lake, partition) = (lake.clone(), partition.clone());
        let mut flow = Self { lake, partition, state, saved: None, waiting: VecDeque::new(), unreported: 0 };
        for (number, commit) in held {
            flow.take_in(number, &commit.rows);
        }
        Ok(flow)
    }

    /// Whether nothing waits to be published.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds the rows of a file to what waits, unless the state includes it already.
    pub fn take_in(&mut self, number: CommitNumber, bars: &[Bar]) {
        if number <= self.state.last() {
            return;
        }
        let rows: Arc<[FeatureRow]> = self.state.push_file(number, bars).into();
        if let Some(file) = BarsFile::of(&self.partition, number, bars) {
            self.waiting.push_back((file, rows));
        }
    }

    /// Publishes what waits, oldest first, and shows each file's rows to `seen`; then saves the state if that is due.
    ///
    /// # Errors
    /// When the disk refuses; called again, it goes on with the file that it refused.
    pub fn publish_all(&mut self, mut seen: impl FnMut(&Arc<[FeatureRow]>)) -> Result<FeatureProgress, StorageError> {
        while let Some((file, rows)) = self.waiting.front() {
            let outcome = self.lake.publish_features(file, rows)?;
            tracing::debug!(?file, rows = rows.len(), ?outcome, "features");
            if outcome == FeaturesOutcome::Published {
                self.unreported += rows.len();
            }
            seen(rows);
            self.waiting.pop_front();
        }
        if self.saved.is_none_or(|saved| self.state.last().0 >= saved.0 + SAVE_EVERY) {
            self.save()?;
        }
        Ok(FeatureProgress {
            published: self.state.last(),
            saved: self.saved.unwrap_or(CommitNumber(0)),
            rows: std::mem::take(&mut self.unreported),
        })
    }

    /// Saves the state, unless it is saved, or includes a file whose features are not in the lake (nobody would make them then), or an
    /// owner after this one has saved a newer one.
    ///
    /// # Errors
    /// When the disk refuses; the state saved before is still there.
    pub fn save(&mut self) -> Result<(), StorageError> {
        if self.waiting.is_empty() && self.saved != Some(self.state.last()) && !self.is_outdated()? {
            self.lake.save_indicators(&self.partition, &self.state.to_bytes())?;
            self.saved = Some(self.state.last());
        }
        Ok(())
    }

    /// Whether this owner was stopped while others went on, and does not know it yet. Its state would do no harm but that entries are
    /// gone which only the newer one includes: the next start would pass over all bars. A state beyond the chain is of another lake.
    fn is_outdated(&self) -> Result<bool, StorageError> {
        let Some(saved) = saved_state(&self.lake, &self.partition)? else { return Ok(false) };
        let newest = self.lake.entries(&self.partition)?.last().copied();
        Ok(saved.last() > self.state.last() && newest.is_some_and(|newest| saved.last() <= newest))
    }
}

/// The entries of the chain, oldest first. One that an owner put under a number long freed, to find itself fenced, is none of them:
/// the next entry does not go on where it ends.
fn held(lake: &Lake, partition: &TopicPartition) -> Result<Vec<(CommitNumber, Commit)>, StorageError> {
    let mut held: Vec<(CommitNumber, Commit)> = Vec::new();
    for number in lake.entries(partition)?.into_iter().rev() {
        let commit = lake.read_entry(partition, number)?;
        if held.last().is_some_and(|(_, next)| !goes_on(&commit, next)) {
            break;
        }
        held.push((number, commit));
    }
    held.reverse();
    Ok(held)
}

fn goes_on(commit: &Commit, next: &Commit) -> bool {
    let ticks: u64 = next.rows.iter().map(|bar| bar.ticks.unsigned_abs()).sum();
    commit.checkpoint.counters.in_bars + ticks == next.checkpoint.counters.in_bars
}

fn saved_state(lake: &Lake, partition: &TopicPartition) -> Result<Option<IndicatorState>, StorageError> {
    let Some(bytes) = lake.load_indicators(partition)? else { return Ok(None) };
    match IndicatorState::from_bytes(&bytes) {
        Ok(state) => Ok(Some(state)),
        Err(error) => {
            tracing::warn!(%partition, %error, "the saved indicator state is unusable");
            Ok(None)
        }
    }
}

/// Over all published bars below the oldest entry of the chain: once, when there is no usable state.
fn full_pass(lake: &Lake, partition: &TopicPartition, below: CommitNumber) -> Result<IndicatorState, StorageError> {
    let last = CommitNumber(below.0.saturating_sub(1));
    if last > CommitNumber(0) {
        tracing::info!(%partition, up_to = %last, "computing the indicators anew from the lake");
    }
    IndicatorState::from_history(last, lake.bars_by_date(partition, last)?)
}
