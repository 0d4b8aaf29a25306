//! Death at every step of a commit (F2) and between bars and features (F28): the program ends as by `kill -9` at that very place,
//! and the next start makes the lake of an undisturbed run. What a power cut undoes besides (F19) is tested over a modelled disk, in
//! `protocol/storm.rs`; so is every step, also those that have no place here.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use stockstream::fail_points::Place;
use support::effort::Effort;
use support::flow::Flow;
use support::lake::temporaries;
use support::ticks::{Recipe, Ticks};

/// While a window closes in some of the partitions.
const BETWEEN: Duration = Duration::from_millis(50);

/// How often the place is passed before the program dies there: in the first commits, and later.
fn passes() -> &'static [u32] {
    Effort::of_this_run().pick(&[6], &[0, 6, 11], &[0, 1, 2, 3, 4, 5, 6, 11, 17])
}

/// The program dies at this place, is started again and reads everything.
fn dies_and_is_started_again(place: Place, passed: u32, seed: u64) {
    let case = format!("{}, passed {passed} times, seed {seed}", place.name());
    println!("{case}");
    let flow = Flow::new(seed % 2 == 1, "[lake]\ncommit_every = 100\n");
    let lines = Ticks::make(&Recipe { seed, lines: 6_000, ..Recipe::default() }).lines;
    let fail_points = format!("{}={passed}*off->1*return", place.name());
    let dying = flow.program(&["run"]).env("FAILPOINTS", &fail_points).start();
    // Little by little: what stands there already goes into few commits.
    for some in lines.chunks(150) {
        flow.publish(some);
        std::thread::sleep(BETWEEN);
    }
    assert_eq!(dying.end().code, None, "it did not die of a signal: {case}");
    flow.until_end();
    assert!(flow.assert_lake_is_right().in_bars > 0, "{case}");
    assert_eq!(temporaries(&flow.lake()), Vec::<PathBuf>::new(), "{case}");
}

/// All at once: they mostly wait for their groups.
fn each_on_its_own(places: &[Place]) {
    for passed in passes() {
        std::thread::scope(|scope| {
            for (seed, place) in (1_u64..).zip(places) {
                scope.spawn(move || dies_and_is_started_again(*place, *passed, seed));
            }
        });
    }
}

#[test]
fn f02_death_at_any_step_of_a_commit_leaves_no_trace_after_the_next_start() {
    each_on_its_own(&[
        Place::StoreWrite,
        Place::StoreSync,
        Place::StoreWritten,
        Place::StoreLinked,
        Place::StoreSettled,
        Place::StorePublished,
        Place::StorePublishedSynced,
    ]);
}

#[test]
fn f28_death_between_bars_and_features_leaves_features_of_a_full_pass_after_the_next_start() {
    each_on_its_own(&[Place::EngineCompute, Place::EnginePublished]);
}

/// The state is saved seldom: when the partition is taken, and at the end.
#[test]
fn f28_death_when_the_indicators_are_saved_leaves_features_of_a_full_pass_after_the_next_start() {
    dies_and_is_started_again(Place::EngineSaved, 0, 11);
}
