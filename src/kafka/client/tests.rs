use rdkafka::consumer::{BaseConsumer, DefaultConsumerContext};
use rdkafka::producer::{BaseProducer, DefaultProducerContext};
use rdkafka::types::RDKafkaConfRes;

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
fn librdkafka_knows_every_property_that_a_user_may_set() {
    for (name, _) in ALLOWED {
        let refused = ClientConfig::new().set(*name, "\u{1}").create_native_config().err();
        let unknown = matches!(refused, Some(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)));
        assert!(!unknown, "{name}");
    }
}

#[test]
fn dangerous_properties_are_not_allowed() {
    for name in [
        "plugin.library.paths",
        "enable.auto.commit",
        "auto.offset.reset",
        "ssl.key.pem",
        "sasl.password",
        "acks",
        "debug",
    ] {
        assert!(!is_allowed_property(name), "{name}");
    }
    assert!(is_allowed_property("session.timeout.ms"));
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

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_says_how_to_get_it() {
    let mut settings = testing::settings();
    settings.security.protocol = "sasl_ssl".into();
    assert_eq!(consumer(&settings).err(), Some(ClientError::NoTls));
}
