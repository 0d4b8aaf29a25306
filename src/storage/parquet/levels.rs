//! Definition levels: which rows of a page have a value. Their length in four bytes, then runs: of equal ones, or of a bit each.

use super::Unreadable;
use super::pages::{broken, split_at};

/// Rows of a page that follow each other.
pub(super) enum Run<'b> {
    Present(usize),
    Absent(usize),
    /// A bit a row, lowest first, and how many rows.
    Mixed(&'b [u8], usize),
}

impl<'b> Run<'b> {
    fn packed(bits: &'b [u8], rows: usize) -> Self {
        let run = Run::Mixed(bits, rows);
        // Other writers, and ours before it knew better, pack what is all there.
        if run.bits().all(|present| present) { Run::Present(rows) } else { run }
    }

    pub fn rows(&self) -> usize {
        let (Run::Present(rows) | Run::Absent(rows) | Run::Mixed(_, rows)) = self;
        *rows
    }

    /// Of a mixed run, whether each row is there.
    pub fn bits(&self) -> impl Iterator<Item = bool> + use<'b> {
        let (bits, rows) = match *self {
            Run::Mixed(bits, rows) => (bits, rows),
            _ => (&[][..], 0),
        };
        bits.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).take(rows)
    }
}

/// The levels of a page that is read.
pub(super) struct Levels<'b> {
    runs: &'b [u8],
    missing: usize,
}

impl<'b> Levels<'b> {
    /// Takes them off the front of a page of so many rows.
    ///
    /// # Errors
    /// When they are longer than the page.
    pub fn split_off(page: &mut &'b [u8], rows: usize) -> Result<Self, Unreadable> {
        let length = split_at(page, 4)?.try_into().map_err(|_| broken())?;
        Ok(Self { runs: split_at(page, u32::from_le_bytes(length) as usize)?, missing: rows })
    }

    /// The next run; `None` when all rows were in one.
    ///
    /// # Errors
    /// When it is none.
    pub fn next(&mut self) -> Result<Option<Run<'b>>, Unreadable> {
        if self.missing == 0 {
            return Ok(None);
        }
        let header = header(&mut self.runs)?;
        let length = header as usize >> 1;
        let run = if header & 1 == 1 {
            Run::packed(split_at(&mut self.runs, length)?, self.missing.min(8 * length))
        } else {
            match split_at(&mut self.runs, 1)?[0] {
                0 => Run::Absent(length),
                1 => Run::Present(length),
                _ => return Err(broken()),
            }
        };
        if run.rows() == 0 {
            return Err(broken());
        }
        self.missing = self.missing.checked_sub(run.rows()).ok_or_else(broken)?;
        Ok(Some(run))
    }
}

/// An unsigned integer of seven bits a byte, lowest first.
fn header(runs: &mut &[u8]) -> Result<u32, Unreadable> {
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

/// Appends the levels of rows that all have a value, or none.
pub(super) fn write_equal(page: &mut Vec<u8>, rows: usize, present: u8) {
    write(page, rows << 1, [present]);
}

/// Appends the levels of rows of which some have a value.
pub(super) fn write_mixed<T>(page: &mut Vec<u8>, rows: &[T], is_present: impl Fn(&T) -> bool) {
    let bits = |rows: &[T]| rows.iter().rev().fold(0, |bits, row| bits << 1 | u8::from(is_present(row)));
    write(page, rows.len().div_ceil(8) << 1 | 1, rows.chunks(8).map(bits));
}

/// Appends one run behind its header and the length of both.
fn write(page: &mut Vec<u8>, mut header: usize, run: impl IntoIterator<Item = u8>) {
    let start = page.len();
    page.extend([0; 4]);
    while header >= 0x80 {
        page.push(header as u8 | 0x80);
        header >>= 7;
    }
    page.push(header as u8);
    page.extend(run);
    let length = (page.len() - start - 4) as u32;
    page[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
