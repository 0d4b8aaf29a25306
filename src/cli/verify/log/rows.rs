//! The bars of a commit beside those that the log gives. Pure.

use std::cmp::Ordering;

use crate::cli::verify::findings::{RowFaults, Rule};
use crate::market::bar::Bar;
use crate::words::counted;

/// Compares two lists, both sorted by (symbol, window start), to the bit.
pub fn compare(lake: &[Bar], log: &[Bar], faults: &mut RowFaults) {
    let key = |bar: &Bar| (bar.symbol.clone(), bar.window_start);
    let (mut lake, mut log) = (lake.iter().peekable(), log.iter().peekable());
    loop {
        let order = match (lake.peek(), log.peek()) {
            (Some(lake), Some(log)) => key(lake).cmp(&key(log)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let in_lake = if order.is_le() { lake.next() } else { None };
        let in_log = if order.is_ge() { log.next() } else { None };
        match (in_lake, in_log) {
            (Some(bar), Some(wanted)) => {
                if let Some(difference) = difference(bar, wanted) {
                    faults.add(Rule::Log, (&bar.symbol, bar.window_start), || difference);
                }
            }
            (Some(bar), None) => {
                let problem = || String::from("the log gives no such bar by this commit");
                faults.add(Rule::LogLacks, (&bar.symbol, bar.window_start), problem);
            }
            (None, Some(bar)) => {
                let problem = || {
                    let ticks = counted(bar.ticks, "tick");
                    format!("the log gives this bar ({ticks}), and it is not in the lake by this commit")
                };
                faults.add(Rule::LakeLacks, (&bar.symbol, bar.window_start), problem);
            }
            (None, None) => return,
        }
    }
}

/// The first column that differs, with both values.
fn difference(lake: &Bar, log: &Bar) -> Option<String> {
    let columns = |bar: &Bar| {
        let prices = [("open", bar.open), ("high", bar.high), ("low", bar.low), ("close", bar.close)];
        let prices = prices.map(|(name, value)| (name, Some(value)));
        let sums = [("volume", bar.volume), ("vwap", bar.vwap)];
        prices.into_iter().chain(sums).collect::<Vec<_>>()
    };
    if lake.ticks != log.ticks {
        return Some(format!("ticks is {}, the log gives {}", lake.ticks, log.ticks));
    }
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let text = |value: Option<f64>| value.map_or_else(|| String::from("null"), |value| format!("{value:?}"));
    let mut pairs = columns(lake).into_iter().zip(columns(log));
    let (found, wanted) = pairs.find(|(found, wanted)| bits(found.1) != bits(wanted.1))?;
    Some(format!("{} is {}, the log gives {}", found.0, text(found.1), text(wanted.1)))
}
