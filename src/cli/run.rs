//! `stockstream run`: the main job.

use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, System};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::{Common, RunArgs};
use super::console::Console;
use super::live_view::live_feed;
use super::outcome::{Outcome, print};
use super::settings_for_lake;
use crate::actors::coordinator::{
    Coordinator, Finished, Ground, Job, Reload, SettingsFilesChanged, StartError, Stop, first_turn, run_job,
};
use crate::market::symbol::Symbol;
use crate::messages::replay::ReplayedFile;
use crate::run_summary::RunSummary;
use crate::settings::{KafkaMode, Settings, SettingsWatcher, Sources, load};

/// Ended by a second signal.
const INTERRUPTED: i32 = 130;

pub fn run(common: &Common, args: &RunArgs) -> Outcome {
    let sources = common.sources();
    let mut settings = match settings_for_lake(common) {
        Ok(loaded) => loaded.settings,
        Err(outcome) => return outcome,
    };
    if args.until_end && settings.kafka.mode == KafkaMode::Embedded {
        return Outcome::Usage(String::from(
            "--until-end reads a log that exists already, and the embedded broker's begins empty: set kafka.mode = \"cluster\", or use replay",
        ));
    }
    if args.until_end {
        settings.producer.enabled = false;
    }
    let console = Console::new();
    if let Err(reason) = console.log(&settings.log) {
        return Outcome::Usage(reason);
    }
    let until_end = args.until_end;
    let prepare = move |settings: &Settings| {
        let ground = prepare(settings)?;
        let job = if until_end {
            Job::UntilEnd
        } else {
            let (turn, points) = first_turn(&ground, settings)?;
            Job::Run { turn, points }
        };
        Ok((ground, job))
    };
    let end = End { after: args.for_duration, watch: Some(sources) };
    conclude(common, supervise(settings, prepare, &console, end))
}

/// Opens the lake, the broker and the topics of the stocks.
pub fn prepare(settings: &Settings) -> Result<Arc<Ground>, StartError> {
    let ground = Ground::prepare(settings)?;
    let symbols: Vec<Symbol> = settings.symbols().collect();
    ground.ensure_topics(settings, &symbols)?;
    Ok(ground)
}

/// What ends or changes a job from outside, besides signals.
#[derive(Default)]
pub struct End {
    pub after: Option<Duration>,
    /// Settings that may change while it runs.
    pub watch: Option<Sources>,
}

/// Prepares and runs a job under the eyes of the user: signals, changed files, a time limit. Preparing may block, on a thread of its
/// own; a signal meanwhile ends it before it has begun.
///
/// # Errors
/// When it cannot be prepared.
pub fn supervise<P>(settings: Settings, prepare: P, console: &Console, end: End) -> anyhow::Result<Finished>
where
    P: FnOnce(&Settings) -> anyhow::Result<(Arc<Ground>, Job)> + Send + 'static,
{
    let started = std::time::Instant::now();
    let live = live_feed(console);
    let plans = console.clone();
    let reload = end.watch.clone().map(|sources| Reload {
        load: Box::new(move || load(&sources).map(|loaded| loaded.settings)),
        announce: Box::new(move |plan| plans.say(plan)),
    });
    let mut finished = System::new().block_on(async move {
        let mut signals = Signals::listen();
        let wanted = settings.clone();
        let (ground, job) = tokio::select! {
            prepared = tokio::task::spawn_blocking(move || prepare(&wanted)) => prepared??,
            () = signals.next() => return Ok(Finished::before_it_began()),
        };
        let mut watcher = None;
        let on_start = |coordinator: Addr<Coordinator>| {
            actix::spawn(stop_at_signals(signals, coordinator.clone()));
            if let Some(after) = end.after {
                let coordinator = coordinator.clone();
                actix::spawn(async move {
                    tokio::time::sleep(after).await;
                    coordinator.do_send(Stop);
                });
            }
            if let Some(sources) = end.watch {
                let changed = move || coordinator.do_send(SettingsFilesChanged);
                match SettingsWatcher::start(sources.watched_files(), changed) {
                    Ok(started) => watcher = Some(started),
                    Err(error) => tracing::warn!(%error, "settings files are not watched: restart to change stocks"),
                }
            }
        };
        let finished = run_job(ground, settings, job, live, reload, on_start).await;
        drop(watcher);
        anyhow::Ok(finished)
    })?;
    finished.summary = finished.summary.timed(started.elapsed());
    let _cleared = console.bars().clear();
    Ok(finished)
}

/// Ctrl-C and SIGTERM, from the moment it is made.
struct Signals(Option<(Signal, Signal)>);

impl Signals {
    fn listen() -> Self {
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => Self(Some((interrupt, terminate))),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "signals end the process at once");
                Self(None)
            }
        }
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some((interrupt, terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// The first signal stops in order, the second at once.
async fn stop_at_signals(mut signals: Signals, coordinator: Addr<Coordinator>) {
    signals.next().await;
    tracing::info!("draining; a second signal ends at once");
    coordinator.do_send(Stop);
    signals.next().await;
    eprintln!(
        "ended by a second signal; what is committed is right; the rest is read again from a cluster, and gone with the embedded broker"
    );
    std::process::exit(INTERRUPTED);
}

/// One object on one line.
#[derive(Serialize)]
struct Json {
    #[serde(flatten)]
    summary: RunSummary,
    #[serde(flatten)]
    replayed: Option<ReplayedFile>,
}

/// Prints the summary, last on stdout.
pub fn conclude(common: &Common, finished: anyhow::Result<Finished>) -> Outcome {
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => return error.into(),
    };
    let Finished { summary, replayed, failure } = finished;
    if replayed.is_some() && summary.in_bars == 0 && summary.late > 0 {
        eprintln!(
            "note: no tick counted, for the lake has passed the time of the file; give it a lake of its own (--lake)"
        );
    }
    let outcome = failure.map_or(Outcome::Done, Outcome::Failed);
    if common.json {
        return match serde_json::to_string(&Json { summary, replayed }) {
            Ok(json) => print(format_args!("{json}\n"), outcome),
            Err(error) => Outcome::Failed(error.to_string()),
        };
    }
    match replayed {
        Some(file) => print(format_args!("{file}\n{summary}\n"), outcome),
        None => print(format_args!("{summary}\n"), outcome),
    }
}
