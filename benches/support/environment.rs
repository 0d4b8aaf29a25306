//! On what figures were measured: without it they say nothing.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use serde::Serialize;

/// The machine, and what was built with what.
#[derive(Serialize)]
pub struct Environment {
    cpu: String,
    cores: usize,
    kernel: String,
    rustc: String,
    librdkafka: String,
    optimized: bool,
}

impl Environment {
    /// Of this process. What cannot be found out is empty.
    pub fn here() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let rustc = Command::new("rustc").arg("-V").output().map(|output| output.stdout).unwrap_or_default();
        let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
        Self {
            cpu: model.map(|(_, model)| model.to_owned()).unwrap_or_default(),
            cores: available_parallelism().map_or(0, usize::from),
            kernel: kernel.trim().to_owned(),
            rustc: String::from_utf8_lossy(&rustc).trim().to_owned(),
            librdkafka,
            optimized: !cfg!(debug_assertions),
        }
    }
}
