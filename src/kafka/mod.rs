//! Where ticks travel: everything that names rdkafka, and nothing that names actix.
//!
//! Calls here block (they wait for a broker, with a deadline): make them on a thread that may wait. What librdkafka really
//! does, and is therefore asked for in so many words, stands beside each use.

pub mod backlog;
mod bounds;
pub mod client;
mod client_log;
pub mod dead_letters;
pub mod embedded;
mod ends_aside;
mod greeting;
pub mod log_reader;
mod lost_brokers;
mod native;
mod partitioner;
pub mod publisher;
mod refusal;
pub mod retention;
pub mod route;
pub mod source;
pub mod tail;
#[cfg(test)]
mod testing;
pub mod topics;
mod wait;
