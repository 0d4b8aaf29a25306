//! Starts, watches, changes and stops everything else.

mod ground;
mod job;
mod producers;
mod reload;
mod start_points;
mod stopping;
mod turn;
mod window_thread;
mod wiring;
mod writers;

use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::live_feed::LiveFeed;
use super::replay_producer::{ReplayOutputs, ReplayProducer, ReplayRate};
use crate::kafka::publisher::Publish;
use crate::kafka::route::{Router, partition_of};
use crate::market::symbol::Symbol;
use crate::messages::lifecycle::{DrainStream, Drained, OpenWindows, PipelineFailed, ReadUntil};
use crate::messages::live::ShowStocks;
use crate::messages::ownership::RestartPartition;
use crate::messages::replay::ReplayPublished;
use crate::messages::stocks::FollowStocks;
use crate::settings::{KafkaMode, Settings};

pub use ground::{Ground, StartError, bounds_on_cluster, refuse_other_members};
use job::Ending;
pub use job::{Finished, Job, run_job};
use producers::Producers;
pub use reload::{Reload, SettingsFilesChanged};
pub use start_points::StartPoint;
use stopping::{AFTER_FAILURE, flush, stop_replay};
pub use turn::{Turn, first_turn};
use wiring::{Pipeline, spawn_pipeline};

/// How often to look whether all actors live.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// Stop as at Ctrl-C. A second one is up to the caller.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

pub struct Coordinator {
    ground: Arc<Ground>,
    settings: Settings,
    live: Addr<LiveFeed>,
    job: Option<Job>,
    reload: Option<Reload>,
    pipeline: Option<Pipeline>,
    turn: Turn,
    /// Running, while it is this process's turn.
    producers: Option<Producers>,
    replay: Option<Addr<ReplayProducer>>,
    stage: Stage,
    drained: (Option<oneshot::Sender<()>>, Option<oneshot::Receiver<()>>),
    finish: Option<oneshot::Sender<Ending>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    Stopping,
}

impl Coordinator {
    fn begin(&mut self, ctx: &mut Context<Self>) -> Result<(), StartError> {
        let pipeline = spawn_pipeline(&self.ground, &self.settings, &self.live, &ctx.address())?;
        let mut until_end = None;
        match self.job.take() {
            Some(Job::Run { turn, points }) => self.begin_turn(turn, &points, pipeline.producers.handle(), ctx),
            Some(Job::UntilEnd) => {
                until_end = Some(DrainStream { open_windows: OpenWindows::Keep, read: ReadUntil::End })
            }
            Some(Job::Replay { lines, rate }) => self.start_replay(&pipeline, lines, rate, ctx),
            None => {}
        }
        // The consumer must know what to read before it is told to read it to the end.
        let consumer = pipeline.stages.consumer.clone();
        self.pipeline = Some(pipeline);
        self.tell_stocks();
        if let Some(drain) = until_end {
            consumer.do_send(drain);
        }
        Ok(())
    }

    fn start_replay(
        &mut self,
        pipeline: &Pipeline,
        lines: Box<dyn BufRead + Send>,
        rate: ReplayRate,
        ctx: &mut Context<Self>,
    ) {
        let symbols: Vec<Symbol> = self.settings.symbols().collect();
        let Some(router) = Router::new(&self.settings.kafka, &symbols) else { return };
        let (publisher, flusher) = (self.ground.publisher.clone(), self.ground.publisher.clone());
        let within = self.settings.supervision.drain_timeout;
        let outputs = ReplayOutputs {
            publish: Box::new(move |record| publisher.publish(record)),
            flush: Box::new(move || flusher.flush(within).map_err(|error| error.to_string())),
            router,
            done: ctx.address().recipient(),
            failed: ctx.address().recipient(),
        };
        let address = ReplayProducer::start_in_arbiter(&pipeline.producers.handle(), move |_| {
            ReplayProducer::new(lines, rate, outputs)
        });
        self.replay = Some(address);
    }

    /// The stocks of the settings, and which partitions are fed.
    fn stocks(&self) -> FollowStocks {
        let partition = |symbol: &Symbol| partition_of(&self.settings.kafka, symbol);
        let stocks: Vec<_> =
            self.settings.stocks.iter().map(|stock| (stock.symbol.clone(), partition(&stock.symbol))).collect();
        let fed = match (&self.turn, &self.replay) {
            // By this process, or by the one whose turn it is: if that one is stopped, its stocks stand still, and go on later.
            (Turn::Ours(_) | Turn::Waiting, _) => {
                let simulated = self.settings.stocks.iter().filter(|stock| stock.enabled);
                simulated.map(|stock| partition(&stock.symbol)).collect()
            }
            (Turn::Never, Some(_)) => stocks.iter().map(|(_, partition)| partition.clone()).collect(),
            (Turn::Never, None) => Default::default(),
        };
        FollowStocks { stocks, fed }
    }

    /// Tells who reads and who shows which stocks there are.
    fn tell_stocks(&self) {
        if let Some(pipeline) = &self.pipeline {
            pipeline.stages.consumer.do_send(self.stocks());
        }
        self.live.do_send(ShowStocks(self.settings.symbols().collect()));
    }

    /// How a stop treats what is still in the log and in open windows.
    fn last_drain(&self) -> DrainStream {
        match (self.settings.kafka.mode, &self.replay) {
            (KafkaMode::Cluster, None) => DrainStream { open_windows: OpenWindows::Keep, read: ReadUntil::Here },
            _ => DrainStream { open_windows: OpenWindows::Close, read: ReadUntil::End },
        }
    }

    /// The same before the job is done. The windows of a file that are open now would stay half if they were closed; replayed again from its
    /// beginning, it gives them anew and whole, unless the log keeps what it has of them.
    fn early_drain(&self) -> DrainStream {
        if self.replay.is_none() {
            return self.last_drain();
        }
        match self.settings.kafka.mode {
            KafkaMode::Embedded => info!("windows that are still open get no bar; replay the file again to go on"),
            KafkaMode::Cluster => warn!(
                "windows that are still open get no bar, and their ticks stay in the topics: replayed into them again, the file would have \
                 these ticks twice; give it other topics, another group and another lake"
            ),
        }
        DrainStream { open_windows: OpenWindows::Keep, ..self.last_drain() }
    }

    /// Stops in order: producers, then the stream, then the rest.
    fn stop(&mut self, drain: Option<DrainStream>, ctx: &mut Context<Self>) {
        let (Stage::Running, Some(pipeline)) = (self.stage, &self.pipeline) else { return };
        self.stage = Stage::Stopping;
        info!("stopping");
        let stages = pipeline.stages.clone();
        let stopping = self.producers.as_mut().map(|producers| producers.stop(None));
        let turn = std::mem::replace(&mut self.turn, Turn::Never);
        let replay = self.replay.clone();
        let (ground, within) = (self.ground.clone(), self.settings.supervision.drain_timeout);
        let Some(drained) = self.drained.1.take() else { return };
        let stop = async move {
            if let Some(stopping) = stopping {
                stopping.wait().await;
            }
            let replayed = stop_replay(replay, within).await;
            turn.hand_over(flush(ground, within).await);
            (replayed, stages.stop(drain, drained, within).await)
        };
        ctx.spawn(stop.into_actor(self).map(|(replayed, outcome), coordinator, _| {
            let (summary, failure) = match outcome {
                Ok(summary) => (summary, None),
                Err((summary, reason)) => (summary, Some(reason)),
            };
            coordinator.finish(Finished { summary, replayed, failure });
        }));
    }

    fn finish(&mut self, finished: Finished) {
        if let Some(finish) = self.finish.take() {
            // The receiver is only gone if the process ends anyway.
            let _ending = finish.send((finished, self.pipeline.take()));
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let Some(pipeline) = &mut self.pipeline else { return };
        if let Some(dead) = pipeline.dead_actor() {
            let reason = format!("the actor {dead} died; this is a defect, the log above says where");
            ctx.notify(PipelineFailed(reason));
        }
        if let Some(reason) = pipeline.stuck_thread() {
            ctx.notify(PipelineFailed(reason));
        }
    }
}

impl Actor for Coordinator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.begin(ctx) {
            Ok(()) => {
                ctx.run_interval(HEARTBEAT, |coordinator, ctx| coordinator.look(ctx));
            }
            Err(error) => self.finish(Finished::failed(error.to_string())),
        }
    }
}

impl Handler<Stop> for Coordinator {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.stop(Some(self.early_drain()), ctx);
    }
}

impl Handler<ReplayPublished> for Coordinator {
    type Result = ();

    fn handle(&mut self, ReplayPublished(outcome): ReplayPublished, ctx: &mut Self::Context) {
        match outcome {
            Ok(()) => self.stop(Some(self.last_drain()), ctx),
            Err(reason) => ctx.notify(PipelineFailed(reason)),
        }
    }
}

impl Handler<Drained> for Coordinator {
    type Result = ();

    fn handle(&mut self, _: Drained, ctx: &mut Self::Context) {
        if let Some(drained) = self.drained.0.take() {
            // Nobody waits yet when the job was to read until the end: that is a stop of its own.
            let _told = drained.send(());
        }
        self.stop(None, ctx);
    }
}

impl Handler<RestartPartition> for Coordinator {
    type Result = ();

    fn handle(&mut self, restart: RestartPartition, _: &mut Self::Context) {
        if let Some(pipeline) = &self.pipeline {
            pipeline.stages.consumer.do_send(restart);
        }
    }
}

impl Handler<PipelineFailed> for Coordinator {
    type Result = ();

    fn handle(&mut self, PipelineFailed(reason): PipelineFailed, ctx: &mut Self::Context) {
        if self.finish.is_none() {
            return;
        }
        error!(reason, "cannot go on");
        let Some(pipeline) = &self.pipeline else { return self.finish(Finished::failed(reason)) };
        let (stages, replay) = (pipeline.stages.clone(), self.replay.clone());
        let last = async move {
            let replayed = stop_replay(replay, AFTER_FAILURE).await;
            (replayed, stages.writers.summary().await)
        };
        ctx.spawn(last.into_actor(self).map(|(replayed, summary), coordinator, _| {
            coordinator.finish(Finished { summary, replayed, failure: Some(reason) });
        }));
    }
}
