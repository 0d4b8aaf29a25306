//! The features of one file against its bars. Pure.

use super::findings::{RowFaults, Rule};
use crate::indicators::feature_row::FeatureRow;
use crate::market::bar::Bar;
use crate::words::counted;

/// Compares the rows of a features file with the bars beside it, and with what the indicators give for them where that is known
/// (`None`: not comparable). All bit for bit.
///
/// # Errors
/// When the file has another number of rows than its bars file.
pub fn compare(
    bars: &[Bar],
    expected: &[Option<FeatureRow>],
    found: &[FeatureRow],
    faults: &mut RowFaults,
) -> Result<(), String> {
    if bars.len() != found.len() {
        return Err(format!("has {}, its bars file {}", counted(found.len(), "row"), bars.len()));
    }
    for (i, (bar, row)) in bars.iter().zip(found).enumerate() {
        let key = (&row.symbol, row.window_start);
        if key != (&bar.symbol, bar.window_start) {
            faults.add(Rule::Pairing, key, || {
                format!("is row {} of the file, where the bars file has {} at {}", i + 1, bar.symbol, bar.window_start)
            });
            continue;
        }
        if let Some((name, found, expected)) = first_difference(&prices_of(row), &bar_prices(bar)) {
            faults
                .add(Rule::Pairing, key, || format!("{name} is {}, in the bars file {}", text(found), text(expected)));
        }
        let Some(expected) = expected.get(i).and_then(Option::as_ref) else { continue };
        if let Some((name, found, expected)) = first_difference(&values_of(row), &values_of(expected)) {
            faults.add(Rule::Indicators, key, || {
                format!("{name} is {}, recomputed from the bars {}", text(found), text(expected))
            });
        }
    }
    Ok(())
}

type Value = (&'static str, Option<f64>);

fn first_difference(found: &[Value], expected: &[Value]) -> Option<(&'static str, Option<f64>, Option<f64>)> {
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let mut pairs = found.iter().zip(expected);
    pairs
        .find(|(found, expected)| bits(found.1) != bits(expected.1))
        .map(|(found, expected)| (found.0, found.1, expected.1))
}

fn bar_prices(bar: &Bar) -> [Value; 4] {
    [("open", Some(bar.open)), ("high", Some(bar.high)), ("low", Some(bar.low)), ("close", Some(bar.close))]
}

fn prices_of(row: &FeatureRow) -> [Value; 4] {
    [("open", Some(row.open)), ("high", Some(row.high)), ("low", Some(row.low)), ("close", Some(row.close))]
}

fn values_of(row: &FeatureRow) -> [Value; 9] {
    let [lag1, lag2, lag3, lag4, lag5] = row.close_lags;
    [
        ("williams_r", row.williams_r),
        ("ultimate_osc", row.ultimate_osc),
        ("rsi", row.rsi),
        ("ema", row.ema),
        ("close_lag1", lag1),
        ("close_lag2", lag2),
        ("close_lag3", lag3),
        ("close_lag4", lag4),
        ("close_lag5", lag5),
    ]
}

/// As many digits as tell any two values apart.
fn text(value: Option<f64>) -> String {
    value.map_or_else(|| String::from("null"), |value| format!("{value:?}"))
}
