//! One ownership of a partition: cursor, windows and barriers of the product, glued together as its actors do it.
//!
//! The glue is where a rule of the core can be broken without touching the core: what a restart is given, what the windows answer,
//! what becomes of the commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use stockstream::market::barrier::{Assembly, Barrier, ConservationBroken, WindowAnswer};
use stockstream::market::checkpoint::{Checkpoint, Commit, Counters, Epoch, NextOffset, TopicPartition};
use stockstream::market::partition::{PartitionCursor, Record, Verdict};
use stockstream::market::symbol::Symbol;
use stockstream::market::tick::Tick;
use stockstream::market::time::EventTime;
use stockstream::market::watermark::Watermark;
use stockstream::market::window::{StillOpen, StockWindows};

use crate::support::oracle::LogRecord;

/// So long that event time would have passed every window.
const SILENCE: Duration = Duration::from_secs(100_000_000);

/// A rule of the core that this ownership does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreRule {
    /// Ticks of windows that are still open are not read again.
    ResumeIsTheCut,
    /// A window answers with the offset of the oldest window, not with the smallest of all.
    ResumeLooksAtTheOldestWindowOnly,
    /// A restart judges by a watermark that begins anew.
    WatermarkIsNotRestored,
    /// What is read again below the cut is counted again.
    ReadAgainIsCountedAgain,
    /// A restart begins to count at nothing.
    CountersAreNotRestored,
    /// A stock that the settings have now counts as known since ever.
    KnownIsWhatTheSettingsSayNow,
    /// A stock that was dropped from the settings is unknown after a restart.
    RemovedIsUnknown,
    /// The checkpoint does not say that the watermark was advanced without a tick.
    ForcedAdvancesAreNotListed,
    /// Late is judged by the watermark at the end of a batch.
    LateIsJudgedByTheBatch,
    /// The commit of a barrier's first date lets go of the ticks of the later dates.
    DateStepForgets,
    /// The commit of a barrier's first date carries the watermark of the last.
    DateStepCarriesTheBarriersWatermark,
    /// A cut while records below the restored cut are read again.
    BarrierWhileReadingAgain,
    /// The newest tick is still in a mailbox when the windows are asked.
    WindowsAnswerWhereTheyStand,
    /// The commit is made when the first window has answered.
    CommitsBeforeAllHaveAnswered,
}

/// How the watermark goes on without a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// To the next end of an open window: the partition is idle.
    Next,
    /// Beyond all open windows: the end of the stream.
    All,
}

#[derive(Clone)]
pub struct Reader {
    pub cursor: PartitionCursor,
    pub windows: Vec<StockWindows>,
    /// Of the newest commit.
    in_bars: u64,
    broken: Option<CoreRule>,
    /// Read, not yet folded: only where a rule is broken.
    mail: Vec<(usize, Tick)>,
    /// As it stood when the newest record had been read.
    watermark: Watermark,
}

impl Reader {
    /// Goes on from a checkpoint; nothing is read yet.
    pub fn start(checkpoint: &Checkpoint, settings: &BTreeSet<Symbol>, broken: Option<CoreRule>) -> Self {
        let mut checkpoint = checkpoint.clone();
        let in_bars = checkpoint.counters.in_bars;
        match broken {
            Some(CoreRule::ResumeIsTheCut) => checkpoint.resume = checkpoint.cut,
            Some(CoreRule::WatermarkIsNotRestored) => checkpoint.watermark = EventTime::MIN,
            Some(CoreRule::ReadAgainIsCountedAgain) => checkpoint.cut = checkpoint.resume,
            Some(CoreRule::CountersAreNotRestored) => checkpoint.counters = Counters::default(),
            Some(CoreRule::KnownIsWhatTheSettingsSayNow) => {
                checkpoint.known = settings.iter().map(|symbol| (symbol.clone(), NextOffset(0))).collect();
            }
            Some(CoreRule::RemovedIsUnknown) => checkpoint.known.retain(|symbol, _| settings.contains(symbol)),
            _ => {}
        }
        let cursor = PartitionCursor::new(checkpoint, settings.iter().cloned());
        let watermark = cursor.watermark();
        let mut reader = Self { cursor, windows: Vec::new(), in_bars, broken, mail: Vec::new(), watermark };
        reader.open_windows();
        reader
    }

    fn open_windows(&mut self) {
        let size = crate::rules().window;
        for symbol in &self.cursor.symbols()[self.windows.len()..] {
            self.windows.push(StockWindows::new(symbol.clone(), size));
        }
    }

    pub fn add_stock(&mut self, symbol: &Symbol) {
        self.cursor.add_stock(symbol.clone());
        self.open_windows();
    }

    /// Reads all of the log that it has not read.
    pub fn read_all(&mut self, log: &[LogRecord]) {
        while let Some(record) = log.get(self.cursor.position().0 as usize) {
            self.read(record);
        }
    }

    pub fn read(&mut self, record: &LogRecord) {
        let LogRecord { offset, timestamp, payload } = record;
        let verdict = self.cursor.read(Record { offset: *offset, timestamp: *timestamp, payload });
        self.watermark = self.cursor.watermark();
        let Verdict::Tick(slot, tick) = verdict else { return };
        match self.broken {
            Some(CoreRule::LateIsJudgedByTheBatch) => self.mail.push((slot.0, tick)),
            Some(CoreRule::WindowsAnswerWhereTheyStand) => {
                self.deliver(|_| true);
                self.mail.push((slot.0, tick));
            }
            _ => self.windows[slot.0].fold(&tick),
        }
    }

    fn deliver(&mut self, counts: impl Fn(&Tick) -> bool) {
        for (slot, tick) in self.mail.drain(..).filter(|(_, tick)| counts(tick)) {
            self.windows[slot].fold(&tick);
        }
    }

    /// Where the watermark can go without a tick.
    pub fn can_force(&self, forced: Forced) -> Option<EventTime> {
        match forced {
            Forced::Next => self.cursor.idle_advance(SILENCE, 1.0, EventTime::from_micros(i64::MAX)),
            Forced::All => self.cursor.end_of_stream(),
        }
    }

    /// Whether a barrier may be made here and would say something.
    pub fn may_cut(&self) -> bool {
        self.cursor.can_close()
            || self.cursor.has_news()
            || self.broken == Some(CoreRule::BarrierWhileReadingAgain) && self.cursor.is_replaying()
    }

    /// The commits of a barrier at this place of the log.
    pub fn barrier(&mut self) -> Result<Vec<Commit>, ConservationBroken> {
        if self.broken == Some(CoreRule::LateIsJudgedByTheBatch) {
            let (watermark, size) = (self.watermark, crate::rules().window);
            self.deliver(|tick| !watermark.has_passed(size.end_of(tick.event_time)));
        }
        let (checkpoint, skipped_replayed) = self.cursor.cut();
        let (partition, windows) = (TopicPartition::new("t", 0), self.windows.len());
        let mut assembly =
            Assembly::new(Arc::new(Barrier { partition, epoch: Epoch(1), windows, checkpoint, skipped_replayed }));
        let asked = if self.broken == Some(CoreRule::CommitsBeforeAllHaveAnswered) { 1 } else { windows };
        for windows in self.windows.iter_mut().take(asked) {
            let closed = windows.close(self.cursor.watermark());
            assembly.answer(WindowAnswer { closed, still_open: still_open(windows, self.broken) });
        }
        let mut commits = assembly.into_commits(self.in_bars)?;
        self.spoil(&mut commits);
        self.in_bars = commits.last().map_or(self.in_bars, |commit| commit.checkpoint.counters.in_bars);
        Ok(commits)
    }

    fn spoil(&self, commits: &mut [Commit]) {
        let Some((last, earlier)) = commits.split_last_mut() else { return };
        for commit in &mut *earlier {
            match self.broken {
                Some(CoreRule::DateStepForgets) => commit.checkpoint.resume = last.checkpoint.resume,
                Some(CoreRule::DateStepCarriesTheBarriersWatermark) => {
                    commit.checkpoint.watermark = last.checkpoint.watermark;
                }
                _ => {}
            }
        }
        if self.broken == Some(CoreRule::ForcedAdvancesAreNotListed) {
            commits.iter_mut().for_each(|commit| commit.checkpoint.forced.clear());
        }
    }

    /// Everything that the future depends on once a commit of this watermark has closed its windows.
    pub fn state(&self, watermark: EventTime) -> State {
        let (mut checkpoint, _) = self.cursor.clone().cut();
        (checkpoint.counters.in_bars, checkpoint.open_ticks) = (0, 0);
        // the commit of a barrier's first date lists no advance beyond its own watermark
        checkpoint.forced.iter_mut().for_each(|advance| advance.watermark = advance.watermark.min(watermark));
        let mut windows = BTreeMap::new();
        for of_stock in &self.windows {
            let mut of_stock = of_stock.clone();
            of_stock.close(Watermark::restored(watermark));
            windows.insert(of_stock.symbol().clone(), of_stock);
        }
        State { checkpoint, windows }
    }
}

#[derive(Debug, PartialEq)]
pub struct State {
    checkpoint: Checkpoint,
    windows: BTreeMap<Symbol, StockWindows>,
}

fn still_open(windows: &StockWindows, broken: Option<CoreRule>) -> StillOpen {
    let mut open = windows.still_open();
    if broken == Some(CoreRule::ResumeLooksAtTheOldestWindowOnly) {
        let all = windows.clone().close(Watermark::restored(EventTime::from_micros(i64::MAX)));
        open.oldest_offset = all.first().map(|oldest| oldest.first_offset);
    }
    open
}
