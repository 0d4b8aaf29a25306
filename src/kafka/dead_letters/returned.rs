//! Letters that came back, and what becomes of each.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use super::Sent;
use super::letter::CUT_FROM;

/// What is left of a payload and of a key when the whole was too large: with its headers the letter has less than 2 KiB.
const SHORT_PAYLOAD: usize = 1024;
const SHORT_KEY: usize = 256;

/// A letter that the client gave up.
pub(super) struct Returned {
    pub key: Option<Vec<u8>>,
    pub payload: Vec<u8>,
    pub headers: OwnedHeaders,
    pub sent: Box<Sent>,
}

/// What becomes of a letter that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is sent until it is taken.
    Again,
    /// It was too large, and most of it is left out.
    Shorter,
    /// Even so it was too large: no attempt would ever succeed, and commits would wait for ever.
    GivenUp,
}

impl Fate {
    pub fn of(error: &KafkaError, letter: &Returned) -> Self {
        use RDKafkaErrorCode::{MessageBatchTooLarge, MessageSizeTooLarge};
        let is_short =
            letter.payload.len() <= SHORT_PAYLOAD && letter.key.as_ref().is_none_or(|key| key.len() <= SHORT_KEY);
        match error.rdkafka_error_code() {
            Some(MessageSizeTooLarge | MessageBatchTooLarge) if is_short => Fate::GivenUp,
            Some(MessageSizeTooLarge | MessageBatchTooLarge) => Fate::Shorter,
            _ => Fate::Again,
        }
    }
}

impl Returned {
    pub fn of(message: &BorrowedMessage<'_>, sent: Box<Sent>) -> Self {
        Self {
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: message.headers().map_or_else(OwnedHeaders::new, BorrowedHeaders::detach),
            sent,
        }
    }

    /// One that the client did not even take.
    pub fn not_taken(record: BaseRecord<'_, [u8], [u8], Box<Sent>>) -> Self {
        Self {
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.unwrap_or_default().to_vec(),
            headers: record.headers.unwrap_or_default(),
            sent: record.delivery_opaque,
        }
    }

    /// The beginning of it, which says how long it was.
    pub fn shortened(mut self) -> Self {
        let length = self.payload.len();
        if length > SHORT_PAYLOAD && !self.headers.iter().any(|header| header.key == CUT_FROM) {
            self.headers = self.headers.insert(Header { key: CUT_FROM, value: Some(&length.to_string()) });
        }
        self.payload.truncate(SHORT_PAYLOAD);
        if let Some(key) = &mut self.key {
            key.truncate(SHORT_KEY);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(key: usize, payload: usize) -> Returned {
        let sent = Box::new(Sent { tally: std::sync::Arc::default(), offset: 7 });
        Returned { key: Some(vec![b'k'; key]), payload: vec![b'p'; payload], headers: OwnedHeaders::new(), sent }
    }

    fn cut_from(letter: &Returned) -> Vec<Option<&[u8]>> {
        letter.headers.iter().filter(|header| header.key == CUT_FROM).map(|header| header.value).collect()
    }

    #[test]
    fn one_that_is_too_large_is_shortened_and_a_short_one_given_up() {
        for code in [RDKafkaErrorCode::MessageSizeTooLarge, RDKafkaErrorCode::MessageBatchTooLarge] {
            let error = KafkaError::MessageProduction(code);
            assert_eq!(Fate::of(&error, &letter(4, 1_025)), Fate::Shorter);
            assert_eq!(Fate::of(&error, &letter(257, 1)), Fate::Shorter);
            assert_eq!(Fate::of(&error, &letter(256, 1_024)), Fate::GivenUp);
            assert_eq!(
                Fate::of(&error, &letter(60_000, 60_000).shortened()),
                Fate::GivenUp,
                "no letter goes round for ever"
            );
        }
    }

    #[test]
    fn one_that_was_refused_for_anything_else_is_sent_again() {
        for code in [RDKafkaErrorCode::TopicAuthorizationFailed, RDKafkaErrorCode::QueueFull, RDKafkaErrorCode::Fail] {
            assert_eq!(Fate::of(&KafkaError::MessageProduction(code), &letter(60_000, 60_000)), Fate::Again);
        }
    }

    #[test]
    fn a_shortened_one_says_how_long_it_was_before_anything_was_cut() {
        let short = letter(4, 2_000).shortened();
        assert_eq!((short.payload.len(), cut_from(&short)), (1_024, vec![Some(&b"2000"[..])]));
        let mut cut_before = letter(4, 2_000);
        cut_before.headers = cut_before.headers.insert(Header { key: CUT_FROM, value: Some("90000") });
        assert_eq!(cut_from(&cut_before.shortened()), [Some(&b"90000"[..])]);
        assert_eq!(cut_from(&letter(300, 10).shortened()), [None; 0]);
    }
}
