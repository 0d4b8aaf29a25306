//! What a file of ticks may hold besides ticks.

use super::{MAX_PAYLOAD, without_line_end};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line of a file, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLine<'a> {
    /// The file began with a byte-order mark, which is no longer part of `content`.
    pub had_byte_order_mark: bool,
    pub content: LineContent<'a>,
}

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineContent<'a> {
    /// To be published as it is, without a line end, whether it is a tick or not: the consumer judges and counts.
    Payload(&'a [u8]),
    /// The column names, as the first line.
    Header,
    Empty,
}

/// Tells what to do with line `number` (from 1) of a file, given with or without its line end.
///
/// A line over 4 KiB is cut to one byte more than a tick may have: a broker refuses huge records, and the consumer must see and
/// count it as malformed. So a reader needs to keep no more of a line than `MAX_PAYLOAD` plus a mark and a line end.
pub fn file_line(line: &[u8], number: u64) -> FileLine<'_> {
    let unmarked = (number == 1).then(|| line.strip_prefix(BYTE_ORDER_MARK)).flatten();
    let content = match without_line_end(unmarked.unwrap_or(line)) {
        b"" => LineContent::Empty,
        b"timestamp,symbol,price" | b"timestamp,symbol,price,volume" if number == 1 => LineContent::Header,
        text => LineContent::Payload(&text[..text.len().min(MAX_PAYLOAD + 1)]),
    };
    FileLine { had_byte_order_mark: unmarked.is_some(), content }
}
