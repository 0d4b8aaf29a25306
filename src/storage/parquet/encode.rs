//! A table to the bytes of a file.
//!
//! parquet2 leaves out `column_orders`, without which readers may not trust any minimum or maximum, and always writes page
//! indexes, which nobody needs for so few pages: both are mended by writing the footer anew.

use arrow2::datatypes::Schema;
use arrow2::io::parquet::write::to_parquet_schema;
use parquet_format_safe::thrift::protocol::TCompactOutputProtocol;
use parquet_format_safe::{ColumnOrder, FileMetaData, SchemaElement, TypeDefinedOrder};
use parquet2::compression::CompressionOptions;
use parquet2::schema::types::ParquetType;
use parquet2::write::{DynIter, FileWriter, Version, WriteOptions};

use super::columns::Table;
use super::compress::{Pages, unwritable};
use super::footer::{self, Labels, MAGIC};
use super::{MAX_ROWS, Unwritable, most_rows};
use crate::settings::Compression;

pub(super) fn encode(table: &Table, mut labels: Labels, compression: Compression) -> Result<Vec<u8>, Unwritable> {
    labels.rows = table.rows();
    labels.rows_checksum = table.checksum();
    if labels.rows > MAX_ROWS {
        return Err(Unwritable(format!("{} rows are too many for one file", labels.rows)));
    }
    let (mut file, mut metadata) = write_pages(table, compression)?;
    if labels.rows > most_rows(file.len()) {
        (file, metadata) = write_pages(table, Compression::Uncompressed)?;
    }
    drop_page_indexes(&mut file, &mut metadata);
    metadata.column_orders = Some(vec![ColumnOrder::TYPEORDER(TypeDefinedOrder {}); table.columns.len()]);
    metadata.key_value_metadata = Some(labels.to_key_values());
    append_footer(&mut file, &metadata)?;
    footer::seal(&mut file).map_err(unwritable)?;
    Ok(file)
}

/// A file as parquet2 writes it, and its footer.
fn write_pages(table: &Table, compression: Compression) -> Result<(Vec<u8>, FileMetaData), Unwritable> {
    let compression = match compression {
        Compression::Zstd => CompressionOptions::Zstd(None),
        Compression::Snappy => CompressionOptions::Snappy,
        Compression::Uncompressed => CompressionOptions::Uncompressed,
    };
    let (mut writer, fields) = file_writer(&table.schema)?;
    if table.rows() > 0 {
        let columns = table.columns.iter().zip(fields).map(|(column, field)| Pages::of(column, field, compression));
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        writer.write(DynIter::new(columns.into_iter().map(Ok))).map_err(unwritable)?;
    }
    writer.end(None).map_err(unwritable)?;
    Ok(writer.into_inner_and_metadata())
}

fn file_writer(schema: &Schema) -> Result<(FileWriter<Vec<u8>>, Vec<ParquetType>), Unwritable> {
    let schema = to_parquet_schema(schema).map_err(unwritable)?;
    let fields = schema.fields().to_vec();
    let created_by = Some(format!("stockstream version {}", env!("CARGO_PKG_VERSION")));
    let options = WriteOptions { write_statistics: false, version: Version::V1 };
    Ok((FileWriter::new(Vec::new(), schema, options, created_by), fields))
}

/// How a schema stands in the footer.
pub(super) fn schema_elements(schema: &Schema) -> Result<Vec<SchemaElement>, Unwritable> {
    let (mut writer, _) = file_writer(schema)?;
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
