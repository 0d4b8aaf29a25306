//! The core with one rule broken: each must be found out by the schedules that the right one passes.

use rstest::rstest;

use crate::core_search::{Op, Scope, TICKS, search};
use crate::reader::{CoreRule, Forced};

const DATES_APART: [Op; 4] = [Op::Tick("A", 1), Op::Tick("A", 7), Op::Tick("A", 13), Op::Tick("B", 1)];

fn scope(broken: CoreRule) -> Scope {
    let between_dates = vec![Op::Barrier, Op::RestartBetweenDates, Op::Force(Forced::All)];
    match broken {
        CoreRule::DateStepForgets | CoreRule::DateStepCarriesTheBarriersWatermark => {
            Scope { broken: Some(broken), length: 7, ops: DATES_APART.to_vec(), tail: between_dates, prove: false }
        }
        _ => {
            let others = [
                Op::Barrier,
                Op::Force(Forced::Next),
                Op::AddN,
                Op::RemoveB,
                Op::Restart,
                Op::RestartBetweenDates,
                Op::RestartAndBarrier,
            ];
            let ops = [&TICKS[..], &others].concat();
            Scope { broken: Some(broken), length: 6, ops, tail: Vec::new(), prove: false }
        }
    }
}

#[rstest]
#[case(CoreRule::ResumeIsTheCut)]
#[case(CoreRule::ResumeLooksAtTheOldestWindowOnly)]
#[case(CoreRule::WatermarkIsNotRestored)]
#[case(CoreRule::ReadAgainIsCountedAgain)]
#[case(CoreRule::CountersAreNotRestored)]
#[case(CoreRule::KnownIsWhatTheSettingsSayNow)]
#[case(CoreRule::RemovedIsUnknown)]
#[case(CoreRule::ForcedAdvancesAreNotListed)]
#[case(CoreRule::LateIsJudgedByTheBatch)]
#[case(CoreRule::DateStepForgets)]
#[case(CoreRule::DateStepCarriesTheBarriersWatermark)]
#[case(CoreRule::BarrierWhileReadingAgain)]
#[case(CoreRule::WindowsAnswerWhereTheyStand)]
#[case(CoreRule::CommitsBeforeAllHaveAnswered)]
fn a_core_without_this_rule_is_found_out(#[case] broken: CoreRule) {
    let whole = scope(broken);
    for length in whole.tail.len() + 1..=whole.length {
        let (seen, found) = search(&Scope { length, ..whole.clone() });
        if let Err((schedule, problem)) = found {
            println!("{broken:?}: {problem}\n  after {schedule:?}, of {} schedules", seen.schedules);
            return;
        }
    }
    panic!("{broken:?} passes all schedules");
}
