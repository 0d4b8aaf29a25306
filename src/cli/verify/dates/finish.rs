//! What the walk can only say when it knows more than one file: sums over a partition, and the chains against all of it.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::super::chains::{self, Aside, ChainSeen, published};
use super::super::held::{Held, Witness};
use super::super::history::{BarsLost, Sums};
use super::super::remedy::Remedy;
use super::super::report::Report;
use super::{Learnt, NO_FEATURES, Walk, Walked};
use crate::market::checkpoint::{CommitNumber, TopicPartition};
use crate::storage::layout::{self, EntryName};
use crate::storage::{BarsFile, Dataset, StorageError};

impl Walk<'_> {
    pub(super) fn tell_sums(&mut self, path: &Path, sums: Sums, learnt: &mut Learnt) -> Result<(), StorageError> {
        for lost in sums.bars_lost {
            self.tell_lost(&lost, learnt);
        }
        for BarsLost { file, held } in sums.strays {
            let path = self.path(&file, Dataset::Features);
            let (problem, remedy) = match self.features_are_spare(&file)? {
                true => ("has no bars file beside it in bars/, and no checkpoint counts any", Remedy::Repair),
                // Somebody may have removed the newest commit, and forgotten these.
                false => (
                    "has rows of which there are no bars: a newer commit than the chain has is gone, or it is of another lake",
                    Remedy::RestoreOrReplay,
                ),
            };
            learnt.findings.of_row(&path, problem, held.as_ref().map(Held::first), remedy);
            if let (Some(repairs), Remedy::Repair) = (&mut self.repairs, remedy) {
                self.lake.remove_features(&file)?;
                repairs.did(&path, "removed: there are no bars that it belongs to");
            }
        }
        for problem in sums.problems {
            learnt.findings.of_file(path, problem, Remedy::RestoreOrReplay);
        }
        Ok(())
    }

    /// Bars are gone of which there are features.
    fn tell_lost(&self, BarsLost { file, held }: &BarsLost, learnt: &mut Learnt) {
        let path = self.path(file, Dataset::Bars);
        let is_held = self.held_by_chain(file, Witness::Entry).is_some();
        // the look at the chain has said so
        if is_held && learnt.findings.are_about(&path) {
            return;
        }
        let remedy = if is_held { Remedy::Repair } else { Remedy::RestoreOrReplay };
        learnt.findings.of_held(&path, "is missing", held.as_ref(), remedy);
    }

    /// The rows of a file as the chain holds them; `None` also when it has let go of them.
    pub(super) fn held_by_chain(&self, file: &BarsFile, witness: Witness) -> Option<Held> {
        let commit = self.lake.read_entry(&file.partition, file.number).ok()?;
        Held::in_bars(witness, &commit.rows)
    }

    /// Holds the saved indicators against those of the bars, once, when the walk is where they were saved: before the first file
    /// that they do not include (`None`: there is none).
    pub(super) fn compare_saved(
        &mut self,
        partition: &TopicPartition,
        next: Option<CommitNumber>,
        learnt: &mut Learnt,
    ) -> Result<(), StorageError> {
        let Some(state) = self.chains.get(partition).and_then(|chain| chain.indicators.as_ref()) else { return Ok(()) };
        if next.is_some_and(|next| next <= state.last()) || !learnt.compared.insert(partition.clone()) {
            return Ok(());
        }
        let path = self.root.join(layout::indicators(partition));
        let last = state.last();
        let (problem, remedy) = match learnt
            .newest
            .get(partition)
            .max(self.chains.get(partition).map(|chain| &chain.horizon))
        {
            Some(end) if last > *end => {
                let problem = format!(
                    "includes commit {last}, and there is none above {end}: newer commits are gone, or it is of another chain"
                );
                // All that tells of them: no repair.
                (problem, Remedy::RestoreOrReplay)
            }
            _ => match learnt.history.disagrees(partition, state) {
                Some(stock) => {
                    let problem =
                        format!("the saved indicators of {stock} are not those of the bars up to commit {last}");
                    (problem, Remedy::Repair)
                }
                None => return Ok(()),
            },
        };
        learnt.findings.of_file(&path, problem, remedy);
        if let (Some(repairs), Remedy::Repair) = (&mut self.repairs, remedy) {
            self.lake.forget_indicators(partition)?;
            repairs.did(&path, chains::FORGOTTEN);
        }
        Ok(())
    }

    /// What remains to be said when all dates are through.
    ///
    /// # Errors
    /// When a repair is refused by the disk.
    pub fn finish(mut self) -> Result<Walked, StorageError> {
        let mut learnt = std::mem::take(&mut self.learnt);
        let is_seen = |learnt: &Learnt, partition: &TopicPartition, chain: &ChainSeen| {
            learnt.newest.get(partition).is_some_and(|seen| *seen >= chain.horizon)
        };
        let chains = std::mem::take(&mut self.chains);
        let unpublished =
            chains.iter().filter(|(partition, chain)| chain.unpublished && !is_seen(&learnt, partition, chain));
        let mut pending = unpublished.count();
        for (file, held) in std::mem::take(&mut learnt.waiting).iter().filter(|(file, _)| !self.lake.has_features(file))
        {
            // features come in the order of their files
            if learnt.featured.get(&file.partition).is_some_and(|newest| *newest > file.number) {
                let path = self.path(file, Dataset::Bars);
                learnt.findings.of_held(&path, NO_FEATURES, held.as_ref(), Remedy::Repair);
            } else {
                pending += 1;
            }
        }
        for (partition, chain) in &chains {
            // the files of a chain that was cut short go on: their own checkpoints were held against them
            if let Some(checkpoint) = chain.newest.as_ref().filter(|_| !learnt.ahead.contains_key(partition)) {
                let not_in_files = if is_seen(&learnt, partition, chain) { 0 } else { chain.newest_ticks };
                let sums = learnt.history.close(partition, checkpoint.counters.in_bars.saturating_sub(not_in_files));
                self.tell_sums(&chains::entry_path(self.root, partition, chain.horizon), sums, &mut learnt)?;
            }
        }
        for lost in learnt.history.unaccounted() {
            self.tell_lost(&lost, &mut learnt);
        }
        self.chains = chains;
        self.finish_chains(&mut learnt)?;
        let chains = self.chains;
        let Learnt { history, findings, bars, feature_rows, files, cuts, .. } = learnt;
        let partitions = history.partitions().chain(chains.keys()).collect::<BTreeSet<_>>().len();
        let stocks = history.stocks();
        let report = Report { bars, feature_rows, files, stocks, partitions, pending, ..Report::default() };
        Ok(Walked { report, findings, chains, cuts })
    }

    /// Whether nothing is lost with the names of a chain up to this number.
    fn is_spare(&self, partition: &TopicPartition, number: CommitNumber) -> Result<bool, StorageError> {
        let horizon = self.chains.get(partition).map_or(number, |chain| chain.horizon);
        for name in self.lake.chain_names(partition)?.iter().filter(|name| name.number() <= number) {
            if !chains::is_published(self.lake, partition, name.number(), horizon)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether each row of a features file has a bar of its partition and date.
    fn features_are_spare(&self, file: &BarsFile) -> Result<bool, StorageError> {
        let features = self.lake.read_features(&published(self.root, file, Dataset::Features));
        let windows = features.ok().flatten().unwrap_or_default().into_iter().map(|row| (row.symbol, row.window_start));
        let mut windows: HashSet<_> = windows.collect();
        for other in self.lake.files_of(Dataset::Bars, &file.date)? {
            if other.commit().is_some_and(|(of, _)| of == file.partition) {
                let bars = chains::readable(self.lake, &other).into_iter().map(|bar| (bar.symbol, bar.window_start));
                windows = &windows - &bars.collect();
            }
        }
        Ok(windows.is_empty())
    }

    /// What can only be said, and done, about chains when all bars are known.
    fn finish_chains(&mut self, learnt: &mut Learnt) -> Result<(), StorageError> {
        let asides: Vec<_> =
            self.chains.iter().flat_map(|(of, chain)| chain.aside.iter().map(|aside| (of.clone(), *aside))).collect();
        for partition in self.chains.keys().cloned().collect::<Vec<_>>() {
            self.compare_saved(&partition, None, learnt)?;
        }
        for (partition, Aside { number, is_behind }) in asides {
            let path = self.root.join(layout::quarantined(&partition, number));
            let (problem, remedy) = match learnt.history.adds_up(&partition) {
                true if is_behind && !self.is_spare(&partition, number)? => (
                    "was put aside, and it or an entry below it has bars that are not published",
                    Remedy::RestoreOrReplay,
                ),
                true if is_behind => ("was put aside as unreadable; the chain has gone on beyond it", Remedy::Repair),
                true => ("was put aside as unreadable; the log has not been read beyond it since", Remedy::NextStart),
                false => {
                    ("was put aside as unreadable, and bars of the partition are missing", Remedy::RestoreOrReplay)
                }
            };
            learnt.findings.of_file(&path, problem, remedy);
            if let (Some(repairs), Remedy::Repair) = (&mut self.repairs, remedy) {
                // with those below it: a hole would look like a loss
                for below in self.lake.chain_names(&partition)?.iter().filter(|name| name.number() <= number) {
                    self.lake.remove_from_chain(&partition, below.number())?;
                }
                repairs.did(&path, "removed: the chain has gone on beyond it");
            }
        }
        for (partition, newest) in &learnt.ahead {
            let Some(file) = newest.as_ref().filter(|_| learnt.history.adds_up(partition)) else { continue };
            let is_aside = self.lake.chain_names(partition)?.contains(&EntryName::Quarantined(file.number));
            if let (Some(repairs), false) = (&mut self.repairs, is_aside) {
                self.lake.restore_entry(file)?;
                repairs
                    .did(&chains::entry_path(self.root, partition, file.number), "taken back from its published copy");
            }
        }
        Ok(())
    }
}
