//! All indicators of one stock.

use crate::market::bar::Bar;

use super::close_lags::CloseLags;
use super::ema::Ema;
use super::exact::{DamagedState, Exact, Unread};
use super::feature_row::FeatureRow;
use super::rsi::Rsi;
use super::ultimate_osc::UltimateOsc;
use super::williams_r::WilliamsR;

/// Turns the bars of one stock into feature rows. What it holds is the whole history as far as it matters, not a window of it: a
/// copy of it goes on exactly as the original.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StockIndicators {
    williams_r: WilliamsR,
    ultimate_osc: UltimateOsc,
    rsi: Rsi,
    ema: Ema,
    close_lags: CloseLags,
}

impl StockIndicators {
    /// Before the first bar of the stock.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bar of the stock; bars come in the order of their windows, each once.
    #[inline]
    pub fn push(&mut self, bar: &Bar) -> FeatureRow {
        let &Bar { open, high, low, close, .. } = bar;
        FeatureRow {
            window_start: bar.window_start,
            symbol: bar.symbol.clone(),
            open,
            high,
            low,
            close,
            williams_r: self.williams_r.push(high, low, close),
            ultimate_osc: self.ultimate_osc.push(high, low, close),
            rsi: self.rsi.push(close),
            ema: self.ema.push(close),
            close_lags: self.close_lags.push(close),
        }
    }
}

impl Exact for StockIndicators {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.williams_r.write_to(out);
        self.ultimate_osc.write_to(out);
        self.rsi.write_to(out);
        self.ema.write_to(out);
        self.close_lags.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self {
            williams_r: WilliamsR::read_from(unread)?,
            ultimate_osc: UltimateOsc::read_from(unread)?,
            rsi: Rsi::read_from(unread)?,
            ema: Ema::read_from(unread)?,
            close_lags: CloseLags::read_from(unread)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::symbol::Symbol;
    use crate::market::time::EventTime;
    use rstest::rstest;

    fn rising(bars: usize) -> Vec<FeatureRow> {
        let mut indicators = StockIndicators::new();
        let bar = |i: usize| Bar {
            symbol: Symbol::new("AAPL").unwrap(),
            window_start: EventTime::from_micros(i as i64 * 300_000_000),
            open: 99.5 + i as f64,
            high: 100.0 + i as f64,
            low: 99.0 + i as f64,
            close: 99.75 + i as f64,
            volume: None,
            vwap: None,
            ticks: 3,
        };
        (0..bars).map(|i| indicators.push(&bar(i))).collect()
    }

    #[rstest]
    #[case(0, [0, 0, 0, 0])]
    #[case(1, [0, 0, 0, 0])]
    #[case(13, [0, 0, 0, 0])]
    #[case(14, [1, 0, 1, 1])]
    #[case(27, [14, 0, 14, 14])]
    #[case(28, [15, 0, 15, 15])]
    #[case(29, [16, 1, 16, 16])]
    fn values_begin_where_enough_history_exists(#[case] bars: usize, #[case] expected: [usize; 4]) {
        let rows = rising(bars);
        let count = |value: fn(&FeatureRow) -> Option<f64>| rows.iter().filter_map(value).count();
        let found = [count(|r| r.williams_r), count(|r| r.ultimate_osc), count(|r| r.rsi), count(|r| r.ema)];
        assert_eq!(found, expected, "%R, UO, RSI, EMA over {bars} bars");
    }

    #[test]
    fn a_row_carries_the_bar_it_was_made_from() {
        let row = rising(3).pop().unwrap();
        assert_eq!((row.symbol.as_str(), row.window_start.micros()), ("AAPL", 600_000_000));
        assert_eq!([row.open, row.high, row.low, row.close], [101.5, 102.0, 101.0, 101.75]);
        assert_eq!(row.close_lags, [Some(100.75), Some(99.75), None, None, None]);
    }
}
