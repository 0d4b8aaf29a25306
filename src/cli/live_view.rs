//! The live view: one line a stock, redrawn in place on a terminal, logged now and then elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tracing::info;

use super::console::Console;
use crate::actors::live_feed::{LiveFeed, LiveStock, LiveView, ShowView};
use crate::market::checkpoint::NextOffset;
use crate::market::symbol::Symbol;
use crate::run_summary::Latency;

/// More stocks than this are summed up in a line.
const SHOWN: usize = 20;
const ON_TERMINAL: Duration = Duration::from_millis(500);
const IN_LOG: Duration = Duration::from_secs(10);

/// The actor that shows what is going on, in the way that fits where stderr goes.
pub fn live_feed(console: &Console) -> LiveFeed {
    if console.is_live() {
        LiveFeed::new(ON_TERMINAL, on_terminal(console))
    } else {
        LiveFeed::new(IN_LOG, Box::new(|view| lines(view).for_each(|line| info!("{line}"))))
    }
}

fn on_terminal(console: &Console) -> ShowView {
    let bars = console.bars().clone();
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let mut rows: BTreeMap<usize, ProgressBar> = BTreeMap::new();
    Box::new(move |view| {
        let shown = lines(view).count();
        for (_, row) in rows.extract_if(shown.., |_, _| true) {
            bars.remove(&row);
        }
        for (at, line) in lines(view).enumerate() {
            let row = rows.entry(at).or_insert_with(|| bars.add(ProgressBar::new_spinner().with_style(style.clone())));
            row.set_message(line);
            row.tick();
        }
    })
}

fn lines(view: &LiveView) -> impl Iterator<Item = String> {
    let stocks = view.stocks.iter().take(SHOWN).map(|(symbol, stock)| line(symbol, stock));
    let all: f64 = view.stocks.values().map(|stock| stock.ticks_per_second).sum();
    let more = view.stocks.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" (+{more} stocks not shown)") } else { String::new() };
    let (age, near) = (age(view), retention(view));
    let total = format!("all        {all:.0} ticks/s, lag {} records{age}{more}{near}", view.lag);
    stocks.chain((!view.stocks.is_empty()).then_some(total))
}

/// Kafka's timestamps are in milliseconds.
fn age(view: &LiveView) -> String {
    let Some(Latency { median, p99, .. }) = view.age else { return String::new() };
    let [median, p99] = [median, p99].map(|seconds| match seconds * 1e3 {
        millis if millis < 10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{seconds:.0} s"),
    });
    format!(", ticks {median} old (99 %: {p99})")
}

/// How much of its log the partition has left that is the next to lose what the lake still needs.
fn retention(view: &LiveView) -> String {
    let Some(nearest) = &view.nearest_loss else { return String::new() };
    let percent = nearest.distance.share_left() * 100.0;
    match nearest.near {
        // Nothing was ever deleted.
        0 if nearest.distance.log_start == NextOffset(0) => String::new(),
        0 => format!(", retention {percent:.0} % left"),
        _ => format!(
            ", the broker is about to delete what is still needed: {} has {percent:.0} % left",
            nearest.partition
        ),
    }
}

/// `AAPL       210.56  2/s  closed 11-13 00:50 210.55  RSI 47.15  EMA 210.52  open 11-13 01:05 210.59/210.59/210.56, 8 ticks`: the
/// end may not fit into a narrow terminal, so what is looked at most comes first.
fn line(symbol: &Symbol, stock: &LiveStock) -> String {
    let last = stock.open_bar.as_ref().map(|bar| bar.close).or(stock.closed.as_ref().map(|row| row.close));
    let mut line = format!("{symbol:<8} {:>9}  {:.0}/s", number(last), stock.ticks_per_second);
    if let Some(row) = &stock.closed {
        line += &format!("  closed {} {:.2}", clock(row.window_start.to_string()), row.close);
        line += &format!("  RSI {}  EMA {}", number(row.rsi), number(row.ema));
    }
    if let Some(bar) = &stock.open_bar {
        let time = clock(bar.window_start.to_string());
        line += &format!("  open {time} {:.2}/{:.2}/{:.2}, {} ticks", bar.open, bar.high, bar.low, bar.ticks);
    }
    line
}

/// Month, day, hour and minute of an RFC 3339 instant.
fn clock(instant: String) -> String {
    instant.get(5..16).map(|text| text.replace('T', " ")).unwrap_or(instant)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| String::from("-"), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::retention::NearestLoss;
    use crate::market::bar::Bar;
    use crate::market::checkpoint::TopicPartition;
    use crate::market::retention::RetentionDistance;
    use crate::market::time::EventTime;

    fn view(stocks: usize) -> LiveView {
        let stock = |n: usize| {
            let symbol = Symbol::new(&format!("S{n:02}")).unwrap();
            let bar = Bar {
                symbol: symbol.clone(),
                window_start: EventTime::from_micros(1_747_236_600_000_000),
                open: 10.0,
                high: 12.0,
                low: 9.0,
                close: 11.0,
                volume: None,
                vwap: None,
                ticks: 7,
            };
            let mut stock = LiveStock::default();
            (stock.open_bar, stock.ticks_per_second) = (Some(bar), 2.0);
            (symbol, stock)
        };
        LiveView { stocks: (0..stocks).map(stock).collect(), lag: 5, ..LiveView::default() }
    }

    #[test]
    fn a_stock_is_a_line_with_its_last_price_and_open_bar() {
        let line = lines(&view(1)).next().unwrap();
        assert!(line.starts_with("S00 ") && line.contains("11.00") && line.contains("05-14 15:30"), "{line}");
        assert!(line.contains("10.00/12.00/9.00, 7 ticks") && line.contains("2/s"), "{line}");
    }

    #[test]
    fn many_stocks_are_summed_up() {
        let lines: Vec<String> = lines(&view(25)).collect();
        assert_eq!(lines.len(), SHOWN + 1);
        assert!(lines[SHOWN].contains("50 ticks/s, lag 5 records (+5 stocks not shown)"), "{}", lines[SHOWN]);
    }

    #[test]
    fn how_old_ticks_are_when_they_reach_their_bars_is_shown() {
        let age = Some(Latency { median: 0.0024, p99: 86_400.0, longest: 86_400.0 });
        let total = lines(&LiveView { age, ..view(1) }).last().unwrap();
        assert!(total.ends_with("lag 5 records, ticks 2 ms old (99 %: 86400 s)"), "{total}");
    }

    #[test]
    fn how_much_of_the_log_is_left_is_shown_once_the_broker_deletes() {
        let total = |near: usize, log_start: i64| {
            let [log_start, log_end, resume] = [log_start, 300, 110].map(NextOffset);
            let distance = RetentionDistance { log_start, log_end, resume };
            let nearest = NearestLoss { partition: TopicPartition::new("t", 3), distance, near };
            lines(&LiveView { nearest_loss: Some(nearest), ..view(1) }).last().unwrap()
        };
        assert!(total(1, 100).ends_with("t-3 has 5 % left"), "{}", total(1, 100));
        assert!(total(0, 100).ends_with("lag 5 records, retention 5 % left"), "{}", total(0, 100));
        assert!(total(0, 0).ends_with("lag 5 records"), "{}", total(0, 0));
    }
}
