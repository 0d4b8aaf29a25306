//! The properties of the Kafka clients that a user may set: one list, and why the others are not on it.
//!
//! On it is tuning of connections, groups and batches. Not on it is what loads code or runs commands, holds secrets, has a
//! setting of its own, prints what is sent, or would break a promise (commits, start offsets, order, bounds of memory).

/// Which clients a property is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientScope {
    Consumer,
    Producer,
    Both,
}

/// By librdkafka's names, sorted within a scope.
pub const CLIENT_PROPERTIES: &[(&str, ClientScope)] = &[
    ("api.version.request.timeout.ms", ClientScope::Both),
    ("broker.address.family", ClientScope::Both),
    ("broker.address.ttl", ClientScope::Both),
    ("client.dns.lookup", ClientScope::Both),
    ("client.id", ClientScope::Both),
    ("connections.max.idle.ms", ClientScope::Both),
    ("metadata.max.age.ms", ClientScope::Both),
    ("reconnect.backoff.max.ms", ClientScope::Both),
    ("reconnect.backoff.ms", ClientScope::Both),
    ("socket.connection.setup.timeout.ms", ClientScope::Both),
    ("socket.keepalive.enable", ClientScope::Both),
    ("socket.nagle.disable", ClientScope::Both),
    ("socket.receive.buffer.bytes", ClientScope::Both),
    ("socket.send.buffer.bytes", ClientScope::Both),
    ("socket.timeout.ms", ClientScope::Both),
    ("topic.metadata.refresh.interval.ms", ClientScope::Both),
    ("check.crcs", ClientScope::Consumer),
    ("client.rack", ClientScope::Consumer),
    ("fetch.error.backoff.ms", ClientScope::Consumer),
    ("fetch.min.bytes", ClientScope::Consumer),
    ("fetch.wait.max.ms", ClientScope::Consumer),
    ("heartbeat.interval.ms", ClientScope::Consumer),
    ("max.poll.interval.ms", ClientScope::Consumer),
    ("partition.assignment.strategy", ClientScope::Consumer),
    ("session.timeout.ms", ClientScope::Consumer),
    ("batch.num.messages", ClientScope::Producer),
    ("batch.size", ClientScope::Producer),
    ("compression.level", ClientScope::Producer),
    ("compression.type", ClientScope::Producer),
    ("delivery.timeout.ms", ClientScope::Producer),
    ("linger.ms", ClientScope::Producer),
    // The bound in bytes stays.
    ("queue.buffering.max.messages", ClientScope::Producer),
    ("request.timeout.ms", ClientScope::Producer),
    ("retry.backoff.max.ms", ClientScope::Producer),
    ("retry.backoff.ms", ClientScope::Producer),
];

/// Why a property may not be set; `None`: it may.
pub fn why_refused(property: &str) -> Option<String> {
    if CLIENT_PROPERTIES.iter().any(|(allowed, _)| *allowed == property) {
        return None;
    }
    let begins = |starts: &[&str]| starts.iter().any(|start| property.starts_with(start));
    let reason = if begins(&["plugin.", "ssl.engine.", "ssl.providers"]) {
        "it loads code into the program"
    } else if begins(&["sasl.kerberos."]) {
        "it runs a command, and Kerberos is not supported"
    } else if begins(&["sasl.oauthbearer.", "oauthbearer", "enable.sasl.oauthbearer", "https."]) {
        "OAuth is not supported"
    } else if begins(&["ssl.", "sasl.", "security.", "enable.ssl."]) {
        "encryption and credentials are set in [kafka.security]"
    } else if begins(&["bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id"]) {
        "it has a setting of its own in [kafka], or is chosen by the program"
    } else if begins(&["debug", "log", "statistics."]) {
        "what is logged is set in [log]; the client's own debugging could print secrets"
    } else if begins(&["fetch.", "max.partition.fetch", "queued.", "queue.buffering", "message.", "receive.message"]) {
        "it bounds the memory of the program, or what is sent"
    } else if property.ends_with("_cb") || property == "opaque" {
        "it is no text"
    } else if begins(&[
        "acks",
        "auto.",
        "default.topic.config",
        "enable.auto",
        "enable.gapless",
        "enable.idempotence",
        "enable.partition",
        "group.",
        "isolation.level",
        "max.in.flight",
        "message.send.max.retries",
        "offset.",
        "partitioner",
        "request.required.acks",
        "retries",
        "test.",
        "transaction",
    ]) {
        "exactly-once rests on what it is set to"
    } else {
        "it is not on the list"
    };
    let allowed: Vec<&str> = CLIENT_PROPERTIES.iter().map(|(name, _)| *name).collect();
    Some(format!("this client property may not be set: {reason}; allowed are {}", allowed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known_to_librdkafka(property: &str) -> bool {
        use rdkafka::error::KafkaError;
        use rdkafka::types::RDKafkaConfRes;
        let refused = rdkafka::ClientConfig::new().set(property, "\u{1}").create_native_config().err();
        !matches!(refused, Some(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)))
    }

    #[test]
    fn librdkafka_knows_every_property_on_the_list() {
        assert!(!is_known_to_librdkafka("no.such.property"));
        for (property, _) in CLIENT_PROPERTIES {
            assert!(is_known_to_librdkafka(property), "{property}");
            assert_eq!(why_refused(property), None);
        }
    }

    #[test]
    fn what_could_do_harm_is_refused_with_the_reason() {
        for (property, reason) in [
            ("plugin.library.paths", "loads code"),
            ("ssl.engine.location", "loads code"),
            ("ssl.engine.id", "loads code"),
            ("ssl.providers", "loads code"),
            ("sasl.kerberos.kinit.cmd", "runs a command"),
            ("sasl.kerberos.keytab", "runs a command"),
            ("sasl.oauthbearer.config", "OAuth"),
            ("sasl.oauthbearer.token.endpoint.url", "OAuth"),
            ("oauthbearer_token_refresh_cb", "OAuth"),
            ("enable.sasl.oauthbearer.unsecure.jwt", "OAuth"),
            ("https.ca.location", "OAuth"),
            ("ssl.keystore.location", "[kafka.security]"),
            ("ssl.keystore.password", "[kafka.security]"),
            ("ssl.key.pem", "[kafka.security]"),
            ("ssl.key.password", "[kafka.security]"),
            ("ssl.endpoint.identification.algorithm", "[kafka.security]"),
            ("enable.ssl.certificate.verification", "[kafka.security]"),
            ("sasl.password", "[kafka.security]"),
            ("sasl.username", "[kafka.security]"),
            ("security.protocol", "[kafka.security]"),
            ("bootstrap.servers", "a setting of its own"),
            ("group.id", "a setting of its own"),
            ("debug", "[log]"),
            ("log_level", "[log]"),
            ("log.queue", "[log]"),
            ("log_cb", "[log]"),
            ("statistics.interval.ms", "[log]"),
            ("fetch.max.bytes", "bounds the memory"),
            ("queued.max.messages.kbytes", "bounds the memory"),
            ("queue.buffering.max.kbytes", "bounds the memory"),
            ("receive.message.max.bytes", "bounds the memory"),
            ("rebalance_cb", "no text"),
            ("opaque", "no text"),
            ("enable.auto.commit", "exactly-once"),
            ("auto.offset.reset", "exactly-once"),
            ("isolation.level", "exactly-once"),
            ("acks", "exactly-once"),
            ("enable.idempotence", "exactly-once"),
            ("max.in.flight", "exactly-once"),
            ("partitioner", "exactly-once"),
            ("transactional.id", "exactly-once"),
            ("group.protocol", "exactly-once"),
            ("test.mock.num.brokers", "exactly-once"),
            ("no.such.property", "not on the list"),
        ] {
            let refused = why_refused(property).unwrap_or_default();
            assert!(refused.contains(reason), "{property}: {refused}");
        }
    }
}
