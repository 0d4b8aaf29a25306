//! The writers, and which partition's bars each commits.
//!
//! A commit waits for the disk several times and computes little. In a market the windows of all partitions end at the same moment; what several
//! threads wait for then, the file system makes durable at once.

use std::hash::Hasher;

use actix::{Addr, Arbiter};
use rustc_hash::FxHasher;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::stopping::AFTER_FAILURE;
use crate::actors::bar_writer::BarWriter;
use crate::actors::tick_consumer::WriterHandle;
use crate::market::checkpoint::TopicPartition;
use crate::messages::lifecycle::ReportSummary;
use crate::run_summary::{Latencies, Latency, RunSummary};

/// How many there are: as many as a keyed topic has partitions by default. Eight that commit at once were through after 20 ms with four writers
/// instead of 92 with one, on the disk that this was measured on; each has compression buffers of its own.
const COUNT: usize = 8;

/// Cheap to clone; all clones are the same writers.
#[derive(Clone)]
pub struct Writers(Vec<Addr<BarWriter>>);

impl Writers {
    /// Starts each on a thread of its own; the threads are given, too.
    pub fn start(make: impl Fn() -> BarWriter) -> (Self, Vec<Arbiter>) {
        let threads: Vec<_> = std::iter::repeat_with(Arbiter::new).take(COUNT).collect();
        let start = |thread: &Arbiter| {
            let writer = make();
            actix::Actor::start_in_arbiter(&thread.handle(), move |_| writer)
        };
        (Self(threads.iter().map(start).collect()), threads)
    }

    /// The one that commits this partition's bars, in every ownership: so what an owner has still under way is behind it before the next begins.
    pub fn of(&self, partition: &TopicPartition) -> &Addr<BarWriter> {
        let mut hasher = FxHasher::default();
        hasher.write(partition.topic.as_bytes());
        // Neighbours of one topic are evenly spread.
        let at = hasher.finish().wrapping_add(u64::from(partition.partition.unsigned_abs()));
        &self.0[usize::try_from(at % COUNT as u64).expect("a remainder of COUNT is an index")]
    }

    /// The same, as the consumer sees it.
    pub fn handle_of(&self, partition: &TopicPartition) -> WriterHandle {
        let writer = self.of(partition);
        WriterHandle {
            taken: writer.clone().recipient(),
            lost: writer.clone().recipient(),
            barriers: writer.clone().recipient(),
            restarts: writer.clone().recipient(),
        }
    }

    /// Whether all live.
    pub fn connected(&self) -> bool {
        self.0.iter().all(Addr::connected)
    }

    /// What has been committed, as far as they can still tell.
    pub async fn summary(&self) -> RunSummary {
        let deadline = Instant::now() + AFTER_FAILURE;
        let (mut summary, mut latencies) = (RunSummary::default(), Latencies::default());
        for writer in &self.0 {
            if let Ok(Ok(report)) = timeout_at(deadline, writer.send(ReportSummary)).await {
                summary += report.summary;
                latencies.merge(report.latencies);
            }
        }
        summary.latency = latencies.summary();
        if let Some(Latency { median, p99, longest }) = summary.latency {
            info!(median, p99, longest, "seconds that commits took");
        }
        summary
    }
}
