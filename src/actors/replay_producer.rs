//! Publishes a file of ticks, line by line in file order, as the simulated producers do.
//!
//! Lines go out as they stand, also broken ones: what is wrong with a tick is the consumer's to count. But only here it is known in which
//! line it stands, so broken ones are listed too. Has an arbiter of its
//! own, for it reads a file and waits for the broker.

mod bounded_line;

use std::io::BufRead;
use std::time::Duration;

use actix::prelude::*;
use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::{info, warn};

use super::tick_producer::PublishTo;
use crate::kafka::publisher::{Outgoing, PublishRefused};
use crate::kafka::route::Router;
use crate::market::codec::{self, LineContent};
use crate::market::time::EventTime;
use crate::messages::lifecycle::PipelineFailed;
use crate::messages::replay::{MalformedLine, ReplayPublished, ReplayedFile, StopReplay};

pub use bounded_line::read_bounded_line;

/// Lines published before the mailbox is looked at.
const BURST: usize = 4_096;
/// When a line is offered again that the producer or the hold-back refused.
const OFFER_AGAIN: Duration = Duration::from_millis(1);

/// Seconds of event time. No market is closed for a month: a tick so far from where the replay is has a wrong time, or stands behind a hole in the
/// file, and is not waited for. The pace goes on from there.
const LONGEST_GAP: f64 = 30.0 * 86_400.0;

/// How fast lines are published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplayRate {
    /// As fast as back-pressure allows.
    Max,
    /// This many event seconds a wall second.
    TimesRealTime(f64),
}

/// Waits until everything handed over is acknowledged; says what is missing.
pub type FlushAll = Box<dyn Fn() -> Result<(), String> + Send>;

/// Where the replay's records go.
pub struct ReplayOutputs {
    pub publish: PublishTo,
    pub flush: FlushAll,
    pub router: Router,
    pub done: Recipient<ReplayPublished>,
    pub failed: Recipient<PipelineFailed>,
}

pub struct ReplayProducer {
    lines: Box<dyn BufRead + Send>,
    rate: ReplayRate,
    outputs: ReplayOutputs,
    number: u64,
    /// The line that is to be published next, with its end cut off, if it was read already.
    waiting: Option<Vec<u8>>,
    file: ReplayedFile,
    /// Event time of the first tick, and when it was published.
    first: Option<(EventTime, Instant)>,
    stopped: bool,
}

/// Publish the next lines.
#[derive(Message)]
#[rtype(result = "()")]
struct PublishLines;

/// What to do after a burst.
enum After {
    GoOn,
    Pause(Duration),
    EndOfFile,
}

impl ReplayProducer {
    pub fn new(lines: Box<dyn BufRead + Send>, rate: ReplayRate, outputs: ReplayOutputs) -> Self {
        let file = ReplayedFile::default();
        Self { lines, rate, outputs, number: 0, waiting: None, file, first: None, stopped: false }
    }

    fn burst(&mut self) -> Result<After, String> {
        for _ in 0..BURST {
            let line = match self.waiting.take() {
                Some(line) => line,
                None => match self.next_line()? {
                    Some(line) => line,
                    None => return Ok(After::EndOfFile),
                },
            };
            if let Some(early) = self.early_by(&line) {
                self.waiting = Some(line);
                return Ok(After::Pause(early));
            }
            if !self.offer(&line)? {
                self.waiting = Some(line);
                return Ok(After::Pause(OFFER_AGAIN));
            }
            self.file.published += 1;
            if let Err(reason) = codec::decode(&line) {
                self.file.add_malformed(MalformedLine { line: self.number, reason });
            }
        }
        Ok(After::GoOn)
    }

    /// The next line that is to be published, cut to what the broker is to see.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            let mut line = Vec::new();
            let number = self.number;
            let read = read_bounded_line(&mut self.lines, &mut line);
            if !read.map_err(|error| format!("cannot read the file to replay after line {number}: {error}"))? {
                return Ok(None);
            }
            self.number += 1;
            match codec::file_line(&line, self.number).content {
                LineContent::Payload(payload) => return Ok(Some(payload.to_vec())),
                LineContent::Empty | LineContent::Header => self.file.skipped += 1,
            }
        }
    }

    /// How long this line has to wait for its time, at a rate.
    fn early_by(&mut self, line: &[u8]) -> Option<Duration> {
        let ReplayRate::TimesRealTime(speed) = self.rate else { return None };
        let event_time = codec::decode(line).ok()?.event_time;
        let (first, started) = *self.first.get_or_insert_with(|| (event_time, Instant::now()));
        let ahead = (event_time - first).as_secs_f64() - started.elapsed().as_secs_f64() * speed;
        if ahead.abs() > LONGEST_GAP {
            self.first = Some((event_time, Instant::now()));
            return None;
        }
        Duration::try_from_secs_f64(ahead / speed).ok().filter(|early| *early > Duration::from_millis(1))
    }

    fn offer(&self, payload: &[u8]) -> Result<bool, String> {
        let (key, route) = self.outputs.router.route(payload);
        match (self.outputs.publish)(&Outgoing { topic: &route.topic, partition: route.partition, key, payload }) {
            Ok(()) => Ok(true),
            Err(PublishRefused::Full) => Ok(false),
            Err(PublishRefused::Failed(reason)) => Err(format!("line {}: {reason}", self.number)),
        }
    }

    fn end(&mut self) {
        self.stopped = true;
        info!(published = self.file.published, skipped = self.file.skipped, "the file is published");
        let outcome = (self.outputs.flush)();
        self.file.complete = outcome.is_ok();
        self.outputs.done.do_send(ReplayPublished(outcome));
    }
}

impl Actor for ReplayProducer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(PublishLines);
    }
}

impl Handler<PublishLines> for ReplayProducer {
    type Result = ();

    fn handle(&mut self, _: PublishLines, ctx: &mut Self::Context) {
        if self.stopped {
            return;
        }
        match self.burst() {
            // A message to itself would come before anything else on this thread.
            Ok(After::GoOn) => {
                ctx.spawn(yield_now().into_actor(self).map(|(), _, ctx| ctx.address().do_send(PublishLines)));
            }
            Ok(After::Pause(pause)) => {
                ctx.notify_later(PublishLines, pause);
            }
            Ok(After::EndOfFile) => self.end(),
            Err(reason) => {
                self.stopped = true;
                self.outputs.failed.do_send(PipelineFailed(reason));
            }
        }
    }
}

impl Handler<StopReplay> for ReplayProducer {
    type Result = MessageResult<StopReplay>;

    fn handle(&mut self, _: StopReplay, _: &mut Self::Context) -> Self::Result {
        if !self.stopped {
            warn!(published = self.file.published, "stopped before the end of the file");
        }
        self.stopped = true;
        MessageResult(self.file.clone())
    }
}

#[cfg(test)]
mod tests;
