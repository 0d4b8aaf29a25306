//! Ultimate Oscillator.

use std::ops::Add;

use super::exact::{DamagedState, Exact, Unread};
use super::storable;
use super::warm_up::WarmUp;

/// Rows of the shortest of the three windows; the others are twice and four times as long.
const SHORT: usize = 7;

/// The Ultimate Oscillator over 7, 14 and 28 rows: with `p` the close before,
///
/// - buying pressure `close - min(low, p)`, true range `max(high - low, |high - p|, |low - p|)`,
/// - `a7`, `a14`, `a28` the sum of the one over the sum of the other, over the last 7, 14 and 28 bars,
///
/// `100 * (4 * a7 + 2 * a14 + a28) / 7`, none when a sum of true ranges is 0.
///
/// Source: `ta.momentum.UltimateOscillator(high, low, close).ultimate_oscillator()` of `ta` 0.11.0, whose NaN (0 / 0) is none
/// here. Equal within 1e-9: pandas slides its sums along, with a correction. Here a sum of 7 is added up anew every row, so
/// that no residue is left where it must be 0, and the longer sums are put together from those 7, 14 and 21 rows ago.
#[derive(Clone, Debug, PartialEq)]
pub struct UltimateOsc {
    /// 28 and not 27: the first bar has no close before it, so no flow.
    warm_up: WarmUp<28>,
    previous_close: Option<f64>,
    /// The six flows before the current one, oldest first.
    earlier: [Flow; SHORT - 1],
    /// By row modulo 7: the sums of 7 flows as they were 7, 14 and 21 rows ago.
    sums: [[Flow; 3]; SHORT],
    /// The current row modulo 7.
    lane: u8,
}

/// Buying pressure and true range of a bar, or their sums over several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Flow {
    pressure: f64,
    range: f64,
}

impl Flow {
    #[inline]
    fn of_bar(high: f64, low: f64, close: f64, previous_close: f64) -> Self {
        let (to_high, to_low) = ((high - previous_close).abs(), (low - previous_close).abs());
        let range = larger(high - low, larger(to_high, to_low));
        let floor = if low < previous_close { low } else { previous_close };
        Self { pressure: close - floor, range }
    }

    #[inline]
    fn ratio(self) -> f64 {
        self.pressure / self.range
    }
}

impl Add for Flow {
    type Output = Flow;

    #[inline]
    fn add(self, other: Flow) -> Flow {
        Flow { pressure: self.pressure + other.pressure, range: self.range + other.range }
    }
}

#[inline]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

impl UltimateOsc {
    pub fn new() -> Self {
        Self {
            warm_up: WarmUp::new(),
            previous_close: None,
            earlier: [Flow::default(); SHORT - 1],
            sums: [[Flow::default(); 3]; SHORT],
            lane: 0,
        }
    }

    /// Takes the prices of the next bar; the oscillator between 0 and 100, `None` for the first 28 bars and while no price
    /// moved for 7.
    #[inline]
    pub fn push(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        let over = self.warm_up.is_over();
        let previous_close = self.previous_close.replace(close)?;
        let [sum7, sum14, sum28] = self.sums_with(Flow::of_bar(high, low, close, previous_close));
        // The sums of 14 and 28 hold the one of 7, and a range is never negative.
        if !over || sum7.range == 0.0 {
            return None;
        }
        storable(100.0 * (4.0 * sum7.ratio() + 2.0 * sum14.ratio() + sum28.ratio()) / 7.0)
    }

    /// Takes the next flow; the sums over the last 7, 14 and 28.
    #[inline]
    fn sums_with(&mut self, flow: Flow) -> [Flow; 3] {
        let sum7 = self.earlier.iter().fold(Flow::default(), |sum, &earlier| sum + earlier) + flow;
        self.earlier.copy_within(1.., 0);
        self.earlier[SHORT - 2] = flow;

        let lane = usize::from(self.lane);
        let [ago7, ago14, ago21] = self.sums[lane];
        self.sums[lane] = [sum7, ago7, ago14];
        self.lane = if lane + 1 == SHORT { 0 } else { self.lane + 1 };
        let sum14 = sum7 + ago7;
        [sum7, sum14, sum14 + (ago14 + ago21)]
    }
}

impl Default for UltimateOsc {
    fn default() -> Self {
        Self::new()
    }
}

impl Exact for Flow {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.pressure.write_to(out);
        self.range.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self { pressure: f64::read_from(unread)?, range: f64::read_from(unread)? })
    }
}

impl Exact for UltimateOsc {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.warm_up.write_to(out);
        self.previous_close.write_to(out);
        self.earlier.write_to(out);
        self.sums.write_to(out);
        self.lane.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self {
            warm_up: WarmUp::read_from(unread)?,
            previous_close: Option::read_from(unread)?,
            earlier: <[Flow; SHORT - 1]>::read_from(unread)?,
            sums: <[[Flow; 3]; SHORT]>::read_from(unread)?,
            lane: unread.at_most(SHORT as u8 - 1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(closes: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut ultimate_osc = UltimateOsc::new();
        closes.into_iter().map(|close| ultimate_osc.push(close, close, close)).last().flatten()
    }

    #[test]
    fn flat_prices_have_none() {
        assert_eq!(last([100.0; 40]), None);
    }

    #[test]
    fn rising_prices_give_100_and_falling_prices_0() {
        assert_eq!(last((0..40).map(|i| 100.0 + f64::from(i))), Some(100.0));
        assert_eq!(last((0..40).map(|i| 200.0 - f64::from(i))).map(f64::to_bits), Some(0.0f64.to_bits()));
    }

    #[test]
    fn the_first_value_comes_with_the_twenty_ninth_bar() {
        assert_eq!(last((1..=28).map(f64::from)), None);
        assert_eq!(last((1..=29).map(f64::from)), Some(100.0));
    }

    #[test]
    fn a_move_and_its_return_balance() {
        assert_eq!(last([100.0; 35].into_iter().chain([101.0, 100.0, 100.0, 100.0, 100.0])), Some(50.0));
    }

    #[test]
    fn seven_flat_bars_after_a_move_leave_no_residue() {
        let moved = [100.0; 30].into_iter().chain([100.1, 100.3, 99.7]);
        assert!(last(moved.clone().chain([99.7; 6])).is_some());
        assert_eq!(last(moved.chain([99.7; 7])), None);
    }

    #[test]
    fn the_sums_span_7_14_and_28_rows() {
        let mut ultimate_osc = UltimateOsc::new();
        let flow = |row: u32| Flow { pressure: f64::from(row), range: f64::from(2 * row) };
        for row in 1..=100 {
            let sums = ultimate_osc.sums_with(flow(row));
            let over = |rows: u32| (row.saturating_sub(rows) + 1..=row).map(flow).fold(Flow::default(), Add::add);
            assert_eq!(sums, [7, 14, 28].map(over), "row {row}");
        }
    }
}
