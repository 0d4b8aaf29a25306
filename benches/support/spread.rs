//! Several measurements of one thing: least, median, greatest.

use serde::Serialize;

/// One measurement a round, in order.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(into = "Summary")]
pub struct Spread(Vec<f64>);

#[derive(Serialize)]
struct Summary {
    min: f64,
    median: f64,
    max: f64,
    rounds: Vec<f64>,
}

impl Spread {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }

    /// Round by round, this over that.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(this, that)| this / that).collect())
    }

    fn min_median_max(&self) -> (f64, f64, f64) {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return (f64::NAN, f64::NAN, f64::NAN) };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        (*min, median, *max)
    }
}

impl From<Spread> for Summary {
    fn from(spread: Spread) -> Self {
        let (min, median, max) = spread.min_median_max();
        Self { min, median, max, rounds: spread.0 }
    }
}

/// A table's heading.
pub fn print_heading(title: &str) {
    println!("\n{title:<72} {:>9} {:>9} {:>9}", "min", "median", "max");
}

/// One line of a table.
pub fn print_row(what: &str, spread: &Spread) {
    let (min, median, max) = spread.min_median_max();
    println!("{what:<72} {min:>9.3} {median:>9.3} {max:>9.3}");
}
