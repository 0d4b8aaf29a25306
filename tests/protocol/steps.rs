//! How the steps of owners and engines may follow each other: all ways, for a few of them over a short log.

use std::collections::BTreeSet;
use std::sync::Arc;

use stockstream::market::time::EventTime;

use crate::HOUR;
use crate::actors::{Part, Style};
use crate::core_search::{BEGIN, symbol};
use crate::store_rules::StoreRule;
use crate::support::effort::Effort;
use crate::support::oracle::LogRecord;
use crate::world::{Ownership, World, part};

/// More steps than anything here takes.
pub const TO_THE_END: usize = 100_000;

/// One stock, one tick a window: commits of one bar, three a date.
fn log(windows: i64) -> Vec<LogRecord> {
    let record = |offset: i64| {
        let time = EventTime::from_micros((BEGIN + (8 * offset + 1) * HOUR) * 1_000_000);
        let payload = format!("{},A,{}.5,3", time.micros(), 10 + offset).into_bytes();
        LogRecord { offset, timestamp: Some(time), payload }
    };
    (0..windows).map(record).collect()
}

fn only_part(windows: i64) -> Arc<Part> {
    part("t", log(windows), [BTreeSet::from([symbol("A")]), BTreeSet::new()])
}

/// What became of all schedules of a scope.
pub type Found = Result<u64, String>;

/// A world in which a first process has committed so often and died.
pub fn begun(commits: usize, windows: i64, broken: Option<StoreRule>) -> World {
    let world = World::new(vec![only_part(windows)], broken);
    let process = world.process();
    let mut first = world.ownership(&process, 0, Style::Eager { commits });
    first.owner.run(TO_THE_END);
    first.engine.run(TO_THE_END);
    world.disk().dead.insert(process.id);
    world
}

pub fn start(world: &World, style: Style) -> Ownership {
    world.ownership(&world.process(), 0, style)
}

/// Which of the changes that are not sure survive a power cut: all subsets of a few; of many none, all, each alone, all but each.
fn subsets(unsure: usize) -> Vec<u64> {
    let all = (1_u64 << unsure.min(63)) - 1;
    if unsure <= 4 {
        return (0..=all).collect();
    }
    let one = |at: usize| 1_u64 << at;
    [0, all].into_iter().chain((0..unsure).flat_map(|at| [one(at), all & !one(at)])).collect()
}

/// The power is cut here, in every way.
pub fn cut_in_every_way(world: &World, schedule: &str) -> Found {
    let mut cuts = 0;
    let unsure = world.disk().names.unsure();
    for survivors in subsets(unsure) {
        let after = world.fork();
        after.power_cut(|at| survivors >> at & 1 == 1);
        let told = || format!("{schedule}, power cut: {survivors:b} of {unsure} changes survive");
        after.finish().map_err(|problem| format!("{problem}\n  after {}", told()))?;
        cuts += 1;
    }
    Ok(cuts)
}

pub fn finish(world: &World, schedule: &str) -> Found {
    world.finish().map(|()| 1).map_err(|problem| format!("{problem}\n  after {schedule}"))
}

/// One owner and its engine, dead after every step; with or without the power.
pub fn one_dies(broken: Option<StoreRule>, power: bool, stride: usize) -> Found {
    let mut schedules = 0;
    for owned in 0.. {
        let world = begun(2, 6, broken);
        let mut one = start(&world, Style::Eager { commits: 3 });
        let goes_on = one.owner.run(owned);
        for followed in 0.. {
            let here = world.fork();
            let schedule = format!("owner {owned} steps, engine {followed} steps");
            schedules += if power { cut_in_every_way(&here, &schedule)? } else { finish(&here, &schedule)? };
            // the engine's steps only follow an owner that has ended, or stands at some points on its way
            if owned % stride != 0 && goes_on || !one.engine.run(1) {
                break;
            }
            if followed > 60 {
                break;
            }
        }
        if !goes_on {
            return Ok(schedules);
        }
    }
    unreachable!("an owner comes to its end")
}

/// A former owner that was stopped at every step goes on after another one has taken the partition and committed so much that its
/// number is free again.
pub fn stopped_and_continued(broken: Option<StoreRule>, style: fn(usize) -> Style) -> Found {
    let mut schedules = 0;
    for first in 0.. {
        let world = begun(2, 9, broken);
        let mut a = start(&world, style(2));
        if !a.owner.run(first) {
            return Ok(schedules);
        }
        let mut b = start(&world, style(6));
        b.owner.run(40);
        b.engine.run(60);
        b.owner.run(TO_THE_END);
        b.engine.run(TO_THE_END);
        a.owner.run(TO_THE_END);
        a.engine.run(TO_THE_END);
        schedules += finish(&world, &format!("A {first} steps, B to its end, A goes on"))?;
    }
    unreachable!("an owner comes to its end")
}

/// Two owners stopped at every pair of steps. Then a third comes, and both are dead, or go on in one or the other order; or both go on
/// at once.
pub fn three_owners(broken: Option<StoreRule>, stride: usize, orders: &[&str]) -> Found {
    let mut schedules = 0;
    for first in (0..).step_by(stride) {
        for second in (0..).step_by(stride) {
            let mut ended = (false, false);
            for order in orders {
                let world = begun(2, 6, broken);
                let mut a = start(&world, Style::Eager { commits: 2 });
                let mut b = start(&world, Style::Eager { commits: 1 });
                let mut c = start(&world, Style::Eager { commits: 2 });
                ended = (!a.owner.run(first), !b.owner.run(second));
                for name in order.split(' ') {
                    let next = match name {
                        "A" => &mut a,
                        "B" => &mut b,
                        _ => &mut c,
                    };
                    next.owner.run(TO_THE_END);
                }
                schedules += finish(&world, &format!("A {first} steps, B {second} steps, then {order}"))?;
            }
            if ended.0 {
                return Ok(schedules);
            }
            if ended.1 {
                break;
            }
        }
    }
    unreachable!("an owner comes to its end")
}

/// Two owners stopped at pairs of steps; the first does so many steps `more`, and the power is cut.
pub fn two_owners_and_a_power_cut(
    broken: Option<StoreRule>,
    firsts: impl Iterator<Item = usize>,
    stride: usize,
    more: usize,
) -> Found {
    let mut schedules = 0;
    for first in firsts {
        let mut ended = false;
        for second in (0..).step_by(stride) {
            // the next commit is the first of its date
            let world = begun(3, 6, broken);
            let mut a = start(&world, Style::Eager { commits: 1 });
            let mut b = start(&world, Style::Eager { commits: 1 });
            ended = !a.owner.run(first);
            let b_ended = !b.owner.run(second);
            a.owner.run(more);
            schedules += cut_in_every_way(&world, &format!("A {first} steps, B {second} steps, A {more} steps"))?;
            if b_ended {
                break;
            }
        }
        if ended {
            break;
        }
    }
    Ok(schedules)
}

/// Owner and engine work by turns, so that entries are let go of; the power is cut after each turn.
pub fn by_turns_and_a_power_cut(broken: Option<StoreRule>) -> Found {
    let world = begun(2, 10, broken);
    let mut one = start(&world, Style::Eager { commits: 6 });
    let mut schedules = 0;
    for turn in 0.. {
        let goes_on = one.owner.run(11);
        one.engine.run(17);
        schedules += cut_in_every_way(&world, &format!("{turn} turns"))?;
        if !goes_on {
            break;
        }
    }
    Ok(schedules)
}

/// The engine of a former owner, stopped at every step, goes on after another owner and its engine have done all.
pub fn late_engine(broken: Option<StoreRule>, stride: usize, style: fn(usize) -> Style) -> Found {
    let mut schedules = 0;
    for followed in (0..).step_by(stride) {
        let world = begun(2, 10, broken);
        let mut a = start(&world, style(5));
        a.owner.run(TO_THE_END);
        let goes_on = a.engine.run(followed);
        let dead = world.fork();
        schedules += finish(&dead, &format!("the engine of A dies after {followed} steps"))?;
        let mut b = start(&world, style(3));
        b.owner.run(TO_THE_END);
        b.engine.run(TO_THE_END);
        a.engine.run(TO_THE_END);
        schedules += finish(&world, &format!("the engine of A is late after {followed} steps"))?;
        if !goes_on {
            return Ok(schedules);
        }
    }
    unreachable!("an engine comes to its end")
}

#[track_caller]
pub fn assert_right(name: &str, found: impl FnOnce() -> Found) {
    let begun = std::time::Instant::now();
    match found() {
        Ok(schedules) => println!("{name}: {schedules} schedules in {:?}", begun.elapsed()),
        Err(problem) => panic!("{name}: {problem}"),
    }
}

#[test]
fn death_after_any_step_of_owner_and_engine_is_mended_by_the_next_start() {
    assert_right("death", || one_dies(None, false, Effort::of_this_run().pick(16, 4, 1)));
}

#[test]
fn a_power_cut_after_any_step_of_owner_and_engine_is_mended_by_the_next_start() {
    assert_right("power cut", || one_dies(None, true, Effort::of_this_run().pick(24, 6, 1)));
}

#[test]
fn a_stopped_owner_that_goes_on_does_no_harm() {
    assert_right("stopped", || stopped_and_continued(None, |commits| Style::Eager { commits }));
}

#[test]
fn three_owners_at_once_do_no_harm() {
    assert_right("three owners", || {
        three_owners(None, Effort::of_this_run().pick(8, 3, 1), &["A B", "B A", "C", "C A B", "C B A"])
    });
}

#[test]
fn a_power_cut_with_two_owners_does_no_harm() {
    assert_right("two owners and a power cut", || {
        let stride = Effort::of_this_run().pick(8, 3, 1);
        (0..4).map(|more| two_owners_and_a_power_cut(None, (more..).step_by(stride), stride, more)).sum()
    });
}

#[test]
fn a_power_cut_between_owner_and_engine_at_work_does_no_harm() {
    assert_right("by turns and a power cut", || by_turns_and_a_power_cut(None));
}

#[test]
fn a_late_engine_does_no_harm() {
    assert_right("late engine", || {
        late_engine(None, Effort::of_this_run().pick(5, 1, 1), |commits| Style::Eager { commits })
    });
}
