//! One member of the consumer group: reads its partitions, judges each tick, sends batches and barriers.
//!
//! Runs on an arbiter (thread) of its own and polls in slices: after each it looks at its mailbox. Credits bound what is under way to
//! the windows; one barrier a partition is in flight, window ends passed meanwhile go into the next.

mod ends;
mod letters;
mod owned;
mod restarts;
mod seldom;
mod state;

use std::time::Duration;

use actix::prelude::*;
use tracing::{debug, info, warn};

use super::wall_clock::WallClock;
use crate::kafka::backlog::Backlog;
use crate::kafka::source::RecordSource;
use crate::messages::commits::BarrierCommitted;
use crate::messages::credit::Credits;
use crate::messages::lifecycle::{CloseSource, DrainStream, Drained, PipelineFailed};
use crate::messages::live::LagMeasured;
use crate::messages::ownership::RestartPartition;
use crate::messages::stocks::FollowStocks;

pub use ends::{Ends, held_up_to};
pub use letters::LetterBox;
pub use owned::{IdleRule, SpawnWindow, WindowHandle, WriterHandle, WriterOf};
pub use restarts::ReplaceStuckWindows;
use restarts::Windows;
use state::ConsumerState;
pub use state::TakenPartition;

/// Records a slice reads at most: some milliseconds of work.
const SLICE: usize = 16_384;
/// How long a slice waits for its first record.
const SLICE_WAIT: Duration = Duration::from_millis(5);
/// Pause after a slice that could do nothing.
const REST: Duration = Duration::from_millis(1);
/// Ticks under way to the windows.
const TICKS_UNDER_WAY: usize = 65_536;
/// How long to be out of credits before fetching is paused: a pause throws away what was fetched already.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the client may take to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// To whom the consumer speaks.
pub struct ConsumerOutputs {
    pub drained: Recipient<Drained>,
    pub failed: Recipient<PipelineFailed>,
    pub lag: Recipient<LagMeasured>,
}

/// What the consumer goes by.
pub struct ConsumerParams {
    /// Records of a partition after which a barrier is due even if no window closes.
    pub commit_every: u64,
    pub idle: IdleRule,
    pub wall: WallClock,
    /// Hands over what the source took on assignment.
    pub collect: TakenPartition,
    pub writer_of: WriterOf,
    pub spawn_window: SpawnWindow,
    pub replace_stuck_windows: ReplaceStuckWindows,
    /// How long to wait after another process has taken a partition, before it is taken back.
    pub after_fencing: Duration,
    /// For a drain to the end.
    pub ends: Ends,
    /// Embedded broker: how far reading is, so that producers are held back.
    pub backlog: Option<Backlog>,
}

pub struct TickConsumer {
    source: Option<Box<dyn RecordSource>>,
    state: ConsumerState,
    credits: Credits,
    starved_since: Option<tokio::time::Instant>,
    paused: bool,
}

/// Read the next slice.
#[derive(Message)]
#[rtype(result = "()")]
struct ReadSlice;

impl TickConsumer {
    pub fn new(
        source: Box<dyn RecordSource>,
        params: ConsumerParams,
        letters: LetterBox,
        outputs: ConsumerOutputs,
    ) -> Self {
        Self {
            source: Some(source),
            state: ConsumerState::new(params, letters, outputs),
            credits: Credits::new(TICKS_UNDER_WAY),
            starved_since: None,
            paused: false,
        }
    }

    /// Returns whether records came.
    fn read_slice(&mut self) -> bool {
        let Some(source) = &mut self.source else { return false };
        let starved = self.credits.are_exhausted() || self.state.is_held_up();
        match (starved, self.starved_since) {
            (false, None) => {}
            (false, Some(_)) => {
                self.starved_since = None;
                if std::mem::take(&mut self.paused) {
                    source.resume();
                }
            }
            (true, None) => self.starved_since = Some(tokio::time::Instant::now()),
            (true, Some(since)) if !self.paused && since.elapsed() > PATIENCE => {
                source.pause();
                self.paused = true;
            }
            (true, Some(_)) => {}
        }
        // A paused source is still polled: the group takes a member that does not poll for dead.
        let came = if starved && !self.paused { 0 } else { self.state.read(source.as_mut(), SLICE, SLICE_WAIT) };
        self.state.flush(&self.credits);
        self.state.advance(source.as_mut());
        if self.state.supervise(source.as_mut()) == Windows::OnFreshThread {
            // What is under way to the stuck ones never comes back.
            self.credits = Credits::new(TICKS_UNDER_WAY);
        }
        came > 0
    }
}

impl Actor for TickConsumer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.state.replies_come_to(ctx.address().recipient());
        ctx.notify(ReadSlice);
    }
}

impl Handler<ReadSlice> for TickConsumer {
    type Result = ();

    fn handle(&mut self, _: ReadSlice, ctx: &mut Self::Context) {
        if self.source.is_none() {
            return;
        }
        // By way of the mailbox, so that what others say is heard between two slices.
        if self.read_slice() {
            ctx.address().do_send(ReadSlice);
        } else {
            ctx.notify_later(ReadSlice, REST);
        }
    }
}

impl Handler<FollowStocks> for TickConsumer {
    type Result = ();

    fn handle(&mut self, follow: FollowStocks, _: &mut Self::Context) {
        let Some(source) = &mut self.source else { return };
        let Some(topics) = self.state.follow(follow) else { return };
        info!(topics = topics.len(), "subscribing to what the stocks' ticks are in");
        if let Err(error) = source.subscribe(&topics) {
            self.state.fail(&error);
        }
    }
}

impl Handler<BarrierCommitted> for TickConsumer {
    type Result = ();

    fn handle(&mut self, committed: BarrierCommitted, _: &mut Self::Context) {
        if let Some(source) = &mut self.source
            && self.state.barrier_committed(&committed)
        {
            source.commit_async(&committed.partition, committed.resume);
        }
    }
}

impl Handler<RestartPartition> for TickConsumer {
    type Result = ();

    fn handle(&mut self, restart: RestartPartition, _: &mut Self::Context) {
        self.state.restart_asked(restart);
    }
}

impl Handler<DrainStream> for TickConsumer {
    type Result = ();

    fn handle(&mut self, drain: DrainStream, _: &mut Self::Context) {
        debug!(?drain, "draining");
        self.state.drain(drain);
    }
}

impl Handler<CloseSource> for TickConsumer {
    type Result = ();

    fn handle(&mut self, _: CloseSource, _: &mut Self::Context) {
        if let Some(source) = self.source.take()
            && let Err(error) = source.close(CLOSE_PATIENCE)
        {
            warn!(%error, "leaving the consumer behind");
        }
    }
}

#[cfg(test)]
mod tests;
