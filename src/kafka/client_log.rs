//! librdkafka's own log lines, passed on to `tracing`.
//!
//! While a broker is away librdkafka complains at every attempt; one line in a few seconds says as much.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::lost_brokers::LostBrokers;
use super::refusal::Refusal;

/// Silence after a line that was let through.
const QUIET: Duration = Duration::from_secs(10);

/// Lets one warning through in a while and counts the others.
#[derive(Default)]
pub(super) struct Seldom(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    last: Option<Instant>,
    held_back: u64,
}

impl Seldom {
    /// How many were held back since the last one that was let through; `None`: hold this one back too.
    pub(super) fn turn(&self) -> Option<u64> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.last.is_some_and(|last| last.elapsed() < QUIET) {
            recent.held_back += 1;
            return None;
        }
        recent.last = Some(Instant::now());
        Some(std::mem::take(&mut recent.held_back))
    }
}

/// The log of one client.
#[derive(Default)]
pub(super) struct ClientLog {
    warnings: Seldom,
}

impl ClientLog {
    pub(super) fn line(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(target: "librdkafka", facility, "{text}");
            }
            _ => match self.warnings.turn() {
                Some(held_back) => match Refusal::of(text) {
                    Some(Refusal { advice, .. }) => {
                        tracing::warn!(target: "librdkafka", facility, held_back, advice, "{text}");
                    }
                    None => tracing::warn!(target: "librdkafka", facility, held_back, "{text}"),
                },
                None => tracing::debug!(target: "librdkafka", facility, "{text}"),
            },
        }
    }
}

/// For clients whose errors come as results or events: only their log lines are passed on.
#[derive(Default)]
pub(super) struct QuietContext {
    log: ClientLog,
    pub(super) lost: LostBrokers,
}

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
    }
}

impl ConsumerContext for QuietContext {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_in_a_while_is_let_through() {
        let seldom = Seldom::default();
        assert_eq!(seldom.turn(), Some(0));
        assert_eq!(seldom.turn(), None);
        seldom.0.lock().unwrap().last = None;
        assert_eq!(seldom.turn(), Some(1));
    }
}
