use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::actors::testing::{Probe, all_done, genesis, lake, minute, partition, probe, symbol, take};
use crate::actors::tick_consumer::letters::SendLetter;
use crate::kafka::dead_letters::LetterNotTaken;
use crate::market::barrier::Barrier;
use crate::market::checkpoint::{Checkpoint, NextOffset, TopicPartition};
use crate::market::symbol::Symbol;
use crate::messages::barrier::{BarrierOpened, CloseWindows};
use crate::messages::lifecycle::{OpenWindows, ReadUntil};
use crate::messages::ownership::{PartitionLost, PartitionRestarts, PartitionTaken};
use crate::messages::tick_batch::TickBatch;
use crate::storage::Lake;
use script::{Given, Script, Scripted};

mod barriers;
mod draining;
mod idle;
mod letters;
mod owning;
mod reading;
mod restarts;
mod script;
mod time;

/// Event seconds a second, for the idle rule.
const SPEED: f64 = 600.0;
const COMMIT_EVERY: u64 = 10_000;
/// How long the group may take to tell whose a partition is.
const SESSION: Duration = Duration::from_secs(2);
/// A window dies of a tick at this price.
const DEADLY: f64 = 13.0;

/// What a window was sent, in order.
#[derive(Debug)]
enum ToWindow {
    Ticks(TickBatch),
    Close(Arc<Barrier>),
}

/// Stands in for the window actor of a stock.
struct FakeWindow(Symbol, mpsc::UnboundedSender<(Symbol, ToWindow)>);

impl Actor for FakeWindow {
    type Context = Context<Self>;
}

impl Handler<TickBatch> for FakeWindow {
    type Result = ();

    fn handle(&mut self, batch: TickBatch, _: &mut Self::Context) {
        assert!(batch.ticks.iter().all(|tick| tick.price != DEADLY), "as the test wants it");
        let _the_test_may_be_over = self.1.send((self.0.clone(), ToWindow::Ticks(batch)));
    }
}

impl Handler<CloseWindows> for FakeWindow {
    type Result = ();

    fn handle(&mut self, CloseWindows(barrier): CloseWindows, _: &mut Self::Context) {
        let _the_test_may_be_over = self.1.send((self.0.clone(), ToWindow::Close(barrier)));
    }
}

/// Dead letters as (reason, offset), what they say was left out, and whether new ones are refused.
#[derive(Default)]
struct Letters {
    sent: Vec<(&'static str, i64)>,
    suppressed: u64,
    refuse: bool,
}

struct Setup {
    consumer: Addr<TickConsumer>,
    script: Arc<Mutex<Script>>,
    letters: Arc<Mutex<Letters>>,
    /// Up to where the lake holds the partitions of others.
    held: Arc<Mutex<Option<NextOffset>>>,
    windows: mpsc::UnboundedReceiver<(Symbol, ToWindow)>,
    taken: Probe<PartitionTaken>,
    lost: Probe<PartitionLost>,
    barriers: Probe<BarrierOpened>,
    drained: Probe<Drained>,
    failed: Probe<PipelineFailed>,
    lag: Probe<LagMeasured>,
    restarts: Probe<PartitionRestarts>,
    stuck: Arc<AtomicBool>,
    _dir: TempDir,
}

impl Setup {
    /// A consumer that follows AAPL and MSFT, both in one partition, and is assigned it.
    async fn new() -> Self {
        Self::from_checkpoint(genesis()).await
    }

    async fn from_checkpoint(checkpoint: Checkpoint) -> Self {
        Self::unassigned(checkpoint, COMMIT_EVERY).assigned().await
    }

    async fn assigned(self) -> Self {
        self.follow(&["AAPL", "MSFT"], []);
        self.script().give(Given::Assigned(partition()));
        all_done().await;
        self
    }

    fn unassigned(checkpoint: Checkpoint, commit_every: u64) -> Self {
        tokio::time::pause();
        let (lake, dir) = lake();
        let script = Arc::new(Mutex::new(Script::default()));
        let clock = script.clone();
        let letters = Arc::new(Mutex::new(Letters::default()));
        let held = Arc::new(Mutex::new(None));
        let told = held.clone();
        let (sender, windows) = mpsc::unbounded_channel();
        let stuck = Arc::new(AtomicBool::new(false));
        let are_stuck = stuck.clone();
        let (taken, taken_probe) = probe();
        let (lost, lost_probe) = probe();
        let (barriers, barriers_probe) = probe();
        let (restarts, restarts_probe) = probe();
        let params = ConsumerParams {
            commit_every,
            idle: IdleRule { timeout: Duration::from_secs(3), speed: SPEED },
            wall: WallClock::reading(move || clock.lock().unwrap().wall.unwrap_or(minute(1_000_000))),
            collect: Box::new(move |partition| Some(taken_from(&lake, partition, &checkpoint))),
            writer_of: Box::new(move |_| WriterHandle {
                taken: taken.clone(),
                lost: lost.clone(),
                barriers: barriers.clone(),
                restarts: restarts.clone(),
            }),
            spawn_window: Box::new(move |_, symbol| {
                let window = FakeWindow(symbol.clone(), sender.clone()).start();
                WindowHandle { ticks: window.clone().recipient(), barriers: window.recipient() }
            }),
            replace_stuck_windows: Box::new(move || {
                are_stuck.swap(false, Ordering::SeqCst).then_some(Duration::from_secs(120))
            }),
            after_fencing: SESSION,
            ends: Ends::new(Box::new(move |_| *told.lock().unwrap())),
            backlog: None,
        };
        let letter_box = LetterBox { send: letter_box(letters.clone()), forget: Box::new(|_| {}) };
        let (drained, drained_probe) = probe();
        let (failed, failed_probe) = probe();
        let (lag, lag_probe) = probe();
        let outputs = ConsumerOutputs { drained, failed, lag };
        let consumer = TickConsumer::new(Box::new(Scripted(script.clone())), params, letter_box, outputs).start();
        Self {
            consumer,
            script,
            letters,
            held,
            windows,
            taken: taken_probe,
            lost: lost_probe,
            barriers: barriers_probe,
            drained: drained_probe,
            failed: failed_probe,
            lag: lag_probe,
            restarts: restarts_probe,
            stuck,
            _dir: dir,
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap()
    }

    fn follow(&self, stocks: &[&str], fed: impl IntoIterator<Item = TopicPartition>) {
        let stocks = stocks.iter().map(|name| (symbol(name), partition())).collect();
        self.consumer.do_send(FollowStocks { stocks, fed: fed.into_iter().collect() });
    }

    /// A tick of AAPL at this minute.
    fn tick(&self, offset: i64, minutes: i64) {
        self.script().tick(offset, "AAPL", minutes);
    }

    fn commit(&self, barrier: &Barrier) {
        let (partition, cut) = (barrier.partition.clone(), barrier.checkpoint.cut);
        self.consumer.do_send(BarrierCommitted { partition, epoch: barrier.epoch, resume: cut, cut });
    }

    fn drain(&self, open_windows: OpenWindows, read: ReadUntil) {
        self.consumer.do_send(DrainStream { open_windows, read });
    }

    async fn barrier(&mut self) -> Arc<Barrier> {
        self.barriers.next().await.barrier
    }

    async fn failure(&mut self) -> String {
        self.failed.next().await.0
    }

    /// What the windows were sent until now.
    async fn sent_to_windows(&mut self) -> Vec<(Symbol, ToWindow)> {
        all_done().await;
        std::iter::from_fn(|| self.windows.try_recv().ok()).collect()
    }

    /// Offsets of the ticks that the windows were sent until now.
    async fn ticks(&mut self) -> Vec<i64> {
        let mut offsets = Vec::new();
        for (_, sent) in self.sent_to_windows().await {
            if let ToWindow::Ticks(batch) = sent {
                offsets.extend(batch.ticks.iter().map(|tick| tick.offset));
            }
        }
        offsets
    }
}

fn taken_from(lake: &Lake, partition: &TopicPartition, checkpoint: &Checkpoint) -> (crate::storage::Chain, Checkpoint) {
    (take(lake, partition).0, checkpoint.clone())
}

fn letter_box(letters: Arc<Mutex<Letters>>) -> SendLetter {
    Box::new(move |letter| {
        let mut letters = letters.lock().unwrap();
        if letters.refuse {
            return Err(LetterNotTaken);
        }
        letters.sent.push((letter.reason, letter.offset));
        letters.suppressed += letter.suppressed;
        Ok(())
    })
}

/// The cut of a barrier and the minute of its watermark.
fn cut_and_minute(barrier: &Barrier) -> (i64, i64) {
    let micros = (barrier.checkpoint.watermark - minute(0)).micros();
    (barrier.checkpoint.cut.0, micros / 60_000_000)
}
