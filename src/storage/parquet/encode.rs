//! Rows to the bytes of a file, some at a time: only compressed pages are kept.
//!
//! parquet2 leaves out `column_orders`, without which readers may not trust any minimum or maximum, and always writes page
//! indexes, which nobody needs for so few pages: both are mended by writing the footer anew.

use arrow2::datatypes::Schema;
use arrow2::io::parquet::write::to_parquet_schema;
use parquet_format_safe::thrift::protocol::TCompactOutputProtocol;
use parquet_format_safe::{ColumnOrder, FileMetaData, SchemaElement, TypeDefinedOrder};
use parquet2::compression::CompressionOptions;
use parquet2::metadata::SchemaDescriptor;
use parquet2::write::{DynIter, FileWriter, Version, WriteOptions};

use super::columns::Column;
use super::compress::{Pages, unwritable};
use super::footer::{self, Labels, MAGIC};
use super::{MAX_ROWS, MOST_BYTES, Unwritable, most_rows};
use crate::settings::Compression;

/// As many become a page of each column at once: 128 KiB of numbers, which stay in a processor's cache on the way.
const ROWS_A_PAGE: usize = 16_384;

/// Rows, and how some of them become columns of the schema.
pub(super) struct Rows<'r, R> {
    pub schema: Schema,
    pub rows: &'r [R],
    pub columns: fn(&[R]) -> Result<Vec<Column>, Unwritable>,
}

pub(super) fn encode<R>(
    rows: &Rows<'_, R>,
    mut labels: Labels,
    compression: Compression,
) -> Result<Vec<u8>, Unwritable> {
    labels.rows = rows.rows.len();
    if labels.rows > MAX_ROWS {
        return Err(Unwritable(format!("{} rows are too many for one file", labels.rows)));
    }
    let (mut file, mut metadata);
    (file, metadata, labels.rows_checksum) = write_pages(rows, compression)?;
    if labels.rows > most_rows(file.len()) {
        (file, metadata, labels.rows_checksum) = write_pages(rows, Compression::Uncompressed)?;
    }
    drop_page_indexes(&mut file, &mut metadata);
    metadata.column_orders = Some(vec![ColumnOrder::TYPEORDER(TypeDefinedOrder {}); rows.schema.fields.len()]);
    metadata.key_value_metadata = Some(labels.to_key_values());
    append_footer(&mut file, &metadata)?;
    footer::seal(&mut file).map_err(unwritable)?;
    if file.len() as u64 > MOST_BYTES {
        return Err(Unwritable(format!("{} bytes are too many for one file", file.len())));
    }
    Ok(file)
}

/// A file as parquet2 writes it, its footer, and the checksum of the rows.
fn write_pages<R>(rows: &Rows<'_, R>, compression: Compression) -> Result<(Vec<u8>, FileMetaData, u32), Unwritable> {
    let compression = match compression {
        Compression::Zstd => CompressionOptions::Zstd(None),
        Compression::Snappy => CompressionOptions::Snappy,
        Compression::Uncompressed => CompressionOptions::Uncompressed,
    };
    let schema = to_parquet_schema(&rows.schema).map_err(unwritable)?;
    let pages = schema.fields().iter().map(|field| Pages::of(field.clone(), compression));
    let mut pages: Vec<Pages> = pages.collect::<Result<_, _>>()?;
    for rows_of_a_page in rows.rows.chunks(ROWS_A_PAGE) {
        for (column, pages) in (rows.columns)(rows_of_a_page)?.iter().zip(&mut pages) {
            pages.push(column)?;
        }
    }
    let mut crc = crc32fast::Hasher::new();
    pages.iter().for_each(|pages| crc.combine(&pages.crc));
    let mut writer = file_writer(schema, pages.iter().map(Pages::bytes).sum());
    if !rows.rows.is_empty() {
        writer.write(DynIter::new(pages.into_iter().map(|pages| Ok(pages.into_stream())))).map_err(unwritable)?;
    }
    writer.end(None).map_err(unwritable)?;
    let (file, metadata) = writer.into_inner_and_metadata();
    Ok((file, metadata, crc.finalize()))
}

/// With room for so many bytes.
fn file_writer(schema: SchemaDescriptor, bytes: usize) -> FileWriter<Vec<u8>> {
    let created_by = Some(format!("stockstream version {}", env!("CARGO_PKG_VERSION")));
    let options = WriteOptions { write_statistics: false, version: Version::V1 };
    FileWriter::new(Vec::with_capacity(bytes), schema, options, created_by)
}

/// How a schema stands in the footer.
pub(super) fn schema_elements(schema: &Schema) -> Result<Vec<SchemaElement>, Unwritable> {
    let mut writer = file_writer(to_parquet_schema(schema).map_err(unwritable)?, 0);
    writer.end(None).map_err(unwritable)?;
    Ok(writer.into_inner_and_metadata().1.schema)
}

/// Cuts the file where its pages end.
fn drop_page_indexes(file: &mut Vec<u8>, metadata: &mut FileMetaData) {
    let mut end = MAGIC.len();
    for column in metadata.row_groups.iter_mut().flat_map(|group| &mut group.columns) {
        column.column_index_offset = None;
        column.column_index_length = None;
        column.offset_index_offset = None;
        column.offset_index_length = None;
        if let Some(chunk) = &column.meta_data {
            end = end.max((chunk.data_page_offset + chunk.total_compressed_size) as usize);
        }
    }
    file.truncate(end);
}

pub(super) fn append_footer(file: &mut Vec<u8>, metadata: &FileMetaData) -> Result<(), Unwritable> {
    let start = file.len();
    let mut protocol = TCompactOutputProtocol::new(&mut *file);
    metadata.write_to_out_protocol(&mut protocol).map_err(unwritable)?;
    let length = u32::try_from(file.len() - start).map_err(unwritable)?;
    file.extend(length.to_le_bytes());
    file.extend(MAGIC);
    Ok(())
}
