//! A test that needs what is not everywhere says so when it does nothing, and fails where it is required.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::env;
use std::io::Write;

/// Says past the test harness, which would keep it to itself, that something was not tested.
pub fn skipped(why: &str) {
    std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes()).unwrap();
}

/// Whether a missing real Kafka is a failure.
pub fn is_kafka_required() -> bool {
    env::var("STOCKSTREAM_REQUIRE_KAFKA").is_ok_and(|value| value == "1")
}

/// The value of a variable that says where a real Kafka is, or is to be; `None`: skip.
pub fn real_kafka(variable: &str) -> Option<String> {
    let value = env::var(variable).ok();
    if value.is_none() {
        assert!(!is_kafka_required(), "{variable} must be set, see tests/README.md");
        skipped(&format!("{variable} is not set, no real Kafka was tested"));
    }
    value
}
