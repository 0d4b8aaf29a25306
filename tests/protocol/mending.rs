//! The newest entries of a chain are torn, and whoever takes the partition mends that: it dies, loses the power, or waits between any
//! two steps while a newer owner mends, commits and lets go of entries.

use rstest::rstest;
use stockstream::storage::layout;

use crate::actors::Style;
use crate::steps::{Found, TO_THE_END, assert_right, begun, cut_in_every_way, finish, start};
use crate::store_rules::StoreRule;
use crate::support::effort::Effort;
use crate::world::World;

/// Which of the newest entries are torn, and whether with the file that they are published as.
#[derive(Clone, Copy, Debug)]
pub enum Damage {
    Newest,
    NewestTwo,
    /// A copied lake: the published file is another one, and good.
    NewestEntryAlone,
    /// The same, with one of which both are torn above it.
    EntryAloneBelowNewest,
}

/// A lake of three commits whose newest entries are torn.
fn torn(damage: Damage, broken: Option<StoreRule>) -> World {
    let world = begun(3, 8, broken);
    {
        let mut disk = world.disk();
        let partition = &world.parts[0].partition;
        let dir = layout::chain_dir(partition);
        let mut names: Vec<String> = disk.names.list(&dir).map(|(name, _)| name.clone()).collect();
        names.retain(|name| name.ends_with(".parquet"));
        let newest: Vec<String> = names.iter().rev().map(|name| format!("{dir}/{name}")).collect();
        let (alone, whole) = match damage {
            Damage::Newest => (0..0, 0..1),
            Damage::NewestTwo => (0..0, 0..2),
            Damage::NewestEntryAlone => (0..1, 0..0),
            Damage::EntryAloneBelowNewest => (1..2, 0..1),
        };
        for path in &newest[alone.clone()] {
            disk.part_from_its_other_names(path);
        }
        newest[alone].iter().chain(&newest[whole]).for_each(|path| disk.damage(path));
        disk.names.sync(&dir);
    }
    world
}

/// One owner and its engine, dead after every step, with or without the power.
fn one_dies(damage: Damage, power: bool) -> Found {
    let (begun, mut schedules) = (torn(damage, None), 0);
    for owned in 0.. {
        let world = begun.fork();
        let mut one = start(&world, Style::Eager { commits: 1 });
        let goes_on = one.owner.run(owned);
        let schedule = format!("{damage:?}: owner {owned} steps");
        schedules += if power { cut_in_every_way(&world, &schedule)? } else { finish(&world, &schedule)? };
        if !goes_on {
            return Ok(schedules);
        }
    }
    unreachable!("an owner comes to its end")
}

/// One that mends waits after every step. Another one mends, commits so much that entries are let go of, or only so many steps; then
/// the first goes on, and the other one, too.
fn one_waits(damage: Damage, (stride, most): (usize, usize), broken: Option<StoreRule>) -> Found {
    let (begun, mut schedules) = (torn(damage, broken), 0);
    for first in 0.. {
        let mut ended = false;
        for second in (stride..most).step_by(stride).chain([TO_THE_END]) {
            let world = begun.fork();
            let mut a = start(&world, Style::Eager { commits: 1 });
            let mut b = start(&world, Style::Eager { commits: 4 });
            ended = !a.owner.run(first);
            b.owner.run(second / 2);
            b.engine.run(second);
            let b_ended = !b.owner.run(second.div_ceil(2));
            a.owner.run(TO_THE_END);
            a.engine.run(TO_THE_END);
            b.owner.run(TO_THE_END);
            b.engine.run(TO_THE_END);
            let schedule = format!("{damage:?}: A {first} steps, B {second} steps, A and B go on");
            schedules += finish(&world, &schedule)?;
            if b_ended {
                break;
            }
        }
        if ended {
            return Ok(schedules);
        }
    }
    unreachable!("an owner comes to its end")
}

const ALL: [Damage; 4] = [Damage::Newest, Damage::NewestTwo, Damage::NewestEntryAlone, Damage::EntryAloneBelowNewest];

#[test]
fn death_after_any_step_of_mending_is_mended_by_the_next_start() {
    assert_right("death", || ALL.into_iter().map(|damage| one_dies(damage, false)).sum());
}

#[test]
fn a_power_cut_after_any_step_of_mending_is_mended_by_the_next_start() {
    assert_right("power cut", || ALL.into_iter().map(|damage| one_dies(damage, true)).sum());
}

#[test]
fn one_that_waits_while_it_mends_does_a_newer_owner_no_harm() {
    let stops = Effort::of_this_run().pick((20, 21), (6, 200), (1, 200));
    assert_right("waits", || ALL.into_iter().map(|damage| one_waits(damage, stops, None)).sum());
}

#[rstest]
#[case(StoreRule::PutAsideFreesTheNumber, Damage::NewestTwo)]
#[case(StoreRule::NothingIsWithdrawn, Damage::Newest)]
fn mending_without_this_rule_is_found_out(#[case] broken: StoreRule, #[case] damage: Damage) {
    match one_waits(damage, (8, 100), Some(broken)) {
        Err(problem) => println!("{broken:?}: {problem}"),
        Ok(schedules) => panic!("{broken:?} passes all {schedules} schedules"),
    }
}
