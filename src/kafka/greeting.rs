//! The first words with a cluster: is it there, does it let us in, which one is it?
//!
//! librdkafka tries for ever to connect, whatever the reason it cannot, and says why only in its log and its error events. So
//! this client listens to them while it asks, and gives up soon when waiting will not help.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};

use super::client::{self, ClientError};
use super::client_log::ClientLog;
use super::refusal::{Refusal, Verdict};
use crate::settings::KafkaSettings;

/// How long a broker may take for its first answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long another broker of the list may still do better than one that refused.
const GRACE: Duration = Duration::from_secs(1);

/// Between two looks at what was heard.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no cluster to work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoCluster {
    /// It answered, and did not let us in; trying again does not help.
    Refused(String),
    /// Nobody answered in time; the last that was heard.
    Silent(String),
    Client(ClientError),
}

/// The id of the cluster. Blocks until a broker has answered, up to some seconds.
///
/// # Errors
/// See [`NoCluster`]; no secret is in the message, whatever the broker says.
pub(super) fn cluster_id(settings: &KafkaSettings, bootstrap: &str) -> Result<String, NoCluster> {
    let config = client::common_config(settings, bootstrap);
    let producer: BaseProducer<Ear> = client::create(&config, Ear::default()).map_err(NoCluster::Client)?;
    if settings.security.protocol == "sasl_plaintext" && settings.security.sasl_mechanism.as_deref() == Some("PLAIN") {
        tracing::warn!("the password goes over the network as it is: set kafka.security.protocol = \"sasl_ssl\"");
    }
    let begun = Instant::now();
    loop {
        // Asks; an answer that comes after this look is found at one of the next.
        let asked = producer.client().fetch_metadata(None, LOOK);
        if let Some(id) = producer.client().fetch_cluster_id(Duration::ZERO) {
            return Ok(id);
        }
        producer.poll(Duration::ZERO);
        let heard = producer.context().heard();
        let refused = heard.refused.filter(|(since, _)| since.elapsed() >= GRACE);
        if let Some((_, why)) = refused {
            return Err(NoCluster::Refused(client::without_secrets(why, &config)));
        }
        if begun.elapsed() >= ANSWER {
            let without_secrets = |text| client::without_secrets(text, &config);
            return Err(match (heard.likely, heard.last, asked) {
                (Some(why), ..) => NoCluster::Refused(without_secrets(why)),
                (None, Some(said), _) => NoCluster::Silent(without_secrets(said)),
                (None, None, Err(error)) => NoCluster::Silent(error.to_string()),
                (None, None, Ok(_)) => NoCluster::Silent(String::from("it tells no cluster id")),
            });
        }
    }
}

/// What was said about connections so far.
#[derive(Clone, Default)]
struct Heard {
    /// The first final refusal, and when.
    refused: Option<(Instant, String)>,
    /// The newest that may be a refusal.
    likely: Option<String>,
    /// The newest other that says more than that all brokers are down.
    last: Option<String>,
}

/// A client's context that remembers.
#[derive(Default)]
struct Ear {
    log: ClientLog,
    heard: Mutex<Heard>,
}

impl Ear {
    fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn listen(&self, text: &str) {
        // A log line begins with the name of librdkafka's thread.
        let text = text.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(text, |(_, said)| said);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match Refusal::of_first_words(text) {
            Some(Refusal { advice, verdict: Verdict::Final }) if heard.refused.is_none() => {
                heard.refused = Some((Instant::now(), format!("{advice} ({text})")));
            }
            Some(Refusal { advice, .. }) => heard.likely = Some(format!("{advice} ({text})")),
            None if text.ends_with("brokers are down") => {}
            None => heard.last = Some(text.to_owned()),
        }
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.line(level, facility, text);
        // A connection that is closed at once is no error to librdkafka, but it says here what it thinks of it.
        if facility == "FAIL" {
            self.listen(text);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
        self.listen(reason);
    }
}

impl ProducerContext for Ear {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
