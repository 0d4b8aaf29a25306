//! Who does what to a lake: an owner that takes a partition, reads, commits and lets go of old entries; an engine that makes the
//! features of what was committed. Both are the product's own types, asked in the order in which its actors ask them.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::{Checkpoint, Commit, CommitNumber, TopicPartition};
use stockstream::market::symbol::Symbol;
use stockstream::storage::{BarsFile, Chain, CommitError, FeatureFlow, Lake, StorageError};

use crate::reader::{Forced, Reader};
use crate::support::oracle::LogRecord;
use crate::turn::{self, Killed};

/// A partition and the log behind it.
pub struct Part {
    pub partition: TopicPartition,
    pub log: Vec<LogRecord>,
    /// How much of the log has been published so far.
    pub visible: AtomicUsize,
    /// Known from the start, and added on the way.
    pub stocks: [BTreeSet<Symbol>; 2],
    pub added: AtomicBool,
}

impl Part {
    fn settings(&self) -> BTreeSet<Symbol> {
        let [first, later] = &self.stocks;
        if self.added.load(SeqCst) { first.union(later).cloned().collect() } else { first.clone() }
    }
}

/// How an owner goes about its work.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// Commits as soon as a window can be closed, at most so many times, and ends with the log.
    Eager { commits: usize },
    /// As `Eager`, and does not wait for the features before it lets go of entries: against the rules.
    PrunesAheadOfFeatures { commits: usize },
    /// As `Eager`, and goes on with what it has prepared when it is fenced: against the rules.
    KeepsItsStateWhenFenced { commits: usize },
    /// Reads by fits and starts until it is killed.
    Moody { seed: u64 },
    /// Reads all there is and closes all windows.
    Final,
}

/// What an owner tells the engine of its process, and what it hears from it.
#[derive(Default)]
pub struct Feed {
    files: Mutex<VecDeque<(BarsFile, Arc<[Bar]>)>>,
    saved: AtomicU64,
    taken: AtomicBool,
    closed: AtomicBool,
}

/// Why an owner or engine came to its end.
pub enum Ended {
    /// Everything is done.
    Done,
    Fenced,
    Refused(StorageError),
    Killed,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Done => f.write_str("done"),
            Ended::Fenced => f.write_str("fenced"),
            Ended::Refused(error) => error.fmt(f),
            Ended::Killed => f.write_str("killed"),
        }
    }
}

impl From<Killed> for Ended {
    fn from(_: Killed) -> Self {
        Ended::Killed
    }
}

impl From<CommitError> for Ended {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Fenced => Ended::Fenced,
            CommitError::Storage(error) => Ended::Refused(error),
        }
    }
}

pub fn own(lake: &Lake, part: &Part, feed: &Feed, style: Style) -> Ended {
    let ended = match own_until(lake, part, feed, style) {
        Ok(()) => Ended::Done,
        Err(ended) => ended,
    };
    feed.closed.store(true, SeqCst);
    ended
}

fn own_until(lake: &Lake, part: &Part, feed: &Feed, style: Style) -> Result<(), Ended> {
    let (mut chain, checkpoint) = take(lake, part)?;
    feed.taken.store(true, SeqCst);
    let mut reader = Reader::start(&checkpoint, &part.settings(), None);
    let mut mood = Mood::of(style);
    while let Some(commits) = mood.next_commits(&mut reader, part)? {
        for commit in commits {
            let file = match until_the_disk_allows(|| chain.commit(&commit)) {
                Err(Ended::Fenced) if matches!(style, Style::KeepsItsStateWhenFenced { .. }) => {
                    chain = take(lake, part)?.0;
                    chain.commit(&commit)?
                }
                done => done?,
            };
            if let Some(file) = file {
                feed.files.lock().expect("nobody panics").push_back((file, commit.rows.clone()));
            }
        }
        let needed = match style {
            Style::PrunesAheadOfFeatures { .. } => chain.last(),
            _ => CommitNumber(feed.saved.load(SeqCst) + 1),
        };
        until_the_disk_allows(|| chain.prune(needed).map_err(CommitError::from))?;
    }
    Ok(())
}

fn take(lake: &Lake, part: &Part) -> Result<(Chain, Checkpoint), Ended> {
    let start_from =
        |newest: Option<Checkpoint>, _: &[_]| Ok(newest.unwrap_or_else(|| Checkpoint::genesis(crate::rules(), "log")));
    lake.take(&part.partition, start_from).map_err(Ended::Refused)
}

/// A refusal that passes is waited for; the same is done again then.
fn until_the_disk_allows<T>(mut attempt: impl FnMut() -> Result<T, CommitError>) -> Result<T, Ended> {
    loop {
        match attempt() {
            Err(CommitError::Storage(error)) if error.is_retriable() => turn::step()?,
            done => return done.map_err(Ended::from),
        }
    }
}

enum Mood {
    Eager(usize),
    Moody(Box<StdRng>),
    Final,
}

impl Mood {
    fn of(style: Style) -> Self {
        match style {
            Style::Eager { commits }
            | Style::PrunesAheadOfFeatures { commits }
            | Style::KeepsItsStateWhenFenced { commits } => Self::Eager(commits),
            Style::Moody { seed } => Self::Moody(Box::new(StdRng::seed_from_u64(seed))),
            Style::Final => Self::Final,
        }
    }

    /// Reads on until there is something to commit; `None` when this owner wants no more.
    fn next_commits(&mut self, reader: &mut Reader, part: &Part) -> Result<Option<Vec<Commit>>, Ended> {
        match self {
            Self::Eager(0) => return Ok(None),
            Self::Eager(left) => {
                *left -= 1;
                while !reader.cursor.can_close() {
                    let Some(record) = part.log.get(reader.cursor.position().0 as usize) else { return Ok(None) };
                    reader.read(record);
                }
            }
            Self::Moody(random) => Self::read_by_fits(reader, part, random)?,
            Self::Final => {
                reader.read_all(&part.log);
                match reader.can_force(Forced::All) {
                    Some(to) => reader.cursor.force(to),
                    None if !reader.may_cut() => return Ok(None),
                    None => {}
                }
            }
        }
        Ok(Some(reader.barrier().expect("the product's own core adds up")))
    }

    fn read_by_fits(reader: &mut Reader, part: &Part, random: &mut StdRng) -> Result<(), Ended> {
        loop {
            if part.added.load(SeqCst) {
                part.stocks[1].iter().for_each(|symbol| reader.add_stock(symbol));
            }
            let visible = part.visible.load(SeqCst);
            for _ in 0..random.random_range(1..6) {
                let at = reader.cursor.position().0 as usize;
                if at < visible {
                    reader.read(&part.log[at]);
                }
            }
            if reader.cursor.can_close() || reader.cursor.has_news() && random.random_bool(0.2) {
                return Ok(());
            }
            let at_the_end = reader.cursor.position().0 as usize >= visible;
            if at_the_end
                && random.random_bool(0.05)
                && let Some(to) = reader.can_force(Forced::Next)
            {
                reader.cursor.force(to);
                return Ok(());
            }
            turn::step()?;
        }
    }
}

/// Completes what the chain holds and follows the owner until that has ended.
pub fn follow(lake: &Lake, part: &Part, feed: &Feed) -> Ended {
    follow_until(lake, part, feed).map_or_else(|ended| ended, |()| Ended::Done)
}

fn follow_until(lake: &Lake, part: &Part, feed: &Feed) -> Result<(), Ended> {
    while !feed.taken.load(SeqCst) {
        if feed.closed.load(SeqCst) {
            return Ok(());
        }
        turn::step()?;
    }
    let mut flow = loop {
        match FeatureFlow::restore(lake, &part.partition) {
            Ok(flow) => break flow,
            Err(error) if error.is_retriable() || matches!(error, StorageError::Missing { .. }) => turn::step()?,
            Err(error) => return Err(Ended::Refused(error)),
        }
    };
    loop {
        let closed = feed.closed.load(SeqCst);
        let next = feed.files.lock().expect("nobody panics").pop_front();
        let idle = next.is_none();
        if let Some((file, rows)) = next {
            flow.take_in(file.number, &rows);
        }
        let progress = until_the_disk_allows(|| {
            flow.save()?;
            Ok(flow.publish_all(|_| {})?)
        })?;
        feed.saved.fetch_max(progress.saved.0, SeqCst);
        match (idle, closed) {
            (true, true) => return until_the_disk_allows(|| Ok(flow.save()?)),
            (true, false) => turn::step()?,
            (false, _) => {}
        }
    }
}
