//! A job from its start to its end, as the command line sees it.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::ground::Ground;
use super::reload::Reload;
use super::start_points::StartPoint;
use super::stopping::off_thread;
use super::turn::Turn;
use super::wiring::Pipeline;
use super::{Coordinator, Stage};
use crate::actors::live_feed::LiveFeed;
use crate::actors::replay_producer::ReplayRate;
use crate::market::symbol::Symbol;
use crate::messages::replay::ReplayedFile;
use crate::run_summary::RunSummary;
use crate::settings::Settings;

/// What this process is started for.
pub enum Job {
    /// Simulate while it is this process's turn, from these points, and consume until told to stop.
    Run { turn: Turn, points: BTreeMap<Symbol, StartPoint> },
    /// Consume to the end that every partition has at the start, then stop.
    UntilEnd,
    /// Publish these lines, consume them, close all windows, then stop.
    Replay { lines: Box<dyn BufRead + Send>, rate: ReplayRate },
}

/// How it ended.
#[derive(Debug)]
pub struct Finished {
    pub summary: RunSummary,
    /// Of a replay: what was published, if its producer could still tell.
    pub replayed: Option<ReplayedFile>,
    /// Why it did not end well.
    pub failure: Option<String>,
}

impl Finished {
    /// Stopped before anything was started.
    pub fn before_it_began() -> Self {
        Self { summary: RunSummary::default(), replayed: None, failure: None }
    }

    /// Failed before anything was done, or so that nobody can tell what was.
    pub(super) fn failed(reason: String) -> Self {
        Self { failure: Some(reason), ..Self::before_it_began() }
    }
}

/// What the coordinator hands over when it is done; the threads are for the receiver to join.
pub(super) type Ending = (Finished, Option<Pipeline>);

/// Runs a job to its end. `on_start` is given the coordinator's address, to stop it or to tell it of changed settings. What fails is
/// in [`Finished::failure`].
pub async fn run_job(
    ground: Arc<Ground>,
    settings: Settings,
    job: Job,
    live: LiveFeed,
    reload: Option<Reload>,
    on_start: impl FnOnce(Addr<Coordinator>),
) -> Finished {
    let (finish, finished) = oneshot::channel();
    let (drained, when_drained) = oneshot::channel();
    let coordinator = Coordinator {
        ground,
        settings,
        live: live.start(),
        job: Some(job),
        reload,
        pipeline: None,
        turn: Turn::Never,
        producers: None,
        replay: None,
        stage: Stage::Running,
        drained: (Some(drained), Some(when_drained)),
        finish: Some(finish),
    };
    on_start(coordinator.start());
    match finished.await {
        Ok((finished, pipeline)) => {
            // After a failure a thread may hang in a call that never returns: the process ends without it.
            match pipeline {
                Some(pipeline) if finished.failure.is_none() => off_thread(move || pipeline.join()).await,
                _ => {}
            }
            finished
        }
        Err(_) => Finished::failed(String::from("the coordinator died; this is a defect, the log above says where")),
    }
}
