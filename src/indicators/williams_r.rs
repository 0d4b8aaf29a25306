//! Williams %R.

use super::exact::{DamagedState, Exact, Unread};
use super::storable;
use super::warm_up::WarmUp;

/// Rows before the current one that the 14-row window spans.
const EARLIER: usize = 13;

/// Williams %R over 14 rows: with `HH` the highest high and `LL` the lowest low of the last 14 bars,
///
/// `-100 * (HH - close) / (HH - LL)`, none when `HH` equals `LL`.
///
/// Source: `ta.momentum.WilliamsRIndicator(high, low, close, lbp=14).williams_r()` of `ta` 0.11.0, whose NaN (0 / 0) is none
/// here. Equal bit for bit, but for the sign of zero.
#[derive(Clone, Debug, PartialEq)]
pub struct WilliamsR {
    warm_up: WarmUp<{ EARLIER as u8 }>,
    // A ring: which bar an extreme is from does not matter, so the values stay where they are. The current bar is not in it
    // while it is scanned: reading a value back right after writing it would stall the vector loads.
    highs: [f64; EARLIER],
    lows: [f64; EARLIER],
    /// Place of the oldest bar in the ring.
    oldest: u8,
}

impl WilliamsR {
    pub fn new() -> Self {
        let (highs, lows) = ([f64::NEG_INFINITY; EARLIER], [f64::INFINITY; EARLIER]);
        Self { warm_up: WarmUp::new(), highs, lows, oldest: 0 }
    }

    /// Takes the prices of the next bar; %R between -100 and 0, `None` for the first 13 bars and while no price moved for 14.
    #[inline]
    pub fn push(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        let highest = self.highs.iter().fold(high, |highest, &high| if high > highest { high } else { highest });
        let lowest = self.lows.iter().fold(low, |lowest, &low| if low < lowest { low } else { lowest });
        let oldest = usize::from(self.oldest);
        self.highs[oldest] = high;
        self.lows[oldest] = low;
        self.oldest = if oldest + 1 == EARLIER { 0 } else { self.oldest + 1 };
        if !self.warm_up.is_over() || highest == lowest {
            return None;
        }
        storable(-100.0 * (highest - close) / (highest - lowest))
    }
}

impl Default for WilliamsR {
    fn default() -> Self {
        Self::new()
    }
}

impl Exact for WilliamsR {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.warm_up.write_to(out);
        self.highs.write_to(out);
        self.lows.write_to(out);
        self.oldest.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self {
            warm_up: WarmUp::read_from(unread)?,
            highs: <[f64; EARLIER]>::read_from(unread)?,
            lows: <[f64; EARLIER]>::read_from(unread)?,
            oldest: unread.at_most(EARLIER as u8 - 1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(closes: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut williams_r = WilliamsR::new();
        closes.into_iter().map(|close| williams_r.push(close, close, close)).last().flatten()
    }

    #[test]
    fn flat_prices_have_none() {
        assert_eq!(last([100.0; 40]), None);
    }

    #[test]
    fn the_highest_close_is_0_and_not_minus_0() {
        assert_eq!(last((0..40).map(|i| 100.0 + f64::from(i))).map(f64::to_bits), Some(0.0f64.to_bits()));
    }

    #[test]
    fn the_lowest_close_is_minus_100() {
        assert_eq!(last((0..40).map(|i| 200.0 - f64::from(i))), Some(-100.0));
        assert_eq!(last([100.0; 35].into_iter().chain([101.0, 100.0, 100.0, 100.0, 100.0])), Some(-100.0));
    }

    #[test]
    fn an_extreme_counts_for_fourteen_bars() {
        let spike = |bars_after| [1.0; 20].into_iter().chain([3.0]).chain(vec![1.0; bars_after]);
        assert_eq!(last(spike(13)), Some(-100.0));
        assert_eq!(last(spike(14)), None);
    }

    #[test]
    fn the_first_value_comes_with_the_fourteenth_bar() {
        assert_eq!(last((0..13).map(f64::from)), None);
        assert_eq!(last((0..14).map(f64::from)), Some(0.0));
    }

    #[test]
    fn prices_too_large_to_subtract_give_none_instead_of_infinity() {
        let mut williams_r = WilliamsR::new();
        let values: Vec<_> = (0..14).map(|_| williams_r.push(f64::MAX, 1.0, 1.0)).collect();
        assert_eq!(values[13], None);
    }
}
