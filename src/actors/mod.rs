//! Who does it: thin actors. Each receives, calls the pure core, sends and counts; none of them decides what a bar is.
//!
//! [`coordinator`] is the one place that wires, drains and watches them.

pub mod bar_window;
pub mod bar_writer;
pub mod coordinator;
pub mod indicator_engine;
pub mod live_feed;
pub mod partition_taker;
pub mod pulse;
pub mod replay_producer;
pub mod tick_consumer;
pub mod tick_producer;
pub mod wall_clock;

#[cfg(test)]
mod testing;
