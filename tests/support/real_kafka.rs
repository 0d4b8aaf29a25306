//! A real Apache Kafka of the test's own, which it may kill and start again with its data.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::skip::{is_kafka_required, skipped};

/// One broker; gone, with its data, when dropped.
pub struct RealKafka {
    dir: TempDir,
    port: u16,
}

impl RealKafka {
    /// `None`, and a notice, unless real Kafkas are to be tested and there is what one needs. Required by
    /// `STOCKSTREAM_REQUIRE_KAFKA=1`.
    pub fn start() -> Option<Self> {
        let wanted = std::env::var_os("STOCKSTREAM_TEST_KAFKA").is_some();
        let possible = wanted && java_is_there() && jars().is_dir();
        if !is_kafka_required() && !possible {
            let why =
                if wanted { "Java or the jars of Kafka are not there" } else { "STOCKSTREAM_TEST_KAFKA is not set" };
            skipped(&format!("{why}, no real Kafka was killed"));
            return None;
        }
        let kafka = Self { dir: TempDir::new().unwrap(), port: free_port() };
        kafka.up();
        Some(kafka)
    }

    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again with what it has kept, and waits until it answers.
    pub fn up(&self) {
        self.script("start");
    }

    /// kill -9
    pub fn kill(&self) {
        self.script("kill");
    }

    /// Stops it as it should be: it hands over what it leads and coordinates, to nobody.
    pub fn stop(&self) {
        self.script("stop");
    }

    fn script(&self, verb: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/kafka.sh");
        let mut command = Command::new(script);
        command.arg(verb).arg(self.dir.path()).arg(self.port.to_string()).stdout(Stdio::null());
        let status = command.status().unwrap();
        assert!(status.success(), "kafka.sh {verb}: {status}");
    }
}

impl Drop for RealKafka {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return self.kill();
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/kafka.sh");
        let _as_well_as_it_goes = Command::new(script).arg("kill").arg(self.dir.path()).status();
    }
}

fn java_is_there() -> bool {
    Command::new("java").arg("-version").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Where `kafka.sh` looks for them.
fn jars() -> PathBuf {
    let cache = || {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or(home)
            .unwrap_or_default()
            .join("stockstream/kafka-4.1.0")
    };
    std::env::var_os("KAFKA_JARS").map_or_else(cache, PathBuf::from)
}

/// With the next one free too: the controller's. Below the ports from which connections are made, or a client that connects again and
/// again while the broker is down would take its port some day.
fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let random = || 2 * rand::random_range(10_000..16_000u16);
    std::iter::repeat_with(random).take(1_000).find(|port| is_free(*port) && is_free(port + 1)).expect("two free ports")
}
