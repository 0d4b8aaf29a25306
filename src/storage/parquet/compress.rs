//! Columns to compressed pages, one at a time.
//!
//! Pages are small enough to stay in a processor's cache from the values to the compressed bytes. parquet2 begins a new zstd
//! stream of unknown length for every page, which is megabytes to allocate and to clear; this keeps one context a thread and tells
//! it the length, which takes a table as small as the page.

use std::cell::RefCell;
use std::ops::Range;

use parquet_format_safe::{DataPageHeader, Encoding, Statistics};
use parquet2::FallibleStreamingIterator;
use parquet2::compression::CompressionOptions;
use parquet2::error::Error;
use parquet2::metadata::Descriptor;
use parquet2::page::{self, CompressedDataPage, CompressedPage, DataPage, Page};
use parquet2::schema::types::{ParquetType, PrimitiveType};
use parquet2::write::DynStreamingIterator;

use super::Unwritable;
use super::columns::Column;

/// 128 KiB of numbers.
const ROWS_A_PAGE: usize = 16_384;

thread_local! {
    static ZSTD: RefCell<zstd::bulk::Compressor<'static>> = RefCell::default();
}

/// The pages of one column.
pub(super) struct Pages<'t> {
    column: &'t Column,
    of: PrimitiveType,
    compression: CompressionOptions,
    rest: Range<usize>,
    now: Option<CompressedPage>,
}

impl<'t> Pages<'t> {
    pub fn of(
        column: &'t Column,
        field: ParquetType,
        compression: CompressionOptions,
    ) -> Result<DynStreamingIterator<'t, CompressedPage, Error>, Unwritable> {
        let ParquetType::PrimitiveType(of) = field else { return Err(unwritable("a nested column")) };
        Ok(DynStreamingIterator::new(Self { column, of, compression, rest: 0..column.len(), now: None }))
    }

    fn page(&self, rows: Range<usize>) -> Result<CompressedPage, Error> {
        let mut page = Vec::new();
        self.column.write(rows.clone(), &mut page);
        let descriptor = Descriptor { primitive_type: self.of.clone(), max_def_level: 1, max_rep_level: 0 };
        let header = page::DataPageHeader::V1(header(self.column, rows.clone()));
        compress(DataPage::new(header, page, descriptor, Some(rows.len())), self.compression)
    }
}

impl FallibleStreamingIterator for Pages<'_> {
    type Item = CompressedPage;
    type Error = Error;

    fn advance(&mut self) -> Result<(), Error> {
        let rows = self.rest.start..self.rest.end.min(self.rest.start + ROWS_A_PAGE);
        self.rest.start = rows.end;
        self.now = if rows.is_empty() { None } else { Some(self.page(rows)?) };
        Ok(())
    }

    fn get(&self) -> Option<&CompressedPage> {
        self.now.as_ref()
    }
}

fn header(column: &Column, rows: Range<usize>) -> DataPageHeader {
    let [min_value, max_value] = column.bounds(rows.clone()).map_or([None, None], |both| both.map(Some));
    let null_count = Some(column.nulls(rows.clone()) as i64);
    DataPageHeader {
        num_values: rows.len() as i32,
        encoding: Encoding::PLAIN,
        definition_level_encoding: Encoding::RLE,
        repetition_level_encoding: Encoding::RLE,
        statistics: Some(Statistics { max: None, min: None, null_count, distinct_count: None, max_value, min_value }),
    }
}

fn compress(page: DataPage, compression: CompressionOptions) -> Result<CompressedPage, Error> {
    let CompressionOptions::Zstd(_) = compression else {
        return parquet2::write::compress(Page::Data(page), Vec::new(), compression);
    };
    let bytes = ZSTD.with_borrow_mut(|zstd| zstd.compress(page.buffer()))?;
    let (header, length, rows) = (page.header().clone(), page.buffer().len(), page.num_values());
    let page = CompressedDataPage::new(header, bytes, compression.into(), length, page.descriptor, Some(rows));
    Ok(CompressedPage::Data(page))
}

pub(super) fn unwritable(error: impl std::fmt::Display) -> Unwritable {
    Unwritable(error.to_string())
}
