//! What happens to every tick between the client and the disk, without actors: judged by its partition's cursor, collected by
//! stock, folded, and the windows closed when the watermark has passed them.

use super::work::Payloads;
use stockstream::market::checkpoint::{BarRules, Checkpoint};
use stockstream::market::partition::{PartitionCursor, Record, Slot, Verdict};
use stockstream::market::symbol::Symbol;
use stockstream::market::tick::Tick;
use stockstream::market::time::{EventTime, Span, WindowSize};
use stockstream::market::window::{ClosedBar, StockWindows};

/// Records between two looks at the windows, as the consumer does it.
const SLICE: usize = 16_384;

/// Bars of five minutes, ten minutes of lateness.
pub fn rules() -> BarRules {
    BarRules { window: window(), lateness: Span::from_secs(600), max_ahead: Span::from_secs(60) }
}

/// Five minutes.
pub fn window() -> WindowSize {
    WindowSize::new(Span::from_secs(300)).expect("five minutes divide the day")
}

/// The cursor of a partition at the beginning of its log.
pub fn cursor(symbols: &[Symbol]) -> PartitionCursor {
    PartitionCursor::new(Checkpoint::genesis(rules(), "bench"), symbols.iter().cloned())
}

/// Payloads as the records of one partition, published long after the events.
pub fn records(payloads: &Payloads) -> impl Iterator<Item = Record<'_>> {
    let published = Some(EventTime::from_micros(1_900_000_000_000_000));
    payloads.iter().zip(0..).map(move |(payload, offset)| Record { offset, timestamp: published, payload })
}

/// The whole core over one partition. Returns the closed bars.
pub fn core_pass(symbols: &[Symbol], payloads: &Payloads) -> Vec<ClosedBar> {
    let mut cursor = cursor(symbols);
    let mut stocks: Vec<(Vec<Tick>, StockWindows)> =
        symbols.iter().map(|symbol| (Vec::new(), StockWindows::new(symbol.clone(), window()))).collect();
    let mut touched: Vec<Slot> = Vec::new();
    let mut bars = Vec::new();
    let mut records = records(payloads).peekable();
    while records.peek().is_some() {
        for record in records.by_ref().take(SLICE) {
            if let Verdict::Tick(slot, tick) = cursor.read(record) {
                let (batch, _) = &mut stocks[slot.0];
                if batch.is_empty() {
                    touched.push(slot);
                }
                batch.push(tick);
            }
        }
        for slot in touched.drain(..) {
            let (batch, windows) = &mut stocks[slot.0];
            batch.drain(..).for_each(|tick| windows.fold(&tick));
        }
        if cursor.can_close() {
            std::hint::black_box(cursor.cut());
            stocks.iter_mut().for_each(|(_, windows)| bars.extend(windows.close(cursor.watermark())));
        }
    }
    assert_eq!(cursor.counters().read, payloads.len() as u64);
    assert_eq!(cursor.counters().late + cursor.counters().unknown + cursor.counters().malformed, 0);
    bars
}
