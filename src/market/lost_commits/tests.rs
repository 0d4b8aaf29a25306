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
    let number = CommitNumber(number);
    LostCommits { first: number, last: number, watermark: minute(10), bars }
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

#[test]
fn a_loss_is_told_as_far_as_it_is_known() {
    let text = lost(7, two_bars()).to_string();
    assert_eq!(text, "2 bars of AAPL, IBM, of windows from 1970-01-01T00:10:00.000000Z to 1970-01-01T00:15:00.000000Z");
    let many = LostBars::of((0..8).map(|n| (symbol(&format!("S{n}")), minute(5))));
    let text = lost(7, many).to_string();
    assert_eq!(text, "8 bars of S0, S1, S2, S3, S4 and 3 more stocks, of windows from 1970-01-01T00:05:00.000000Z");
    assert!(lost(7, None).to_string().contains("that end after 1970-01-01T00:10:00.000000Z: nothing tells which"));
}
