//! The comparison with a log, over logs that are made up and lose their start.

use proptest::prelude::*;

use super::super::coverage::{Coverage, Cuts, coverage};
use super::super::findings::{Findings, RowFaults};
use super::super::log::{LogPass, UntakenPass, compare_rows};
use super::super::remedy::Remedy;
use crate::market::bar::Bar;
use crate::market::checkpoint::{BarRules, Checkpoint, NextOffset};
use crate::market::partition::{FORCED_KEPT, PartitionCursor, Record, Verdict};
use crate::market::symbol::Symbol;
use crate::market::time::{EventTime, Span, WindowSize};
use crate::market::window::StockWindows;

const MINUTE: i64 = 60_000_000;
const BEGIN: i64 = 1_747_173_600_000_000;

fn rules() -> BarRules {
    BarRules {
        window: WindowSize::new(Span::from_secs(300)).unwrap(),
        lateness: Span::from_secs(600),
        max_ahead: Span::from_secs(60),
    }
}

/// A tick of the log: how many minutes late, whether of the first stock, and what happens before it.
type Step = (i64, bool, Event);

#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    /// The partition is idle: all windows close.
    Idle,
    /// The reader starts again when the log has lost all but so many of its newest records.
    Gap(usize),
}

/// A log, and the commits that the product makes of it.
struct Made {
    log: Vec<Vec<u8>>,
    commits: Vec<(Vec<Bar>, Checkpoint)>,
    /// The log holds nothing below.
    lost: usize,
    cursor: PartitionCursor,
    windows: Vec<StockWindows>,
}

impl Made {
    /// The time of the log goes on by half a minute a tick.
    fn of(steps: &[Step]) -> Self {
        let genesis = Checkpoint::genesis(rules(), "c");
        let (cursor, windows) = restored(genesis.clone());
        let mut made = Self { log: Vec::new(), commits: vec![(Vec::new(), genesis)], lost: 0, cursor, windows };
        for (offset, (behind, first, event)) in steps.iter().enumerate() {
            match (event, made.cursor.end_of_stream()) {
                (Event::Idle, Some(end)) => {
                    made.cursor.force(end);
                    made.commit();
                }
                (Event::Gap(kept), _) => made.start_behind(offset.saturating_sub(*kept)),
                _ => {}
            }
            let time = BEGIN + offset as i64 * MINUTE / 2 - behind * MINUTE;
            let symbol = if *first { "AAPL" } else { "MSFT" };
            made.log.push(format!("{time},{symbol},{},{}", 100 + offset % 7, offset % 5).into_bytes());
            made.read(offset);
        }
        if !made.cursor.is_replaying() {
            made.commit();
        }
        made
    }

    fn start_behind(&mut self, log_start: usize) {
        let newest = self.newest().clone();
        if log_start as i64 <= newest.resume.0 {
            return;
        }
        let newest = newest.over_gap(NextOffset(log_start as i64));
        (self.cursor, self.windows) = restored(newest.clone());
        self.commits.push((Vec::new(), newest));
        self.lost = log_start;
        (log_start..self.log.len()).for_each(|offset| self.read(offset));
    }

    fn read(&mut self, offset: usize) {
        let record = Record { offset: offset as i64, timestamp: None, payload: &self.log[offset] };
        if let Verdict::Tick(slot, tick) = self.cursor.read(record) {
            self.windows[slot.0].fold(&tick);
        }
        if self.cursor.can_close() {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let watermark = self.cursor.watermark();
        let bars =
            self.windows.iter_mut().flat_map(|windows| windows.close(watermark)).map(|closed| closed.bar).collect();
        let mut checkpoint = self.cursor.cut().0;
        let open = || self.windows.iter().map(StockWindows::still_open);
        let oldest = open().filter_map(|open| open.oldest_offset).min().map(NextOffset);
        checkpoint.resume = oldest.unwrap_or(checkpoint.cut).min(checkpoint.cut);
        checkpoint.open_ticks = open().map(|open| open.ticks).sum();
        self.commits.push((bars, checkpoint));
    }

    fn newest(&self) -> &Checkpoint {
        &self.commits.last().unwrap().1
    }

    fn cuts(&self) -> Cuts {
        let mut cuts = Cuts::default();
        self.commits.iter().for_each(|(_, checkpoint)| cuts.observe(checkpoint));
        cuts
    }

    /// What differs, and how many bars were compared, when the log begins at `start`.
    fn compare(&self, start: usize) -> (Vec<String>, usize) {
        let start = start.max(self.lost);
        let Some(cover) = coverage(NextOffset(start as i64), self.newest(), &self.cuts()) else { return (vec![], 0) };
        let mut pass = LogPass::new(self.newest(), cover);
        let mut commits = self.commits.iter().peekable();
        let (mut findings, mut compared) = (Findings::default(), 0);
        let mut hold = |pass: &mut LogPass, (bars, checkpoint): &(Vec<Bar>, Checkpoint)| {
            let covered: Vec<Bar> = bars.iter().filter(|bar| bar.window_start > cover.above).cloned().collect();
            compared += covered.len();
            let mut faults = RowFaults::default();
            compare_rows(&covered, &pass.close(checkpoint.watermark), &mut faults);
            findings.of_rows(std::path::Path::new("x"), faults, Remedy::RestoreOrReplay);
        };
        for (offset, payload) in self.log.iter().enumerate().skip(start) {
            while let Some(commit) = commits.next_if(|(_, checkpoint)| checkpoint.cut.0 <= offset as i64) {
                hold(&mut pass, commit);
            }
            pass.read(Record { offset: offset as i64, timestamp: None, payload });
        }
        commits.for_each(|commit| hold(&mut pass, commit));
        (findings.into_parts().0.iter().map(ToString::to_string).collect(), compared)
    }
}

fn restored(checkpoint: Checkpoint) -> (PartitionCursor, Vec<StockWindows>) {
    let cursor = PartitionCursor::new(checkpoint, ["AAPL", "MSFT"].map(|text| Symbol::new(text).unwrap()));
    let windows = cursor.symbols().iter().map(|symbol| StockWindows::new(symbol.clone(), rules().window)).collect();
    (cursor, windows)
}

fn in_order(ticks: usize) -> Vec<Step> {
    (0..ticks).map(|tick| (0, tick % 3 > 0, Event::Nothing)).collect()
}

#[test]
fn a_whole_log_covers_every_bar() {
    let made = Made::of(&in_order(200));
    let bars: usize = made.commits.iter().map(|(bars, _)| bars.len()).sum();
    assert_eq!(made.compare(0), (vec![], bars));
    assert!(bars > 10);
}

#[test]
fn a_log_that_has_lost_its_start_covers_the_windows_beyond_the_lateness() {
    let made = Made::of(&in_order(200));
    let all = made.compare(0).1;
    let (differences, compared) = made.compare(100);
    assert_eq!(differences, Vec::<String>::new());
    assert!(compared > 0 && compared < all / 2 + 1, "{compared} of {all}");
}

#[test]
fn each_kind_of_difference_is_told_with_stock_window_and_both_values() {
    let mut made = Made::of(&in_order(200));
    let rich: Vec<usize> = (0..made.commits.len()).filter(|n| made.commits[*n].0.len() == 2).collect();
    made.commits[rich[0]].0[0].close += 0.5;
    made.commits[rich[1]].0[1].ticks += 1;
    made.commits[rich[2]].0.remove(0);
    let mut invented = made.commits[rich[3]].0[1].clone();
    invented.window_start = invented.window_start + Span::from_secs(86_400);
    made.commits[rich[3]].0.push(invented);
    let (found, _) = made.compare(0);
    assert_eq!(found.len(), 4, "{found:#?}");
    let wanted = [
        "AAPL at 2025",
        "close is",
        "MSFT at 2025",
        "ticks is",
        "AAPL at 2025",
        "is not in the lake",
        "MSFT at 2025",
        "gives no such bar",
    ];
    for (found, wanted) in found.iter().zip(wanted.chunks(2)) {
        assert!(wanted.iter().all(|part| found.contains(part)), "{found}: {wanted:?}");
    }
}

#[test]
fn nothing_is_covered_when_no_bound_of_the_watermark_is_known() {
    let mut newest = Checkpoint::genesis(rules(), "c");
    newest.cut = NextOffset(100);
    assert_eq!(coverage(NextOffset(10), &newest, &Cuts::default()), None);
    let whole = Coverage { from: NextOffset(0), above: EventTime::MIN };
    assert_eq!(coverage(NextOffset(0), &newest, &Cuts::default()), Some(whole));
}

#[test]
fn a_midnight_bounds_nothing() {
    let mut early = Checkpoint::genesis(rules(), "c");
    (early.cut, early.watermark) = (NextOffset(50), EventTime::from_micros(BEGIN).midnight());
    let late = Checkpoint { watermark: EventTime::from_micros(BEGIN + 1), ..early.clone() };
    let mut cuts = Cuts::default();
    cuts.observe(&early);
    let cover = coverage(NextOffset(10), &late, &cuts).unwrap();
    assert_eq!(cover.above, EventTime::from_micros(BEGIN + 1) + rules().lateness);
}

#[test]
fn many_cuts_are_thinned_out_and_still_bound() {
    let mut cuts = Cuts::default();
    let mut checkpoint = Checkpoint::genesis(rules(), "c");
    for n in 1..20_000 {
        (checkpoint.cut, checkpoint.watermark) = (NextOffset(n), EventTime::from_micros(BEGIN + n));
        cuts.observe(&checkpoint);
    }
    let above = coverage(NextOffset(10_000), &checkpoint, &cuts).unwrap().above - rules().lateness;
    let behind = above.micros() - BEGIN - 10_000;
    assert!((0..100).contains(&behind), "{behind}");
}

#[test]
fn forced_advances_that_were_forgotten_are_not_needed() {
    let mut newest = Checkpoint::genesis(rules(), "c");
    let forced = |n: usize| (NextOffset(5 + n as i64), EventTime::from_micros(BEGIN + n as i64));
    newest.forced = (0..FORCED_KEPT)
        .map(forced)
        .map(|(offset, watermark)| crate::market::checkpoint::ForcedAdvance { offset, watermark })
        .collect();
    let cover = coverage(NextOffset(0), &newest, &Cuts::default()).unwrap();
    assert_eq!(cover, Coverage { from: NextOffset(5), above: EventTime::from_micros(BEGIN) + rules().lateness });
}

#[test]
fn a_partition_that_nobody_took_gives_bars_once_a_known_stock_has_a_window_that_is_over() {
    let made = Made::of(&in_order(60));
    let gives_bars = |stocks: &[&str], ticks: usize| {
        let stocks: Vec<Symbol> = stocks.iter().map(|text| Symbol::new(text).unwrap()).collect();
        let mut pass = UntakenPass::new(rules(), &stocks);
        for (offset, payload) in made.log[..ticks].iter().enumerate() {
            let _ = pass.read(Record { offset: offset as i64, timestamp: None, payload });
        }
        pass.gives_bars()
    };
    assert!(gives_bars(&["AAPL"], 60));
    assert!(!gives_bars(&["IBM"], 60), "none of its ticks count");
    assert!(!gives_bars(&["AAPL"], 20), "fifteen minutes must pass");
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        93 => Just(Event::Nothing),
        4 => Just(Event::Idle),
        3 => (0usize..40).prop_map(Event::Gap),
    ]
}

proptest! {
    /// Ticks are up to twenty minutes late, twice the lateness.
    #[test]
    fn no_sound_lake_differs_from_its_log_wherever_that_begins(
        steps in prop::collection::vec((0i64..20, any::<bool>(), events()), 1..250),
        start in 0usize..250,
    ) {
        let made = Made::of(&steps);
        let start = start.min(made.log.len());
        prop_assert_eq!(made.compare(start).0, Vec::<String>::new());
    }
}
