//! A broker inside this process: librdkafka's mock cluster, on the loopback interface.
//!
//! It forgets: of each partition it keeps the newest [`RETAINED_BYTES`] or [`RETAINED_BATCHES`] and drops older ones without a
//! word, and its log ends with it. [`super::backlog`] keeps publishers from outrunning the reader.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};

use super::native;

/// What the broker keeps of a partition, in bytes of batches.
pub const RETAINED_BYTES: u64 = 5 * 1024 * 1024;

/// What the broker keeps of a partition, in batches.
pub const RETAINED_BATCHES: u64 = 100_000;

/// Why the embedded broker failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddedError {
    #[error("cannot start the embedded broker: {0}")]
    NotStarted(String),
    #[error("the embedded broker cannot create the topic `{topic}`: {reason}")]
    NoTopic { topic: String, reason: String },
}

/// How long the first member of a group waits for others; the cluster's own 3 seconds would delay every start.
const FIRST_JOIN: Duration = Duration::from_millis(100);

struct CreateTopic {
    topic: String,
    partitions: i32,
    answer: mpsc::SyncSender<Result<(), String>>,
}

/// A running broker; it ends when this is dropped.
pub struct EmbeddedBroker {
    bootstrap_servers: String,
    cluster_id: String,
    /// `None` only while dropping.
    requests: Option<mpsc::Sender<CreateTopic>>,
    /// The mock cluster cannot be shared between threads: it lives on this one.
    owner: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no thread or no port is to be had.
    pub fn start() -> Result<Self, EmbeddedError> {
        let (requests, inbox) = mpsc::channel();
        let (started, address) = mpsc::sync_channel(1);
        let owner = thread::Builder::new()
            .name(String::from("embedded-broker"))
            .spawn(move || own(&started, &inbox))
            .map_err(|error| EmbeddedError::NotStarted(error.to_string()))?;
        let bootstrap_servers = address
            .recv()
            .unwrap_or_else(|_| Err(String::from("its thread ended")))
            .map_err(EmbeddedError::NotStarted)?;
        let cluster_id = format!("embedded-{:016x}", rand::random::<u64>());
        Ok(Self { bootstrap_servers, cluster_id, requests: Some(requests), owner: Some(owner) })
    }

    /// `host:port`, for clients of this and of other processes.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Another one at every start: offsets of one log mean nothing in the next.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Creates a topic that does not exist yet.
    ///
    /// # Errors
    /// When it exists already or the name is refused.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), EmbeddedError> {
        let failed = |reason: String| EmbeddedError::NoTopic { topic: topic.to_owned(), reason };
        let (answer, answered) = mpsc::sync_channel(1);
        let request = CreateTopic { topic: topic.to_owned(), partitions, answer };
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
        if !sent {
            return Err(failed(String::from("it has ended")));
        }
        answered.recv().unwrap_or_else(|_| Err(String::from("it has ended"))).map_err(failed)
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(owner) = self.owner.take()
            && owner.join().is_err()
        {
            tracing::error!("the embedded broker's thread panicked");
        }
    }
}

/// Holds the cluster until the last request channel is closed.
fn own(started: &mpsc::SyncSender<Result<String, String>>, inbox: &mpsc::Receiver<CreateTopic>) {
    // A client of its own hosts the cluster, because only through it the cluster can be told not to wait at the first join.
    let host = ClientConfig::new().set("test.mock.num.brokers", "1").create::<BaseProducer>();
    let cluster = match host.as_ref().map(|host| host.client().mock_cluster()) {
        Ok(Some(cluster)) => cluster,
        Ok(None) => {
            let _starter_is_gone = started.send(Err(String::from("librdkafka has made none")));
            return;
        }
        Err(error) => {
            let _starter_is_gone = started.send(Err(error.to_string()));
            return;
        }
    };
    if let Ok(host) = &host {
        native::shorten_first_join(host.client(), FIRST_JOIN);
    }
    if started.send(Ok(cluster.bootstrap_servers())).is_err() {
        return;
    }
    for CreateTopic { topic, partitions, answer } in inbox {
        let done = cluster.create_topic(&topic, partitions, 1).map_err(|error| error.to_string());
        let _asker_is_gone = answer.send(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_is_another_cluster_at_another_address() {
        let (one, two) = (EmbeddedBroker::start().unwrap(), EmbeddedBroker::start().unwrap());
        assert_ne!(one.cluster_id(), two.cluster_id());
        assert_ne!(one.bootstrap_servers(), two.bootstrap_servers());
    }

    #[test]
    fn a_topic_is_created_once() {
        let broker = EmbeddedBroker::start().unwrap();
        assert_eq!(broker.create_topic("once", 1), Ok(()));
        assert!(matches!(broker.create_topic("once", 1), Err(EmbeddedError::NoTopic { .. })));
    }
}
