//! Whom a lake belongs to, as `state/lake.json` records it at the first start.

use serde::{Deserialize, Serialize};

use super::layout::{IDENTITY, STATE};
use super::store::Put;
use super::{Lake, StorageError, parquet};
use crate::settings::{KafkaSettings, Layout};

const KEYED: &str = "keyed, ";

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

    /// How many partitions the one topic of all stocks has; `None` where each stock has its own.
    pub fn partitions(&self) -> Option<i32> {
        self.layout.strip_prefix(KEYED)?.split_once(' ')?.0.parse().ok()
    }

    /// What these settings make a lake's on this cluster.
    pub fn of(kafka: &KafkaSettings, cluster: &str) -> Self {
        // With another number of partitions a stock would move to another one, and get two bars a window.
        let layout = match kafka.layout {
            Layout::PerStock => String::from("per_stock"),
            Layout::Keyed => format!("{KEYED}{} partitions", kafka.partitions),
        };
        Self { group: kafka.group_id.clone(), cluster: cluster.to_owned(), layout }
    }

    /// Of all fields, each with its length.
    fn checksum(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        for field in [&self.group, &self.cluster, &self.layout] {
            crc.update(&(field.len() as u64).to_le_bytes());
            crc.update(field.as_bytes());
        }
        crc.finalize()
    }

    /// What is not the same in `other`: its name, as it is here, as it is there.
    pub fn differences(&self, other: &Self) -> impl Iterator<Item = (&'static str, String, String)> {
        let pairs = [
            ("group", &self.group, &other.group),
            ("cluster", &self.cluster, &other.cluster),
            ("layout", &self.layout, &other.layout),
        ];
        pairs
            .into_iter()
            .filter(|(_, here, there)| here != there)
            .map(|(what, here, there)| (what, here.clone(), there.clone()))
    }
}

#[derive(Serialize, Deserialize)]
struct Recorded {
    format: u32,
    /// CRC-32 of what follows, as [`LakeIdentity::checksum`] takes it; older lakes have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<u32>,
    #[serde(flatten)]
    identity: serde_json::Value,
}

impl Lake {
    /// Whom the lake belongs to; `None` when that was never recorded.
    ///
    /// # Errors
    /// When the record cannot be read, or is of a newer format than this program knows.
    pub fn identity(&self) -> Result<Option<LakeIdentity>, StorageError> {
        let Some(bytes) = self.bytes(IDENTITY)? else { return Ok(None) };
        let bytes = bytes.map_err(|why| self.bad_identity(why))?;
        let recorded: Recorded = serde_json::from_slice(&bytes).map_err(|error| self.bad_identity(error))?;
        if recorded.format > parquet::FORMAT_VERSION {
            return Err(StorageError::Newer { path: self.store().locate(IDENTITY), version: recorded.format });
        }
        let identity: LakeIdentity =
            serde_json::from_value(recorded.identity).map_err(|error| self.bad_identity(error))?;
        if recorded.checksum.is_some_and(|checksum| checksum != identity.checksum()) {
            return Err(self.bad_identity("its checksum is another one"));
        }
        Ok(Some(identity))
    }

    /// Records `ours` where nothing is recorded yet.
    ///
    /// # Errors
    /// When another identity is recorded.
    pub(super) fn check_identity(&self, ours: &LakeIdentity) -> Result<(), StorageError> {
        if !self.store().exists(IDENTITY)? {
            let identity = serde_json::to_value(ours).map_err(|error| self.bad_identity(error))?;
            let checksum = Some(ours.checksum());
            let recorded = Recorded { format: parquet::FORMAT_VERSION, checksum, identity };
            let mut json = serde_json::to_vec_pretty(&recorded).map_err(|error| self.bad_identity(error))?;
            json.push(b'\n');
            // another first start may win; then its record is the one to compare with
            let (Put::Done | Put::Exists) = self.store().put_if_absent(IDENTITY, &json)?;
        }
        self.store().settle(STATE)?;
        let missing = || StorageError::Missing { path: self.store().locate(IDENTITY) };
        let theirs = self.identity()?.ok_or_else(missing)?;
        match theirs.differences(ours).next() {
            None => Ok(()),
            Some((what, recorded, given)) => {
                Err(StorageError::OtherIdentity { path: self.store().locate(""), what, recorded, given })
            }
        }
    }

    fn bad_identity(&self, reason: impl ToString) -> StorageError {
        StorageError::BadIdentity { path: self.store().locate(IDENTITY), reason: reason.to_string() }
    }
}
