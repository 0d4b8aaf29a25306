//! What the benchmarks of the whole program are made of.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub mod args;
pub mod bad_records;
pub mod bare_loop;
pub mod big_lake;
pub mod contest;
pub mod core_pass;
pub mod environment;
pub mod filled_topics;
pub mod log_moments;
pub mod native_batch;
pub mod own_kafka;
pub mod process;
pub mod random_bars;
pub mod replayed_file;
pub mod rounds;
pub mod spread;
pub mod work;
