//! The tick wire format: one line, `timestamp,symbol,price[,volume]`, and what a file of such lines may hold besides.
//!
//! Strict on purpose: a line that needs guessing is malformed, counted and kept as a dead letter. Reading costs no
//! allocation. Beware: a symbol of any form passes here; whether it is a known stock is the consumer's question.

mod file_line;
mod number;
#[cfg(test)]
mod tests;
mod timestamp;

use std::io::Write;

pub use file_line::{FileLine, LineContent, file_line};

use super::tick::WireTick;

/// The longest payload, in bytes, that can be a tick.
pub const MAX_PAYLOAD: usize = 4096;

/// Why a payload is no tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    #[error("longer than {MAX_PAYLOAD} bytes")]
    TooLong,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not `timestamp,symbol,price[,volume]`")]
    Fields,
    #[error("the timestamp is not RFC 3339, `YYYY-MM-DD HH:MM:SS` or an integer epoch, of the years 1 to 9999")]
    Timestamp,
    #[error("the symbol is empty or holds a blank, a quote or a control character")]
    Symbol,
    #[error("the price is not a finite number above 0")]
    Price,
    #[error("the volume is not a finite number of at least 0")]
    Volume,
}

/// Reads a record's payload as a tick.
///
/// Timestamps are RFC 3339, `YYYY-MM-DD HH:MM:SS[.fraction][Z|±HH:MM]` with a blank or `T` in the middle (no offset means UTC;
/// digits beyond the microsecond are cut), or an unsigned integer epoch: seconds below 1e11, milliseconds below 1e14,
/// microseconds below 1e17, else nanoseconds. Negative epochs are refused: they are far likelier a fault than a trade of the
/// 1960s. Numbers are what `str::parse::<f64>` reads, without infinities and NaN; a volume of -0 becomes 0. One line end
/// (`\n`, `\r\n` or `\r`) is tolerated.
///
/// # Errors
/// The reason why the payload is no tick; the first that applies from left to right, after its length and encoding.
pub fn decode(payload: &[u8]) -> Result<WireTick<'_>, Malformed> {
    if payload.len() > MAX_PAYLOAD {
        return Err(Malformed::TooLong);
    }
    // Every field but the symbol is ASCII or refused, so the encoding of the whole only matters once something is wrong.
    decode_fields(without_line_end(payload))
        .map_err(|reason| if is_utf8(payload) { reason } else { Malformed::NotUtf8 })
}

fn decode_fields(line: &[u8]) -> Result<WireTick<'_>, Malformed> {
    let fields_or = |reason| if matches!(commas(line), 2 | 3) { reason } else { Malformed::Fields };
    let (event_time, rest) = timestamp::parse_prefix(line).ok_or_else(|| fields_or(Malformed::Timestamp))?;
    let (symbol, rest) = split_at_comma(rest).ok_or(Malformed::Fields)?;
    if symbol.is_empty() || symbol.iter().any(|b| *b <= b' ' || matches!(b, b'"' | 0x7f)) {
        return Err(fields_or(Malformed::Symbol));
    }
    let symbol = str::from_utf8(symbol).map_err(|_| Malformed::NotUtf8)?;
    let (price, volume) = match split_at_comma(rest) {
        Some((price, volume)) => (price, Some(volume)),
        None => (rest, None),
    };
    let price = number::parse(price).filter(|price| *price > 0.0).ok_or_else(|| fields_or(Malformed::Price))?;
    let volume = match volume.map(number::parse) {
        None => None,
        // Adding 0 turns -0 into 0: the lake holds no negative zero.
        Some(Some(volume)) if volume >= 0.0 => Some(volume + 0.0),
        Some(_) => return Err(fields_or(Malformed::Volume)),
    };
    Ok(WireTick { event_time, symbol, price, volume })
}

/// Appends the tick as we write it: RFC 3339 in UTC with microseconds, and the shortest numbers that read back bit for bit. No
/// line end.
pub fn encode(tick: &WireTick<'_>, out: &mut Vec<u8>) {
    let WireTick { event_time, symbol, price, volume } = tick;
    match volume {
        Some(volume) => write!(out, "{event_time},{symbol},{price},{volume}"),
        None => write!(out, "{event_time},{symbol},{price}"),
    }
    .expect("writing to a Vec cannot fail");
}

/// Sooner than `str::from_utf8` when all is ASCII, as it nearly always is.
fn is_utf8(payload: &[u8]) -> bool {
    payload.is_ascii() || str::from_utf8(payload).is_ok()
}

/// Counts in bytes, many at once.
fn commas(line: &[u8]) -> usize {
    const MOST_IN_A_BYTE: usize = 255;
    line.chunks(MOST_IN_A_BYTE).map(|part| usize::from(part.iter().map(|b| u8::from(*b == b',')).sum::<u8>())).sum()
}

fn split_at_comma(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = line.iter().position(|b| *b == b',')?;
    Some((&line[..comma], &line[comma + 1..]))
}

/// Without one `\n`, `\r\n` or `\r` at the end.
fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
