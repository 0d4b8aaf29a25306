//! The one place that wires the actors: who runs where, and who speaks to whom.
//!
//! ```text
//! arbiter   actor             says to
//! consumer  TickConsumer      BarWindow (ticks, barriers), BarWriter (barriers, ownership), Coordinator, LiveFeed (lag)
//! windows   BarWindow ...     BarWriter (answers), LiveFeed (open bars)
//! writers   BarWriter ...     IndicatorEngine (bars, ownership), TickConsumer (commits), Coordinator (restarts)
//! features  IndicatorEngine   BarWriter (features), LiveFeed (features), Coordinator (restarts)
//! main      Coordinator, LiveFeed
//! producers TickProducer ..., or ReplayProducer
//! ```
//!
//! What fails for one partition is told to the coordinator, who passes it on to the consumer: it owns the partitions and takes that one
//! again.
//!
//! Consumer, writers and features wait for network or disk, so each has a thread of its own. Answers go to the address that came
//! with the question; so the pipeline is built from its end to its beginning.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::Coordinator;
use super::ground::{Ground, StartError};
use super::stopping::Stages;
use super::window_thread::WindowThread;
use super::writers::Writers;
use crate::actors::bar_window::BarWindow;
use crate::actors::bar_writer::{BarWriter, ROWS_BEHIND, WriterOutputs};
use crate::actors::indicator_engine::{EngineOutputs, IndicatorEngine};
use crate::actors::live_feed::LiveFeed;
use crate::actors::partition_taker::{PartitionTaker, TakeRules};
use crate::actors::pulse::Pulse;
use crate::actors::tick_consumer::{
    ConsumerOutputs, ConsumerParams, Ends, IdleRule, LetterBox, TickConsumer, held_up_to,
};
use crate::actors::wall_clock::WallClock;
use crate::kafka::client::session_timeout;
use crate::kafka::retention::{LOOK_INTERVAL, RetentionWatch, Seen};
use crate::kafka::source::{ASSIGN_PATIENCE, KafkaSource};
use crate::market::checkpoint::TopicPartition;
use crate::market::symbol::Symbol;
use crate::messages::credit::Credits;
use crate::messages::lifecycle::PipelineFailed;
use crate::messages::live::RetentionMeasured;
use crate::settings::Settings;

/// The running actors between the log and the lake.
pub struct Pipeline {
    pub stages: Stages,
    /// For whoever produces ticks.
    pub producers: Arbiter,
    watched: Vec<Watched>,
    windows: WindowThread,
    others: Vec<Arbiter>,
    _retention: RetentionWatch,
}

/// A thread whose partitions have nobody else: if it is stuck, only another process can go on.
struct Watched {
    what: &'static str,
    pulse: Pulse,
    /// Silence that is none of our own making.
    stuck_after: Duration,
    why: &'static str,
}

/// Starts everything but the producers, from the lake up to the log.
///
/// # Errors
/// When the consumer's client cannot be made.
pub fn spawn_pipeline(
    ground: &Arc<Ground>,
    settings: &Settings,
    live: &Addr<LiveFeed>,
    coordinator: &Addr<Coordinator>,
) -> Result<Pipeline, StartError> {
    let rules = settings.market.rules;
    let on_gap = settings.kafka.on_gap;
    let taker = PartitionTaker::new(ground.lake.clone(), TakeRules { bars: rules, log: ground.log.clone(), on_gap });
    let taker = Arc::new(taker);
    let take = taker.clone();
    let take = Box::new(move |partition: &_, log: &_| take.take(partition, log));
    let source = KafkaSource::connect(&settings.kafka, &ground.bootstrap, take)?;
    let shown: Recipient<RetentionMeasured> = live.clone().recipient();
    let failed: Recipient<PipelineFailed> = coordinator.clone().recipient();
    let report = Box::new(move |seen| match seen {
        Seen::Nearest(nearest) => shown.do_send(RetentionMeasured(nearest)),
        Seen::MadeAnew(topic) => failed.do_send(PipelineFailed(topic.to_string())),
    });
    let retention = RetentionWatch::start(&settings.kafka, &ground.bootstrap, source.needed(), LOOK_INTERVAL, report)?;

    let features = Arbiter::new();
    let (lake, restart) = (ground.lake.clone(), coordinator.clone().recipient());
    let outputs = EngineOutputs { computed: live.clone().recipient(), restart };
    let engine = IndicatorEngine::start_in_arbiter(&features.handle(), move |_| IndicatorEngine::new(lake, outputs));

    let rows_behind = Credits::new(ROWS_BEHIND);
    let (writers, writing) = Writers::start(|| {
        let letters = ground.letters.clone();
        let outputs = WriterOutputs {
            restore: engine.clone().recipient(),
            bars: engine.clone().recipient(),
            lost: engine.clone().recipient(),
            restart: coordinator.clone().recipient(),
        };
        let settled = Box::new(move |partition: &_, cut| letters.settled(partition, cut));
        BarWriter::new(outputs, settled, rows_behind.clone())
    });

    let windows = WindowThread::start();
    let (thread, watched, stuck_after) = (windows.clone(), windows.clone(), settings.supervision.stuck_after);
    let (answering, shown, wall) = (writers.clone(), live.clone().recipient(), WallClock::start());
    let clock = wall.clone();
    let spawn_window = Box::new(move |partition: &TopicPartition, symbol: &Symbol| {
        let answers = answering.of(partition).clone().recipient();
        let (symbol, clock, shown) = (symbol.clone(), clock.clone(), shown.clone());
        thread.spawn(move || BarWindow::new(symbol, rules.window, clock, answers, shown))
    });

    let reading = Arbiter::new();
    let committing = writers.clone();
    let (letters, forgotten) = (ground.letters.clone(), ground.letters.clone());
    let params = ConsumerParams {
        commit_every: settings.lake.commit_every,
        idle: IdleRule {
            timeout: settings.market.idle_timeout,
            speed: if settings.producer.enabled { settings.producer.speed } else { 1.0 },
        },
        wall,
        collect: Box::new(move |partition| taker.collect(partition)),
        writer_of: Box::new(move |partition| committing.handle_of(partition)),
        spawn_window,
        replace_stuck_windows: Box::new(move || watched.replace_if_stuck(stuck_after)),
        after_fencing: session_timeout(&settings.kafka),
        ends: Ends::new(held_up_to(ground.lake.clone())),
        backlog: ground.backlog.clone(),
    };
    let letter_box = LetterBox {
        send: Box::new(move |letter| letters.send(letter)),
        forget: Box::new(move |partition| forgotten.forget(partition)),
    };
    let outputs = ConsumerOutputs {
        drained: coordinator.clone().recipient(),
        failed: coordinator.clone().recipient(),
        lag: live.clone().recipient(),
    };
    let consumer = TickConsumer::start_in_arbiter(&reading.handle(), move |_| {
        TickConsumer::new(Box::new(source), params, letter_box, outputs)
    });

    let watch = |what, thread: &Arbiter, stuck_after, why| {
        let pulse = Pulse::of(thread.handle());
        Watched { what, pulse, stuck_after, why }
    };
    let disk = "the disk of the lake does not answer";
    let mut watched = vec![
        watch(
            "consumer",
            &reading,
            stuck_after + ASSIGN_PATIENCE,
            "neither its broker nor the disk of the lake answers",
        ),
        watch("indicator engine", &features, stuck_after, disk),
    ];
    watched.extend(writing.iter().map(|thread| watch("writer", thread, stuck_after, disk)));
    Ok(Pipeline {
        stages: Stages { consumer, writers, engine },
        producers: Arbiter::new(),
        watched,
        windows,
        others: [reading].into_iter().chain(writing).chain([features]).collect(),
        _retention: retention,
    })
}

impl Pipeline {
    /// Whether all actors live; one that panicked is gone, and what is sent to it is lost in silence.
    pub fn dead_actor(&self) -> Option<&'static str> {
        let alive = [
            ("TickConsumer", self.stages.consumer.connected()),
            ("BarWriter", self.stages.writers.connected()),
            ("IndicatorEngine", self.stages.engine.connected()),
        ];
        alive.into_iter().find(|(_, connected)| !connected).map(|(name, _)| name)
    }

    /// Why the process cannot go on, if a thread has been silent for too long. To be called several times a second.
    pub fn stuck_thread(&mut self) -> Option<String> {
        self.watched.iter_mut().find_map(|Watched { what, pulse, stuck_after, why }| {
            let silent = pulse.silent_for();
            let reason = || format!("the {what} has been stuck for {silent:.0?}: {why}; what is committed is right");
            (silent >= *stuck_after).then(reason)
        })
    }

    /// Stops the threads and waits for each.
    pub fn join(self) {
        for arbiter in std::iter::once(self.producers).chain(self.others) {
            arbiter.stop();
            // A thread that panicked has said so already.
            let _panicked = arbiter.join();
        }
        self.windows.join();
    }
}
