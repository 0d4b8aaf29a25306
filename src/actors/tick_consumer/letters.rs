//! Dead letters on their way out: those that were refused wait, and nothing new is read or committed meanwhile.

use std::collections::VecDeque;

use crate::kafka::dead_letters::{DeadLetter, LetterNotTaken};
use crate::market::checkpoint::TopicPartition;
use crate::market::time::Span;

/// Sends a dead letter, or refuses because too many are under way.
pub type SendLetter = Box<dyn FnMut(&DeadLetter<'_>) -> Result<(), LetterNotTaken> + Send>;
/// The dead letters of a lost partition are the next owner's.
pub type ForgetLetters = Box<dyn Fn(&TopicPartition) + Send>;

/// Where dead letters go.
pub struct LetterBox {
    pub send: SendLetter,
    pub forget: ForgetLetters,
}

pub(super) struct Letters {
    letter_box: LetterBox,
    /// Refused for now, oldest first; at most those of one slice.
    unsent: VecDeque<UnsentLetter>,
}

struct UnsentLetter {
    source: TopicPartition,
    reason: &'static str,
    offset: i64,
    late_by: Option<Span>,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
}

impl Letters {
    pub fn new(letter_box: LetterBox) -> Self {
        Self { letter_box, unsent: VecDeque::new() }
    }

    pub fn send(&mut self, letter: &DeadLetter<'_>) {
        if (self.letter_box.send)(letter).is_err() {
            self.unsent.push_back(UnsentLetter {
                source: letter.source.clone(),
                reason: letter.reason,
                offset: letter.offset,
                late_by: letter.late_by,
                key: letter.key.map(<[u8]>::to_vec),
                payload: letter.payload.to_vec(),
            });
        }
    }

    /// Offers the refused ones again.
    pub fn send_again(&mut self) {
        while let Some(unsent) = self.unsent.front() {
            let letter = DeadLetter {
                reason: unsent.reason,
                source: &unsent.source,
                offset: unsent.offset,
                late_by: unsent.late_by,
                key: unsent.key.as_deref(),
                payload: &unsent.payload,
            };
            if (self.letter_box.send)(&letter).is_err() {
                return;
            }
            self.unsent.pop_front();
        }
    }

    pub fn all_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    pub fn forget(&mut self, partition: &TopicPartition) {
        self.unsent.retain(|letter| letter.source != *partition);
        (self.letter_box.forget)(partition);
    }
}
