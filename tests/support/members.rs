//! Several programs in one group, on one lake.

use std::time::Duration;

use super::flow::Flow;
use super::program::{PATIENCE, Running, Summary};

/// Both ways of giving out partitions: all taken back at each change of the group, or only what moves.
pub const STRATEGIES: [&str; 2] = ["range", "cooperative-sticky"];

/// A flow whose members share partitions by this strategy; commits are frequent.
pub fn flow_with(strategy: &str, keyed: bool, more: &str) -> Flow {
    let properties = format!("\"partition.assignment.strategy\" = \"{strategy}\"\n");
    Flow::on(super::cluster::Cluster::start(), keyed, &format!("{properties}[lake]\ncommit_every = 300\n{more}"))
}

/// How many partitions a running program has now, by what it says.
pub fn owned(running: &Running) -> usize {
    let stderr = running.stderr();
    let said = |text: &str| stderr.lines().filter(|line| line.contains(text)).count();
    said("partition taken").saturating_sub(said("partition lost"))
}

/// Waits until every partition has an owner, and none has more than its share.
#[track_caller]
pub fn until_shared(members: &mut [Running], partitions: usize) {
    let most = partitions.div_ceil(members.len());
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let shares: Vec<usize> = members.iter().map(owned).collect();
        if shares.iter().sum::<usize>() == partitions && shares.iter().all(|share| *share <= most) {
            return;
        }
        let says = || members.iter().map(Running::stderr).collect::<Vec<_>>().join("\n--\n");
        assert!(std::time::Instant::now() < deadline, "{partitions} partitions are shared as {shares:?}:\n{}", says());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What several programs did together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Together {
    /// Each record once, whoever counted it.
    pub read: i64,
    pub in_bars: u64,
    pub open: i64,
    pub dropped: [u64; 4],
    pub bars: u64,
}

impl Together {
    pub fn of<'s>(summaries: impl IntoIterator<Item = &'s Summary>) -> Self {
        summaries.into_iter().fold(Self::default(), |sum, summary| {
            let mut dropped = sum.dropped;
            dropped.iter_mut().zip(summary.dropped()).for_each(|(sum, more)| *sum += more);
            Self {
                read: sum.read + summary.read as i64 - summary.skipped_replayed as i64,
                in_bars: sum.in_bars + summary.in_bars,
                open: sum.open + summary.open,
                dropped,
                bars: sum.bars + summary.bars,
            }
        })
    }
}
