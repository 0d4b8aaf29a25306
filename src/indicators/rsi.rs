//! Relative strength index.

use super::ewm::Ewm;
use super::exact::{DamagedState, Exact, Unread};
use super::storable;
use super::warm_up::WarmUp;

const ALPHA: f64 = 1.0 / 14.0;

/// RSI over 14 rows: with `d` the change of the close, `up` and `down` the exponentially weighted means (`alpha = 1 / 14`, begun
/// with 0 at the first row) of `max(d, 0)` and `max(-d, 0)`,
///
/// `100 - 100 / (1 + up / down)`, and 100 when `down` is 0, so also for flat prices.
///
/// Source: `ta.momentum.RSIIndicator(close, window=14).rsi()` of `ta` 0.11.0. Equal bit for bit. Wilder's own RSI, and most
/// other libraries, begin with a plain mean of 14 changes and differ for a few hundred rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rsi {
    warm_up: WarmUp<13>,
    previous_close: Option<f64>,
    up: Ewm,
    down: Ewm,
}

impl Rsi {
    pub fn new() -> Self {
        Self { warm_up: WarmUp::new(), previous_close: None, up: Ewm::starting_at(0.0), down: Ewm::starting_at(0.0) }
    }

    /// Takes the close of the next bar; the index between 0 and 100, `None` for the first 13 bars.
    #[inline]
    pub fn push(&mut self, close: f64) -> Option<f64> {
        let change = self.previous_close.map_or(0.0, |previous| close - previous);
        self.previous_close = Some(close);
        let up = self.up.step(ALPHA, if change > 0.0 { change } else { 0.0 });
        let down = self.down.step(ALPHA, if change < 0.0 { -change } else { 0.0 });
        if !self.warm_up.is_over() {
            return None;
        }
        storable(if down == 0.0 { 100.0 } else { 100.0 - 100.0 / (1.0 + up / down) })
    }
}

impl Default for Rsi {
    fn default() -> Self {
        Self::new()
    }
}

impl Exact for Rsi {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.warm_up.write_to(out);
        self.previous_close.write_to(out);
        self.up.write_to(out);
        self.down.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self {
            warm_up: WarmUp::read_from(unread)?,
            previous_close: Option::read_from(unread)?,
            up: Ewm::read_from(unread)?,
            down: Ewm::read_from(unread)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(closes: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut rsi = Rsi::new();
        closes.into_iter().map(|close| rsi.push(close)).last().flatten()
    }

    #[test]
    fn prices_that_never_fall_give_100() {
        assert_eq!(last([100.0; 40]), Some(100.0));
        assert_eq!(last((0..40).map(|i| 100.0 + f64::from(i))), Some(100.0));
    }

    #[test]
    fn prices_that_only_fall_give_0() {
        assert_eq!(last((0..40).map(|i| 200.0 - f64::from(i))).map(f64::to_bits), Some(0.0f64.to_bits()));
    }

    #[test]
    fn the_first_value_comes_with_the_fourteenth_bar() {
        assert_eq!(last([5.0; 13]), None);
        assert_eq!(last([5.0; 14]), Some(100.0));
    }

    #[test]
    fn one_move_after_a_flat_run_leans_to_its_return() {
        let rsi = last([100.0; 35].into_iter().chain([101.0, 100.0, 100.0, 100.0, 100.0])).unwrap();
        assert!((rsi - 48.148_148).abs() < 1e-6, "{rsi}");
    }
}
