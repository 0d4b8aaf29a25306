//! Columns to compressed pages.
//!
//! parquet2 begins a new zstd stream of unknown length for every page, which is megabytes to allocate and to clear; this keeps one
//! context a thread and tells it the length, which takes a table as small as the page.

use std::cell::RefCell;

use arrow2::array::Array;
use arrow2::io::parquet::write::{CompressionOptions, Encoding, WriteOptions, array_to_columns};
use parquet2::FallibleStreamingIterator;
use parquet2::error::Error;
use parquet2::page::{CompressedDataPage, CompressedPage, Page};
use parquet2::schema::types::ParquetType;
use parquet2::write::DynStreamingIterator;

use super::Unwritable;

thread_local! {
    static ZSTD: RefCell<zstd::bulk::Compressor<'static>> = RefCell::default();
}

/// The pages of one column.
pub(super) struct Pages {
    rest: std::vec::IntoIter<CompressedPage>,
    now: Option<CompressedPage>,
}

impl Pages {
    pub(super) fn of(
        array: Box<dyn Array>,
        field: ParquetType,
        options: WriteOptions,
    ) -> Result<DynStreamingIterator<'static, CompressedPage, Error>, Unwritable> {
        let columns = array_to_columns(array, field, options, &[Encoding::Plain]).map_err(unwritable)?;
        let compressed = |page| compress(page, options.compression).map_err(unwritable);
        let pages = columns.into_iter().flatten().map(|page| page.map_err(unwritable).and_then(compressed));
        let pages = pages.collect::<Result<Vec<_>, _>>()?;
        Ok(DynStreamingIterator::new(Self { rest: pages.into_iter(), now: None }))
    }
}

impl FallibleStreamingIterator for Pages {
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

fn compress(page: Page, compression: CompressionOptions) -> Result<CompressedPage, Error> {
    let (Page::Data(page), CompressionOptions::Zstd(_)) = (&page, compression) else {
        return parquet2::write::compress(page, Vec::new(), compression);
    };
    let bytes = ZSTD.with_borrow_mut(|zstd| zstd.compress(page.buffer()))?;
    let (header, length, rows) = (page.header().clone(), page.buffer().len(), page.num_values());
    let page = CompressedDataPage::new(header, bytes, compression.into(), length, page.descriptor.clone(), Some(rows));
    Ok(CompressedPage::Data(page))
}

pub(super) fn unwritable(error: impl std::fmt::Display) -> Unwritable {
    Unwritable(error.to_string())
}
