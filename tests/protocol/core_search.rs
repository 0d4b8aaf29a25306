//! What the consumer and the windows decide: every schedule of a few operations.
//!
//! After every commit the rows and counters of the chain must be those of one plain pass over the log. `prove` demands more: a
//! restart from any commit reaches the state of the one that went on. Then all their futures agree, and no restart is needed in
//! the schedules.

use std::collections::BTreeSet;
use std::sync::Arc;

use stockstream::market::checkpoint::{Checkpoint, Commit};
use stockstream::market::symbol::Symbol;
use stockstream::market::time::{EventTime, Span};

use crate::HOUR;
use crate::audit::audit;
use crate::reader::{CoreRule, Forced, Reader};
use crate::support::oracle::LogRecord;

/// A midnight.
pub const BEGIN: i64 = 1_747_180_800;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A tick of this stock arrives and is read; so many units of four hours after the beginning.
    Tick(&'static str, i64),
    /// A record of the same time that its own timestamp does not allow for.
    Future(&'static str, i64),
    Malformed,
    Barrier,
    /// A barrier of its own for a watermark that goes on without a tick.
    Force(Forced),
    /// The settings have one stock more.
    AddN,
    RemoveB,
    Restart,
    /// The process died between the commits of a barrier's dates.
    RestartBetweenDates,
    /// A restart that makes a barrier before it has read everything again.
    RestartAndBarrier,
}

pub const TICKS: [Op; 8] = [
    Op::Tick("A", 1),
    Op::Tick("A", 3),
    Op::Tick("A", 7),
    Op::Tick("A", 13),
    Op::Tick("B", 1),
    Op::Tick("N", 13),
    Op::Future("A", 9),
    Op::Malformed,
];

/// Which schedules.
#[derive(Clone, Debug)]
pub struct Scope {
    pub broken: Option<CoreRule>,
    pub length: usize,
    pub ops: Vec<Op>,
    /// How every schedule ends, within `length`.
    pub tail: Vec<Op>,
    /// After each commit a restart must be in the state of the one that went on.
    pub prove: bool,
}

/// What a search has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub schedules: u64,
    /// Those that ended in a commit, and were compared.
    pub compared: u64,
}

/// A schedule and what is wrong with it.
pub type Violation = (Vec<Op>, String);

#[derive(Clone)]
struct Node {
    reader: Reader,
    chain: Arc<Vec<Arc<Commit>>>,
    /// How many of the chain the newest barrier has made.
    made: usize,
    settings: Arc<BTreeSet<Symbol>>,
}

struct Search<'s> {
    scope: &'s Scope,
    seen: Seen,
    log: Vec<LogRecord>,
    ops: Vec<Op>,
}

pub fn symbol(name: &str) -> Symbol {
    Symbol::new(name).expect("one letter is a symbol")
}

fn genesis() -> Checkpoint {
    Checkpoint::genesis(crate::rules(), "log")
}

/// Goes through all schedules of exactly `scope.length` operations and their beginnings.
pub fn search(scope: &Scope) -> (Seen, Result<(), Violation>) {
    search_part(scope, 0, 1)
}

/// The part of the schedules whose first two operations fall to this one of so many workers.
fn search_part(scope: &Scope, worker: usize, workers: usize) -> (Seen, Result<(), Violation>) {
    let settings = Arc::new(BTreeSet::from([symbol("A"), symbol("B")]));
    let reader = Reader::start(&genesis(), &settings, scope.broken);
    let root = Node { reader, chain: Arc::default(), made: 0, settings };
    let mut search = Search { scope, seen: Seen::default(), log: Vec::new(), ops: Vec::new() };
    let found = search.visit(&root, &mut |depth, at| depth != 0 || at % workers == worker);
    (search.seen, found)
}

/// The same by two threads.
pub fn search_on_all_cores(scope: &Scope) -> (Seen, Result<(), Violation>) {
    let workers = 2;
    std::thread::scope(|scope_of_threads| {
        let threads: Vec<_> =
            (0..workers).map(|worker| scope_of_threads.spawn(move || search_part(scope, worker, workers))).collect();
        let mut all = (Seen::default(), Ok(()));
        for thread in threads {
            let (seen, found) = thread.join().expect("a search does not panic");
            all.0.schedules += seen.schedules;
            all.0.compared += seen.compared;
            all.1 = all.1.and(found);
        }
        all
    })
}

impl Search<'_> {
    fn visit(&mut self, node: &Node, mine: &mut impl FnMut(usize, usize) -> bool) -> Result<(), Violation> {
        self.seen.schedules += 1;
        let depth = self.ops.len();
        let left = self.scope.length - depth;
        if left == 0 {
            return Ok(());
        }
        let scope = self.scope;
        let ops = match scope.tail.len().checked_sub(left) {
            Some(at) => &scope.tail[at..=at],
            None => scope.ops.as_slice(),
        };
        for (at, op) in ops.iter().enumerate() {
            if !mine(depth, at) || !self.may_follow(node, *op) {
                continue;
            }
            let logged = self.log.len();
            self.ops.push(*op);
            let next = self.step(node.clone(), *op).map_err(|problem| (self.ops.clone(), problem))?;
            self.visit(&next, mine)?;
            self.ops.pop();
            self.log.truncate(logged);
        }
        Ok(())
    }

    fn may_follow(&self, node: &Node, op: Op) -> bool {
        let restarted =
            || matches!(self.ops.last(), Some(Op::Restart | Op::RestartBetweenDates | Op::RestartAndBarrier));
        match op {
            Op::Tick(..) | Op::Future(..) | Op::Malformed => true,
            Op::Barrier => node.reader.may_cut(),
            Op::Force(forced) => node.reader.can_force(forced).is_some(),
            Op::AddN => !self.ops.is_empty() && !node.settings.contains(&symbol("N")),
            Op::RemoveB => !self.ops.is_empty() && node.settings.contains(&symbol("B")),
            Op::Restart | Op::RestartAndBarrier => !self.ops.is_empty() && !restarted(),
            Op::RestartBetweenDates => node.made > 1 && !restarted(),
        }
    }

    fn step(&mut self, mut node: Node, op: Op) -> Result<Node, String> {
        match op {
            Op::Tick(..) | Op::Future(..) | Op::Malformed => {
                self.log.push(record(op, self.log.len() as i64));
                node.reader.read(self.log.last().expect("just pushed"));
            }
            Op::Barrier => self.commit(&mut node)?,
            Op::Force(forced) => {
                let to = node.reader.can_force(forced).expect("asked before");
                node.reader.cursor.force(to);
                self.commit(&mut node)?;
            }
            Op::AddN => {
                Arc::make_mut(&mut node.settings).insert(symbol("N"));
                node.reader.add_stock(&symbol("N"));
            }
            Op::RemoveB => drop(Arc::make_mut(&mut node.settings).remove(&symbol("B"))),
            Op::Restart => self.restart(&mut node),
            Op::RestartBetweenDates => {
                let kept = node.chain.len() + 1 - node.made;
                Arc::make_mut(&mut node.chain).truncate(kept);
                node.made = 1;
                self.restart(&mut node);
            }
            Op::RestartAndBarrier => {
                let checkpoint = node.chain.last().map_or_else(genesis, |commit| commit.checkpoint.clone());
                node.reader = Reader::start(&checkpoint, &node.settings, self.scope.broken);
                if node.reader.may_cut() {
                    self.commit(&mut node)?;
                }
                node.reader.read_all(&self.log);
            }
        }
        Ok(node)
    }

    fn restart(&self, node: &mut Node) {
        let checkpoint = node.chain.last().map_or_else(genesis, |commit| commit.checkpoint.clone());
        node.reader = Reader::start(&checkpoint, &node.settings, self.scope.broken);
        node.reader.read_all(&self.log);
    }

    fn commit(&mut self, node: &mut Node) -> Result<(), String> {
        self.seen.compared += 1;
        let before = self.scope.prove.then(|| node.reader.clone());
        let made = node.reader.barrier().map_err(|broken| broken.to_string())?;
        node.made = made.len();
        if let Some(before) = before {
            for commit in &made {
                self.same_after_a_restart(&before, commit, &node.settings)?;
            }
        }
        Arc::make_mut(&mut node.chain).extend(made.into_iter().map(Arc::new));
        audit(&self.log, &node.chain)
    }

    fn same_after_a_restart(
        &self,
        before: &Reader,
        commit: &Commit,
        settings: &BTreeSet<Symbol>,
    ) -> Result<(), String> {
        let mut again = Reader::start(&commit.checkpoint, settings, self.scope.broken);
        again.read_all(&self.log);
        let closed_by = commit.checkpoint.watermark;
        if before.state(closed_by) != again.state(closed_by) {
            return Err("a restart differs from going on".to_owned());
        }
        Ok(())
    }
}

fn record(op: Op, offset: i64) -> LogRecord {
    let at = |units: i64| (BEGIN + units * 4 * HOUR) * 1_000_000;
    let line = |stock: &str, units: i64| format!("{},{stock},{}.5,{units}", at(units), 10 + units).into_bytes();
    match op {
        Op::Tick(stock, units) => {
            LogRecord { offset, timestamp: Some(EventTime::from_micros(at(units))), payload: line(stock, units) }
        }
        Op::Future(stock, units) => {
            let published = EventTime::from_micros(at(units)) - crate::rules().max_ahead - Span::from_micros(1);
            LogRecord { offset, timestamp: Some(published), payload: line(stock, units) }
        }
        _ => LogRecord { offset, timestamp: None, payload: b"no tick".to_vec() },
    }
}

#[track_caller]
fn assert_right(name: &str, scope: &Scope) -> Seen {
    let begun = std::time::Instant::now();
    let (seen, found) = search_on_all_cores(scope);
    println!("{name}: {seen:?} in {:?}", begun.elapsed());
    if let Err((ops, problem)) = found {
        panic!("{name}: {problem} after {ops:?}");
    }
    seen
}

#[test]
fn after_every_commit_of_over_a_million_schedules_a_restart_is_where_the_one_is_that_went_on() {
    let ops = [&TICKS[..], &[Op::Barrier, Op::Force(Forced::Next), Op::AddN]].concat();
    let scope = Scope { broken: None, length: 6, ops, tail: Vec::new(), prove: true };
    let seen = assert_right("prove", &scope);
    assert!(seen.schedules > 1_000_000, "{seen:?}");
}

#[test]
fn every_schedule_with_restarts_in_it_makes_the_bars_of_one_pass() {
    let others = [
        Op::Barrier,
        Op::Force(Forced::Next),
        Op::Force(Forced::All),
        Op::AddN,
        Op::RemoveB,
        Op::Restart,
        Op::RestartBetweenDates,
    ];
    let scope = Scope { broken: None, length: 5, ops: [&TICKS[..], &others].concat(), tail: Vec::new(), prove: false };
    let seen = assert_right("with restarts", &scope);
    assert!(seen.schedules > 100_000, "{seen:?}");
}
