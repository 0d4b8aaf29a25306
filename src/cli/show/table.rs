//! Rows as an aligned table.

use std::io::{self, Write};

use chrono::{DateTime, Utc};

use super::newest::Row;
use crate::market::time::EventTime;

const HEAD: [&str; 13] =
    ["timestamp (UTC)", "company", "open", "high", "low", "close", "volume", "vwap", "ticks", "%R", "UO", "RSI", "EMA"];
/// The columns of text, which stand left; numbers stand right.
const TEXTS: usize = 2;

/// Writes the rows under a line of headings; `-` stands for no value.
///
/// # Errors
/// When `out` fails.
pub fn write(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let lines: Vec<[String; 13]> = rows.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.len());
        }
    }
    write_line(&HEAD.map(str::to_owned), &widths, out)?;
    lines.iter().try_for_each(|line| write_line(line, &widths, out))
}

fn write_line(cells: &[String; 13], widths: &[usize; 13], out: &mut dyn Write) -> io::Result<()> {
    let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, &width))| {
        if column < TEXTS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    writeln!(out, "{}", padded.collect::<Vec<_>>().join("  "))
}

fn cells(row: &Row) -> [String; 13] {
    let bar = &row.bar;
    let value = |of: fn(&crate::indicators::feature_row::FeatureRow) -> Option<f64>| row.features.as_ref().and_then(of);
    [
        time(bar.window_start),
        bar.symbol.to_string(),
        price(bar.open),
        price(bar.high),
        price(bar.low),
        price(bar.close),
        or_dash(bar.volume, volume),
        or_dash(bar.vwap, price),
        bar.ticks.to_string(),
        or_dash(value(|row| row.williams_r), percent),
        or_dash(value(|row| row.ultimate_osc), percent),
        or_dash(value(|row| row.rsi), percent),
        or_dash(value(|row| row.ema), price),
    ]
}

/// Fractions of a second only where there are any.
fn time(time: EventTime) -> String {
    match DateTime::<Utc>::from_timestamp_micros(time.micros()) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S%.f").to_string(),
        None => time.to_string(),
    }
}

fn or_dash(value: Option<f64>, text: fn(f64) -> String) -> String {
    value.map_or_else(|| String::from("-"), text)
}

/// Four decimals, more for what is worth less than 1; what is too long that way in powers of ten.
fn price(value: f64) -> String {
    match value.abs() {
        0.0 => String::from("0.0000"),
        size if !(1e-4..1e12).contains(&size) => format!("{value:.4e}"),
        size if size < 1.0 => format!("{value:.8}"),
        _ => format!("{value:.4}"),
    }
}

fn volume(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { price(value) }
}

fn percent(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_readable_whatever_its_size() {
        let texts = [211.456_789, 0.012_345_678, 0.000_001_5, 1e13, 0.0].map(price);
        assert_eq!(texts, ["211.4568", "0.01234568", "1.5000e-6", "1.0000e13", "0.0000"]);
    }

    #[test]
    fn whole_volumes_have_no_decimals() {
        assert_eq!([1200.0, 0.5, 0.0].map(volume), ["1200", "0.50000000", "0"]);
    }

    #[test]
    fn a_time_has_a_fraction_only_when_it_needs_one() {
        assert_eq!(time(EventTime::from_micros(1_747_180_800_000_000)), "2025-05-14 00:00:00");
        assert_eq!(time(EventTime::from_micros(1_747_180_800_500_000)), "2025-05-14 00:00:00.500");
    }
}
