//! Exponential moving average of the close.

use super::ewm::Ewm;
use super::exact::{DamagedState, Exact, Unread};
use super::storable;
use super::warm_up::WarmUp;

const ALPHA: f64 = 2.0 / 15.0;

/// EMA over 14 rows: the weighted mean of all closes so far, `alpha = 2 / (14 + 1)`, begun with the first close.
///
/// Source: `ta.trend.EMAIndicator(close, window=14).ema_indicator()` of `ta` 0.11.0 (the function `ta.trend.ema_indicator`
/// defaults to a window of 12). Equal bit for bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Ema {
    warm_up: WarmUp<13>,
    mean: Option<Ewm>,
}

impl Ema {
    pub fn new() -> Self {
        Self { warm_up: WarmUp::new(), mean: None }
    }

    /// Takes the close of the next bar; the average in the price's unit, `None` for the first 13 bars.
    #[inline]
    pub fn push(&mut self, close: f64) -> Option<f64> {
        let mean = self.mean.get_or_insert(Ewm::starting_at(close)).step(ALPHA, close);
        if self.warm_up.is_over() { storable(mean) } else { None }
    }
}

impl Default for Ema {
    fn default() -> Self {
        Self::new()
    }
}

impl Exact for Ema {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.warm_up.write_to(out);
        self.mean.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self { warm_up: WarmUp::read_from(unread)?, mean: Option::read_from(unread)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(closes: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut ema = Ema::new();
        closes.into_iter().map(|close| ema.push(close)).last().flatten()
    }

    #[test]
    fn flat_prices_are_their_own_average() {
        assert_eq!(last([112.27; 40]), Some(112.27));
    }

    #[test]
    fn the_first_value_comes_with_the_fourteenth_bar() {
        assert_eq!(last([5.0; 13]), None);
        assert_eq!(last([5.0; 14]), Some(5.0));
    }

    #[test]
    fn one_move_after_a_flat_run_fades() {
        let ema = last([100.0; 35].into_iter().chain([101.0, 100.0, 100.0, 100.0, 100.0])).unwrap();
        assert!((ema - 100.075_222).abs() < 1e-6, "{ema}");
    }
}
