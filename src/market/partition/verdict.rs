//! A record, and what becomes of it.

use crate::market::codec::Malformed;
use crate::market::tick::Tick;
use crate::market::time::{EventTime, Span};

/// A record as Kafka gives it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub offset: i64,
    /// The record's own timestamp: wall clock at publishing. A record without one cannot be judged to be from the future.
    pub timestamp: Option<EventTime>,
    pub payload: &'a [u8],
}

/// Index of a stock within its partition, in the order in which stocks became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub usize);

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Belongs to an open window of this stock.
    Tick(Slot, Tick),
    /// In no bar; counted.
    Dropped(DropReason),
    /// Read again below the restored cut and not needed by an open window; it was counted before.
    Replayed,
    /// Not the record that the checkpoint remembers at this offset: the topic was deleted and made anew.
    OtherLog,
}

/// Why a tick is in no bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DropReason {
    /// Its window ended this long before the watermark.
    Late(Span),
    Malformed(Malformed),
    /// Its event time is this far beyond its record's timestamp.
    Future(Span),
    /// No stock of this partition, or not yet at this offset.
    Unknown,
}

impl DropReason {
    /// As in counters, dead letters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Late(_) => "late",
            Self::Malformed(_) => "malformed",
            Self::Future(_) => "future",
            Self::Unknown => "unknown",
        }
    }
}
