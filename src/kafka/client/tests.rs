use rdkafka::consumer::{BaseConsumer, DefaultConsumerContext};
use rdkafka::producer::{BaseProducer, DefaultProducerContext};

use super::*;
use crate::kafka::testing;

fn consumer(settings: &KafkaSettings) -> Result<BaseConsumer, ClientError> {
    create(&consumer_config(settings, "127.0.0.1:1"), DefaultConsumerContext)
}

#[test]
fn librdkafka_knows_every_property_that_we_set() {
    let settings = testing::settings();
    assert!(consumer(&settings).is_ok());
    for config in [producer_config(&settings, "127.0.0.1:1"), dead_letter_config(&settings, "127.0.0.1:1")] {
        let producer: Result<BaseProducer, _> = create(&config, DefaultProducerContext);
        assert!(producer.is_ok(), "{:?}", producer.err());
    }
}

#[test]
fn a_property_that_is_not_on_the_list_reaches_no_client() {
    let mut settings = testing::settings();
    for name in ["plugin.library.paths", "debug", "sasl.password", "enable.auto.commit"] {
        settings.properties.insert(name.into(), "evil".into());
    }
    for config in [consumer_config(&settings, ""), producer_config(&settings, ""), dead_letter_config(&settings, "")] {
        let map = config.config_map();
        assert!(map.values().all(|value| *value != "evil"), "{:?}", map.keys());
    }
}

#[test]
fn a_user_property_replaces_a_default_for_the_client_it_is_for() {
    let mut settings = testing::settings();
    settings.properties.insert("session.timeout.ms".into(), "20000".into());
    settings.properties.insert("linger.ms".into(), "50".into());
    let (consumer, producer) = (consumer_config(&settings, "a:1"), producer_config(&settings, "a:1"));
    assert_eq!((consumer.get("session.timeout.ms"), consumer.get("linger.ms")), (Some("20000"), None));
    assert_eq!((producer.get("session.timeout.ms"), producer.get("linger.ms")), (None, Some("50")));
}

#[test]
fn the_session_timeout_is_the_one_the_member_has() {
    let mut settings = testing::settings();
    settings.mode = KafkaMode::Embedded;
    assert_eq!(session_timeout(&settings), Duration::from_secs(2));
    settings.mode = KafkaMode::Cluster;
    assert_eq!(session_timeout(&settings), Duration::from_secs(10));
    settings.properties.insert("session.timeout.ms".into(), "20000".into());
    assert_eq!(session_timeout(&settings), Duration::from_secs(20));
}

#[test]
fn a_refused_property_is_named_without_its_value() {
    let mut settings = testing::settings();
    settings.properties.insert("session.timeout.ms".into(), "hunter2".into());
    let error = consumer(&settings).err().unwrap();
    assert_eq!(error, ClientError::Property { property: "session.timeout.ms".into() });
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn secrets_are_cut_out_of_librdkafkas_messages() {
    let mut config = ClientConfig::new();
    config.set("sasl.password", "hunter2");
    assert_eq!(without_secrets("bad: hunter2!".into(), &config), "bad: ***!");
}

#[test]
fn who_is_behind_a_tls_connection_is_always_checked() {
    let mut settings = testing::settings();
    settings.security.protocol = "sasl_ssl".into();
    let config = common_config(&settings, "a:1");
    assert_eq!(config.get("enable.ssl.certificate.verification"), Some("true"));
    assert_eq!(config.get("ssl.endpoint.identification.algorithm"), Some("https"));
    assert_eq!(config.get("ssl.ca.location"), Some("probe"));
    settings.security.ca_file = Some("ca.pem".into());
    assert_eq!(common_config(&settings, "a:1").get("ssl.ca.location"), Some("ca.pem"));
}

#[test]
fn a_file_that_cannot_be_used_is_told_by_its_setting() {
    let error = not_created("ssl.ca.location failed: error:05880020:x509 certificate routines::BIO lib".into());
    assert!(error.to_string().starts_with("kafka.security.ca_file cannot be used: "), "{error}");
    assert!(matches!(not_created("no memory".into()), ClientError::Creation(_)));
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_says_how_to_get_it() {
    let mut settings = testing::settings();
    settings.security.protocol = "sasl_ssl".into();
    assert_eq!(consumer(&settings).err(), Some(ClientError::NoTls));
}
