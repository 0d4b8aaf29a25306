//! Whom a lake belongs to, as `state/lake.json` records it at the first start.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::layout::{IDENTITY, STATE};
use super::store::Put;
use super::{Lake, StorageError, parquet};

/// What all processes that ever write to one lake have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LakeIdentity {
    pub group: String,
    /// The cluster's id, or [`EMBEDDED`](Self::EMBEDDED).
    pub cluster: String,
    /// How stocks are laid out over partitions.
    pub layout: String,
}

impl LakeIdentity {
    /// What stands for the cluster's id where the broker is embedded: it is another one at every start.
    pub const EMBEDDED: &str = "embedded";

    /// Whether the lake is made from logs that end with the process that hosts them.
    pub fn is_embedded(&self) -> bool {
        self.cluster == Self::EMBEDDED
    }
}

#[derive(Serialize, Deserialize)]
struct Recorded {
    format: u32,
    #[serde(flatten)]
    identity: serde_json::Value,
}

impl Lake {
    /// Whom the lake belongs to; `None` when that was never recorded.
    ///
    /// # Errors
    /// When the record cannot be read, or is of a newer format than this program knows.
    pub fn identity(&self) -> Result<Option<LakeIdentity>, StorageError> {
        let Some(bytes) = self.store().get(IDENTITY)? else { return Ok(None) };
        let recorded: Recorded = serde_json::from_slice(&bytes).map_err(|error| self.bad_identity(&error))?;
        if recorded.format > parquet::FORMAT_VERSION {
            return Err(StorageError::Newer { path: self.store().locate(IDENTITY), version: recorded.format });
        }
        serde_json::from_value(recorded.identity).map(Some).map_err(|error| self.bad_identity(&error))
    }

    /// Records `ours` where nothing is recorded yet.
    ///
    /// # Errors
    /// When another identity is recorded.
    pub(super) fn check_identity(&self, ours: &LakeIdentity) -> Result<(), StorageError> {
        if !self.store().exists(IDENTITY)? {
            let identity = serde_json::to_value(ours).map_err(|error| self.bad_identity(&error))?;
            let recorded = Recorded { format: parquet::FORMAT_VERSION, identity };
            let mut json = serde_json::to_vec_pretty(&recorded).map_err(|error| self.bad_identity(&error))?;
            json.push(b'\n');
            // another first start may win; then its record is the one to compare with
            let (Put::Done | Put::Exists) = self.store().put_if_absent(IDENTITY, &json)?;
        }
        self.store().settle(STATE)?;
        let missing = || StorageError::Missing { path: self.store().locate(IDENTITY) };
        let theirs = self.identity()?.ok_or_else(missing)?;
        let pairs = [
            ("group", theirs.group, &ours.group),
            ("cluster", theirs.cluster, &ours.cluster),
            ("layout", theirs.layout, &ours.layout),
        ];
        for (what, recorded, given) in pairs {
            if recorded != *given {
                let path: PathBuf = self.store().locate("");
                return Err(StorageError::OtherIdentity { path, what, recorded, given: given.clone() });
            }
        }
        Ok(())
    }

    fn bad_identity(&self, error: &serde_json::Error) -> StorageError {
        StorageError::BadIdentity { path: self.store().locate(IDENTITY), reason: error.to_string() }
    }
}
