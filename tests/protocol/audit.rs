//! A chain's commits against the oracle.

use std::sync::Arc;

use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::Commit;

use crate::support::oracle::{Counts, Facts, LogRecord, one_pass};

/// Compares the rows and counters of a chain with one plain pass over the log.
pub fn audit(log: &[LogRecord], chain: &[Arc<Commit>]) -> Result<(), String> {
    let Some(newest) = chain.last().map(|commit| &commit.checkpoint) else { return Ok(()) };
    let expected = one_pass(&log[..newest.cut.0 as usize], &Facts::of(newest));
    let mut bars: Vec<&Bar> = Vec::new();
    for commit in chain {
        if commit.rows.windows(2).any(|pair| pair[0].window_start.midnight() != pair[1].window_start.midnight()) {
            return Err("a commit of two dates".to_owned());
        }
        bars.extend(commit.rows.iter());
    }
    bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
    if bars.windows(2).any(|pair| (&pair[0].symbol, pair[0].window_start) == (&pair[1].symbol, pair[1].window_start)) {
        return Err("a bar stands twice".to_owned());
    }
    if !bars.iter().copied().eq(expected.bars.iter()) {
        return Err("a bar is lost, has other ticks, or should not be".to_owned());
    }
    let Counts { read, in_bars, open, late, malformed, future, unknown } = expected.counts;
    let counted = newest.counters;
    if (
        counted.read,
        counted.in_bars,
        newest.open_ticks,
        counted.late,
        counted.malformed,
        counted.future,
        counted.unknown,
    ) != (read, in_bars, open, late, malformed, future, unknown)
    {
        return Err(format!("counted {counted:?}, by the log {:?}", expected.counts));
    }
    if newest.watermark != expected.watermark {
        return Err(format!("the watermark is {}, by the log {}", newest.watermark, expected.watermark));
    }
    Ok(())
}
