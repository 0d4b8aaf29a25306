//! Client properties from the settings, and clients from the properties.
//!
//! A [`ClientConfig`] holds secrets: its `Debug` prints some of them and rdkafka's own errors repeat the refused value, so
//! neither is ever logged. Clients are made by `create`, whose error names the property only.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use secrecy::ExposeSecret;

use crate::settings::{KafkaMode, KafkaSettings, SecuritySettings};

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The user's mistake. The value is not told: it may be a secret.
    #[error("the kafka client refused the value of `{property}`: check [kafka.security] and [kafka.properties]")]
    Property { property: String },
    /// The user's mistake, or that of who built the program.
    #[error("this build has no TLS and no SCRAM: build it with `--features tls`, or use a plaintext listener")]
    NoTls,
    #[error("cannot make a kafka client: {0}")]
    Creation(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Consumer,
    Producer,
    Both,
}

/// Properties that a user may set. Not here, on purpose: what loads code (`plugin.library.paths`), what holds secrets or weakens
/// them (they have settings of their own), and what exactly-once rests on (`enable.auto.commit`, `auto.offset.reset`, `acks`,
/// `partitioner`, `isolation.level`, ...).
const ALLOWED: &[(&str, Scope)] = &[
    ("api.version.request.timeout.ms", Scope::Both),
    ("broker.address.family", Scope::Both),
    ("broker.address.ttl", Scope::Both),
    ("client.dns.lookup", Scope::Both),
    ("client.id", Scope::Both),
    ("client.rack", Scope::Consumer),
    ("connections.max.idle.ms", Scope::Both),
    ("metadata.max.age.ms", Scope::Both),
    ("reconnect.backoff.max.ms", Scope::Both),
    ("reconnect.backoff.ms", Scope::Both),
    ("socket.connection.setup.timeout.ms", Scope::Both),
    ("socket.keepalive.enable", Scope::Both),
    ("socket.nagle.disable", Scope::Both),
    ("socket.receive.buffer.bytes", Scope::Both),
    ("socket.send.buffer.bytes", Scope::Both),
    ("socket.timeout.ms", Scope::Both),
    ("topic.metadata.refresh.interval.ms", Scope::Both),
    ("check.crcs", Scope::Consumer),
    ("fetch.error.backoff.ms", Scope::Consumer),
    ("fetch.max.bytes", Scope::Consumer),
    ("fetch.message.max.bytes", Scope::Consumer),
    ("fetch.min.bytes", Scope::Consumer),
    ("fetch.queue.backoff.ms", Scope::Consumer),
    ("fetch.wait.max.ms", Scope::Consumer),
    ("heartbeat.interval.ms", Scope::Consumer),
    ("max.partition.fetch.bytes", Scope::Consumer),
    ("max.poll.interval.ms", Scope::Consumer),
    ("partition.assignment.strategy", Scope::Consumer),
    ("queued.max.messages.kbytes", Scope::Consumer),
    ("queued.min.messages", Scope::Consumer),
    ("session.timeout.ms", Scope::Consumer),
    ("batch.num.messages", Scope::Producer),
    ("batch.size", Scope::Producer),
    ("compression.codec", Scope::Producer),
    ("compression.level", Scope::Producer),
    ("compression.type", Scope::Producer),
    ("delivery.timeout.ms", Scope::Producer),
    ("linger.ms", Scope::Producer),
    ("queue.buffering.max.kbytes", Scope::Producer),
    ("queue.buffering.max.messages", Scope::Producer),
    ("request.timeout.ms", Scope::Producer),
    ("retry.backoff.max.ms", Scope::Producer),
    ("retry.backoff.ms", Scope::Producer),
];

/// Whether a user may set this client property under `[kafka.properties]`.
pub fn is_allowed_property(name: &str) -> bool {
    ALLOWED.iter().any(|(allowed, _)| *allowed == name)
}

/// For every kind of client: addresses, credentials.
pub fn common_config(settings: &KafkaSettings, bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    config.set("bootstrap.servers", bootstrap).set("client.id", "stockstream");
    secure(&mut config, &settings.security);
    apply(&mut config, settings, |scope| scope == Scope::Both);
    config
}

/// How long the group puts up with a member that it does not hear of: after that the partitions are others'.
pub fn session_timeout(settings: &KafkaSettings) -> Duration {
    // The broker would refuse one that is no number; until then the client's own default is long enough.
    let configured = consumer_config(settings, "").get("session.timeout.ms").and_then(|millis| millis.parse().ok());
    Duration::from_millis(configured.unwrap_or(45_000))
}

/// For a member of the consumer group. Its offsets come from the lake, never from the group, and never from a reset.
pub fn consumer_config(settings: &KafkaSettings, bootstrap: &str) -> ClientConfig {
    let mut config = common_config(settings, bootstrap);
    // A killed member's partitions are taken over after this long. The embedded broker has one member, and makes it wait nearly as
    // long when it follows another stock.
    let (session, heartbeat) = match settings.mode {
        KafkaMode::Embedded => ("2000", "500"),
        KafkaMode::Cluster => ("10000", "3000"),
    };
    config
        .set("session.timeout.ms", session)
        .set("heartbeat.interval.ms", heartbeat)
        .set("group.id", &settings.group_id)
        // Under the newer protocol a member that was cut off keeps fetching.
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        // A full queue is looked at again after this long; the default of a second starves a fast reader.
        .set("fetch.queue.backoff.ms", "2")
        // A fetch that waits for records holds up every other question to that broker.
        .set("fetch.wait.max.ms", "100")
        // Both bound the one queue of the consumer, however many partitions it has.
        .set("queued.min.messages", "100000")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.max.bytes", "16777216");
    apply(&mut config, settings, |scope| scope == Scope::Consumer);
    config
}

/// For publishing ticks: idempotent, so that a retry neither doubles nor reorders them.
pub fn producer_config(settings: &KafkaSettings, bootstrap: &str) -> ClientConfig {
    let mut config = common_config(settings, bootstrap);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        // Long enough for a broker that restarts; finite, so that a lost cluster is noticed.
        .set("delivery.timeout.ms", "120000")
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "65536");
    apply(&mut config, settings, |scope| scope == Scope::Producer);
    config
}

/// For dead letters: tried until they are acknowledged, because a commit waits for them. Doubles are allowed.
pub fn dead_letter_config(settings: &KafkaSettings, bootstrap: &str) -> ClientConfig {
    let mut config = producer_config(settings, bootstrap);
    config
        .set("enable.idempotence", "false")
        .set("delivery.timeout.ms", "0")
        .set("queue.buffering.max.messages", "10000")
        .set("queue.buffering.max.kbytes", "16384");
    config
}

fn apply(config: &mut ClientConfig, settings: &KafkaSettings, wanted: impl Fn(Scope) -> bool) {
    for (name, value) in &settings.properties {
        if ALLOWED.iter().any(|(allowed, scope)| allowed == name && wanted(*scope)) {
            config.set(name, value);
        }
    }
}

fn secure(config: &mut ClientConfig, security: &SecuritySettings) {
    config.set("security.protocol", &security.protocol);
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let secret = |secret: &Option<secrecy::SecretString>| secret.as_ref().map(|text| text.expose_secret().to_owned());
    let properties = [
        ("sasl.mechanism", security.sasl_mechanism.clone()),
        ("sasl.username", security.username.clone()),
        ("sasl.password", secret(&security.password)),
        ("ssl.ca.location", path(&security.ca_file)),
        ("ssl.certificate.location", path(&security.certificate_file)),
        ("ssl.key.location", path(&security.key_file)),
        ("ssl.key.password", secret(&security.key_password)),
    ];
    for (name, value) in properties {
        if let Some(value) = value {
            config.set(name, value);
        }
    }
}

/// Makes a client of any kind.
///
/// # Errors
/// When librdkafka refuses the properties; no secret is in the message.
pub(super) fn create<C, T>(config: &ClientConfig, context: C) -> Result<T, ClientError>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    let needs_tls = config.get("security.protocol").is_some_and(|protocol| protocol.ends_with("ssl"))
        || config.get("sasl.mechanism").is_some_and(|mechanism| mechanism.starts_with("SCRAM"));
    if needs_tls && !cfg!(feature = "tls") {
        return Err(ClientError::NoTls);
    }
    T::from_config_and_context(config, context).map_err(|error| match error {
        KafkaError::ClientConfig(_, _, property, _) => ClientError::Property { property },
        KafkaError::ClientCreation(text) => ClientError::Creation(without_secrets(text, config)),
        other => ClientError::Creation(other.to_string()),
    })
}

/// Whether librdkafka takes all properties, without making a client.
///
/// # Errors
/// The first that it does not take.
pub fn check_properties(settings: &KafkaSettings) -> Result<(), ClientError> {
    for config in [consumer_config(settings, ""), producer_config(settings, ""), dead_letter_config(settings, "")] {
        match config.create_native_config() {
            Err(KafkaError::ClientConfig(_, _, property, _)) if !is_tls(&property) => {
                return Err(ClientError::Property { property });
            }
            // What only a build with TLS knows is refused by the settings in better words.
            _ => {}
        }
    }
    Ok(())
}

fn is_tls(property: &str) -> bool {
    property.starts_with("ssl.") || property.starts_with("sasl.") || property == "security.protocol"
}

fn without_secrets(mut text: String, config: &ClientConfig) -> String {
    for name in ["sasl.password", "ssl.key.password"] {
        if let Some(secret) = config.get(name).filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "***");
        }
    }
    text
}

#[cfg(test)]
mod tests;
