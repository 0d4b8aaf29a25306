//! What the lake says of itself that it has lost for good.

use std::path::Path;

use super::Findings;
use super::remedy::Remedy;
use crate::market::checkpoint::{Checkpoint, CommitNumber, TopicPartition};
use crate::market::lost_commits::LostCommits;
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;
use crate::storage::layout;

/// Tells what the newest checkpoint of a partition lists as lost. No repair ends that: the bars were there once.
pub fn tell(root: &Path, partition: &TopicPartition, losses: &[LostCommits], findings: &mut Findings) {
    for lost in losses {
        let path = root.join(layout::quarantined(partition, lost.last));
        let which = match (lost.first, lost.last) {
            (first, last) if first == last => format!("commit {last} of partition {partition} was"),
            (first, last) => format!("commits from {first} to {last} of partition {partition} were"),
        };
        let problem = format!("{which} unreadable at a start, when the log had ended; lost with that: {lost}");
        // the file may be gone by now, its loss is not
        findings.of_row(&path, problem, oldest_bar(lost).as_ref(), Remedy::Restore);
    }
}

/// The oldest bar, where all are of one stock.
fn oldest_bar(lost: &LostCommits) -> Option<(Symbol, EventTime)> {
    let bars = lost.bars.as_ref().filter(|bars| bars.stocks.len() == 1)?;
    Some((bars.stocks.first()?.clone(), bars.oldest))
}

/// Whether a chain's newest checkpoint tells of this commit as lost.
pub fn is_lost(newest: Option<&Checkpoint>, number: CommitNumber) -> bool {
    newest.is_some_and(|newest| newest.lost.iter().any(|lost| lost.covers(number)))
}
