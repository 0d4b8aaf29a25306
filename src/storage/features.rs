//! Features files, one beside each bars file, and the indicators' saved state.

use super::error::Action;
use super::layout::{self, BarsFile, Dataset};
use super::store::Beside;
use super::{Lake, StorageError, parquet};
use crate::fail_points::Place;
use crate::indicators::feature_row::FeatureRow;
use crate::market::checkpoint::TopicPartition;

/// What became of the features of a bars file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeaturesOutcome {
    Published,
    /// Somebody has published them before.
    AlreadyThere,
    /// The bars file has been merged into another, which brought its features along.
    BarsGone,
}

/// First bytes of a saved state; the CRC-32 of the rest follows, little endian.
const MAGIC: &[u8; 8] = b"SSIND\0\0\x01";
const HEAD: usize = MAGIC.len() + 4;

impl Lake {
    /// Publishes the features of a bars file: the same rows in the same order. Durable.
    ///
    /// # Errors
    /// When the disk refuses, or a price is not a number.
    pub fn publish_features(&self, file: &BarsFile, rows: &[FeatureRow]) -> Result<FeaturesOutcome, StorageError> {
        self.writable()?;
        let (to, beside) = (file.path(Dataset::Features), file.path(Dataset::Bars));
        let bytes = parquet::encode_features(&file.partition, file.number, rows, self.compression());
        let bytes =
            bytes.map_err(|e| StorageError::Unwritable { path: self.store().locate(&to), reason: e.to_string() })?;
        let published = self.store().publish_beside(&to, &bytes, &beside)?;
        Place::EnginePublished.reached_in_io().map_err(|e| self.step_failed(&to, e))?;
        Ok(match published {
            Beside::Done => FeaturesOutcome::Published,
            Beside::AlreadyThere => FeaturesOutcome::AlreadyThere,
            Beside::Gone => FeaturesOutcome::BarsGone,
        })
    }

    /// Whether the features of a bars file are published. When that cannot be told they are taken as missing: publishing them
    /// again changes nothing.
    pub fn has_features(&self, file: &BarsFile) -> bool {
        self.store().exists(&file.path(Dataset::Features)).unwrap_or(false)
    }

    /// Replaces the saved indicator state of a partition, durably.
    ///
    /// # Errors
    /// When the disk refuses; the old state is then still there.
    pub fn save_indicators(&self, partition: &TopicPartition, bytes: &[u8]) -> Result<(), StorageError> {
        self.writable()?;
        let mut file = Vec::with_capacity(HEAD + bytes.len());
        file.extend(MAGIC);
        file.extend(crc32fast::hash(bytes).to_le_bytes());
        file.extend(bytes);
        let path = layout::indicators(partition);
        self.store().replace(&path, &file)?;
        Place::EngineSaved.reached_in_io().map_err(|e| self.step_failed(&path, e))
    }

    fn step_failed(&self, path: &str, source: std::io::Error) -> StorageError {
        StorageError::Io { action: Action::Sync, path: self.store().locate(path), source }
    }

    /// The saved indicator state; `None` when there is none, or it is damaged: it can be computed again from the bars.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load_indicators(&self, partition: &TopicPartition) -> Result<Option<Vec<u8>>, StorageError> {
        let path = layout::indicators(partition);
        let Some(file) = self.bytes(&path)? else { return Ok(None) };
        // What cannot be read is no good either.
        let mut file = file.unwrap_or_default();
        let good = file.len() >= HEAD
            && file.starts_with(MAGIC)
            && file[MAGIC.len()..HEAD] == crc32fast::hash(&file[HEAD..]).to_le_bytes();
        if !good {
            let path = self.store().locate(&path);
            tracing::warn!(path = %path.display(), "damaged indicator state, all bars of the partition are read again");
            return Ok(None);
        }
        Ok(Some(file.split_off(HEAD)))
    }
}
