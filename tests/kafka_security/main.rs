//! TLS and SASL against a real Apache Kafka: who is let in, who is not and is told why, and that no secret is ever seen.
//!
//! Runs in a build with `--features tls` when `STOCKSTREAM_TEST_KAFKA_TLS_PORT` holds the first of seven free ports: a broker is
//! started there, with certificates made for this run. Else each test says that it was skipped, or fails if
//! `STOCKSTREAM_REQUIRE_KAFKA=1`. Without the feature nothing is tested, and that is said.

#[cfg(feature = "tls")]
mod broker;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
mod ways;

#[cfg(not(feature = "tls"))]
#[path = "../support/skip.rs"]
mod skip;

#[cfg(not(feature = "tls"))]
#[test]
fn secured_listeners_are_tested_with_the_feature_tls() {
    skip::skipped("built without --features tls, no secured Kafka was tested");
}
