use super::*;
use crate::market::checkpoint::{BarRules, NextOffset};
use crate::market::time::{Span, WindowSize};

fn minute(minute: i64) -> EventTime {
    EventTime::from_micros(minute * 60_000_000)
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap()
}

fn checkpoint() -> Checkpoint {
    let rules = BarRules {
        window: WindowSize::new(Span::from_secs(300)).unwrap(),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    };
    Checkpoint::genesis(rules, "one")
}

fn lost(number: u64, bars: Option<LostBars>) -> LostCommits {
    LostCommits::of(CommitNumber(number), minute(10), bars)
}

fn two_bars() -> Option<LostBars> {
    LostBars::of([(symbol("IBM"), minute(15)), (symbol("AAPL"), minute(10))])
}

#[test]
fn a_loss_outlives_the_log() {
    let mut before = checkpoint().without(&[lost(7, two_bars())]);
    before.cut = NextOffset(9);
    let after = before.on_new_log("two").without(&[lost(9, None)]);
    assert_eq!(after.lost, [lost(7, two_bars()), lost(9, None)]);
    let json = serde_json::to_string(&after).unwrap();
    assert_eq!(serde_json::from_str::<Checkpoint>(&json).unwrap(), after);
}

#[test]
fn a_checkpoint_without_a_loss_says_nothing_of_it() {
    assert!(!serde_json::to_string(&checkpoint()).unwrap().contains("lost"));
}

#[test]
fn of_many_losses_the_oldest_become_one_and_none_is_forgotten() {
    let many = (1..=150).fold(checkpoint(), |checkpoint, number| checkpoint.without(&[lost(number, two_bars())]));
    assert_eq!(many.lost.len(), LOSSES_KEPT);
    assert!((1..=150).all(|number| many.lost.iter().any(|lost| lost.covers(CommitNumber(number)))));
    assert_eq!(many.lost.iter().filter_map(|lost| lost.bars.as_ref()).map(|bars| bars.count).sum::<u64>(), 300);
}

/// Pending, until what is below offset 9 has been given again.
fn pending(number: u64, bars: Option<LostBars>) -> LostCommits {
    LostCommits { until: Some(NextOffset(9)), ..lost(number, bars) }
}

fn at(resume: i64, watermark: EventTime) -> Checkpoint {
    Checkpoint { resume: NextOffset(resume), cut: NextOffset(20), watermark, ..checkpoint() }
}

#[test]
fn a_pending_commit_is_listed_until_its_windows_have_ended_or_no_open_one_needs_its_ticks() {
    for (bars, at, is_listed) in [
        (None, at(8, minute(60)), true),
        (None, at(9, minute(10)), false),
        (two_bars(), at(8, minute(19)), true),
        (two_bars(), at(8, minute(20)), false),
        (two_bars(), at(9, minute(10)), false),
    ] {
        let mut checkpoint = at.without(&[pending(7, bars)]);
        checkpoint.settle_lost();
        assert_eq!(!checkpoint.lost.is_empty(), is_listed, "{checkpoint:?}");
    }
    let mut lost_for_good = at(20, minute(60)).without(&[lost(7, two_bars())]);
    lost_for_good.settle_lost();
    assert_eq!(lost_for_good.lost, [lost(7, two_bars())]);
}

#[test]
fn with_its_log_what_is_pending_is_lost_as_far_as_it_was_not_made_again() {
    let lost_at = |at: Checkpoint, bars| at.without(&[pending(7, bars)]).on_new_log("two").lost;
    assert_eq!(lost_at(at(8, minute(10)), two_bars()), [lost(7, two_bars())]);
    let partly = LostCommits::of(CommitNumber(7), minute(15), None);
    assert_eq!(lost_at(at(8, minute(15)), two_bars()), [partly], "nothing tells which of them are there");
    assert_eq!(lost_at(at(8, minute(20)), two_bars()), []);
    assert_eq!(lost_at(at(9, minute(10)), None), []);
}

#[test]
fn of_two_that_become_one_none_is_taken_for_made_again() {
    let until = |older: LostCommits, younger| older.joined(younger).until;
    assert_eq!(until(lost(1, None), pending(2, None)), None);
    assert_eq!(until(pending(1, None), lost(2, None)), None);
    assert_eq!(until(pending(1, None), pending(2, None)), Some(NextOffset(9)));
}

#[test]
fn a_loss_names_few_stocks_however_many_there_are() {
    let stocks = |from: u64, to: u64| LostBars::of((from..to).map(|n| (symbol(&format!("S{n:04}")), minute(5))));
    let many = stocks(0, 2_000).unwrap();
    assert_eq!((many.stocks.len(), many.more_stocks, many.count), (NAMED, 1_995, 2_000));
    let joined = many.clone().joined(stocks(1_000, 2_001).unwrap());
    assert_eq!((joined.stocks.len(), joined.more_stocks, joined.count), (NAMED, 1_995, 3_001), "at least so many");
    let few = stocks(0, 3).unwrap().joined(stocks(2, 4).unwrap());
    assert_eq!((few.stocks.len(), few.more_stocks, few.count), (4, 0, 5));
    let checkpoint = checkpoint().without(&vec![lost(7, Some(many)); LOSSES_KEPT]);
    assert!(serde_json::to_string(&checkpoint).unwrap().len() < 30_000);
}

#[test]
fn a_loss_is_told_as_far_as_it_is_known() {
    let text = lost(7, two_bars()).to_string();
    assert_eq!(text, "2 bars of AAPL, IBM, of windows from 1970-01-01T00:10:00.000000Z to 1970-01-01T00:15:00.000000Z");
    let many = LostBars::of((0..8).map(|n| (symbol(&format!("S{n}")), minute(5))));
    let text = lost(7, many).to_string();
    assert_eq!(text, "8 bars of S0, S1, S2, S3, S4 and 3 more stocks, of windows from 1970-01-01T00:05:00.000000Z");
    assert!(lost(7, None).to_string().contains("that end after 1970-01-01T00:10:00.000000Z: nothing tells which"));
}
