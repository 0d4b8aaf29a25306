//! The watermark of a partition: a bound that only advances.

use super::time::{EventTime, Span};

/// `max(event time) - lateness` over the ticks read so far. There is no way to make it step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark(EventTime);

impl Watermark {
    /// Before the first tick.
    pub const START: Watermark = Watermark(EventTime::MIN);

    /// As a checkpoint carried it.
    pub fn restored(at: EventTime) -> Self {
        Self(at)
    }

    pub fn get(self) -> EventTime {
        self.0
    }

    /// A tick of this event time was read.
    pub fn observe(&mut self, event_time: EventTime, lateness: Span) {
        self.advance_to(event_time - lateness);
    }

    /// An idle partition or the end of the stream moves it without a tick.
    pub fn advance_to(&mut self, to: EventTime) {
        self.0 = self.0.max(to);
    }

    /// Whether a window that ends here is closed; a tick for it is late.
    pub fn has_passed(self, window_end: EventTime) -> bool {
        window_end <= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_never_steps_back() {
        let mut watermark = Watermark::START;
        watermark.observe(EventTime::from_micros(100), Span::from_micros(10));
        watermark.observe(EventTime::from_micros(50), Span::from_micros(10));
        watermark.advance_to(EventTime::from_micros(80));
        assert_eq!(watermark.get(), EventTime::from_micros(90));
        assert!(watermark.has_passed(EventTime::from_micros(90)));
        assert!(!watermark.has_passed(EventTime::from_micros(91)));
    }
}
