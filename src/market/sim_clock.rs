//! Simulated event time: how far a simulation is, and which ticks of a stock are due.
//!
//! No clock is read here. The wall clock and the time since the start go in as arguments, so a test can make either of them
//! jump. Event time never steps back and never runs ahead of the wall clock.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::time::{EventTime, Span};

/// Event time of a simulation: `speed` event seconds a second until it catches up with the wall clock, then real time.
///
/// A copy goes on exactly as the original would, so every stock may have its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimClock {
    begin: EventTime,
    /// Event seconds a wall second.
    speed: f64,
    /// Where the line `anchor_event + (elapsed - anchor_elapsed) x speed` begins. It moves whenever the wall clock holds event
    /// time back, so that time spent waiting is not made up for.
    anchor_elapsed: Duration,
    anchor_event: EventTime,
    latest: EventTime,
}

impl SimClock {
    /// A simulation without a past: it begins `start_ago` before the wall clock, and its first `history` of event time is over at
    /// once, as far as the wall clock allows.
    pub fn first_start(wall_now: EventTime, start_ago: Span, history: Span, speed: f64) -> Self {
        let begin = wall_now - start_ago;
        let now = (begin + history).min(wall_now).max(begin);
        Self { begin, speed, anchor_elapsed: Duration::ZERO, anchor_event: now, latest: now }
    }

    /// A simulation that goes on at the newest event time known of any stock. If that is in the future of the wall clock, event
    /// time stands still until then.
    pub fn continued(at: EventTime, speed: f64) -> Self {
        Self { begin: at, speed, anchor_elapsed: Duration::ZERO, anchor_event: at, latest: at }
    }

    /// A clock that leaves this one at its latest answer, `elapsed` after the start, and goes on at another speed; from `reached` if it
    /// has been faster than this one.
    pub fn with_speed(self, elapsed: Duration, reached: EventTime, speed: f64) -> Self {
        let latest = self.latest.max(reached);
        Self { speed, anchor_elapsed: elapsed, anchor_event: latest, latest, ..self }
    }

    /// The last answer.
    pub fn latest(&self) -> EventTime {
        self.latest
    }

    /// The event time at which the simulation of this process begins: the first tick of a stock without a past.
    pub fn begin(&self) -> EventTime {
        self.begin
    }

    /// Event seconds a wall second, while the simulation is behind the wall clock.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The event time now; never earlier than any answer before.
    ///
    /// `elapsed` is the time since the start by a clock that only advances; `wall` is the wall clock, which may be set. When it is
    /// set forward, event time follows at `speed`; when it is set back below event time, event time waits for it.
    pub fn now(&mut self, elapsed: Duration, wall: EventTime) -> EventTime {
        let free = self.anchor_event + at_speed(elapsed.saturating_sub(self.anchor_elapsed), self.speed);
        if free > wall {
            self.anchor_event = wall.max(self.latest);
            self.anchor_elapsed = self.anchor_elapsed.max(elapsed);
            self.latest = self.anchor_event;
        } else {
            self.latest = self.latest.max(free);
        }
        self.latest
    }

    /// How long to wait until event time may have come to `event_time`, as of the last answer of [`now`](Self::now). Ask again
    /// then: it takes longer where the simulation runs against the wall clock.
    pub fn wait_for(&self, event_time: EventTime) -> Duration {
        let missing = (event_time - self.latest).max(Span::ZERO);
        Duration::try_from_secs_f64(missing.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }
}

/// The event time that a silent partition may be taken to have reached: its last event time and what a simulation at `speed` adds
/// in `idle`, but no later than the wall clock, because no simulation runs ahead of it and live data runs at 1.
pub fn idle_event_time(last: EventTime, idle: Duration, speed: f64, wall: EventTime) -> EventTime {
    (last + at_speed(idle, speed)).min(wall).max(last)
}

/// Saturates, because the speed is a user's number.
fn at_speed(wall_time: Duration, speed: f64) -> Span {
    Span::from_micros((wall_time.as_secs_f64() * 1e6 * speed) as i64)
}

/// When the ticks of one stock are due: at `first + k x interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickSchedule {
    next: EventTime,
    interval: Span,
}

impl TickSchedule {
    /// The interval must be positive.
    pub fn new(first: EventTime, interval: Span) -> Self {
        Self { next: first, interval: interval.max(Span::from_micros(1)) }
    }

    /// The schedule of a stock that stopped: after its last tick, in no window that was closed (the ticks would be late), and not
    /// before the clock of the simulation that it joins.
    pub fn continued(last: EventTime, closed_until: EventTime, clock_now: EventTime, interval: Span) -> Self {
        Self::new((last + interval).max(closed_until).max(clock_now), interval)
    }

    /// The next instant, due or not.
    pub fn next(&self) -> EventTime {
        self.next
    }

    /// The next instant if event time has come to it; then the one after it is next. A caller far behind gets one instant a call
    /// and decides itself how many it handles at once.
    pub fn due(&mut self, clock_now: EventTime) -> Option<EventTime> {
        let instant = self.next;
        (instant <= clock_now).then(|| {
            self.next = instant + self.interval;
            instant
        })
    }
}
