use proptest::prelude::*;
use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::statistics::Statistics;

use super::*;

const DT: f64 = 5.0 / (365.0 * 86_400.0);

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

/// The default settings for a stock.
fn params(symbol: &Symbol) -> PathParams<'_> {
    PathParams {
        symbol,
        seed: 42,
        initial_price: 211.45,
        rate: None,
        volatility: None,
        rate_range: (0.005, 0.05),
        volatility_range: (0.05, 0.40),
        trajectory_ticks: 1200,
        tick_interval: Span::from_secs(5),
        continues_at: None,
    }
}

fn prices(params: PathParams<'_>, count: usize) -> Vec<f64> {
    let mut path = PricePath::new(params);
    std::iter::repeat_with(|| path.next_price()).take(count).collect()
}

fn log_returns(params: PathParams<'_>, count: usize) -> Vec<f64> {
    let prices = [vec![params.initial_price], prices(params, count)].concat();
    prices.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect()
}

/// The probability that the sample variance of normal values differs from `variance` at least as much as it does.
fn p_of_variance(sample: &[f64], variance: f64) -> f64 {
    let freedom = (sample.len() - 1) as f64;
    let below = ChiSquared::new(freedom).unwrap().cdf(freedom * sample.variance() / variance);
    2.0 * below.min(1.0 - below)
}

#[test]
fn the_same_parameters_give_the_same_path() {
    let aapl = symbol("AAPL");
    assert_eq!(prices(params(&aapl), 3000), prices(params(&aapl), 3000));
}

#[test]
fn a_path_is_the_same_with_every_release() {
    let aapl = symbol("AAPL");
    let path = prices(params(&aapl), 2401);
    // Rounded, because the last bit of `exp` may differ between platforms.
    let shown: Vec<String> = [0, 1, 1199, 2400].map(|at| format!("{:.9}", path[at])).into();
    assert_eq!(shown, ["211.454902020", "211.459121240", "211.686032750", "210.997994979"]);
}

#[test]
fn symbol_seed_and_continuation_each_give_another_path() {
    let (aapl, msft) = (symbol("AAPL"), symbol("MSFT"));
    let base = params(&aapl);
    let at = |micros| Some(EventTime::from_micros(micros));
    let paths = [
        base,
        PathParams { symbol: &msft, ..base },
        PathParams { seed: 43, ..base },
        PathParams { continues_at: at(0), ..base },
        PathParams { continues_at: at(1), ..base },
    ]
    .map(|params| prices(params, 1)[0].to_bits());
    assert_eq!(std::collections::HashSet::from(paths).len(), paths.len());
}

#[test]
fn log_returns_have_the_mean_and_variance_of_the_formula() {
    let aapl = symbol("AAPL");
    let (rate, volatility, count) = (0.03, 0.25, 50_000);
    let pinned = PathParams { rate: Some(rate), volatility: Some(volatility), ..params(&aapl) };
    let returns = log_returns(pinned, count);
    let expected = (rate - volatility * volatility / 2.0) * DT;
    let deviation = volatility * DT.sqrt();
    let z = (returns.as_slice().mean() - expected) / (deviation / (count as f64).sqrt());
    assert!(z.abs() < 3.0, "mean is {z} standard errors off");
    let p = p_of_variance(&returns, deviation * deviation);
    assert!(p > 0.003, "variance has p = {p}");
}

#[test]
fn log_returns_are_normal() {
    let aapl = symbol("AAPL");
    let volatility = 0.25;
    let pinned = PathParams { rate: Some(0.0), volatility: Some(volatility), ..params(&aapl) };
    let normal = Normal::new(-volatility * volatility / 2.0 * DT, volatility * DT.sqrt()).unwrap();
    let mut observed = [0_u32; 20];
    let count = 50_000;
    for value in log_returns(pinned, count) {
        observed[((normal.cdf(value) * 20.0) as usize).min(19)] += 1;
    }
    let expected = count as f64 / 20.0;
    let statistic: f64 = observed.iter().map(|seen| (f64::from(*seen) - expected).powi(2) / expected).sum();
    let p = 1.0 - ChiSquared::new(19.0).unwrap().cdf(statistic);
    assert!(p > 0.003, "p = {p}: {observed:?}");
}

#[test]
fn two_stocks_move_independently() {
    let (aapl, msft) = (symbol("AAPL"), symbol("MSFT"));
    let count = 50_000;
    let (a, b) = (log_returns(params(&aapl), count), log_returns(params(&msft), count));
    let covariance = a.as_slice().covariance(b.as_slice());
    let correlation = covariance / (a.as_slice().std_dev() * b.as_slice().std_dev());
    assert!(correlation.abs() < 3.0 / (count as f64).sqrt(), "correlation {correlation}");
}

#[test]
fn rate_and_volatility_are_drawn_anew_for_every_trajectory() {
    let aapl = symbol("AAPL");
    let mut path = PricePath::new(params(&aapl));
    let mut drawn = Vec::new();
    for tick in 0..1200 * 50 {
        path.next_price();
        let Trajectory { rate, volatility, .. } = path.trajectory;
        if tick % 1200 == 0 {
            drawn.push((rate, volatility));
        }
        assert_eq!(drawn.last(), Some(&(rate, volatility)), "changed inside a trajectory at tick {tick}");
    }
    let distinct: std::collections::BTreeSet<String> = drawn.iter().map(|pair| format!("{pair:?}")).collect();
    assert!(distinct.len() > 45, "{} of 50 trajectories differ", distinct.len());
    for (rate, volatility) in drawn {
        assert!((0.005..=0.05).contains(&rate) && (0.05..=0.40).contains(&volatility), "{rate} {volatility}");
        assert!(
            [rate, volatility].iter().all(|x| (x * 1000.0 - (x * 1000.0).round()).abs() < 1e-9),
            "{rate} {volatility}"
        );
    }
}

#[test]
fn a_pinned_rate_or_volatility_holds_in_every_trajectory() {
    let aapl = symbol("AAPL");
    let mut free = PricePath::new(params(&aapl));
    let mut pinned = PricePath::new(PathParams { rate: Some(0.0123456), ..params(&aapl) });
    for _ in 0..5000 {
        free.next_price();
        pinned.next_price();
        assert_eq!(pinned.trajectory.rate, 0.0123456);
        assert_eq!(pinned.trajectory.volatility, free.trajectory.volatility, "pinning one must not move the other");
    }
    let still = PathParams { rate: Some(0.0), volatility: Some(0.0), ..params(&aapl) };
    assert!(prices(still, 100).iter().all(|price| *price == 211.45));
}

proptest! {
    #[test]
    fn prices_stay_finite_and_above_0(
        seed: u64,
        initial_price in prop::num::f64::POSITIVE.prop_map(f64::abs),
        rate in -1e6_f64..1e6,
        volatility in 0.0_f64..1e6,
        seconds in 1_i64..1_000_000,
    ) {
        let aapl = symbol("AAPL");
        let wild = PathParams {
            seed, initial_price, rate: Some(rate), volatility: Some(volatility),
            tick_interval: Span::from_secs(seconds), ..params(&aapl)
        };
        for price in prices(wild, 200) {
            prop_assert!(price.is_finite() && price > 0.0, "{}", price);
        }
    }
}
