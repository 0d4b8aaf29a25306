//! The pages of a column: data pages of version 1, plain values, definition levels in runs, no dictionary.

use std::cell::RefCell;

use parquet_format_safe::thrift::protocol::TCompactInputProtocol;
use parquet_format_safe::{CompressionCodec, DataPageHeader, Encoding, PageHeader, PageType};

use super::columns::Column;
use super::levels::Levels;
use super::{Unreadable, damaged};

thread_local! {
    static ZSTD: RefCell<zstd::bulk::Decompressor<'static>> = RefCell::default();
}

/// More than a page's header needs, its minimum and maximum included.
const MOST_OF_A_HEADER: usize = 16 * 1024;
/// The length of the levels, and more than the length of a run.
const AROUND_LEVELS: usize = 16;

/// The pages of one column in one row group.
pub(super) struct Chunk<'b> {
    pub pages: &'b [u8],
    pub codec: CompressionCodec,
    pub rows: usize,
}

/// Adds a chunk's values to a column. Pages are decompressed into `room`, one after the other.
///
/// # Errors
/// When the bytes are not pages as our writer makes them, or hold another number of rows.
pub(super) fn read(chunk: &Chunk<'_>, column: &mut Column, room: &mut Vec<u8>) -> Result<(), Unreadable> {
    let (mut rest, mut missing) = (chunk.pages, chunk.rows);
    while missing > 0 {
        let header = read_header(&mut rest)?;
        let rows = rows_of(&header).filter(|rows| (1..=missing).contains(rows)).ok_or_else(broken)?;
        let stored = split_at(&mut rest, usize::try_from(header.compressed_page_size).map_err(|_| broken())?)?;
        let size = usize::try_from(header.uncompressed_page_size).map_err(|_| broken())?;
        if size > AROUND_LEVELS + rows + rows * column.most_of_a_value() {
            return Err(damaged("a page says that it is larger than its rows can be"));
        }
        let mut values = decompress(chunk.codec, stored, size, room)?;
        let mut levels = Levels::split_off(&mut values, rows)?;
        while let Some(run) = levels.next()? {
            column.read(&run, &mut values)?;
        }
        if !values.is_empty() {
            return Err(damaged("a page holds more values than rows"));
        }
        missing -= rows;
    }
    Ok(())
}

fn read_header(rest: &mut &[u8]) -> Result<PageHeader, Unreadable> {
    let mut protocol = TCompactInputProtocol::new(rest, MOST_OF_A_HEADER);
    PageHeader::read_from_in_protocol(&mut protocol).map_err(|_| broken())
}

/// `None` for a page of another kind than ours.
fn rows_of(header: &PageHeader) -> Option<usize> {
    let DataPageHeader { num_values, encoding, definition_level_encoding, .. } = header.data_page_header.as_ref()?;
    let ours = header.type_ == PageType::DATA_PAGE
        && *encoding == Encoding::PLAIN
        && *definition_level_encoding == Encoding::RLE;
    usize::try_from(*num_values).ok().filter(|_| ours)
}

/// Exactly `size` bytes. In one go: a stream would make room for the window that its first bytes ask for.
fn decompress<'b>(
    codec: CompressionCodec,
    stored: &'b [u8],
    size: usize,
    room: &'b mut Vec<u8>,
) -> Result<&'b [u8], Unreadable> {
    room.clear();
    let page = match codec {
        CompressionCodec::UNCOMPRESSED => stored,
        CompressionCodec::ZSTD => {
            room.reserve(size);
            ZSTD.with_borrow_mut(|zstd| zstd.decompress_to_buffer(stored, room)).map_err(|_| broken())?;
            room
        }
        CompressionCodec::SNAPPY => {
            room.resize(size, 0);
            parquet2::compression::decompress(parquet2::compression::Compression::Snappy, stored, room)
                .map_err(|_| broken())?;
            room
        }
        _ => return Err(damaged("it is compressed in a way that stockstream does not use")),
    };
    if page.len() == size { Ok(page) } else { Err(broken()) }
}

/// The first bytes, which `rest` then begins behind.
pub(super) fn split_at<'b>(rest: &mut &'b [u8], length: usize) -> Result<&'b [u8], Unreadable> {
    let (first, behind) = rest.split_at_checked(length).ok_or_else(broken)?;
    *rest = behind;
    Ok(first)
}

pub(super) fn broken() -> Unreadable {
    damaged("its pages do not decode")
}
