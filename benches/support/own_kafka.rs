//! A real Apache Kafka of the benchmark's own, for whoever has Java and no broker.

use std::net::TcpListener;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// One broker; gone, with its data, when dropped.
pub struct OwnKafka {
    dir: TempDir,
    address: String,
}

impl OwnKafka {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// Without Java, or without the jars and Maven to fetch them.
    pub fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut kafka = Self { dir, address: String::new() };
        let output = kafka.script("start", &[&free_port()?.to_string()])?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tests/kafka/kafka.sh: {}", error.trim());
        kafka.address = String::from_utf8(output.stdout)?.trim().to_owned();
        Ok(kafka)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn script(&self, verb: &str, more: &[&str]) -> Result<Output> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/kafka.sh");
        Ok(Command::new(script).arg(verb).arg(self.dir.path()).args(more).output()?)
    }
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        // Nobody needs its data, and a panic may be on its way.
        let _as_well_as_it_goes = self.script("kill", &[]);
    }
}

/// With the next one free too: the controller's. Below the ports from which connections are made.
fn free_port() -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let random = || 2 * rand::random_range(10_000..16_000u16);
    let mut candidates = std::iter::repeat_with(random).take(1_000);
    candidates.find(|port| is_free(*port) && is_free(port + 1)).context("no two free ports")
}
