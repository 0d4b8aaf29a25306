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
    if let Some(problem) = volume_fault(bar) {
        faults.add(Rule::Volume, row, || problem);
    }
    if bar.ticks <= 0 {
        faults.add(Rule::Ticks, row, || format!("it has {} ticks", bar.ticks));
    }
}

/// What is impossible about volume and vwap: a volume is a sum of numbers of at least 0, and a vwap a mean of prices by them.
fn volume_fault(bar: &Bar) -> Option<String> {
    let Bar { low, high, volume, vwap, ticks, .. } = *bar;
    if let Some(volume) = volume
        && !(volume >= 0.0 && volume.is_finite())
    {
        return Some(format!("volume {volume} is no sum of volumes"));
    }
    let vwap = vwap?;
    let Some(volume) = volume.filter(|volume| *volume > 0.0) else {
        return Some(format!("vwap {vwap} without a volume"));
    };
    // each tick rounds both sums once
    let slack = f64::EPSILON * (ticks.max(0) as f64 + 2.0);
    let is_within = low * (1.0 - slack) <= vwap && vwap <= high * (1.0 + slack);
    // products of tiny volumes keep only some of their digits
    let is_exact = low * volume > TINY;
    let fault = || format!("vwap {vwap} does not lie between low {low} and high {high}");
    (!vwap.is_finite() || is_exact && !is_within).then(fault)
}

/// Far above where numbers lose digits, however many are added.
const TINY: f64 = 1e-290;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::market::symbol::Symbol;
    use crate::market::tick::Tick;
    use crate::market::time::{EventTime, Span, WindowSize};
    use crate::market::watermark::Watermark;
    use crate::market::window::StockWindows;

    fn bar(volume: Option<f64>, vwap: Option<f64>) -> Bar {
        let window_start = EventTime::from_micros(0);
        let symbol = Symbol::new("AAPL").unwrap();
        Bar { symbol, window_start, open: 10.0, high: 12.0, low: 9.0, close: 11.0, volume, vwap, ticks: 3 }
    }

    #[rstest]
    #[case::of_no_tick(None, None)]
    #[case::of_a_sum_of_0(Some(0.0), None)]
    #[case::whose_products_overflow(Some(1e308), None)]
    #[case::at_the_low(Some(5.0), Some(9.0))]
    #[case::rounded_above_the_high(Some(5.0), Some(12.0_f64.next_up()))]
    #[case::of_volumes_too_small_to_weigh_with(Some(5e-324), Some(13.0))]
    fn a_volume_is_possible(#[case] volume: Option<f64>, #[case] vwap: Option<f64>) {
        assert_eq!(volume_fault(&bar(volume, vwap)), None);
    }

    #[rstest]
    #[case::negative(Some(-1.0), None, "no sum of volumes")]
    #[case::infinite(Some(f64::INFINITY), None, "no sum of volumes")]
    #[case::no_number(Some(f64::NAN), None, "no sum of volumes")]
    #[case::without_volume(None, Some(10.0), "without a volume")]
    #[case::of_a_sum_of_0(Some(0.0), Some(10.0), "without a volume")]
    #[case::below_the_low(Some(5.0), Some(8.99), "between low 9 and high 12")]
    #[case::above_the_high(Some(5.0), Some(12.01), "between low 9 and high 12")]
    #[case::vwap_no_number(Some(5.0), Some(f64::NAN), "between low 9 and high 12")]
    fn a_volume_is_impossible(#[case] volume: Option<f64>, #[case] vwap: Option<f64>, #[case] says: &str) {
        let fault = volume_fault(&bar(volume, vwap)).expect("it is told");
        assert!(fault.contains(says), "{fault}");
    }

    proptest! {
        /// However small, large and many the volumes are.
        #[test]
        fn no_bar_that_ticks_give_is_impossible(
            ticks in prop::collection::vec((1e-6..1e9f64, prop::num::f64::POSITIVE | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL), 1..60)
        ) {
            let window = WindowSize::new(Span::from_secs(300)).unwrap();
            let mut windows = StockWindows::new(Symbol::new("AAPL").unwrap(), window);
            for (offset, (price, volume)) in ticks.into_iter().enumerate() {
                let (offset, volume) = (offset as i64, Some(volume.abs()));
                windows.fold(&Tick { offset, event_time: EventTime::from_micros(offset), price, volume });
            }
            for closed in windows.close(Watermark::restored(EventTime::from_micros(i64::MAX))) {
                prop_assert_eq!(volume_fault(&closed.bar), None);
            }
        }
    }
}
