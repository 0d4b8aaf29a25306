//! Ticks of one stock on their way from the consumer to its windows.

use std::fmt;

use actix::Message;

use super::credit::Credit;
use crate::market::tick::Tick;
use crate::market::time::EventTime;

/// Accepted ticks of one stock, in offset order. Late and broken ticks never get here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TickBatch {
    pub ticks: Vec<Tick>,
    /// When the first of them was published, by the clock of whoever did it.
    pub published: Option<EventTime>,
    /// Given back when the batch has been folded and dropped.
    pub credit: Credit,
}

impl fmt::Debug for TickBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offsets = self.ticks.first().zip(self.ticks.last()).map(|(first, last)| (first.offset, last.offset));
        f.debug_struct("TickBatch").field("ticks", &self.ticks.len()).field("offsets", &offsets).finish()
    }
}
