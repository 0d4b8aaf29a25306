//! Bars of a reproducible walk.

use stockstream::market::bar::Bar;
use stockstream::market::symbol::Symbol;
use stockstream::market::time::EventTime;

/// So many bars, shared evenly by the stocks; sorted by stock, then time.
pub fn random_bars(stocks: usize, rows: usize) -> Vec<Bar> {
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut uniform = move || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut bars = Vec::with_capacity(rows);
    for stock in 0..stocks {
        let symbol = Symbol::new(&format!("S{stock:04}")).expect("a letter and digits");
        let mut close = 100.0;
        for row in 0..rows / stocks {
            let open = close;
            close *= 1.0 + 0.004 * (uniform() - 0.5);
            bars.push(Bar {
                symbol: symbol.clone(),
                window_start: EventTime::from_micros(row as i64 * 300_000_000),
                open,
                high: f64::max(open, close) * (1.0 + 0.001 * uniform()),
                low: f64::min(open, close) * (1.0 - 0.001 * uniform()),
                close,
                volume: None,
                vwap: None,
                ticks: 60,
            });
        }
    }
    bars
}
