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
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

use super::native;

/// In an outage all brokers are said to be down several times a second, and the client remembers every list that it is told. So it is told
/// at once, then more and more seldom; but often enough for a producer, which gives a record up after two minutes.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Between two looks while a producer is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Whether a client may have lost its brokers; part of its context.
#[derive(Default)]
pub(super) struct LostBrokers {
    may_be_lost: AtomicBool,
    /// When, and how long to wait before it is told again.
    told: Mutex<Option<(Instant, Duration)>>,
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

    /// Waits until a producer has nothing more to send; whether that came within `deadline`.
    pub(super) fn flush<C: ProducerContext>(&self, producer: &ThreadedProducer<C>, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match producer.flush(left.min(LOOK)) {
                Ok(()) => return true,
                Err(_) if left.is_zero() => return false,
                Err(_) => self.find_again(producer.client()),
            }
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = match *told {
            Some((last, pause)) => match now.saturating_duration_since(last) {
                since if since < pause => return false,
                since if since < 2 * LONGEST_PAUSE => (2 * pause).min(LONGEST_PAUSE),
                _ => FIRST_PAUSE,
            },
            None => FIRST_PAUSE,
        };
        *told = Some((now, pause));
        true
    }
}

#[cfg(test)]
mod tests;
