//! The bytes of a file to a table, trusting none of them.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow2::datatypes::Schema;
use arrow2::io::parquet::read::{FileMetaData, read_columns_many, read_metadata};
use arrow2::io::parquet::write::to_parquet_schema;

use super::columns::{Column, Table};
use super::footer::{self, Labels};
use super::{MAX_ROWS, Unreadable, damaged};

/// # Errors
/// When anything at all is not as our writer leaves it.
///
/// The checksum comes first. Not only because it is cheap: a flipped bit in a page's header can make the decoder ask for all the
/// memory there is, which nothing catches.
pub(super) fn decode(bytes: &[u8], schema: &Schema) -> Result<(Table, Labels), Unreadable> {
    footer::check_seal(bytes)?;
    let decoding = || -> Result<_, Unreadable> {
        let metadata = read_metadata(&mut Cursor::new(bytes)).map_err(unreadable)?;
        let pairs = metadata.key_value_metadata.as_deref().unwrap_or_default();
        footer::check_version(pairs)?;
        let labels = Labels::from_key_values(pairs)?;
        check_shape(&metadata, schema, &labels)?;
        let columns = read_rows(bytes, &metadata, schema)?;
        Ok((Table { schema: schema.clone(), columns }, labels))
    };
    let (table, labels) = guarded(decoding)?;
    if table.columns.iter().any(|column| column.len() != labels.rows) {
        return Err(damaged("it has another number of rows than its footer says"));
    }
    if table.checksum() != labels.rows_checksum {
        return Err(damaged("the checksum of its rows does not match"));
    }
    Ok((table, labels))
}

/// arrow2 panics on bytes it does not expect; then only this thread ends. Where the system has no thread to give, the caller's
/// does it: want of one must not make a good file look damaged.
fn guarded<T: Send>(decoding: impl Fn() -> Result<T, Unreadable> + Sync) -> Result<T, Unreadable> {
    let outcome = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("parquet-decoder".to_owned());
        match thread.spawn_scoped(scope, &decoding) {
            Ok(thread) => thread.join(),
            Err(_) => catch_unwind(AssertUnwindSafe(&decoding)),
        }
    });
    outcome.unwrap_or_else(|_| Err(damaged("its pages do not decode")))
}

fn check_shape(metadata: &FileMetaData, schema: &Schema, labels: &Labels) -> Result<(), Unreadable> {
    let expected = to_parquet_schema(schema).map_err(unreadable)?;
    if metadata.schema().fields() != expected.fields() {
        return Err(damaged("its columns are not those of this dataset"));
    }
    let rows = metadata.row_groups.iter().map(|group| group.num_rows()).try_fold(0usize, usize::checked_add);
    let rows = rows.filter(|rows| *rows <= MAX_ROWS);
    if rows != Some(labels.rows) || metadata.num_rows != labels.rows {
        return Err(damaged("it has another number of rows than its footer says"));
    }
    Ok(())
}

fn read_rows(bytes: &[u8], metadata: &FileMetaData, schema: &Schema) -> Result<Vec<Column>, Unreadable> {
    let mut columns: Vec<Column> = schema.fields.iter().map(Column::empty).collect();
    let mut reader = Cursor::new(bytes);
    for group in &metadata.row_groups {
        let arrays = read_columns_many(&mut reader, group, schema.fields.clone(), None, None, None);
        for (column, arrays) in columns.iter_mut().zip(arrays.map_err(unreadable)?) {
            for array in arrays {
                column.extend(array.map_err(unreadable)?.as_ref())?;
            }
        }
    }
    Ok(columns)
}

fn unreadable(error: impl std::fmt::Display) -> Unreadable {
    damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_decoder_is_an_error() {
        let guarded: Result<(), _> = guarded(|| panic!("as arrow2 does on pages it does not expect"));
        assert_eq!(guarded, Err(damaged("its pages do not decode")));
    }
}
