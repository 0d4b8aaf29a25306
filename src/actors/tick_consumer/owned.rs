//! A partition that this consumer owns: its cursor, its windows, and what is on its way to them.

use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use tokio::time::Instant;

use crate::kafka::dead_letters::Kinds;
use crate::market::barrier::Barrier;
use crate::market::checkpoint::{Epoch, NextOffset, TopicPartition};
use crate::market::partition::{PartitionCursor, Record, Slot, Verdict};
use crate::market::symbol::Symbol;
use crate::market::tick::Tick;
use crate::market::time::EventTime;
use crate::messages::barrier::{BarrierOpened, CloseWindows};
use crate::messages::credit::Credits;
use crate::messages::lifecycle::OpenWindows;
use crate::messages::ownership::{PartitionLost, PartitionRestarts, PartitionTaken};
use crate::messages::tick_batch::TickBatch;

/// Between two barriers that close windows. A live stream passes their ends seldom and is not held up; a backlog passes them many
/// times a second, and each commit costs milliseconds, however few its bars are.
const BARRIER_INTERVAL: Duration = Duration::from_millis(500);
/// Bars that do not wait for that: a commit of so many is no small one.
pub(super) const MANY_BARS: u64 = 4_096;

/// Makes the window actor of a stock.
pub type SpawnWindow = Box<dyn Fn(&TopicPartition, &Symbol) -> WindowHandle + Send>;

/// A stock's window actor, as the consumer sees it.
pub struct WindowHandle {
    pub ticks: Recipient<TickBatch>,
    pub barriers: Recipient<CloseWindows>,
}

/// Who commits the bars of a partition.
pub type WriterOf = Box<dyn Fn(&TopicPartition) -> WriterHandle + Send>;

/// A writer, as the consumer sees it.
pub struct WriterHandle {
    pub taken: Recipient<PartitionTaken>,
    pub lost: Recipient<PartitionLost>,
    pub barriers: Recipient<BarrierOpened>,
    pub restarts: Recipient<PartitionRestarts>,
}

/// When a partition without records may close windows by itself.
#[derive(Clone, Copy, Debug)]
pub struct IdleRule {
    /// Silence, wall clock.
    pub timeout: Duration,
    /// Event seconds a wall second, as the stream would have gone on.
    pub speed: f64,
}

impl IdleRule {
    /// A longer time without a look at the log (a laptop that slept, a process that was stopped) is no silence: nobody listened, and
    /// whoever produces may have slept as well.
    pub fn longest_inattention(&self) -> Duration {
        (self.timeout / 2).min(Duration::from_secs(5))
    }
}

/// What a partition does next, besides reading.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    ReadOn,
    Barrier,
    /// The watermark goes to here, by a barrier of its own: the stream ends.
    EndOfStream(EventTime),
    /// The same, because the partition is silent; if the log has indeed no more.
    Idle(EventTime),
    /// Everything that the drain asked for is committed.
    Finished,
}

/// Ticks of a stock that this slice has read.
#[derive(Default)]
struct Buffer {
    ticks: Vec<Tick>,
    /// When the first of them was.
    published: Option<EventTime>,
}

pub struct OwnedPartition {
    pub partition: TopicPartition,
    pub epoch: Epoch,
    pub cursor: PartitionCursor,
    pub writer: WriterHandle,
    /// By slot.
    windows: Vec<WindowHandle>,
    buffers: Vec<Buffer>,
    touched: Vec<Slot>,
    /// Of its dead letters.
    pub letters: Kinds,
    /// How many bars the barrier in flight closes.
    in_flight: Option<u64>,
    last_barrier: Option<Instant>,
    /// Since when nothing has come: the last record, or the taking of the partition.
    silent_since: Instant,
    /// All records below this have been given, and there were no more then.
    ended_at: Option<NextOffset>,
    /// Where a drain ends.
    pub read_until: Option<NextOffset>,
}

impl OwnedPartition {
    pub fn new(
        partition: TopicPartition,
        epoch: Epoch,
        cursor: PartitionCursor,
        writer: WriterHandle,
        spawn: &SpawnWindow,
    ) -> Self {
        let mut owned = Self {
            partition,
            epoch,
            cursor,
            writer,
            windows: Vec::new(),
            buffers: Vec::new(),
            touched: Vec::new(),
            letters: Kinds::default(),
            in_flight: None,
            last_barrier: None,
            silent_since: Instant::now(),
            ended_at: None,
            read_until: None,
        };
        owned.spawn_missing(spawn);
        owned
    }

    pub fn add_stock(&mut self, symbol: Symbol, spawn: &SpawnWindow) {
        if self.cursor.add_stock(symbol).is_some() {
            self.spawn_missing(spawn);
        }
    }

    fn spawn_missing(&mut self, spawn: &SpawnWindow) {
        for symbol in &self.cursor.symbols()[self.windows.len()..] {
            self.windows.push(spawn(&self.partition, symbol));
            self.buffers.push(Buffer::default());
        }
    }

    pub fn read(&mut self, record: Record<'_>) -> Verdict {
        let published = record.timestamp;
        let verdict = self.cursor.read(record);
        if let Verdict::Tick(slot, tick) = verdict {
            let buffer = &mut self.buffers[slot.0];
            if buffer.ticks.is_empty() {
                buffer.published = published;
                self.touched.push(slot);
            }
            buffer.ticks.push(tick);
        }
        verdict
    }

    /// Records of this partition came in this slice; or none did, but there may be some. A silence begins anew.
    pub fn is_not_silent(&mut self, now: Instant) {
        self.silent_since = now;
    }

    /// The log had no records at or above this offset when it was looked at.
    pub fn reached_end(&mut self, end: NextOffset) {
        self.ended_at = self.ended_at.max(Some(end));
    }

    /// Whether everything below this offset has been read, though the last offsets may hold no record.
    pub fn is_read_to(&self, end: NextOffset) -> bool {
        self.cursor.position().max(self.ended_at.unwrap_or_default()) >= end
    }

    /// Whether a drain ends before this offset.
    pub fn ends_before(&self, offset: i64) -> bool {
        self.read_until.is_some_and(|end| offset >= end.0)
    }

    /// Sends what this slice has read on its way, one batch a stock.
    pub fn flush(&mut self, credits: &Credits) {
        for slot in self.touched.drain(..) {
            let Buffer { ticks, published } = &mut self.buffers[slot.0];
            let room = ticks.len();
            let ticks = std::mem::replace(ticks, Vec::with_capacity(room));
            let credit = credits.take(ticks.len());
            self.windows[slot.0].ticks.do_send(TickBatch { ticks, published: *published, credit });
        }
    }

    /// Whether all windows are alive; one that is not will never answer a barrier.
    pub fn dead_window(&self) -> Option<&Symbol> {
        let dead = self.windows.iter().position(|window| !window.barriers.connected())?;
        self.cursor.symbols().get(dead)
    }

    /// Whether the newest barrier is not committed yet.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The newest barrier is committed.
    pub fn barrier_committed(&mut self) {
        self.in_flight = None;
    }

    /// Closed bars that are not committed yet: those of the barrier in flight, and what the next one would close.
    pub fn bars_under_way(&self) -> u64 {
        self.in_flight.unwrap_or(0) + self.cursor.closable_bars()
    }

    /// Decides, between two slices, whether to cut the log here.
    pub fn next_step(&self, rules: &StepRules, now: Instant) -> Step {
        if self.is_in_flight() {
            return Step::ReadOn;
        }
        let ends_here = self.read_until.is_some_and(|end| self.is_read_to(end));
        let rested = self.last_barrier.is_none_or(|last| now.duration_since(last) >= BARRIER_INTERVAL);
        let many_read = !self.cursor.is_replaying() && self.cursor.since_barrier() >= rules.commit_every;
        let many_bars = self.cursor.closable_bars() >= MANY_BARS;
        if many_read || many_bars || (self.cursor.can_close() && (rested || ends_here)) {
            return Step::Barrier;
        }
        match rules.draining {
            Some(open_windows) if ends_here => self.last_step(open_windows),
            _ => self.idle_step(rules, now),
        }
    }

    fn last_step(&self, open_windows: OpenWindows) -> Step {
        match self.cursor.end_of_stream() {
            Some(end) if open_windows == OpenWindows::Close => Step::EndOfStream(end),
            _ if self.cursor.has_news() => Step::Barrier,
            _ => Step::Finished,
        }
    }

    fn idle_step(&self, rules: &StepRules, now: Instant) -> Step {
        let silence = now.duration_since(self.silent_since);
        let at_end = self.ended_at.is_some_and(|end| end >= self.cursor.position());
        if !at_end || silence < rules.idle.timeout || (rules.is_fed)(&self.partition) {
            return Step::ReadOn;
        }
        self.cursor.idle_advance(silence, rules.idle.speed, rules.wall).map_or(Step::ReadOn, Step::Idle)
    }

    /// Advances the watermark and cuts the log there.
    pub fn force_barrier(&mut self, to: EventTime, now: Instant) {
        self.cursor.force(to);
        self.send_barrier(now);
    }

    /// Cuts the log: tells the writer, then every window, through the mailboxes that the ticks use.
    pub fn send_barrier(&mut self, now: Instant) {
        self.in_flight = Some(self.cursor.closable_bars());
        let (checkpoint, skipped_replayed) = self.cursor.cut();
        let barrier = Arc::new(Barrier {
            partition: self.partition.clone(),
            epoch: self.epoch,
            windows: self.windows.len(),
            checkpoint,
            skipped_replayed,
        });
        self.last_barrier = Some(now);
        self.writer.barriers.do_send(BarrierOpened { barrier: barrier.clone(), at: now });
        for window in &self.windows {
            window.barriers.do_send(CloseWindows(barrier.clone()));
        }
    }
}

/// What [`OwnedPartition::next_step`] goes by.
pub struct StepRules<'a> {
    /// Records after which a barrier is due even if no window closes.
    pub commit_every: u64,
    pub idle: IdleRule,
    /// The wall clock now.
    pub wall: EventTime,
    pub draining: Option<OpenWindows>,
    /// Whether a producer of this process feeds the partition.
    pub is_fed: &'a dyn Fn(&TopicPartition) -> bool,
}
