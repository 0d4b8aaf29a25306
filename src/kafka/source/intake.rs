//! What was taken from the client at once and is given out one by one.
//!
//! Records are copied: that is cheaper than to keep the client's own (an allocation of half a kilobyte each), and nothing is lost when
//! who reads one panics. What is left of a partition that is no longer ours is dropped when its turn comes.

use crate::kafka::native::Failure;

/// One assignment of a partition up to its next restart: what was taken before belongs to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotId(pub u64);

/// More than this is given back: one large take must not be paid for ever.
const MOST_KEPT: usize = 8 << 20;

#[derive(Default)]
pub(super) struct Intake {
    entries: Vec<Entry>,
    next: usize,
    /// Keys and payloads, in the order of the entries.
    bytes: Vec<u8>,
    at: usize,
}

struct Entry {
    slot: SlotId,
    offset: i64,
    what: What,
}

enum What {
    /// Milliseconds since the epoch, and lengths.
    Record {
        timestamp: Option<i64>,
        key: Option<usize>,
        payload: usize,
    },
    EndOfPartition,
    /// `None` when it was given.
    Failure(Option<Box<Failure>>),
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Given<'a> {
    Record { slot: SlotId, offset: i64, timestamp: Option<i64>, key: Option<&'a [u8]>, payload: &'a [u8] },
    EndOfPartition { slot: SlotId, offset: i64 },
    Failure { slot: SlotId, failure: Failure },
}

impl Intake {
    pub fn is_empty(&self) -> bool {
        self.next == self.entries.len()
    }

    /// To be called when it is empty.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.entries.shrink_to(MOST_KEPT / size_of::<Entry>());
        self.bytes.shrink_to(MOST_KEPT);
        (self.next, self.at) = (0, 0);
    }

    pub fn add_record(
        &mut self,
        slot: SlotId,
        offset: i64,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        payload: &[u8],
    ) {
        self.bytes.extend_from_slice(key.unwrap_or_default());
        self.bytes.extend_from_slice(payload);
        let what = What::Record { timestamp, key: key.map(<[u8]>::len), payload: payload.len() };
        self.entries.push(Entry { slot, offset, what });
    }

    /// The log had nothing from this offset on.
    pub fn add_end(&mut self, slot: SlotId, offset: i64) {
        self.entries.push(Entry { slot, offset, what: What::EndOfPartition });
    }

    pub fn add_failure(&mut self, slot: SlotId, failure: Failure) {
        self.entries.push(Entry { slot, offset: -1, what: What::Failure(Some(Box::new(failure))) });
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<Given<'_>> {
        let Entry { slot, offset, what } = self.entries.get_mut(self.next)?;
        self.next += 1;
        let (slot, offset) = (*slot, *offset);
        match what {
            What::Record { timestamp, key, payload } => {
                let start = self.at;
                let middle = start + key.unwrap_or(0);
                self.at = middle + *payload;
                let (timestamp, key) = (*timestamp, key.map(|_| &self.bytes[start..middle]));
                Some(Given::Record { slot, offset, timestamp, key, payload: &self.bytes[middle..self.at] })
            }
            What::EndOfPartition => Some(Given::EndOfPartition { slot, offset }),
            What::Failure(failure) => failure.take().map(|failure| Given::Failure { slot, failure: *failure }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    const ONE: SlotId = SlotId(1);
    const TWO: SlotId = SlotId(2);

    #[test]
    fn what_was_added_is_given_in_its_order_with_its_own_bytes() {
        let mut intake = Intake::default();
        for _ in 0..2 {
            intake.add_record(ONE, 7, Some(5), Some(b"key"), b"payload");
            intake.add_record(TWO, 3, None, None, b"");
            intake.add_end(TWO, 4);
            intake.add_record(ONE, 8, None, Some(b""), b"more");
            let given = |slot, offset, timestamp, key, payload| Given::Record { slot, offset, timestamp, key, payload };
            let key: Option<&[u8]> = Some(b"key");
            assert_eq!(intake.pop(), Some(given(ONE, 7, Some(5), key, b"payload")));
            assert_eq!(intake.pop(), Some(given(TWO, 3, None, None, b"")));
            assert_eq!(intake.pop(), Some(Given::EndOfPartition { slot: TWO, offset: 4 }));
            assert!(!intake.is_empty());
            assert_eq!(intake.pop(), Some(given(ONE, 8, None, Some(b""), b"more")));
            assert!(intake.is_empty());
            assert_eq!(intake.pop(), None);
            intake.clear();
        }
    }

    #[test]
    fn a_failure_comes_in_its_turn() {
        let failure =
            Failure { code: RDKafkaErrorCode::BadMessage, is_fatal: false, text: String::from("bad"), partition: None };
        let mut intake = Intake::default();
        intake.add_end(ONE, 1);
        intake.add_failure(TWO, failure.clone());
        intake.add_end(TWO, 9);
        assert_eq!(intake.pop(), Some(Given::EndOfPartition { slot: ONE, offset: 1 }));
        assert_eq!(intake.pop(), Some(Given::Failure { slot: TWO, failure }));
        assert_eq!(intake.pop(), Some(Given::EndOfPartition { slot: TWO, offset: 9 }));
        assert!(intake.is_empty());
    }
}
