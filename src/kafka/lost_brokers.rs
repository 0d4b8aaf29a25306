//! How a client that has lost all its brokers gets them back.
//!
//! A broker that is shutting down may answer a question for metadata with a list of no brokers. librdkafka (2.11 to 2.14) then drops
//! every broker that it knows, the one it has asked included, and plans to begin again at its bootstrap servers. But the end of that
//! very answer, a successful one, calls the plan off, and the plan stays noted as under way: it is never made again. Such a client
//! connects to nobody any more. A producer keeps its records until they time out, a consumer reads nothing, and neither says so.
//!
//! What it does say is `AllBrokersDown`, as in any outage. So after that each client that lives long is told its bootstrap servers
//! once more. One that has not lost them, but only finds them down, does not mind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;

use super::native;

/// In an outage all brokers are said to be down several times a second, and the client remembers every list that it is told.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Whether a client may have lost its brokers; part of its context.
#[derive(Default)]
pub(super) struct LostBrokers {
    may_be_lost: AtomicBool,
    told: Mutex<Option<Instant>>,
}

impl LostBrokers {
    /// Takes in what the client says; everything but `AllBrokersDown` is of no interest here.
    pub(super) fn heard(&self, code: Option<RDKafkaErrorCode>) {
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.suspect();
        }
    }

    /// For a client whose errors nobody hears: a question was not answered.
    pub(super) fn suspect(&self) {
        self.may_be_lost.store(true, Ordering::Relaxed);
    }

    /// To be called again and again, by whoever uses the client: tells it its bootstrap servers, if they may be lost.
    pub(super) fn find_again<C: ClientContext>(&self, client: &Client<C>) {
        if self.may_be_lost.load(Ordering::Relaxed) && self.is_due(Instant::now()) {
            self.may_be_lost.store(false, Ordering::Relaxed);
            native::tell_bootstrap_servers(client);
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_AGAIN);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests;
