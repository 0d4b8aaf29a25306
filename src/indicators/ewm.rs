//! The exponentially weighted mean under RSI and EMA.

use super::exact::{DamagedState, Exact, Unread};

/// `mean = (1 - alpha) * mean + alpha * value`, a value equal to the mean leaving it alone: `Series.ewm(alpha, adjust=False)` of
/// pandas, bit for bit.
///
/// That exception is no shortcut: without it the two rounded products of a constant series do not add up to its value, and the
/// mean drifts.
#[derive(Clone, Debug, PartialEq)]
pub struct Ewm {
    mean: f64,
}

impl Ewm {
    /// The mean of a series that began with `first`.
    pub fn starting_at(first: f64) -> Self {
        Self { mean: first }
    }

    /// Takes the next value of the series and returns the mean, in the series' unit; `alpha` is the weight of the value, between 0 and 1.
    #[inline]
    #[must_use]
    pub fn step(&mut self, alpha: f64, value: f64) -> f64 {
        if self.mean != value {
            self.mean = (1.0 - alpha) * self.mean + alpha * value;
        }
        self.mean
    }
}

impl Exact for Ewm {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.mean.write_to(out);
    }

    fn read_from(unread: &mut Unread<'_>) -> Result<Self, DamagedState> {
        Ok(Self { mean: f64::read_from(unread)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_series_does_not_drift() {
        let mut mean = Ewm::starting_at(100.1);
        for _ in 0..10_000 {
            assert_eq!(mean.step(2.0 / 15.0, 100.1).to_bits(), 100.1f64.to_bits());
        }
    }

    #[test]
    fn a_step_weighs_the_new_value_by_alpha() {
        let mut mean = Ewm::starting_at(10.0);
        assert_eq!(mean.step(0.25, 20.0), 12.5);
        assert_eq!(mean.step(0.25, 12.5), 12.5);
    }
}
