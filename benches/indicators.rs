//! Rows a second from bars to feature rows: all indicators and the lags, one stock and a thousand.
//!
//! `cargo bench --bench indicators`

use divan::Bencher;
use divan::counter::ItemsCount;

use stockstream::indicators::ema::Ema;
use stockstream::indicators::rsi::Rsi;
use stockstream::indicators::state::IndicatorState;
use stockstream::indicators::stock::StockIndicators;
use stockstream::indicators::ultimate_osc::UltimateOsc;
use stockstream::indicators::williams_r::WilliamsR;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::CommitNumber;

#[path = "support/random_bars.rs"]
mod random_bars;

use random_bars::random_bars;

const ROWS: usize = 1_000_000;

fn main() {
    divan::main();
}

/// Runs one indicator over the bars of one stock.
fn one_indicator<I>(bencher: Bencher<'_, '_>, new: fn() -> I, push: impl Fn(&mut I, &Bar) -> Option<f64> + Sync) {
    let bars = random_bars(1, ROWS);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| {
        let mut indicator = new();
        bars.iter().filter_map(|bar| push(&mut indicator, bar)).sum::<f64>()
    });
}

#[divan::bench]
fn williams_r(bencher: Bencher<'_, '_>) {
    one_indicator(bencher, WilliamsR::new, |indicator, bar| indicator.push(bar.high, bar.low, bar.close));
}

#[divan::bench]
fn ultimate_osc(bencher: Bencher<'_, '_>) {
    one_indicator(bencher, UltimateOsc::new, |indicator, bar| indicator.push(bar.high, bar.low, bar.close));
}

#[divan::bench]
fn rsi(bencher: Bencher<'_, '_>) {
    one_indicator(bencher, Rsi::new, |indicator, bar| indicator.push(bar.close));
}

#[divan::bench]
fn ema(bencher: Bencher<'_, '_>) {
    one_indicator(bencher, Ema::new, |indicator, bar| indicator.push(bar.close));
}

/// One bar at a time, the row looked at and dropped.
#[divan::bench(args = [1, 1_000])]
fn all_and_lags(bencher: Bencher<'_, '_>, stocks: usize) {
    let bars = random_bars(stocks, ROWS);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| {
        for bars in bars.chunk_by(|a, b| a.symbol == b.symbol) {
            let mut indicators = StockIndicators::new();
            for bar in bars {
                divan::black_box(indicators.push(bar));
            }
        }
    });
}

/// As one file into a partition's state, the rows kept.
#[divan::bench(args = [1, 1_000])]
fn a_file_of_bars(bencher: Bencher<'_, '_>, stocks: usize) {
    let bars = random_bars(stocks, ROWS);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| IndicatorState::new().push_file(CommitNumber(1), &bars));
}

/// The bytes of the state, written and read back.
#[divan::bench(args = [1, 1_000])]
fn state_over_a_restart(bencher: Bencher<'_, '_>, stocks: usize) {
    let mut state = IndicatorState::new();
    state.push_file(CommitNumber(1), &random_bars(stocks, ROWS));
    bencher.counter(ItemsCount::new(stocks)).bench(|| IndicatorState::from_bytes(&state.to_bytes()));
}
