//! Bytes that bring a value back bit for bit; every part of the indicator state says here how it is written and read.
//!
//! Fields stand one after the other, little endian, without names: the format version in front of the whole state tells how to
//! read them. Reading never trusts a byte: what cannot have been written is an error.

/// Why bytes are no indicator state. None of these goes away by reading again: the state must be computed anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamagedState {
    #[error(
        "the indicator state has format {found}, this program reads format {expected}: compute it anew from the bars"
    )]
    UnknownFormat { found: u8, expected: u8 },
    #[error("the indicator state ends in the middle of a value: compute it anew from the bars")]
    Truncated,
    #[error("{0} bytes follow the indicator state: compute it anew from the bars")]
    TrailingBytes(usize),
    #[error("the indicator state holds {found} where at most {most} is possible: compute it anew from the bars")]
    OutOfRange { found: u8, most: u8 },
    #[error("the indicator state names a stock that is none, twice or out of order: compute it anew from the bars")]
    InvalidStock,
}

/// What is left to read.
pub(super) struct Unread<'a>(&'a [u8]);

impl<'a> Unread<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DamagedState> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DamagedState::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A byte of at most `most`.
    pub(super) fn at_most(&mut self, most: u8) -> Result<u8, DamagedState> {
        match u8::read_from(self)? {
            found if found > most => Err(DamagedState::OutOfRange { found, most }),
            byte => Ok(byte),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Written and read back without a change.
pub(super) trait Exact: Sized {
    fn write_to(&self, out: &mut Vec<u8>);
    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState>;
}

/// Numbers, as their little-endian bytes.
macro_rules! exact_number {
    ($($number:ty),*) => {$(
        impl Exact for $number {
            fn write_to(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
                let (bytes, rest) = unread.0.split_first_chunk().ok_or(DamagedState::Truncated)?;
                unread.0 = rest;
                Ok(Self::from_le_bytes(*bytes))
            }
        }
    )*};
}
exact_number!(u8, u64, f64);

impl<T: Exact> Exact for Option<T> {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.write_to(out);
        }
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        match unread.at_most(1)? {
            0 => Ok(None),
            _ => T::read_from(unread).map(Some),
        }
    }
}

impl<T: Exact + Copy + Default, const N: usize> Exact for [T; N] {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.write_to(out));
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = T::read_from(unread)?;
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_bit_for_bit() {
        for value in
            [0.1 + 0.2, -0.0, f64::MIN_POSITIVE / 3.0, f64::NEG_INFINITY, f64::from_bits(0x7ff8_0000_dead_beef)]
        {
            let mut bytes = Vec::new();
            Some(value).write_to(&mut bytes);
            let back = Option::<f64>::read_from(&mut Unread::new(&bytes)).unwrap();
            assert_eq!(back.map(f64::to_bits), Some(value.to_bits()));
        }
    }

    #[test]
    fn what_cannot_have_been_written_is_refused() {
        assert_eq!(
            Option::<u8>::read_from(&mut Unread::new(&[2, 0])),
            Err(DamagedState::OutOfRange { found: 2, most: 1 })
        );
        assert_eq!(<[u64; 2]>::read_from(&mut Unread::new(&[0; 15])), Err(DamagedState::Truncated));
    }
}
