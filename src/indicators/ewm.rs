//! The exponentially weighted mean under RSI and EMA.

use super::exact::{DamagedState, Exact, Unread};

/// `mean = (1 - alpha) * mean + alpha * value`, a value equal to the mean leaving it alone: `Series.ewm(alpha, adjust=False)` of
/// pandas, bit for bit.
///
/// That exception is no shortcut: for one in six prices in cents the two rounded products do not add up to the price again, so
/// without it the mean of a constant series would leave its value.
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
    fn the_mean_of_a_constant_series_is_its_value() {
        for price in (1..20_000).map(|cents| f64::from(cents) / 100.0) {
            let mut mean = Ewm::starting_at(price);
            for _ in 0..20 {
                assert_eq!(mean.step(2.0 / 15.0, price).to_bits(), price.to_bits(), "{price}");
            }
        }
    }

    #[test]
    fn a_step_weighs_the_new_value_by_alpha() {
        let mut mean = Ewm::starting_at(10.0);
        assert_eq!(mean.step(0.25, 20.0), 12.5);
        assert_eq!(mean.step(0.25, 12.5), 12.5);
    }
}
