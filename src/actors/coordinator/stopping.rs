//! The order in which everything stops, each step acknowledged before the next.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::ground::Ground;
use super::writers::Writers;
use crate::actors::indicator_engine::IndicatorEngine;
use crate::actors::replay_producer::ReplayProducer;
use crate::actors::tick_consumer::TickConsumer;
use crate::messages::lifecycle::{CloseSource, DrainStream, SaveIndicators};
use crate::messages::replay::{ReplayedFile, StopReplay};
use crate::run_summary::RunSummary;

/// How long the last questions may take when something has failed already.
pub const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// The actors that take part in a stop.
#[derive(Clone)]
pub struct Stages {
    pub consumer: Addr<TickConsumer>,
    pub writers: Writers,
    pub engine: Addr<IndicatorEngine>,
}

impl Stages {
    /// Drains the stream, saves the indicators, closes the source. `drained` tells when the consumer has committed everything;
    /// `drain` is `None` when it was told already.
    pub async fn stop(
        self,
        drain: Option<DrainStream>,
        drained: oneshot::Receiver<()>,
        within: Duration,
    ) -> Result<RunSummary, (RunSummary, String)> {
        let deadline = Instant::now() + within;
        if let Some(drain) = drain {
            self.consumer.do_send(drain);
        }
        let late = |step: &str| {
            format!(
                "{step} did not end within {within:?}; what is committed is right; the rest is read again from a cluster, and gone with the embedded broker"
            )
        };
        if timeout_at(deadline, drained).await.is_err() {
            return Err((self.writers.summary().await, late("the drain")));
        }
        match timeout_at(deadline, self.engine.send(SaveIndicators)).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(reason))) => return Err((self.writers.summary().await, reason)),
            Ok(Err(gone)) => {
                return Err((self.writers.summary().await, format!("the indicator engine is gone: {gone}")));
            }
            Err(_) => return Err((self.writers.summary().await, late("saving the indicators"))),
        }
        let summary = self.writers.summary().await;
        if timeout_at(deadline, self.consumer.send(CloseSource)).await.is_err() {
            warn!("the consumer takes long to leave its group; not waiting for it");
        }
        info!("drained");
        Ok(summary)
    }
}

/// Publishes no more of a file, and asks how far it came; `None` without a file, or when there is no answer in time.
pub async fn stop_replay(replay: Option<Addr<ReplayProducer>>, within: Duration) -> Option<ReplayedFile> {
    tokio::time::timeout(within, replay?.send(StopReplay)).await.ok()?.ok()
}

/// What became of the published ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Every one is acknowledged.
    All,
    /// Some may still go out, or never.
    NotAll,
}

/// Waits, off the actors' threads, until every published tick is acknowledged.
pub async fn flush(ground: std::sync::Arc<Ground>, within: Duration) -> Flushed {
    match off_thread(move || ground.publisher.flush(within)).await {
        Ok(()) => Flushed::All,
        Err(error) => {
            warn!(%error, "not every published tick is acknowledged");
            Flushed::NotAll
        }
    }
}

/// Runs what blocks on a thread for it.
pub async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
