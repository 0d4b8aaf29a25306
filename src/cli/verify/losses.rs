//! What the lake says of itself that it has lost, for good or until it is made again.

use std::path::Path;

use super::Findings;
use super::remedy::Remedy;
use crate::market::checkpoint::{Checkpoint, CommitNumber, TopicPartition};
use crate::market::lost_commits::LostCommits;
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;
use crate::storage::layout;

/// Tells what the newest checkpoint of a partition lists as lost. No repair ends that: the bars were there once.
pub fn tell(root: &Path, partition: &TopicPartition, newest: &Checkpoint, findings: &mut Findings) {
    for lost in told(newest) {
        let path = root.join(layout::quarantined(partition, lost.last));
        let which = match (lost.first, lost.last) {
            (first, last) if first == last => format!("commit {last} of partition {partition} was"),
            (first, last) => format!("commits from {first} to {last} of partition {partition} were"),
        };
        let (problem, remedy) = match lost.until {
            None => (
                format!(
                    "{which} unreadable, and the log has ended or lost its ticks; lost with that, but for what the rest of the log gave again: {lost}"
                ),
                Remedy::Restore,
            ),
            Some(_) => (
                format!("{which} unreadable, and not all is made again yet from the log with its ticks: {lost}"),
                Remedy::WaitOrRestore,
            ),
        };
        // the file may be gone by now, its loss is not
        findings.of_row(&path, problem, oldest_bar(lost).as_ref(), remedy);
    }
}

/// The oldest bar, where all are of one stock.
fn oldest_bar(lost: &LostCommits) -> Option<(Symbol, EventTime)> {
    let bars = lost.bars.as_ref().filter(|bars| bars.stocks.len() == 1 && bars.more_stocks == 0)?;
    Some((bars.stocks.first()?.clone(), bars.oldest))
}

/// Whether a chain's newest checkpoint tells of this commit: then what was put aside may be all that is left of its bars.
pub fn is_told(newest: Option<&Checkpoint>, number: CommitNumber) -> bool {
    newest.is_some_and(|newest| told(newest).any(|lost| lost.covers(number)))
}

/// What is lost, or not made again yet.
fn told(newest: &Checkpoint) -> impl Iterator<Item = &LostCommits> {
    newest.lost.iter().filter(|lost| !lost.are_made_again(newest))
}
