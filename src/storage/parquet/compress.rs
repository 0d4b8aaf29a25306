//! Columns to compressed pages.
//!
//! parquet2 begins a new zstd stream of unknown length for every page, which is megabytes to allocate and to clear; this keeps one
//! context a thread and tells it the length, which takes a table as small as the page.

use std::cell::RefCell;

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

thread_local! {
    static ZSTD: RefCell<zstd::bulk::Compressor<'static>> = RefCell::default();
}

/// The pages of one column.
pub(super) struct Pages {
    of: PrimitiveType,
    compression: CompressionOptions,
    pages: Vec<CompressedPage>,
    /// Of the values of all pages.
    pub crc: crc32fast::Hasher,
}

impl Pages {
    pub fn of(field: ParquetType, compression: CompressionOptions) -> Result<Self, Unwritable> {
        let ParquetType::PrimitiveType(of) = field else { return Err(unwritable("a nested column")) };
        Ok(Self { of, compression, pages: Vec::new(), crc: crc32fast::Hasher::new() })
    }

    /// Adds a page.
    pub fn push(&mut self, column: &Column) -> Result<(), Unwritable> {
        column.update(&mut self.crc);
        let mut page = Vec::new();
        column.write(&mut page);
        let descriptor = Descriptor { primitive_type: self.of.clone(), max_def_level: 1, max_rep_level: 0 };
        let page = DataPage::new(header(column), page, descriptor, Some(column.len()));
        self.pages.push(compress(page, self.compression).map_err(unwritable)?);
        Ok(())
    }

    /// About the size that they have in a file.
    pub fn bytes(&self) -> usize {
        const HEADER: usize = 128;
        let size = |page: &CompressedPage| match page {
            CompressedPage::Data(page) => HEADER + page.compressed_size(),
            CompressedPage::Dict(_) => 0,
        };
        self.pages.iter().map(size).sum()
    }

    pub fn into_stream(self) -> DynStreamingIterator<'static, CompressedPage, Error> {
        DynStreamingIterator::new(Stream { rest: self.pages.into_iter(), now: None })
    }
}

struct Stream {
    rest: std::vec::IntoIter<CompressedPage>,
    now: Option<CompressedPage>,
}

impl FallibleStreamingIterator for Stream {
    type Item = CompressedPage;
    type Error = Error;

    fn advance(&mut self) -> Result<(), Error> {
        self.now = self.rest.next();
        Ok(())
    }

    fn get(&self) -> Option<&CompressedPage> {
        self.now.as_ref()
    }
}

fn header(column: &Column) -> page::DataPageHeader {
    let [min_value, max_value] = column.bounds().map_or([None, None], |both| both.map(Some));
    let null_count = Some(column.nulls() as i64);
    page::DataPageHeader::V1(DataPageHeader {
        num_values: column.len() as i32,
        encoding: Encoding::PLAIN,
        definition_level_encoding: Encoding::RLE,
        repetition_level_encoding: Encoding::RLE,
        statistics: Some(Statistics { max: None, min: None, null_count, distinct_count: None, max_value, min_value }),
    })
}

fn compress(page: DataPage, compression: CompressionOptions) -> Result<CompressedPage, Error> {
    let CompressionOptions::Zstd(_) = compression else {
        return parquet2::write::compress(Page::Data(page), Vec::new(), compression);
    };
    let mut bytes = ZSTD.with_borrow_mut(|zstd| zstd.compress(page.buffer()))?;
    // All pages are kept until the last, and some are a hundredth of the room that they might have needed.
    bytes.shrink_to_fit();
    let (header, length, rows) = (page.header().clone(), page.buffer().len(), page.num_values());
    let page = CompressedDataPage::new(header, bytes, compression.into(), length, page.descriptor, Some(rows));
    Ok(CompressedPage::Data(page))
}

pub(super) fn unwritable(error: impl std::fmt::Display) -> Unwritable {
    Unwritable(error.to_string())
}
