//! `stockstream run`: the main job.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix::{Addr, System};
use anyhow::Context;
use serde::Serialize;
use tokio::sync::oneshot;

use super::args::{Common, RunArgs};
use super::console::Console;
use super::live_view::live_feed;
use super::outcome::{Outcome, print};
use super::settings_for_lake;
use super::signals::{self, FirstSignal};
use super::terminal;
use crate::actors::coordinator::{
    Coordinator, Finished, Ground, Job, Reload, SettingsFilesChanged, StartError, Stop, first_turn, run_job,
};
use crate::market::symbol::Symbol;
use crate::messages::replay::ReplayedFile;
use crate::run_summary::RunSummary;
use crate::settings::{KafkaMode, Settings, SettingsWatcher, Sources, load};

/// A job that can begin.
pub struct Prepared {
    pub settings: Settings,
    pub ground: Arc<Ground>,
    pub job: Job,
}

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
    let prepare = move |settings: Settings| {
        let ground = prepare(&settings)?;
        let job = if until_end {
            Job::UntilEnd
        } else {
            let (turn, points) = first_turn(&ground, &settings)?;
            Job::Run { turn, points }
        };
        Ok(Prepared { settings, ground, job })
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

/// Prepares and runs a job under the eyes of the user: signals, changed files, a time limit. Preparing may block; a signal meanwhile
/// ends it before it has begun.
///
/// # Errors
/// When it cannot be prepared.
pub fn supervise<P>(settings: Settings, prepare: P, console: &Console, end: End) -> anyhow::Result<Finished>
where
    P: FnOnce(Settings) -> anyhow::Result<Prepared> + Send + 'static,
{
    let mut first_signal = signals::listen();
    let started = std::time::Instant::now();
    let live = live_feed(console);
    let plans = console.clone();
    let reload = end.watch.clone().map(|sources| Reload {
        load: Box::new(move || load(&sources).map(|loaded| loaded.settings)),
        announce: Box::new(move |plan| plans.say(plan)),
    });
    let mut finished = System::new().block_on(async move {
        let Some(prepared) = prepared(settings, prepare, &mut first_signal).await? else {
            return Ok(Finished::before_it_began());
        };
        let Prepared { settings, ground, job } = prepared;
        let mut watcher = None;
        let on_start = |coordinator: Addr<Coordinator>| {
            actix::spawn(stop_at_signal(first_signal, coordinator.clone()));
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

/// Prepares on a thread of its own, for that may block for as long as a disk, a broker or a pipe wants. A signal ends the wait; the
/// thread ends with the process then, which is as right as a kill.
async fn prepared<P>(settings: Settings, prepare: P, first_signal: &mut FirstSignal) -> anyhow::Result<Option<Prepared>>
where
    P: FnOnce(Settings) -> anyhow::Result<Prepared> + Send + 'static,
{
    let (done, ended) = oneshot::channel();
    // What nobody waits for any more is dropped with the process.
    thread::Builder::new().name(String::from("prepare")).spawn(move || drop(done.send(prepare(settings))))?;
    tokio::select! {
        prepared = ended => prepared.context("the preparation panicked")?.map(Some),
        () = first_signal.come() => Ok(None),
    }
}

/// The second signal is not for us: it ends the process.
async fn stop_at_signal(mut first_signal: FirstSignal, coordinator: Addr<Coordinator>) {
    first_signal.come().await;
    tracing::info!("draining; a second signal ends at once");
    coordinator.do_send(Stop);
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
    if replayed.as_ref().is_some_and(|file| file.complete && file.published > 0) && summary.in_bars == 0 {
        let why = match summary {
            RunSummary { late: 1.., .. } => {
                "the lake has passed the time of the file: give it a lake of its own (--lake)"
            }
            RunSummary { future: 1.., .. } => "the file is of a time to come",
            RunSummary { unknown: 1.., .. } => "none of its stocks was asked for: look at --symbols",
            _ => "none is well-formed",
        };
        terminal::write(format!("note: no tick counted; {why}\n").as_bytes());
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
