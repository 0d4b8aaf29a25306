//! Partitions that failed: dropped at once, taken again after a while. The others are read on meanwhile.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::owned::OwnedPartition;
use super::state::ConsumerState;
use crate::kafka::source::RecordSource;
use crate::market::checkpoint::TopicPartition;
use crate::messages::lifecycle::PipelineFailed;
use crate::messages::ownership::{PartitionRestarts, RestartPartition};
use crate::supervision::{OverBudget, Rest, RestartBudget, RestartReason};

/// Looks whether the windows' thread is stuck. If so, the next windows come on a fresh one; returns for how long the old one was silent.
pub type ReplaceStuckWindows = Box<dyn FnMut() -> Option<Duration> + Send>;

/// Between two looks at the windows.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// On which thread the windows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    AsBefore,
    OnFreshThread,
}

pub struct Restarts {
    budget: RestartBudget,
    /// Dropped in this slice; the source does not know yet.
    dropped: Vec<(TopicPartition, RestartReason)>,
    /// Held by the source until then.
    waiting: Vec<(TopicPartition, Instant)>,
    rest: Rest,
    look_due: Instant,
}

impl Restarts {
    pub fn new(after_fencing: Duration) -> Self {
        Self {
            budget: RestartBudget::new(after_fencing),
            dropped: Vec::new(),
            waiting: Vec::new(),
            rest: Rest::default(),
            look_due: Instant::now(),
        }
    }

    /// The group has given the partition anew, or to somebody else.
    pub fn forget(&mut self, partition: &TopicPartition) {
        self.dropped.retain(|(of, _)| of != partition);
        self.waiting.retain(|(of, _)| of != partition);
    }
}

impl ConsumerState {
    /// What others found out about an owner that is still the present one.
    pub fn restart_asked(&mut self, restart: RestartPartition) {
        let RestartPartition { partition, epoch, reason } = restart;
        match self.owned.iter().find(|owned| owned.partition == partition).map(|owned| owned.epoch) {
            // After a drain nothing is left to be read; what is missing behind the commits is made at the next start.
            Some(present) if present == epoch && !self.drained => self.restart(&partition, reason),
            // An owner of before; the group was faster to say so, or it was ourselves who fenced it.
            _ => {}
        }
    }

    /// Drops a partition now; it is taken again when its time has come.
    pub fn restart(&mut self, partition: &TopicPartition, reason: RestartReason) {
        self.restart_each([(partition.clone(), reason)]);
    }

    pub fn restart_each(&mut self, failed: impl IntoIterator<Item = (TopicPartition, RestartReason)>) {
        for (partition, reason) in failed {
            self.lose(&partition);
            self.restarts.forget(&partition);
            self.restarts.dropped.push((partition, reason));
        }
    }

    /// Between two slices: looks at the windows, and takes again what is due.
    pub fn supervise(&mut self, source: &mut dyn RecordSource) -> Windows {
        let now = Instant::now();
        let mut windows = Windows::AsBefore;
        if now >= self.restarts.look_due {
            self.restarts.look_due = now + LOOK_INTERVAL;
            windows = self.look_at_windows(source, now);
        }
        for (partition, reason) in std::mem::take(&mut self.restarts.dropped) {
            match self.restarts.budget.spend(&partition, &reason, now.into_std()) {
                Ok(()) => self.restart_later(source, partition, &reason, now),
                Err(over) => self.give_up(source, &over),
            }
        }
        // One, and then the others are read for a while: a dead broker lets each of its partitions wait for seconds.
        if let Some(partition) = self.due(now) {
            match source.restart(&partition) {
                Ok(()) => self.take(&partition),
                Err(error) => {
                    if let Some(reason) = error.may_be_taken_again() {
                        self.restarts.rest.after(&reason, now.into_std(), Instant::now().into_std());
                    }
                    self.failed(&error);
                }
            }
        }
        windows
    }

    fn look_at_windows(&mut self, source: &mut dyn RecordSource, now: Instant) -> Windows {
        let dead = |owned: &OwnedPartition| {
            let symbol = owned.dead_window()?;
            let reason = format!("in the window of {symbol}; the log above says where");
            Some((owned.partition.clone(), RestartReason::Panic(reason)))
        };
        let dead: Vec<_> = self.owned.iter().filter_map(dead).collect();
        self.restart_each(dead);
        let Some(silent) = (self.params.replace_stuck_windows)() else { return Windows::AsBefore };
        let reason = RestartReason::Stuck(format!("the windows have not answered for {silent:.0?}"));
        let partitions: Vec<_> = self.owned.iter().map(|owned| owned.partition.clone()).collect();
        // One thread, one failure, however many partitions have their windows there.
        let spent = partitions.first().map(|first| self.restarts.budget.spend(first, &reason, now.into_std()));
        if let Some(Err(over)) = spent {
            self.give_up(source, &over);
            return Windows::OnFreshThread;
        }
        for partition in partitions {
            self.lose(&partition);
            self.restart_later(source, partition, &reason, now);
        }
        Windows::OnFreshThread
    }

    fn restart_later(
        &mut self,
        source: &mut dyn RecordSource,
        partition: TopicPartition,
        reason: &RestartReason,
        now: Instant,
    ) {
        source.hold(&partition);
        let wait = self.restarts.budget.wait_of(&partition, reason, now.into_std());
        match reason {
            RestartReason::Fenced => info!(%partition, "taken back if the group still leaves it here in {wait:?}"),
            _ => warn!(%partition, %reason, "the partition restarts from its checkpoint in {wait:?}; the others go on"),
        }
        if reason.counts() {
            (self.params.writer_of)(&partition).restarts.do_send(PartitionRestarts);
        }
        self.restarts.waiting.push((partition, now + wait));
    }

    fn give_up(&mut self, source: &mut dyn RecordSource, over: &OverBudget) {
        source.hold(&over.partition);
        self.outputs.failed.do_send(PipelineFailed(over.to_string()));
    }

    fn due(&mut self, now: Instant) -> Option<TopicPartition> {
        if !self.restarts.rest.is_over(now.into_std()) {
            return None;
        }
        let waiting = &mut self.restarts.waiting;
        let at = waiting.iter().position(|(_, due)| *due <= now)?;
        Some(waiting.remove(at).0)
    }
}
