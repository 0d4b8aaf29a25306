//! Dead letters on their way out: those that were refused wait, and nothing new is read or committed meanwhile. Of a flood only a
//! sample is sent.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::seldom::Seldom;
use crate::kafka::dead_letters::{DeadLetter, Kinds, LetterNotTaken, Sampled, Sampler, cost};
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
    sampler: Sampler,
    started: Instant,
    /// Since then, of the slice that is being read.
    moment: Duration,
    /// Refused for now, oldest first; those of one slice, of which the sampler lets at most 5,000 and 5 MiB pass.
    unsent: VecDeque<UnsentLetter>,
    seldom: Seldom,
}

struct UnsentLetter {
    source: TopicPartition,
    reason: &'static str,
    offset: i64,
    late_by: Option<Span>,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
    cut_from: Option<usize>,
    suppressed: u64,
}

impl UnsentLetter {
    fn letter(&self) -> DeadLetter<'_> {
        DeadLetter {
            reason: self.reason,
            source: &self.source,
            offset: self.offset,
            late_by: self.late_by,
            key: self.key.as_deref(),
            payload: &self.payload,
            cut_from: self.cut_from,
            suppressed: self.suppressed,
        }
    }
}

impl Letters {
    pub fn new(letter_box: LetterBox) -> Self {
        Self {
            letter_box,
            sampler: Sampler::default(),
            started: Instant::now(),
            moment: Duration::ZERO,
            unsent: VecDeque::new(),
            seldom: Seldom::default(),
        }
    }

    /// What is sent from now on is of this moment: that of a slice.
    pub fn slice_begins(&mut self, now: Instant) {
        self.moment = now.duration_since(self.started);
    }

    /// Whether a letter of this reason and size (when cut) is to be sent, and then how many were left out since the one before. Of a
    /// flood nearly all are left out, so this is asked before there is a letter. The owner of its partition keeps `of_source`.
    pub fn sample(&mut self, of_source: &mut Kinds, reason: &'static str, size: usize) -> Sampled {
        self.sampler.offer(of_source, reason, cost(size), self.moment)
    }

    /// Sends one that is to be, or keeps it until the broker's queue has room.
    pub fn send(&mut self, letter: &DeadLetter<'_>) {
        let letter = letter.cut();
        if self.unsent.is_empty() && (self.letter_box.send)(&letter).is_ok() {
            return;
        }
        self.unsent.push_back(UnsentLetter {
            source: letter.source.clone(),
            reason: letter.reason,
            offset: letter.offset,
            late_by: letter.late_by,
            key: letter.key.map(<[u8]>::to_vec),
            payload: letter.payload.to_vec(),
            cut_from: letter.cut_from,
            suppressed: letter.suppressed,
        });
    }

    /// Offers the refused ones again; says now and then how many were left out.
    pub fn send_again(&mut self) {
        if self.sampler.has_unsaid() && self.seldom.may_say("suppressed", Instant::now()) {
            self.say_suppressed();
        }
        while let Some(unsent) = self.unsent.front() {
            let letter = unsent.letter();
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

    fn say_suppressed(&mut self) {
        let suppressed = self.sampler.take_unsaid();
        warn!(
            suppressed,
            "a flood of bad ticks: dead letters were left out; all are counted, in the summary and the lake"
        );
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        if self.sampler.has_unsaid() {
            self.say_suppressed();
        }
    }
}
