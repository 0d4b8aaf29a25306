//! Instants of event time, spans and the alignment of windows. Everything is a count of microseconds.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use humantime_serde::re::humantime;
use serde::{Deserialize, Serialize};

const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of a UTC day; leap seconds do not exist in epoch time.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// An instant of event time: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(i64);

impl EventTime {
    /// Earlier than every instant a tick can carry: the watermark before the first tick.
    pub const MIN: EventTime = EventTime(i64::MIN);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The midnight (UTC) at or before this instant.
    pub fn midnight(self) -> Self {
        Self(self.0.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY)
    }

    /// `YYYY-MM-DD` of the UTC date, as it stands in `date=` directories.
    pub fn date(self) -> String {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(time) => time.format("%Y-%m-%d").to_string(),
            None => String::from("out-of-range"),
        }
    }
}

impl fmt::Display for EventTime {
    /// RFC 3339 in UTC with microseconds; `-` before the first tick.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Debug for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A span of event time in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * MICROS_PER_SECOND)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Seconds, for formulae.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// As a length is written in settings: `5m`, `1h 30m`.
    pub fn as_setting(self) -> String {
        humantime::format_duration(Duration::from_micros(self.0.unsigned_abs())).to_string()
    }
}

impl From<Duration> for Span {
    /// Saturates beyond 292,000 years.
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
    }
}

impl Add<Span> for EventTime {
    type Output = EventTime;
    fn add(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for EventTime {
    type Output = EventTime;
    fn sub(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_sub(span.0))
    }
}

impl Sub for EventTime {
    type Output = Span;
    fn sub(self, other: EventTime) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

/// The length of the tumbling windows `[start, end)`, aligned to the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct WindowSize(i64);

/// Not the length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window of {0} microseconds does not divide 24 hours")]
pub struct InvalidWindow(i64);

impl TryFrom<Span> for WindowSize {
    type Error = InvalidWindow;
    fn try_from(span: Span) -> Result<Self, InvalidWindow> {
        Self::new(span).ok_or(InvalidWindow(span.0))
    }
}

impl From<WindowSize> for Span {
    fn from(size: WindowSize) -> Span {
        size.span()
    }
}

impl WindowSize {
    /// `None` unless the size is positive and divides 24 hours, so that no window crosses a midnight.
    pub fn new(span: Span) -> Option<Self> {
        (span.0 > 0 && MICROS_PER_DAY % span.0 == 0).then_some(Self(span.0))
    }

    pub const fn span(self) -> Span {
        Span(self.0)
    }

    /// Start of the window that holds `time`; also the newest window end at or before it.
    pub fn start_of(self, time: EventTime) -> EventTime {
        EventTime(time.0.div_euclid(self.0).saturating_mul(self.0))
    }

    /// End of the window that holds `time` (exclusive).
    pub fn end_of(self, time: EventTime) -> EventTime {
        self.start_of(time) + self.span()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_to_the_epoch_also_before_it() {
        let five_minutes = WindowSize::new(Span::from_secs(300)).unwrap();
        let time = EventTime::from_micros(-1);
        assert_eq!(five_minutes.start_of(time), EventTime::from_micros(-300_000_000));
        assert_eq!(five_minutes.end_of(time), EventTime::from_micros(0));
        assert_eq!(five_minutes.end_of(EventTime::from_micros(0)), EventTime::from_micros(300_000_000));
    }

    #[test]
    fn a_window_must_divide_the_day() {
        assert!(WindowSize::new(Span::from_secs(7 * 60)).is_none());
        assert!(WindowSize::new(Span::ZERO).is_none());
        assert!(WindowSize::new(Span::from_secs(86_400)).is_some());
    }

    #[test]
    fn an_instant_prints_as_rfc_3339_and_its_date() {
        let time = EventTime::from_micros(1_747_236_600_000_001);
        assert_eq!(time.to_string(), "2025-05-14T15:30:00.000001Z");
        assert_eq!(time.date(), "2025-05-14");
        assert_eq!(EventTime::MIN.to_string(), "-");
    }
}
