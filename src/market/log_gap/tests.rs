use super::*;
use crate::market::checkpoint::BarRules;
use crate::market::time::{Span, WindowSize};

/// Read up to 16, 11 ticks open from offset 5 on.
fn checkpoint() -> Checkpoint {
    let rules = BarRules {
        window: WindowSize::new(Span::from_secs(300)).unwrap(),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    };
    let mut checkpoint = Checkpoint::genesis(rules, "cluster");
    (checkpoint.resume, checkpoint.cut) = (NextOffset(5), NextOffset(16));
    (checkpoint.counters.read, checkpoint.counters.in_bars, checkpoint.open_ticks) = (16, 5, 11);
    checkpoint
}

fn gap(from: i64, to: i64, open_ticks_lost: Option<u64>) -> LogGap {
    let [from, to] = [from, to].map(NextOffset);
    LogGap { from, cut: NextOffset(16), to, watermark: EventTime::MIN, next_tick: None, open_ticks_lost }
}

#[test]
fn behind_the_cut_all_that_was_open_is_lost_and_leaves_the_ticks_read() {
    let checkpoint = checkpoint().over_gap(NextOffset(20));
    assert_eq!((checkpoint.resume, checkpoint.cut), (NextOffset(20), NextOffset(20)));
    assert_eq!((checkpoint.counters.read, checkpoint.open_ticks), (5, 0));
    assert_eq!(checkpoint.gaps, [gap(5, 20, Some(11))]);
    assert_eq!((checkpoint.gaps[0].unread(), checkpoint.open_ticks_lost()), (4, 11));
}

#[test]
fn below_the_cut_the_loss_is_known_when_what_is_left_has_been_read_again() {
    let before = checkpoint();
    let checkpoint = checkpoint().over_gap(NextOffset(9));
    assert_eq!((checkpoint.resume, checkpoint.cut), (NextOffset(9), NextOffset(16)));
    assert_eq!((checkpoint.counters, checkpoint.open_ticks), (before.counters, 11), "nothing is known yet");
    assert_eq!(checkpoint.gaps, [gap(5, 9, None)]);
    assert_eq!(checkpoint.gaps[0].unread(), 0);
}

#[test]
fn a_gap_that_grows_before_a_commit_stays_one() {
    let grown = checkpoint().over_gap(NextOffset(9)).over_gap(NextOffset(12));
    assert_eq!(grown.gaps, [gap(5, 12, None)]);
    let grown = grown.over_gap(NextOffset(18));
    assert_eq!(grown.gaps, [gap(5, 18, Some(11))]);
    assert_eq!((grown.counters.read, grown.open_ticks), (5, 0));
}

#[test]
fn the_list_is_bounded_and_says_no_less_for_it() {
    let mut checkpoint = checkpoint();
    for at in 0..250 {
        checkpoint = checkpoint.over_gap(NextOffset(20 + at));
        checkpoint.open_ticks = 1;
        checkpoint.counters.read += 1;
    }
    assert_eq!(checkpoint.gaps.len(), GAPS_KEPT);
    assert_eq!((checkpoint.gaps[0].from, checkpoint.gaps[0].to), (NextOffset(5), NextOffset(20 + 150)));
    assert_eq!(checkpoint.open_ticks_lost(), 11 + 249);
}

#[test]
fn a_checkpoint_without_gaps_is_written_and_read_as_before_there_were_any() {
    let written = serde_json::to_string(&checkpoint()).unwrap();
    assert!(!written.contains("gaps"), "{written}");
    assert_eq!(serde_json::from_str::<Checkpoint>(&written).unwrap(), checkpoint());
    let with_gap = checkpoint().over_gap(NextOffset(9));
    let written = serde_json::to_string(&with_gap).unwrap();
    assert_eq!(serde_json::from_str::<Checkpoint>(&written).unwrap(), with_gap);
}
