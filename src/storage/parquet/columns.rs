//! Columns in memory, between rows and pages.

use arrow2::datatypes::{DataType, Field};

use super::symbols::Symbols;
use crate::market::symbol::Symbol;

/// Stands for a NULL in a column of doubles: no value of a file is NaN.
pub(super) const NULL: f64 = f64::NAN;

/// One column. Only doubles may be NULL.
#[derive(Clone, Debug)]
pub(super) enum Column {
    Time(Vec<i64>),
    Company(Symbols),
    Double(Vec<f64>),
    Count(Vec<i64>),
}

impl Column {
    /// Without rows, and with room for so many.
    pub fn empty(field: &Field, rows: usize) -> Self {
        match field.data_type {
            DataType::Utf8 => Column::Company(Symbols::default()),
            DataType::Float64 => Column::Double(Vec::with_capacity(rows)),
            DataType::Int64 => Column::Count(Vec::with_capacity(rows)),
            _ => Column::Time(Vec::with_capacity(rows)),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Column::Time(values) | Column::Count(values) => values.len(),
            Column::Company(symbols) => symbols.len(),
            Column::Double(values) => values.len(),
        }
    }

    pub fn nulls(&self) -> usize {
        match self {
            Column::Double(values) => values.iter().filter(|value| value.is_nan()).count(),
            _ => 0,
        }
    }

    /// The least and the greatest value, plain; `None` when all are NULL.
    pub fn bounds(&self) -> Option<[Vec<u8>; 2]> {
        match self {
            Column::Time(values) | Column::Count(values) => {
                let values = values.iter().copied();
                Some([values.clone().min()?, values.max()?].map(|value| value.to_le_bytes().to_vec()))
            }
            Column::Company(symbols) => {
                let (least, greatest) = symbols.bounds()?;
                Some([least, greatest].map(|symbol| symbol.as_str().as_bytes().to_vec()))
            }
            Column::Double(values) => bounds(values).map(|both| both.map(|value| value.to_le_bytes().to_vec())),
        }
    }

    /// The most bytes that a plain value takes: a text is a symbol behind its length.
    pub fn most_of_a_value(&self) -> usize {
        match self {
            Column::Time(_) | Column::Count(_) | Column::Double(_) => 8,
            Column::Company(_) => 4 + Symbol::MAX_BYTES,
        }
    }

    /// Adds each value behind a one, and a zero for a NULL: what the rows are, however they are encoded.
    pub fn update(&self, crc: &mut crc32fast::Hasher) {
        match self {
            Column::Time(values) | Column::Count(values) => update(crc, values, |_| true, i64::to_le_bytes),
            Column::Double(values) => update(crc, values, |value| !value.is_nan(), f64::to_le_bytes),
            Column::Company(symbols) => symbols.update(crc),
        }
    }
}

/// A checksum takes long runs of bytes many times faster than single values.
fn update<T: Copy>(
    crc: &mut crc32fast::Hasher,
    values: &[T],
    is_present: impl Fn(T) -> bool,
    to_bytes: impl Fn(T) -> [u8; 8],
) {
    let mut bytes = [0; 9 * 1024];
    for values in values.chunks(1024) {
        let mut end = 0;
        for value in values {
            let present = is_present(*value);
            // Written also when it is NULL, and then over: no branch is cheaper than one.
            bytes[end] = u8::from(present);
            bytes[end + 1..end + 9].copy_from_slice(&to_bytes(*value));
            end += if present { 9 } else { 1 };
        }
        crc.update(&bytes[..end]);
    }
}

/// The least and the greatest number, in lanes that do not wait for each other.
fn bounds(values: &[f64]) -> Option<[f64; 2]> {
    const LANES: usize = 8;
    let (mut least, mut greatest) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    for values in values.chunks(LANES) {
        for (lane, value) in values.iter().enumerate() {
            // False for NULL.
            if *value < least[lane] {
                least[lane] = *value;
            }
            if *value > greatest[lane] {
                greatest[lane] = *value;
            }
        }
    }
    let both = [least.into_iter().fold(NULL, f64::min), greatest.into_iter().fold(NULL, f64::max)];
    (both[0] <= both[1]).then_some(both)
}
