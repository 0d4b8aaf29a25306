//! The clocks of this process, as the producers read them.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;

use crate::market::time::EventTime;

/// Time since the start by a clock that only advances, and the wall clock, which may be set. A test gives a wall clock of its own.
#[derive(Clone)]
pub struct WallClock {
    started: Instant,
    read: Arc<dyn Fn() -> EventTime + Send + Sync>,
}

impl WallClock {
    /// Starts to count now.
    pub fn start() -> Self {
        Self::reading(|| EventTime::from_micros(Utc::now().timestamp_micros()))
    }

    pub fn reading(read: impl Fn() -> EventTime + Send + Sync + 'static) -> Self {
        Self { started: Instant::now(), read: Arc::new(read) }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn now(&self) -> EventTime {
        (self.read)()
    }
}
