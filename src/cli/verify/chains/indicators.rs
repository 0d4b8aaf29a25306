//! The saved indicators of a partition, as far as they can be judged beside its chain alone.

use super::super::remedy::Remedy;
use super::{ChainCheck, FORGOTTEN};
use crate::indicators::state::IndicatorState;
use crate::market::checkpoint::{CommitNumber, TopicPartition};
use crate::storage::repair::SavedIndicators;
use crate::storage::{StorageError, layout};

impl ChainCheck<'_> {
    pub(super) fn indicators(&mut self, partition: &TopicPartition) -> Result<Option<IndicatorState>, StorageError> {
        let path = self.root.join(layout::indicators(partition));
        match self.lake.saved_indicators(partition) {
            Ok(SavedIndicators::Good(state)) => Ok(Some(state)),
            Ok(SavedIndicators::Absent) => Ok(None),
            Ok(SavedIndicators::Damaged) => {
                self.unusable_indicators(partition, "is damaged: the saved indicators cannot be read")?;
                Ok(None)
            }
            Err(error) => {
                self.findings.unreadable(&path, error, None, Remedy::Repair);
                Ok(None)
            }
        }
    }

    /// Saved indicators that end below the chain are of another one: an owner lets go only of entries that they include. Whether
    /// they end above it is told when all files are known.
    pub(super) fn usable_indicators(
        &mut self,
        partition: &TopicPartition,
        indicators: Option<IndicatorState>,
        oldest: Option<CommitNumber>,
    ) -> Result<Option<IndicatorState>, StorageError> {
        let Some(last) = indicators.as_ref().map(IndicatorState::last) else { return Ok(None) };
        let Some(oldest) = oldest.filter(|oldest| last.0 + 1 < oldest.0) else { return Ok(indicators) };
        // the owner may have saved since
        match self.lake.saved_indicators(partition) {
            Ok(SavedIndicators::Good(state)) if state.last() == last => {
                let problem =
                    format!("ends at commit {last}, and the chain begins at {oldest}: it is of another chain");
                self.unusable_indicators(partition, &problem)?;
                Ok(None)
            }
            _ => Ok(indicators),
        }
    }

    fn unusable_indicators(&mut self, partition: &TopicPartition, problem: &str) -> Result<(), StorageError> {
        let path = self.root.join(layout::indicators(partition));
        self.findings.of_file(&path, problem, Remedy::Repair);
        if let Some(repairs) = &mut self.repairs {
            self.lake.forget_indicators(partition)?;
            repairs.did(&path, FORGOTTEN);
        }
        Ok(())
    }
}
