//! Rows to columns and back.

use arrow2::array::{Array, PrimitiveArray, Utf8Array};
use arrow2::datatypes::{DataType, Field, Schema, TimeUnit};
use compact_str::CompactString;

use super::{Unreadable, Unwritable, damaged, pages};
use crate::indicators::feature_row::{CLOSE_LAGS, FeatureRow};
use crate::market::bar::Bar;
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;

const PRICES: [&str; 4] = ["open", "high", "low", "close"];
const INDICATORS: [&str; 4] = ["williams_r", "ultimate_osc", "rsi", "ema"];

/// One column; a `None` is a NULL.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Column {
    Time(Vec<Option<i64>>),
    /// Symbols fit without an allocation.
    Text(Vec<Option<CompactString>>),
    Double(Vec<Option<f64>>),
    Count(Vec<Option<i64>>),
}

/// Columns of equal length under their names.
pub(super) struct Table {
    pub schema: Schema,
    pub columns: Vec<Column>,
}

impl Table {
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// CRC-32 over the values, column by column: what the rows are, however they are encoded.
    pub fn checksum(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        for column in &self.columns {
            column.update(&mut crc);
        }
        crc.finalize()
    }
}

impl Column {
    pub fn len(&self) -> usize {
        match self {
            Column::Time(values) | Column::Count(values) => values.len(),
            Column::Text(values) => values.len(),
            Column::Double(values) => values.len(),
        }
    }

    fn update(&self, crc: &mut crc32fast::Hasher) {
        /// A checksum takes long runs of bytes many times faster than single values.
        fn each<T>(crc: &mut crc32fast::Hasher, values: &[Option<T>], put: impl Fn(&mut Vec<u8>, &T)) {
            let mut bytes = Vec::new();
            for values in values.chunks(1024) {
                bytes.clear();
                for value in values {
                    bytes.push(u8::from(value.is_some()));
                    if let Some(value) = value {
                        put(&mut bytes, value);
                    }
                }
                crc.update(&bytes);
            }
        }
        match self {
            Column::Time(values) | Column::Count(values) => each(crc, values, |bytes, v| bytes.extend(v.to_le_bytes())),
            Column::Double(values) => each(crc, values, |bytes, v| bytes.extend(v.to_bits().to_le_bytes())),
            Column::Text(values) => each(crc, values, |bytes, v| {
                bytes.extend((v.len() as u64).to_le_bytes());
                bytes.extend(v.as_bytes());
            }),
        }
    }

    pub fn to_array(&self) -> Box<dyn Array> {
        match self {
            Column::Time(values) => PrimitiveArray::from(values.clone()).to(time_type()).boxed(),
            Column::Count(values) => PrimitiveArray::from(values.clone()).boxed(),
            Column::Double(values) => PrimitiveArray::from(values.clone()).boxed(),
            Column::Text(values) => Utf8Array::<i32>::from(values).boxed(),
        }
    }

    /// The most bytes that a plain value takes: a text is a symbol behind its length.
    pub fn most_of_a_value(&self) -> usize {
        match self {
            Column::Time(_) | Column::Count(_) | Column::Double(_) => 8,
            Column::Text(_) => 4 + Symbol::MAX_BYTES,
        }
    }

    /// Adds a page: `values` holds, plain and one behind the other, those of the rows that are `present`.
    ///
    /// # Errors
    /// When they are not exactly as many.
    pub fn extend(&mut self, present: &[bool], mut values: &[u8]) -> Result<(), Unreadable> {
        fn eight_bytes<T>(
            into: &mut Vec<Option<T>>,
            present: &[bool],
            values: &mut &[u8],
            from: impl Fn([u8; 8]) -> T,
        ) -> Result<(), Unreadable> {
            let count = present.iter().filter(|present| **present).count();
            let (values, _) = pages::split_at(values, 8 * count)?.as_chunks();
            let mut values = values.iter();
            into.extend(present.iter().map(|present| if *present { values.next().copied().map(&from) } else { None }));
            Ok(())
        }
        match self {
            Column::Time(into) | Column::Count(into) => eight_bytes(into, present, &mut values, i64::from_le_bytes)?,
            Column::Double(into) => eight_bytes(into, present, &mut values, f64::from_le_bytes)?,
            Column::Text(into) => {
                into.reserve(present.len());
                for present in present {
                    into.push(if *present { Some(text(&mut values)?) } else { None });
                }
            }
        }
        if values.is_empty() { Ok(()) } else { Err(damaged("a page holds more values than rows")) }
    }

    /// A column without rows for this field.
    pub fn empty(field: &Field) -> Self {
        match field.data_type {
            DataType::Utf8 => Column::Text(Vec::new()),
            DataType::Float64 => Column::Double(Vec::new()),
            DataType::Int64 => Column::Count(Vec::new()),
            _ => Column::Time(Vec::new()),
        }
    }
}

/// Behind its length.
fn text(values: &mut &[u8]) -> Result<CompactString, Unreadable> {
    let length = pages::split_at(values, 4)?.try_into().map_err(|_| pages::broken())?;
    let text = pages::split_at(values, u32::from_le_bytes(length) as usize)?;
    CompactString::from_utf8(text).map_err(|_| pages::broken())
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".to_owned()))
}

/// All columns are optional, as every writer of data frames makes them.
fn schema(columns: impl IntoIterator<Item = (String, DataType)>) -> Schema {
    let head = [("timestamp".to_owned(), time_type()), ("company".to_owned(), DataType::Utf8)];
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
fn clean(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value + 0.0)
}

fn required(value: f64, what: &str, symbol: &Symbol, time: EventTime) -> Result<Option<f64>, Unwritable> {
    clean(value).map(Some).ok_or_else(|| Unwritable(format!("the {what} of {symbol} at {time} is not a number")))
}

fn column_of<R>(rows: &[R], value: impl Fn(&R) -> Option<f64>) -> Column {
    Column::Double(rows.iter().map(|row| value(row).and_then(clean)).collect())
}

/// The columns that both datasets begin with.
fn head_columns<R>(
    rows: &[R],
    key: impl Fn(&R) -> (EventTime, &Symbol),
    prices: impl Fn(&R) -> [f64; 4],
) -> Result<Vec<Column>, Unwritable> {
    let mut columns = vec![
        Column::Time(rows.iter().map(|row| Some(key(row).0.micros())).collect()),
        Column::Text(rows.iter().map(|row| Some(CompactString::new(key(row).1.as_str()))).collect()),
    ];
    for (i, name) in PRICES.into_iter().enumerate() {
        let values = rows.iter().map(|row| required(prices(row)[i], name, key(row).1, key(row).0));
        columns.push(Column::Double(values.collect::<Result<_, _>>()?));
    }
    Ok(columns)
}

pub(super) fn bars_table(rows: &[Bar]) -> Result<Table, Unwritable> {
    let mut columns = head_columns(rows, |r| (r.window_start, &r.symbol), |r| [r.open, r.high, r.low, r.close])?;
    columns.push(column_of(rows, |row| row.volume));
    columns.push(column_of(rows, |row| row.vwap));
    columns.push(Column::Count(rows.iter().map(|row| Some(row.ticks)).collect()));
    Ok(Table { schema: bars_schema(), columns })
}

pub(super) fn features_table(rows: &[FeatureRow]) -> Result<Table, Unwritable> {
    let mut columns = head_columns(rows, |r| (r.window_start, &r.symbol), |r| [r.open, r.high, r.low, r.close])?;
    columns.push(column_of(rows, |row| row.williams_r));
    columns.push(column_of(rows, |row| row.ultimate_osc));
    columns.push(column_of(rows, |row| row.rsi));
    columns.push(column_of(rows, |row| row.ema));
    for lag in 0..CLOSE_LAGS {
        columns.push(column_of(rows, |row| row.close_lags[lag]));
    }
    Ok(Table { schema: features_schema(), columns })
}

/// Values of a table by place, where a NULL that may not be is an error.
struct Cells<'a>(&'a Table);

impl Cells<'_> {
    fn fault(&self, column: usize, row: usize) -> Unreadable {
        damaged(format!("row {row} has no valid `{}`", self.0.schema.fields[column].name))
    }

    fn optional(&self, column: usize, row: usize) -> Option<f64> {
        match &self.0.columns[column] {
            Column::Double(values) => values[row],
            _ => None,
        }
    }

    fn price(&self, column: usize, row: usize) -> Result<f64, Unreadable> {
        self.optional(column, row).ok_or_else(|| self.fault(column, row))
    }

    fn integer(&self, column: usize, row: usize) -> Result<i64, Unreadable> {
        match &self.0.columns[column] {
            Column::Time(values) | Column::Count(values) => values[row],
            _ => None,
        }
        .ok_or_else(|| self.fault(column, row))
    }

    fn symbol(&self, column: usize, row: usize) -> Result<Symbol, Unreadable> {
        let text = match &self.0.columns[column] {
            Column::Text(values) => values[row].as_deref(),
            _ => None,
        };
        text.and_then(|text| Symbol::new(text).ok()).ok_or_else(|| self.fault(column, row))
    }
}

pub(super) fn bars(table: &Table) -> Result<Vec<Bar>, Unreadable> {
    let cells = Cells(table);
    let bar = |row| {
        Ok(Bar {
            window_start: EventTime::from_micros(cells.integer(0, row)?),
            symbol: cells.symbol(1, row)?,
            open: cells.price(2, row)?,
            high: cells.price(3, row)?,
            low: cells.price(4, row)?,
            close: cells.price(5, row)?,
            volume: cells.optional(6, row),
            vwap: cells.optional(7, row),
            ticks: cells.integer(8, row)?,
        })
    };
    (0..table.rows()).map(bar).collect()
}

pub(super) fn features(table: &Table) -> Result<Vec<FeatureRow>, Unreadable> {
    let cells = Cells(table);
    let feature = |row| {
        Ok(FeatureRow {
            window_start: EventTime::from_micros(cells.integer(0, row)?),
            symbol: cells.symbol(1, row)?,
            open: cells.price(2, row)?,
            high: cells.price(3, row)?,
            low: cells.price(4, row)?,
            close: cells.price(5, row)?,
            williams_r: cells.optional(6, row),
            ultimate_osc: cells.optional(7, row),
            rsi: cells.optional(8, row),
            ema: cells.optional(9, row),
            close_lags: std::array::from_fn(|lag| cells.optional(10 + lag, row)),
        })
    };
    (0..table.rows()).map(feature).collect()
}
