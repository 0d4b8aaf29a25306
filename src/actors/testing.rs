//! What the tests of the actors share: probes and made-up ticks. Time is virtual in all of them: it moves on only when nobody has
//! anything to do, so waiting costs nothing and decides nothing.

mod failing_store;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::market::bar::Bar;
use crate::market::barrier::Barrier;
use crate::market::checkpoint::{BarRules, Checkpoint, Epoch, NextOffset, TopicPartition};
use crate::market::symbol::Symbol;
use crate::market::tick::Tick;
use crate::market::time::{EventTime, Span, WindowSize};
use crate::settings::Compression;
use crate::storage::{Chain, Lake, LakeIdentity, Sharing, StorageError};

pub use failing_store::{Trouble, failing_lake};

/// How long, in virtual time, a message that must come may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// 2025-05-14T00:00:00Z.
const MIDNIGHT: i64 = 1_747_180_800_000_000;

/// What one recipient was sent.
pub struct Probe<M> {
    received: mpsc::UnboundedReceiver<M>,
}

struct Recorder<M>(mpsc::UnboundedSender<M>);

impl<M: Unpin + 'static> Actor for Recorder<M> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_024);
    }
}

impl<M: Message<Result = ()> + Unpin + 'static> Handler<M> for Recorder<M> {
    type Result = ();

    fn handle(&mut self, message: M, _: &mut Self::Context) {
        let _the_test_may_be_over = self.0.send(message);
    }
}

/// A recipient, and what it was sent.
pub fn probe<M>() -> (Recipient<M>, Probe<M>)
where
    M: Message<Result = ()> + Send + Unpin + 'static,
{
    let (sender, received) = mpsc::unbounded_channel();
    (Recorder(sender).start().recipient(), Probe { received })
}

impl<M> Probe<M> {
    /// Waits for the next message.
    pub async fn next(&mut self) -> M {
        let next = timeout(PATIENCE, self.received.recv()).await;
        next.unwrap_or_else(|_| panic!("no {} came", std::any::type_name::<M>())).expect("the recorder lives")
    }

    /// Waits so long and no message comes.
    pub async fn stays_silent_for(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        assert!(self.received.try_recv().is_err(), "a {} came", std::any::type_name::<M>());
    }

    /// What has come until now, when nobody has anything to do.
    pub async fn so_far(&mut self) -> Vec<M> {
        all_done().await;
        std::iter::from_fn(|| self.received.try_recv().ok()).collect()
    }
}

/// Until nobody has anything to do any more but wait: longer than actors rest between two looks.
pub async fn all_done() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

pub fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

pub fn partition() -> TopicPartition {
    TopicPartition::new("stock_topic.AAPL", 0)
}

/// Minutes after a midnight at which a window begins.
pub fn minute(minutes: i64) -> EventTime {
    EventTime::from_micros(MIDNIGHT + minutes * 60_000_000)
}

pub fn tick(offset: i64, minutes: i64, price: f64) -> Tick {
    Tick { offset, event_time: minute(minutes), price, volume: None }
}

/// Five-minute windows, ten minutes of lateness, a minute ahead.
pub fn genesis() -> Checkpoint {
    let rules = BarRules {
        window: WindowSize::new(Span::from_secs(300)).unwrap(),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    };
    Checkpoint::genesis(rules, "log")
}

/// A barrier of epoch 1 behind `read` records, which the watermark has come to at this minute.
pub fn barrier(windows: usize, read: i64, watermark: i64) -> Barrier {
    let mut checkpoint = genesis();
    (checkpoint.cut, checkpoint.resume) = (NextOffset(read), NextOffset(read));
    checkpoint.watermark = minute(watermark);
    checkpoint.counters.read = read.unsigned_abs();
    Barrier { partition: partition(), epoch: Epoch(1), windows, checkpoint, skipped_replayed: 0 }
}

pub fn shared(barrier: &Barrier) -> Arc<Barrier> {
    Arc::new(barrier.clone())
}

/// An empty lake, with the directory that it lives in.
pub fn lake() -> (Lake, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (open_lake(dir.path()), dir)
}

pub fn open_lake(dir: &Path) -> Lake {
    Lake::open(dir, Compression::Zstd, Sharing::Shared, &lake_identity()).unwrap()
}

pub fn lake_identity() -> LakeIdentity {
    LakeIdentity { group: "g".into(), cluster: "c".into(), layout: "per_stock".into() }
}

/// Fences whoever had the partition and goes on from the newest checkpoint.
pub fn take(lake: &Lake, partition: &TopicPartition) -> (Chain, Checkpoint) {
    let go_on = |newest: Option<Checkpoint>, _: &[_]| Ok::<_, StorageError>(newest.unwrap_or_else(genesis));
    lake.take(partition, go_on).unwrap()
}

/// A bar of five minutes made of so many ticks; its prices follow its place, so that indicators differ.
pub fn bar(name: &str, minutes: i64, ticks: i64) -> Bar {
    let price = 100.0 + (minutes / 5 % 7) as f64 - (minutes / 5 % 11) as f64 / 3.0;
    Bar {
        symbol: symbol(name),
        window_start: minute(minutes),
        open: price,
        high: price + 1.5,
        low: price - 1.25,
        close: price + 0.5,
        volume: None,
        vwap: None,
        ticks,
    }
}
