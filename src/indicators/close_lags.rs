//! The closes of earlier bars.

use super::exact::{DamagedState, Exact, Unread};
use super::feature_row::CLOSE_LAGS;

/// The closes 1 to [`CLOSE_LAGS`] rows earlier, counted in bars that exist and not in minutes: `Series.shift(k)` of pandas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CloseLags {
    /// Newest first.
    closes: [Option<f64>; CLOSE_LAGS],
}

impl CloseLags {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the close of the next bar; entry `k - 1` is the close k bars before it, `None` for the first k bars.
    #[inline]
    pub fn push(&mut self, close: f64) -> [Option<f64>; CLOSE_LAGS] {
        let lags = self.closes;
        self.closes.copy_within(..CLOSE_LAGS - 1, 1);
        self.closes[0] = Some(close);
        lags
    }
}

impl Exact for CloseLags {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.closes.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self { closes: <[Option<f64>; CLOSE_LAGS]>::read_from(unread)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_none_until_there_is_such_a_bar() {
        let mut lags = CloseLags::new();
        assert_eq!(lags.push(1.0), [None; CLOSE_LAGS]);
        assert_eq!(lags.push(2.0), [Some(1.0), None, None, None, None]);
        for close in [3.0, 4.0, 5.0, 6.0] {
            lags.push(close);
        }
        assert_eq!(lags.push(7.0), [Some(6.0), Some(5.0), Some(4.0), Some(3.0), Some(2.0)]);
    }
}
