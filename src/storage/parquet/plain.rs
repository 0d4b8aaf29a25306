//! A page's values, plain and little-endian behind their levels: from a column and back into one.

use super::columns::{Column, NULL};
use super::levels::{self, Run};
use super::pages::split_at;
use super::{Unreadable, damaged};

impl Column {
    /// Appends the levels and values of all rows.
    pub fn write(&self, page: &mut Vec<u8>) {
        match (self, self.nulls()) {
            (Column::Double(_), nulls) if nulls == self.len() => levels::write_equal(page, self.len(), 0),
            (Column::Double(values), nulls) if nulls > 0 => {
                levels::write_mixed(page, values, |value| !value.is_nan());
                page.extend(values.iter().filter(|value| !value.is_nan()).flat_map(|value| value.to_le_bytes()));
            }
            (column, _) => {
                levels::write_equal(page, self.len(), 1);
                match column {
                    Column::Time(values) | Column::Count(values) => put(values, page, i64::to_le_bytes),
                    Column::Double(values) => put(values, page, f64::to_le_bytes),
                    Column::Company(symbols) => symbols.write(page),
                }
            }
        }
    }

    /// Adds the rows of a run, whose values are taken off the front.
    ///
    /// # Errors
    /// When they are not there, or NULL in a column that may not be.
    pub fn read(&mut self, run: &Run<'_>, values: &mut &[u8]) -> Result<(), Unreadable> {
        match (self, run) {
            (Column::Time(into) | Column::Count(into), Run::Present(rows)) => {
                into.extend(eight_bytes(values, *rows)?.iter().copied().map(i64::from_le_bytes));
            }
            (Column::Company(into), Run::Present(rows)) => into.read(*rows, values)?,
            (Column::Double(into), Run::Present(rows)) => {
                into.extend(eight_bytes(values, *rows)?.iter().copied().map(f64::from_le_bytes));
            }
            (Column::Double(into), Run::Absent(rows)) => into.resize(into.len() + rows, NULL),
            (Column::Double(into), Run::Mixed(..)) => {
                let mut present = eight_bytes(values, run.bits().filter(|present| *present).count())?.iter();
                let mut next = || present.next().map_or(NULL, |value| f64::from_le_bytes(*value));
                into.extend(run.bits().map(|present| if present { next() } else { NULL }));
            }
            _ => return Err(damaged("a time, a symbol or a number of ticks is missing")),
        }
        Ok(())
    }
}

fn put<T: Copy>(values: &[T], page: &mut Vec<u8>, bytes: impl Fn(T) -> [u8; 8]) {
    let start = page.len();
    page.resize(start + 8 * values.len(), 0);
    let (places, _) = page[start..].as_chunks_mut();
    for (place, value) in places.iter_mut().zip(values) {
        *place = bytes(*value);
    }
}

fn eight_bytes<'b>(values: &mut &'b [u8], count: usize) -> Result<&'b [[u8; 8]], Unreadable> {
    Ok(split_at(values, 8 * count)?.as_chunks().0)
}
