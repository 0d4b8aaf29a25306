//! What a file of ours says about itself in its footer's key-values, and the checksum over all its bytes.
//!
//! The checksum is the value of the last key, eight hexadecimal digits, taken over the whole file with `00000000` in its place.
//! So it also covers the key-values, the statistics that foreign readers prune by, and everything else that a flipped bit could
//! change unnoticed.

use parquet_format_safe::KeyValue;

use super::{FORMAT_VERSION, FORMAT_WITH_TOPIC, Unreadable, damaged};
use crate::market::checkpoint::{CommitNumber, TopicPartition};

const FORMAT: &str = "stockstream.format";
const TOPIC: &str = "stockstream.topic";
const PARTITION: &str = "stockstream.partition";
const NUMBER: &str = "stockstream.number";
const ID: &str = "stockstream.id";
const CHECKPOINT: &str = "stockstream.checkpoint";
const ROWS: &str = "stockstream.rows";
const ROWS_CHECKSUM: &str = "stockstream.rows_crc32";
const FILE_CHECKSUM: &str = "stockstream.file_crc32";

pub(super) const MAGIC: &[u8; 4] = b"PAR1";
/// Length of the metadata and magic.
pub(super) const TAIL: usize = 8;
const BLANK: &str = "00000000";

/// The key-values of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Labels {
    pub format: u32,
    pub partition: TopicPartition,
    pub number: CommitNumber,
    /// Of a commit; JSON.
    pub checkpoint: Option<String>,
    pub rows: usize,
    pub rows_checksum: u32,
}

impl Labels {
    pub fn new(partition: &TopicPartition, number: CommitNumber) -> Self {
        let partition = partition.clone();
        Self { format: FORMAT_VERSION, partition, number, checkpoint: None, rows: 0, rows_checksum: 0 }
    }

    /// The last one is the file's checksum, still blank.
    pub fn to_key_values(&self) -> Vec<KeyValue> {
        let mut pairs = vec![
            (FORMAT, self.format.to_string()),
            (TOPIC, self.partition.topic.to_string()),
            (PARTITION, self.partition.partition.to_string()),
            (NUMBER, self.number.0.to_string()),
            (ID, format!("{:032x}", rand::random::<u128>())),
            (ROWS, self.rows.to_string()),
            (ROWS_CHECKSUM, format!("{:08x}", self.rows_checksum)),
        ];
        pairs.extend(self.checkpoint.clone().map(|json| (CHECKPOINT, json)));
        pairs.push((FILE_CHECKSUM, BLANK.to_owned()));
        pairs.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect()
    }

    /// # Errors
    /// When one is missing or no value of its kind.
    pub fn from_key_values(pairs: &[KeyValue]) -> Result<Self, Unreadable> {
        let find = |key: &str| pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_deref());
        let text = |key| find(key).ok_or_else(|| damaged(format!("its footer has no `{key}`")));
        fn number<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, Unreadable> {
            text.parse().map_err(|_| damaged(format!("`{key}` in its footer is no number")))
        }
        let rows_checksum = u32::from_str_radix(text(ROWS_CHECKSUM)?, 16);
        Ok(Self {
            format: number(FORMAT, text(FORMAT)?)?,
            partition: TopicPartition::new(text(TOPIC)?, number(PARTITION, text(PARTITION)?)?),
            number: CommitNumber(number(NUMBER, text(NUMBER)?)?),
            checkpoint: find(CHECKPOINT).map(str::to_owned),
            rows: number(ROWS, text(ROWS)?)?,
            rows_checksum: rows_checksum.map_err(|_| damaged("the rows' checksum in its footer is no number"))?,
        })
    }
}

/// # Errors
/// When the file is of a version that this program does not know.
pub(super) fn check_version(pairs: &[KeyValue]) -> Result<(), Unreadable> {
    let version = pairs.iter().find(|pair| pair.key == FORMAT).and_then(|pair| pair.value.as_deref()?.parse().ok());
    match version {
        Some(version) if version > FORMAT_WITH_TOPIC => Err(Unreadable::Newer(version)),
        Some(_) => Ok(()),
        None => Err(damaged("its footer does not say that stockstream wrote it")),
    }
}

/// Fills in the checksum of a complete file.
pub(super) fn seal(file: &mut [u8]) -> Result<(), Unreadable> {
    let at = checksum_place(file)?;
    let crc = format!("{:08x}", checksum(file, at));
    file[at..at + BLANK.len()].copy_from_slice(crc.as_bytes());
    Ok(())
}

/// # Errors
/// When the file is not complete, not ours, or a bit of it has changed.
pub(super) fn check_seal(file: &[u8]) -> Result<(), Unreadable> {
    let at = checksum_place(file)?;
    if format!("{:08x}", checksum(file, at)).as_bytes() == &file[at..at + BLANK.len()] {
        return Ok(());
    }
    Err(damaged("its checksum does not match"))
}

/// The Thrift bytes of the footer.
pub(super) fn metadata_bytes(file: &[u8]) -> Result<&[u8], Unreadable> {
    if file.is_empty() {
        return Err(damaged("it is empty"));
    }
    let not_parquet = || damaged("it is no complete Parquet file");
    if file.len() < MAGIC.len() + TAIL || !file.starts_with(MAGIC) || !file.ends_with(MAGIC) {
        return Err(not_parquet());
    }
    let end = file.len() - TAIL;
    let length: [u8; 4] = file[end..end + 4].try_into().map_err(|_| not_parquet())?;
    let start = end.checked_sub(u32::from_le_bytes(length) as usize).filter(|start| *start >= MAGIC.len());
    Ok(&file[start.ok_or_else(not_parquet)?..end])
}

/// Where the checksum's digits stand: behind its key, which is the last, and the two bytes that Thrift's compact protocol puts
/// between (the next field is a string; its length).
fn checksum_place(file: &[u8]) -> Result<usize, Unreadable> {
    let metadata = metadata_bytes(file)?;
    let mut key = FILE_CHECKSUM.as_bytes().to_vec();
    key.extend([0x18, BLANK.len() as u8]);
    let found = metadata.windows(key.len()).rposition(|bytes| bytes == key);
    let end = file.len() - TAIL;
    let at = found.map(|found| end - metadata.len() + found + key.len()).filter(|at| at + BLANK.len() <= end);
    at.ok_or_else(|| damaged("its footer has no checksum of stockstream"))
}

fn checksum(file: &[u8], at: usize) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&file[..at]);
    crc.update(BLANK.as_bytes());
    crc.update(&file[at + BLANK.len()..]);
    crc.finalize()
}
