//! The bars of one file, by themselves. Pure.

use super::findings::{RowFaults, Rule};
use crate::market::bar::Bar;
use crate::market::checkpoint::Checkpoint;
use crate::words::counted;

/// Everything that can be told from the file, its date and its checkpoint alone.
pub fn check(bars: &[Bar], date: &str, checkpoint: &Checkpoint, faults: &mut RowFaults) {
    for pair in bars.windows(2) {
        if (&pair[0].symbol, pair[0].window_start) >= (&pair[1].symbol, pair[1].window_start) {
            let before = &pair[0];
            faults.add(Rule::Order, (&pair[1].symbol, pair[1].window_start), || {
                format!(
                    "stands after {} at {}: rows are not sorted by (company, timestamp)",
                    before.symbol, before.window_start
                )
            });
        }
    }
    bars.iter().for_each(|bar| check_bar(bar, date, checkpoint, faults));
}

fn check_bar(bar: &Bar, date: &str, checkpoint: &Checkpoint, faults: &mut RowFaults) {
    let (row, window) = ((&bar.symbol, bar.window_start), checkpoint.rules.window);
    if bar.window_start.date() != date {
        faults.add(Rule::Date, row, || format!("is not of the directory's date {date}"));
    }
    if window.start_of(bar.window_start) != bar.window_start {
        faults.add(Rule::Alignment, row, || format!("no window of {} s starts there", window.span().as_secs_f64()));
    }
    if window.end_of(bar.window_start) > checkpoint.watermark {
        let watermark = checkpoint.watermark;
        faults.add(Rule::Closed, row, || format!("the window was not over at the commit's watermark {watermark}"));
    }
    let Bar { open, high, low, close, .. } = *bar;
    let within = |price: f64| low <= price && price <= high;
    if !(low > 0.0 && high.is_finite() && within(open) && within(close)) {
        faults.add(Rule::Prices, row, || {
            format!("open {open}, high {high}, low {low}, close {close} do not satisfy 0 < low <= open, close <= high")
        });
    }
    if bar.ticks <= 0 {
        faults.add(Rule::Ticks, row, || format!("it has {} ticks", bar.ticks));
    }
}

/// Whether every tick that was read is accounted for.
///
/// # Errors
/// With what does not add up.
pub fn check_conservation(checkpoint: &Checkpoint) -> Result<(), String> {
    let c = &checkpoint.counters;
    let parts = [c.in_bars, checkpoint.open_ticks, c.late, c.malformed, c.future, c.unknown];
    let sum: u128 = parts.iter().copied().map(u128::from).sum();
    if sum == u128::from(c.read) {
        return Ok(());
    }
    Err(format!(
        "its checkpoint counts {} read, but {} in bars + {} open + {} late + {} malformed + {} future + {} unknown = {sum}",
        counted(c.read, "tick"),
        c.in_bars,
        checkpoint.open_ticks,
        c.late,
        c.malformed,
        c.future,
        c.unknown
    ))
}
