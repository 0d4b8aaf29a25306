//! What several integration tests share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod brokers;
pub mod cluster;
pub mod damage;
pub mod effort;
pub mod flow;
pub mod kept_logs;
pub mod lake;
pub mod members;
pub mod oracle;
pub mod proc;
pub mod program;
pub mod real_kafka;
pub mod replays;
pub mod simulated;
pub mod skip;
pub mod small_disk;
pub mod ticks;
pub mod watcher;
