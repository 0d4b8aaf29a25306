//! stockstream turns a stream of stock ticks into a lake of bars and indicators.

pub mod actors;
pub mod cli;
pub mod indicators;
pub mod kafka;
pub mod market;
pub mod messages;
pub mod prices;
pub mod run_summary;
pub mod settings;
pub mod storage;
