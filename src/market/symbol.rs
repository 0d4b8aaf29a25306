//! The name of a stock.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A stock's ticker, `^[A-Z0-9][A-Z0-9.^=_-]{0,15}$`. Cheap to clone (16 characters fit without an allocation).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "CompactString")]
pub struct Symbol(CompactString);

/// Why a text is no symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a symbol: 1 to 16 of A-Z 0-9 . ^ = _ -, the first a letter or digit")]
pub struct InvalidSymbol(String);

impl Symbol {
    /// The longest symbol.
    pub const MAX_BYTES: usize = 16;

    /// # Errors
    /// When the text does not have the form above.
    pub fn new(text: &str) -> Result<Self, InvalidSymbol> {
        if Self::is_valid(text) {
            Ok(Self(CompactString::new(text)))
        } else {
            Err(InvalidSymbol(text.chars().take(40).flat_map(char::escape_debug).collect()))
        }
    }

    /// Whether the text has the form of a symbol.
    pub fn is_valid(text: &str) -> bool {
        let first = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        let rest = |b: &u8| first(b) || matches!(b, b'.' | b'^' | b'=' | b'_' | b'-');
        text.len() <= Self::MAX_BYTES && text.as_bytes().first().is_some_and(first) && text.as_bytes().iter().all(rest)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<CompactString> for Symbol {
    type Error = InvalidSymbol;
    fn try_from(text: CompactString) -> Result<Self, InvalidSymbol> {
        Self::new(&text)
    }
}

impl std::borrow::Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_form_is_a_symbol() {
        for good in ["A", "AAPL", "BRK.B", "^GSPC".trim_start_matches('^'), "EURUSD=X", "0700.HK", "A23456789012345Z"] {
            assert!(Symbol::new(good).is_ok(), "{good}");
        }
        for bad in ["", "aapl", "^GSPC", ".", "..", "A/B", "A B", "É", "A2345678901234567", "A\n"] {
            assert!(Symbol::new(bad).is_err(), "{bad:?}");
        }
    }
}
