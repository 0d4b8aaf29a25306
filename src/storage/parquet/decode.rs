//! The bytes of a file to columns, trusting none of them.
//!
//! Reads what our writer writes and nothing else. Not by arrow2's reader: that panics on bytes it does not expect, and a page's
//! header or a nested schema can make it ask for all the memory there is, which nothing catches. Here every length is compared
//! with what is there, and every size with the number of rows, before anything is allocated.

use arrow2::datatypes::Schema;
use parquet_format_safe::thrift::protocol::TCompactInputProtocol;
use parquet_format_safe::{ColumnChunk, FileMetaData};

use super::columns::Column;
use super::encode;
use super::footer::{self, Labels};
use super::pages::{self, Chunk};
use super::{Unreadable, damaged, most_rows};

/// # Errors
/// When anything at all is not as our writer leaves it.
///
/// The checksum comes first: it tells damage from malice, and is cheap.
pub(super) fn decode(bytes: &[u8], schema: &Schema) -> Result<(Vec<Column>, Labels), Unreadable> {
    footer::check_seal(bytes)?;
    let metadata = read_metadata(bytes)?;
    let pairs = metadata.key_value_metadata.as_deref().unwrap_or_default();
    footer::check_version(pairs)?;
    let labels = Labels::from_key_values(pairs)?;
    check_shape(&metadata, schema, &labels, bytes.len())?;
    let columns = read_rows(bytes, &metadata, schema, labels.rows)?;
    if columns.iter().any(|column| column.len() != labels.rows) {
        return Err(damaged("it has another number of rows than its footer says"));
    }
    let mut crc = crc32fast::Hasher::new();
    columns.iter().for_each(|column| column.update(&mut crc));
    if crc.finalize() != labels.rows_checksum {
        return Err(damaged("the checksum of its rows does not match"));
    }
    Ok((columns, labels))
}

fn read_metadata(bytes: &[u8]) -> Result<FileMetaData, Unreadable> {
    let footer = footer::metadata_bytes(bytes)?;
    // What a list says of its length counts before its elements are there.
    let limit = 2 * footer.len() + 1024;
    FileMetaData::read_from_in_protocol(&mut TCompactInputProtocol::new(footer, limit)).map_err(unreadable)
}

fn check_shape(metadata: &FileMetaData, schema: &Schema, labels: &Labels, size: usize) -> Result<(), Unreadable> {
    if metadata.schema != encode::schema_elements(schema).map_err(unreadable)? {
        return Err(damaged("its columns are not those of this dataset"));
    }
    let mut groups = metadata.row_groups.iter();
    let rows = groups.try_fold(0usize, |sum, group| sum.checked_add(usize::try_from(group.num_rows).ok()?));
    let stated = usize::try_from(metadata.num_rows).ok();
    if rows != Some(labels.rows) || stated != Some(labels.rows) || labels.rows > most_rows(size) {
        return Err(damaged("it has another number of rows than its footer says, or than its size allows"));
    }
    Ok(())
}

fn read_rows(bytes: &[u8], metadata: &FileMetaData, schema: &Schema, rows: usize) -> Result<Vec<Column>, Unreadable> {
    let mut columns: Vec<Column> = schema.fields.iter().map(|field| Column::empty(field, rows)).collect();
    let mut room = Vec::new();
    for group in &metadata.row_groups {
        if group.columns.len() != columns.len() {
            return Err(damaged("a row group has another number of columns than its schema says"));
        }
        for (column, described) in columns.iter_mut().zip(&group.columns) {
            pages::read(&chunk(bytes, described, group.num_rows)?, column, &mut room)?;
        }
    }
    Ok(columns)
}

/// The pages of one column of a row group.
fn chunk<'b>(bytes: &'b [u8], described: &ColumnChunk, rows: i64) -> Result<Chunk<'b>, Unreadable> {
    let not_in_the_file = || damaged("its footer describes pages that are not in the file");
    let chunk = described.meta_data.as_ref().filter(|chunk| chunk.num_values == rows).ok_or_else(not_in_the_file)?;
    let start = usize::try_from(chunk.data_page_offset).map_err(unreadable)?;
    let length = usize::try_from(chunk.total_compressed_size).map_err(unreadable)?;
    let end = start.checked_add(length).ok_or_else(not_in_the_file)?;
    Ok(Chunk {
        pages: bytes.get(start..end).ok_or_else(not_in_the_file)?,
        codec: chunk.codec,
        rows: usize::try_from(rows).map_err(unreadable)?,
    })
}

fn unreadable(error: impl std::fmt::Display) -> Unreadable {
    damaged(error.to_string())
}
