//! The rows at the beginning of a history that have no value yet.

use super::exact::{DamagedState, Exact, Unread};

/// Counts the first `ROWS` rows away.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WarmUp<const ROWS: u8> {
    left: u8,
}

impl<const ROWS: u8> WarmUp<ROWS> {
    pub(super) const fn new() -> Self {
        Self { left: ROWS }
    }

    /// Counts one row; whether it already has a value.
    pub(super) fn is_over(&mut self) -> bool {
        let over = self.left == 0;
        self.left = self.left.saturating_sub(1);
        over
    }
}

impl<const ROWS: u8> Exact for WarmUp<ROWS> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.left.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self { left: unread.at_most(ROWS)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_have_no_value() {
        let mut warm_up = WarmUp::<2>::new();
        let over: Vec<bool> = (0..5).map(|_| warm_up.is_over()).collect();
        assert_eq!(over, [false, false, true, true, true]);
    }
}
