//! A letter, and what its headers say.

use crate::market::checkpoint::TopicPartition;
use crate::market::time::Span;

/// Longer keys and payloads are cut to this many bytes: a broker refuses huge records, and a letter must arrive.
pub const KEPT_BYTES: usize = 64 * 1024;

/// The header that says how long a payload was.
pub(super) const CUT_FROM: &str = "cut_from_bytes";

/// A tick that is in no bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    /// `late`, `malformed` or `future`.
    pub reason: &'static str,
    pub source: &'a TopicPartition,
    pub offset: i64,
    /// How far its window was behind the watermark.
    pub late_by: Option<Span>,
    pub key: Option<&'a [u8]>,
    pub payload: &'a [u8],
    /// The length of the payload before it was cut.
    pub cut_from: Option<usize>,
    /// Letters of the same partition and reason that were left out since the one before this.
    pub suppressed: u64,
}

impl<'a> DeadLetter<'a> {
    /// Of a record as it was read.
    pub fn new(reason: &'static str, source: &'a TopicPartition, offset: i64, payload: &'a [u8]) -> Self {
        Self { reason, source, offset, late_by: None, key: None, payload, cut_from: None, suppressed: 0 }
    }

    /// The same with no more than [`KEPT_BYTES`] of key and payload each.
    pub fn cut(self) -> Self {
        let kept = |bytes: &'a [u8]| &bytes[..kept(bytes)];
        let too_long = self.payload.len() > KEPT_BYTES;
        Self {
            key: self.key.map(kept),
            payload: kept(self.payload),
            cut_from: if too_long { Some(self.payload.len()) } else { self.cut_from },
            ..self
        }
    }

    /// Bytes of key and payload of a letter with these, once it is cut.
    pub fn size_when_cut(key: Option<&[u8]>, payload: &[u8]) -> usize {
        key.map_or(0, kept) + kept(payload)
    }

    /// Where the record comes from, why it is here, and what is missing.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let always = [
            ("reason", self.reason.to_owned()),
            ("source_topic", self.source.topic.to_string()),
            ("source_partition", self.source.partition.to_string()),
            ("source_offset", self.offset.to_string()),
        ];
        let some = [
            ("late_by_us", self.late_by.map(|late_by| late_by.micros().to_string())),
            (CUT_FROM, self.cut_from.map(|length| length.to_string())),
            ("suppressed", (self.suppressed > 0).then(|| self.suppressed.to_string())),
        ];
        let some = some.into_iter().filter_map(|(key, value)| Some((key, value?)));
        always.into_iter().chain(some).collect()
    }
}

fn kept(bytes: &[u8]) -> usize {
    bytes.len().min(KEPT_BYTES)
}
