//! Rows to columns and back.

use std::sync::Arc;

use arrow2::datatypes::{DataType, Field, Schema, TimeUnit};

use super::columns::{Column, NULL};
use super::symbols::Symbols;
use super::{Unreadable, Unwritable, damaged};
use crate::indicators::feature_row::{CLOSE_LAGS, FeatureRow};
use crate::market::bar::Bar;
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;

const PRICES: [&str; 4] = ["open", "high", "low", "close"];
const INDICATORS: [&str; 4] = ["williams_r", "ultimate_osc", "rsi", "ema"];

/// All columns are optional, as every writer of data frames makes them.
fn schema(columns: impl IntoIterator<Item = (String, DataType)>) -> Schema {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".to_owned()));
    let head = [("timestamp".to_owned(), time), ("company".to_owned(), DataType::Utf8)];
    let prices = PRICES.map(|name| (name.to_owned(), DataType::Float64));
    let all = head.into_iter().chain(prices).chain(columns);
    Schema::from(all.map(|(name, of)| Field::new(name, of, true)).collect::<Vec<_>>())
}

pub(super) fn bars_schema() -> Schema {
    let rest = [("volume", DataType::Float64), ("vwap", DataType::Float64), ("ticks", DataType::Int64)];
    schema(rest.map(|(name, of)| (name.to_owned(), of)))
}

pub(super) fn features_schema() -> Schema {
    let lags = (1..=CLOSE_LAGS).map(|lag| format!("close_lag{lag}"));
    schema(INDICATORS.map(str::to_owned).into_iter().chain(lags).map(|name| (name, DataType::Float64)))
}

/// Never -0.0; NULL for NaN.
fn clean(value: Option<f64>) -> f64 {
    value.map_or(NULL, |value| value + 0.0)
}

/// The columns of both datasets, without the ticks of bars. Rows are read once: they are larger than any cache.
fn columns_of<R, const N: usize>(
    rows: &[R],
    key: impl Fn(&R) -> (EventTime, &Symbol),
    prices: impl Fn(&R) -> [f64; 4],
    rest: impl Fn(&R) -> [Option<f64>; N],
) -> Result<Vec<Column>, Unwritable> {
    let room = || Vec::with_capacity(rows.len());
    let (mut times, mut symbols) = (Vec::with_capacity(rows.len()), Symbols::default());
    let (mut of_prices, mut of_rest) = ([(); 4].map(|()| room()), [(); N].map(|()| room()));
    for row in rows {
        let ((time, symbol), prices) = (key(row), prices(row));
        if let Some(which) = prices.iter().position(|price| price.is_nan()) {
            return Err(Unwritable(format!("the {} of {symbol} at {time} is not a number", PRICES[which])));
        }
        times.push(time.micros());
        symbols.push(symbol, 1);
        for (column, price) in of_prices.iter_mut().zip(prices) {
            column.push(clean(Some(price)));
        }
        for (column, value) in of_rest.iter_mut().zip(rest(row)) {
            column.push(clean(value));
        }
    }
    let head = [Column::Time(times), Column::Company(symbols)];
    Ok(head.into_iter().chain(of_prices.into_iter().chain(of_rest).map(Column::Double)).collect())
}

pub(super) fn bars_columns(rows: &[Bar]) -> Result<Vec<Column>, Unwritable> {
    let prices = |row: &Bar| [row.open, row.high, row.low, row.close];
    let mut columns = columns_of(rows, |row| (row.window_start, &row.symbol), prices, |row| [row.volume, row.vwap])?;
    columns.push(Column::Count(rows.iter().map(|row| row.ticks).collect()));
    Ok(columns)
}

pub(super) fn features_columns(rows: &[FeatureRow]) -> Result<Vec<Column>, Unwritable> {
    let prices = |row: &FeatureRow| [row.open, row.high, row.low, row.close];
    let rest = |row: &FeatureRow| {
        let [lag1, lag2, lag3, lag4, lag5] = row.close_lags;
        [row.williams_r, row.ultimate_osc, row.rsi, row.ema, lag1, lag2, lag3, lag4, lag5]
    };
    columns_of(rows, |row| (row.window_start, &row.symbol), prices, rest)
}

fn optional(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

/// # Errors
/// When a price is NULL.
fn check_prices(columns: [&[f64]; 4]) -> Result<(), Unreadable> {
    for (values, name) in columns.into_iter().zip(PRICES) {
        if let Some(row) = values.iter().position(|value| value.is_nan()) {
            return Err(damaged(format!("row {row} has no valid `{name}`")));
        }
    }
    Ok(())
}

fn other_columns() -> Unreadable {
    damaged("its columns are not those of this dataset")
}

/// What both datasets begin with.
struct Head<'c> {
    times: &'c [i64],
    symbols: &'c Symbols,
    /// As in [`PRICES`].
    prices: [&'c [f64]; 4],
}

/// The head, and the columns behind it.
fn split_head(columns: &[Column]) -> Option<(Head<'_>, &[Column])> {
    use Column::{Company, Double, Time};
    let [Time(times), Company(symbols), Double(open), Double(high), Double(low), Double(close), rest @ ..] = columns
    else {
        return None;
    };
    Some((Head { times, symbols, prices: [open, high, low, close] }, rest))
}

pub(super) fn bars(columns: &[Column]) -> Result<Arc<[Bar]>, Unreadable> {
    let Some((Head { times, symbols, prices }, [Column::Double(volume), Column::Double(vwap), Column::Count(ticks)])) =
        split_head(columns)
    else {
        return Err(other_columns());
    };
    check_prices(prices)?;
    let [open, high, low, close] = prices;
    let mut symbol = symbols.in_order();
    let bar = |row| Bar {
        window_start: EventTime::from_micros(times[row]),
        symbol: symbol(row),
        open: open[row],
        high: high[row],
        low: low[row],
        close: close[row],
        volume: optional(volume[row]),
        vwap: optional(vwap[row]),
        ticks: ticks[row],
    };
    // Of known length, so that they are made where they stay.
    Ok((0..times.len()).map(bar).collect())
}

pub(super) fn features(columns: &[Column]) -> Result<Vec<FeatureRow>, Unreadable> {
    use Column::Double;
    let Some((Head { times, symbols, prices }, rest)) = split_head(columns) else { return Err(other_columns()) };
    let [
        Double(williams_r),
        Double(ultimate_osc),
        Double(rsi),
        Double(ema),
        Double(lag1),
        Double(lag2),
        Double(lag3),
        Double(lag4),
        Double(lag5),
    ] = rest
    else {
        return Err(other_columns());
    };
    check_prices(prices)?;
    let [open, high, low, close] = prices;
    let mut symbol = symbols.in_order();
    let feature = |row| FeatureRow {
        window_start: EventTime::from_micros(times[row]),
        symbol: symbol(row),
        open: open[row],
        high: high[row],
        low: low[row],
        close: close[row],
        williams_r: optional(williams_r[row]),
        ultimate_osc: optional(ultimate_osc[row]),
        rsi: optional(rsi[row]),
        ema: optional(ema[row]),
        close_lags: [lag1, lag2, lag3, lag4, lag5].map(|lag| optional(lag[row])),
    };
    Ok((0..times.len()).map(feature).collect())
}
