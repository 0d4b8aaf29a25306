//! Rows to the bytes of a Parquet file and back: the only place that names arrow2, parquet2 and parquet-format-safe.
//!
//! Files are what every reader can take: flat, plain strings, microseconds in UTC, NULL and never NaN, 0.0 and never -0.0, one
//! row group, minimum and maximum of each column. What they say beyond their rows stands in the footer's key-values
//! (module `footer`); a checksum of the whole file is among them, for Parquet has none for its footer.
//!
//! On the way are columns of plain numbers (module `columns`), from which pages are made and into which they are read.
//!
//! Beware: arrow2 and parquet2 lay out the file, but do not read here: they panic on bytes they do not expect, and allocate what
//! these ask for. What is read is checked first, and no more is allocated than the file's size accounts for (module `decode`).

mod columns;
mod compress;
mod decode;
mod encode;
mod footer;
mod levels;
mod pages;
mod plain;
mod rows;
mod symbols;
#[cfg(test)]
mod tests;

use crate::indicators::feature_row::FeatureRow;
use crate::market::checkpoint::{Checkpoint, Commit, CommitNumber, Counters, TopicPartition};
use crate::market::time::Span;
use crate::settings::Compression;

use footer::Labels;

/// The version of what we write, but for two kinds of commits.
pub const FORMAT_VERSION: u32 = 1;
/// That of commits whose checkpoint lists losses. Programs that know only version 1 would take their files for
/// damaged and withdraw their bars; other lakes stay readable for them. We read losses in files of version 1 as well.
const FORMAT_WITH_LOSSES: u32 = 2;
/// That of commits whose checkpoint names the id of its topic, for the same reason; the highest we read.
const FORMAT_WITH_TOPIC: u32 = 3;

/// More rows than one file of any lake holds; a file that claims more is not read.
const MAX_ROWS: usize = 20_000_000;
/// More bytes than a file of any lake has: a row takes less than 140 uncompressed, so these are seven million in one commit, as five
/// thousand stocks have in a whole day of minutes. What is larger is neither read nor written.
pub const MOST_BYTES: u64 = 1 << 30;
/// A file may have this many rows, and one more for each of its bytes.
const FEW_ROWS: usize = 4_096;

/// More records than any log has had.
const MOST_OFFSETS: i64 = 1 << 60;

/// The most rows that a file of this size is read with, so that a small one cannot fill the memory. One that compresses better,
/// and real prices do not, is written uncompressed.
fn most_rows(bytes: usize) -> usize {
    FEW_ROWS.saturating_add(bytes).min(MAX_ROWS)
}

/// Why bytes are no file of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("{0}")]
    Damaged(String),
    /// Written by a later version of this program.
    #[error("format version {0}")]
    Newer(u32),
}

/// Why rows cannot be written: a price is not a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unwritable(String);

/// A commit as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitFile {
    pub partition: TopicPartition,
    pub number: CommitNumber,
    pub commit: Commit,
}

/// The rows of a features file, and the bars file it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct FeaturesFile {
    pub partition: TopicPartition,
    pub number: CommitNumber,
    pub rows: Vec<FeatureRow>,
}

/// The file of one commit. No two calls give the same bytes: each file carries an id of its own, by which the writer knows it
/// again.
///
/// # Errors
/// When a price is not a number.
pub fn encode_commit(
    partition: &TopicPartition,
    number: CommitNumber,
    commit: &Commit,
    compression: Compression,
) -> Result<Vec<u8>, Unwritable> {
    let mut labels = Labels::new(partition, number);
    let Checkpoint { log, lost, .. } = &commit.checkpoint;
    if log.topic.is_some() {
        labels.format = FORMAT_WITH_TOPIC;
    } else if !lost.is_empty() {
        labels.format = FORMAT_WITH_LOSSES;
    }
    labels.checkpoint = Some(serde_json::to_string(&commit.checkpoint).map_err(|e| Unwritable(e.to_string()))?);
    let rows = encode::Rows { schema: rows::bars_schema(), rows: &commit.rows, columns: rows::bars_columns };
    encode::encode(&rows, labels, compression)
}

/// The features file of one commit.
///
/// # Errors
/// When a price is not a number.
pub fn encode_features(
    partition: &TopicPartition,
    number: CommitNumber,
    rows: &[FeatureRow],
    compression: Compression,
) -> Result<Vec<u8>, Unwritable> {
    let rows = encode::Rows { schema: rows::features_schema(), rows, columns: rows::features_columns };
    encode::encode(&rows, Labels::new(partition, number), compression)
}

/// # Errors
/// When the bytes are not exactly what [`encode_commit`] made.
pub fn decode_commit(bytes: &[u8]) -> Result<CommitFile, Unreadable> {
    let (columns, labels) = decode::decode(bytes, &rows::bars_schema())?;
    let rows = rows::bars(&columns)?;
    let checkpoint = parse_checkpoint(&labels.checkpoint.ok_or_else(|| damaged("it holds no checkpoint"))?)?;
    let commit = Commit { rows, checkpoint };
    Ok(CommitFile { partition: labels.partition, number: labels.number, commit })
}

/// A checkpoint as it stands in a footer.
///
/// # Errors
/// When it is none, or holds numbers that no log can have led to: what goes on from it counts on.
pub fn parse_checkpoint(json: &str) -> Result<Checkpoint, Unreadable> {
    let checkpoint: Checkpoint = serde_json::from_str(json).map_err(|e| damaged(format!("its checkpoint: {e}")))?;
    let Checkpoint { resume, cut, open_ticks, counters, rules, .. } = &checkpoint;
    let is_count = |count: u64| count <= MOST_OFFSETS.unsigned_abs();
    let is_offset = |offset: i64| (0..=MOST_OFFSETS).contains(&offset);
    let Counters { read, in_bars, late, malformed, future, unknown } = *counters;
    let counts = [read, in_bars, late, malformed, future, unknown];
    let offsets = checkpoint.known.values().map(|since| since.0);
    let forced = checkpoint.forced.iter().map(|advance| advance.offset.0);
    let until = checkpoint.lost.iter().filter_map(|lost| lost.until).map(|until| until.0);
    let gaps = checkpoint.gaps.iter().flat_map(|gap| [gap.from.0, gap.cut.0, gap.to.0]);
    let mut lost = checkpoint.gaps.iter().filter_map(|gap| gap.open_ticks_lost);
    let lost = lost.try_fold(0, u64::checked_add);
    let possible = resume <= cut
        && counts.into_iter().all(is_count)
        && *open_ticks <= read
        && lost.is_some_and(is_count)
        && offsets.chain(forced).chain(until).chain(gaps).chain([resume.0, cut.0]).all(is_offset)
        && [rules.lateness, rules.max_ahead].into_iter().all(|span| span >= Span::ZERO);
    if possible { Ok(checkpoint) } else { Err(damaged("its checkpoint holds numbers that no log can have led to")) }
}

/// # Errors
/// When the bytes are not exactly what [`encode_features`] made.
pub fn decode_features(bytes: &[u8]) -> Result<FeaturesFile, Unreadable> {
    let (columns, labels) = decode::decode(bytes, &rows::features_schema())?;
    Ok(FeaturesFile { partition: labels.partition, number: labels.number, rows: rows::features(&columns)? })
}

fn damaged(reason: impl Into<String>) -> Unreadable {
    Unreadable::Damaged(reason.into())
}
