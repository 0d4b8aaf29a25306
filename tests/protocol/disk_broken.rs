//! The storage, or how it is used, with one rule broken: each must be found out by the searches that the right one passes.

use rstest::rstest;

use crate::actors::Style;
use crate::steps::{
    Found, by_turns_and_a_power_cut, late_engine, one_dies, stopped_and_continued, three_owners,
    two_owners_and_a_power_cut,
};
use crate::store_rules::StoreRule;

fn eager(commits: usize) -> Style {
    Style::Eager { commits }
}

#[track_caller]
fn assert_found_out(name: &str, found: Found) {
    match found {
        Err(problem) => println!("{name}: {problem}"),
        Ok(schedules) => panic!("{name} passes all {schedules} schedules"),
    }
}

#[rstest]
#[case(StoreRule::NextBeforePublish)]
#[case(StoreRule::PublishBeforeCommit)]
#[case(StoreRule::NothingIsSwept)]
fn death_finds_out_a_storage_without_this_rule(#[case] broken: StoreRule) {
    assert_found_out(&format!("{broken:?}"), one_dies(Some(broken), false, 100));
}

#[test]
fn an_owner_that_was_stopped_finds_out_a_storage_that_shows_nothing_above() {
    assert_found_out("NothingAboveIsSeen", stopped_and_continued(Some(StoreRule::NothingAboveIsSeen), eager));
}

#[rstest]
#[case(StoreRule::PutReplaces, "A B")]
#[case(StoreRule::FenceIsNotWritten, "A B")]
#[case(StoreRule::FenceBeforePublish, "C")]
fn several_owners_find_out_a_storage_without_this_rule(#[case] broken: StoreRule, #[case] order: &str) {
    assert_found_out(&format!("{broken:?}"), three_owners(Some(broken), 2, &[order]));
}

#[rstest]
#[case(StoreRule::DataIsNotSynced)]
#[case(StoreRule::PublishIsNotSynced)]
fn a_power_cut_finds_out_a_storage_without_this_rule(#[case] broken: StoreRule) {
    assert_found_out(&format!("{broken:?}"), one_dies(Some(broken), true, 100));
}

#[rstest]
#[case(StoreRule::ChainIsNotSynced)]
#[case(StoreRule::FeaturesAreNotSynced)]
fn a_power_cut_between_owner_and_engine_finds_out_a_storage_without_this_rule(#[case] broken: StoreRule) {
    assert_found_out(&format!("{broken:?}"), by_turns_and_a_power_cut(Some(broken)));
}

// From the first owner's commit on: what comes before has nothing to lose.
#[rstest]
#[case(StoreRule::TakenIsNotSynced, 3, 0)]
#[case(StoreRule::PublishForgetsTheParent, 8, 0)]
#[case(StoreRule::FencedRemovesItsOwn, 1, 2)]
fn a_power_cut_with_two_owners_finds_out_a_storage_without_this_rule(
    #[case] broken: StoreRule,
    #[case] stride: usize,
    #[case] more: usize,
) {
    assert_found_out(&format!("{broken:?}"), two_owners_and_a_power_cut(Some(broken), 15.., stride, more));
}

#[test]
fn an_owner_that_lets_go_of_entries_before_their_features_are_made_is_found_out() {
    let style = |commits| Style::PrunesAheadOfFeatures { commits };
    assert_found_out("PrunesAheadOfFeatures", late_engine(None, 1, style));
}

#[test]
fn a_fenced_owner_that_goes_on_with_what_it_has_prepared_is_found_out() {
    let style = |commits| Style::KeepsItsStateWhenFenced { commits };
    assert_found_out("KeepsItsStateWhenFenced", stopped_and_continued(None, style));
}
