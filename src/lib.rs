//! stockstream turns a stream of stock ticks into a lake of bars and indicators that a trader or a data scientist can trust: in one
//! process, and without losing or repeating a bar.
//!
//! ```text
//!  settings ──watch──► Coordinator ── starts, changes, watches and stops everything below
//!                          │
//!  TickProducer (one a stock), or ReplayProducer (a file)
//!          │ CSV tick, key = symbol
//!          ▼
//!       Kafka  (embedded, or a real cluster)
//!          │
//!          ▼
//!  TickConsumer ── judges each tick; owns offsets, watermark, credits, barriers
//!          │ TickBatch / CloseWindows, the same mailboxes
//!          ▼
//!  BarWindow (one a stock) ── tumbling event-time windows ──► LiveFeed
//!          │ closed bars, oldest offset still needed
//!          ▼
//!  BarWriter ── one Parquet file = one commit (rows + checkpoint)
//!          │ committed bars
//!          ▼
//!  IndicatorEngine ── one features file a bars file ──► LiveFeed
//! ```
//!
//! # Layout
//!
//! Read in this order:
//!
//! - [`market`]: how it is decided. Ticks, windows, the watermark, barriers, checkpoints: plain types without actors, Kafka or clocks.
//! - [`indicators`]: Williams %R, Ultimate Oscillator, RSI, EMA and lags, equal to the Python library `ta`.
//! - [`messages`]: what the actors say to each other.
//! - [`actors`]: who does it. Thin actors, and the one place that wires them ([`actors::coordinator`]).
//! - [`kafka`]: where ticks travel. Everything that names rdkafka.
//! - [`storage`]: where it goes. The lake, its chains of commits, and everything that names arrow2 and parquet2.
//! - [`settings`]: what the user chose, validated; and what changes when it changes.
//! - [`prices`]: where a simulated stock's first price comes from.
//! - [`supervision`]: when a partition that failed is taken again, and when the process gives up.
//! - [`run_summary`]: what a run did, in numbers that add up.
//! - [`words`]: numbers in sentences.
//! - [`bounded_file`]: a file that may be none, or have no end.
//! - [`cli`]: the command line.
//! - [`fail_points`]: places where a test makes it fail.
//!
//! Beware of two orders that correctness rests on: a barrier goes through the same mailboxes as the ticks before it, and the steps of a
//! commit in [`storage::chain`].

pub mod actors;
pub mod bounded_file;
pub mod cli;
pub mod fail_points;
pub mod indicators;
pub mod kafka;
pub mod market;
pub mod messages;
pub mod prices;
pub mod run_summary;
pub mod settings;
pub mod storage;
pub mod supervision;
pub mod words;
