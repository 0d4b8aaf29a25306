//! The wall clock as the producers see it.

use chrono::Utc;
use tokio::time::Instant;

use crate::market::time::{EventTime, Span};

/// Wall time that only goes forward: read once, then advanced by the monotonic clock, so that a clock set back or forth by an hour
/// changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    started_at: EventTime,
    started: Instant,
}

impl WallClock {
    pub fn start() -> Self {
        Self::starting_at(EventTime::from_micros(Utc::now().timestamp_micros()))
    }

    pub fn starting_at(started_at: EventTime) -> Self {
        Self { started_at, started: Instant::now() }
    }

    pub fn now(&self) -> EventTime {
        self.started_at + Span::from(self.started.elapsed())
    }
}
