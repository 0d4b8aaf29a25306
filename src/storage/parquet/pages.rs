//! The pages of a column: data pages of version 1, plain values, definition levels in runs, no dictionary.

use std::borrow::Cow;
use std::cell::RefCell;

use parquet_format_safe::thrift::protocol::TCompactInputProtocol;
use parquet_format_safe::{CompressionCodec, DataPageHeader, Encoding, PageHeader, PageType};

use super::columns::Column;
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

/// Adds a chunk's values to a column.
///
/// # Errors
/// When the bytes are not pages as our writer makes them, or hold another number of rows.
pub(super) fn read(chunk: &Chunk<'_>, column: &mut Column) -> Result<(), Unreadable> {
    let (mut rest, mut missing) = (chunk.pages, chunk.rows);
    while missing > 0 {
        let header = read_header(&mut rest)?;
        let rows = rows_of(&header).filter(|rows| (1..=missing).contains(rows)).ok_or_else(broken)?;
        let stored = split_at(&mut rest, usize::try_from(header.compressed_page_size).map_err(|_| broken())?)?;
        let size = usize::try_from(header.uncompressed_page_size).map_err(|_| broken())?;
        if size > AROUND_LEVELS + rows + rows * column.most_of_a_value() {
            return Err(damaged("a page says that it is larger than its rows can be"));
        }
        let page = decompress(chunk.codec, stored, size)?;
        let mut values = &page[..];
        let present = levels(&mut values, rows)?;
        column.extend(&present, values)?;
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
fn decompress(codec: CompressionCodec, stored: &[u8], size: usize) -> Result<Cow<'_, [u8]>, Unreadable> {
    if codec == CompressionCodec::UNCOMPRESSED {
        return if stored.len() == size { Ok(stored.into()) } else { Err(broken()) };
    }
    let mut page = vec![0; size];
    let length = match codec {
        CompressionCodec::ZSTD => {
            ZSTD.with_borrow_mut(|zstd| zstd.decompress_to_buffer(stored, &mut page[..])).map_err(|_| broken())?
        }
        CompressionCodec::SNAPPY => {
            parquet2::compression::decompress(parquet2::compression::Compression::Snappy, stored, &mut page)
                .map_err(|_| broken())?;
            size
        }
        _ => return Err(damaged("it is compressed in a way that stockstream does not use")),
    };
    if length == size { Ok(page.into()) } else { Err(broken()) }
}

/// Which rows of a page have a value. Takes the levels off the front: their length in four bytes, then runs.
fn levels(page: &mut &[u8], rows: usize) -> Result<Vec<bool>, Unreadable> {
    let length = split_at(page, 4)?.try_into().map_err(|_| broken())?;
    let mut runs = split_at(page, u32::from_le_bytes(length) as usize)?;
    let mut present = Vec::with_capacity(rows);
    while present.len() < rows {
        let missing = rows - present.len();
        let header = run_header(&mut runs)?;
        let length = header as usize >> 1;
        if header & 1 == 1 {
            let packed = split_at(&mut runs, length)?;
            let bits = packed.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
            present.extend(bits.take(missing));
        } else {
            let value = split_at(&mut runs, 1)?[0];
            if value > 1 || length > missing {
                return Err(broken());
            }
            present.resize(present.len() + length, value == 1);
        }
        if length == 0 {
            return Err(broken());
        }
    }
    Ok(present)
}

/// An unsigned integer of seven bits a byte, lowest first.
fn run_header(runs: &mut &[u8]) -> Result<u32, Unreadable> {
    let mut header = 0;
    for shift in [0, 7, 14, 21] {
        let byte = split_at(runs, 1)?[0];
        header |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(header);
        }
    }
    Err(broken())
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
