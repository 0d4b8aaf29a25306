//! Client properties from the settings, and clients from the properties.
//!
//! A [`ClientConfig`] holds secrets: its `Debug` prints some of them and rdkafka's own errors repeat the refused value, so
//! neither is ever logged. Clients are made by `create`, whose error names the property only.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use secrecy::ExposeSecret;

use super::client_log::QuietContext;
use crate::settings::{CLIENT_PROPERTIES, ClientScope, KafkaMode, KafkaSettings, SecuritySettings};

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The user's mistake. The value is not told: it may be a secret.
    #[error("the kafka client refused the value of `{property}`: check [kafka.security] and [kafka.properties]")]
    Property { property: String },
    /// The user's mistake, or that of who built the program.
    #[error("this build has no TLS and no SCRAM: build it with `--features tls`, or use a plaintext listener")]
    NoTls,
    /// The user's mistake: a file that is not what it must be, or a password that does not open it.
    #[error("{setting} cannot be used: {reason}")]
    Unusable { setting: &'static str, reason: String },
    #[error("cannot make a kafka client: {0}")]
    Creation(String),
}

/// For every kind of client: addresses, credentials.
pub fn common_config(settings: &KafkaSettings, bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    config.set("bootstrap.servers", bootstrap).set("client.id", "stockstream");
    // The broker inside the process is on loopback and has no listener but a plain one.
    if settings.mode == KafkaMode::Cluster {
        secure(&mut config, &settings.security);
    }
    apply(&mut config, settings, ClientScope::Both);
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
        // Both bound the one queue of the consumer, however many partitions it has. As much again is on its way through the source.
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.max.bytes", "2097152");
    apply(&mut config, settings, ClientScope::Consumer);
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
    apply(&mut config, settings, ClientScope::Producer);
    config
}

/// For dead letters: tried until they are acknowledged, because a commit waits for them. Doubles are allowed.
pub fn dead_letter_config(settings: &KafkaSettings, bootstrap: &str) -> ClientConfig {
    let mut config = producer_config(settings, bootstrap);
    config
        .set("enable.idempotence", "false")
        .set("delivery.timeout.ms", "0")
        // A topic's limit is one of batches: small letters must not be refused for the company they travel in. A larger one goes alone.
        .set("batch.size", "2048")
        .set("queue.buffering.max.messages", "10000")
        .set("queue.buffering.max.kbytes", "16384");
    config
}

/// The user's properties for these clients; others than those of the list came through no validated settings, and go nowhere.
fn apply(config: &mut ClientConfig, settings: &KafkaSettings, scope: ClientScope) {
    for (name, value) in &settings.properties {
        if CLIENT_PROPERTIES.contains(&(name.as_str(), scope)) {
            config.set(name, value);
        }
    }
}

/// Settings of `[kafka.security]` by the properties they become.
const SECURITY: &[(&str, &str)] = &[
    ("security.protocol", "kafka.security.protocol"),
    ("sasl.mechanism", "kafka.security.sasl_mechanism"),
    ("sasl.username", "kafka.security.username"),
    ("sasl.password", "kafka.security.password"),
    ("ssl.ca.location", "kafka.security.ca_file"),
    ("ssl.certificate.location", "kafka.security.certificate_file"),
    ("ssl.key.location", "kafka.security.key_file (and its key_password)"),
    ("ssl.key.password", "kafka.security.key_password"),
];

fn secure(config: &mut ClientConfig, security: &SecuritySettings) {
    config.set("security.protocol", &security.protocol);
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let secret = |secret: &Option<secrecy::SecretString>| secret.as_ref().map(|text| text.expose_secret().to_owned());
    let mut properties = vec![
        ("sasl.mechanism", security.sasl_mechanism.clone()),
        ("sasl.username", security.username.clone()),
        ("sasl.password", secret(&security.password)),
        ("ssl.certificate.location", path(&security.certificate_file)),
        ("ssl.key.location", path(&security.key_file)),
        ("ssl.key.password", secret(&security.key_password)),
    ];
    if uses_tls(config) {
        // Without a file the places where systems keep theirs: our OpenSSL comes without any.
        properties.push(("ssl.ca.location", path(&security.ca_file).or(Some(String::from("probe")))));
        // The defaults, but a promise: whoever cannot prove to be that host is no broker of ours.
        properties.push(("enable.ssl.certificate.verification", Some(String::from("true"))));
        properties.push(("ssl.endpoint.identification.algorithm", Some(String::from("https"))));
    }
    for (name, value) in properties {
        if let Some(value) = value {
            config.set(name, value);
        }
    }
}

fn uses_tls(config: &ClientConfig) -> bool {
    config.get("security.protocol").is_some_and(|protocol| protocol.ends_with("ssl"))
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
    let scram = config.get("sasl.mechanism").is_some_and(|mechanism| mechanism.starts_with("SCRAM"));
    if (uses_tls(config) || scram) && !cfg!(feature = "tls") {
        return Err(ClientError::NoTls);
    }
    T::from_config_and_context(config, context).map_err(|error| match error {
        KafkaError::ClientConfig(_, _, property, _) => ClientError::Property { property },
        KafkaError::ClientCreation(text) => not_created(without_secrets(text, config)),
        other => ClientError::Creation(other.to_string()),
    })
}

fn not_created(reason: String) -> ClientError {
    match SECURITY.iter().find(|(property, _)| reason.contains(&format!("{property} failed"))) {
        Some((_, setting)) => ClientError::Unusable { setting, reason },
        None => ClientError::Creation(reason),
    }
}

/// Whether librdkafka takes all properties, certificates and keys, without asking a broker.
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
    let config = common_config(settings, "");
    if uses_tls(&config) {
        // Only a client reads the files; one that knows no broker opens no connection.
        create::<_, AdminClient<_>>(&config, QuietContext::default())?;
    }
    Ok(())
}

fn is_tls(property: &str) -> bool {
    ["ssl.", "sasl.", "enable.ssl."].iter().any(|start| property.starts_with(start)) || property == "security.protocol"
}

/// The text without the passwords of the properties.
pub(super) fn without_secrets(mut text: String, config: &ClientConfig) -> String {
    for name in ["sasl.password", "ssl.key.password"] {
        if let Some(secret) = config.get(name).filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "***");
        }
    }
    text
}

#[cfg(test)]
mod tests;
