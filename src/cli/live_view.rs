//! The live view: one line a stock, redrawn in place on a terminal, logged now and then elsewhere.

mod fit;

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tracing::info;

use self::fit::{Piece, fit, piece};
use super::console::Console;
use crate::actors::live_feed::{LiveFeed, LiveStock, LiveView, ShowView};
use crate::market::symbol::Symbol;
use crate::run_summary::Latency;
use crate::words::counted;

/// More stocks than this are summed up in a line.
const SHOWN: usize = 20;
const ON_TERMINAL: Duration = Duration::from_millis(500);
const IN_LOG: Duration = Duration::from_secs(10);

/// The actor that shows what is going on, in the way that fits where stderr goes.
pub fn live_feed(console: &Console) -> LiveFeed {
    if console.is_live() {
        LiveFeed::new(ON_TERMINAL, on_terminal(console))
    } else {
        LiveFeed::new(IN_LOG, Box::new(|view| lines(view, usize::MAX).for_each(|line| info!("{line}"))))
    }
}

fn on_terminal(console: &Console) -> ShowView {
    let (console, bars) = (console.clone(), console.bars().clone());
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let mut rows: BTreeMap<usize, ProgressBar> = BTreeMap::new();
    Box::new(move |view| {
        let lines: Vec<String> = lines(view, console.width()).collect();
        for (_, row) in rows.extract_if(lines.len().., |_, _| true) {
            bars.remove(&row);
        }
        for (at, line) in lines.into_iter().enumerate() {
            let row = rows.entry(at).or_insert_with(|| bars.add(ProgressBar::new_spinner().with_style(style.clone())));
            row.set_message(line);
            row.tick();
        }
    })
}

/// None is longer than `width`.
fn lines(view: &LiveView, width: usize) -> impl Iterator<Item = String> {
    let stocks = view.stocks.iter().take(SHOWN).map(|(symbol, stock)| stock_pieces(symbol, stock));
    let total = (!view.stocks.is_empty()).then(|| total_pieces(view));
    stocks.chain(total).map(move |pieces| fit(pieces, width))
}

/// `all        8 ticks/s, lag 0 records, ticks 56 ms old (99 %: 104 ms)`
fn total_pieces(view: &LiveView) -> Vec<Piece> {
    let all: f64 = view.stocks.values().map(|stock| stock.ticks_per_second).sum();
    let mut pieces = vec![
        piece(0, format!("all        {all:.0} ticks/s")),
        piece(1, format!(", lag {}", counted(view.lag, "record"))),
    ];
    pieces.extend(age(view));
    let more = view.stocks.len().saturating_sub(SHOWN);
    if more > 0 {
        pieces.push(piece(3, format!(" (+{} not shown)", counted(more, "stock"))));
    }
    pieces.extend(retention(view));
    pieces
}

/// Kafka's timestamps are in milliseconds.
fn age(view: &LiveView) -> Vec<Piece> {
    let Some(Latency { median, p99, .. }) = view.age else { return Vec::new() };
    let [median, p99] = [median, p99].map(|seconds| match seconds * 1e3 {
        millis if millis < 10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{seconds:.0} s"),
    });
    vec![piece(4, format!(", ticks {median} old")), piece(5, format!(" (99 %: {p99})"))]
}

/// How much of its log the partition has left that is the next to lose what the lake still needs.
fn retention(view: &LiveView) -> Vec<Piece> {
    let Some(nearest) = &view.nearest_loss else { return Vec::new() };
    let percent = nearest.distance.share_left() * 100.0;
    match nearest.near {
        // Nothing was ever deleted, or needed for long.
        0 if percent >= 99.5 => Vec::new(),
        0 => vec![piece(2, format!(", retention {percent:.0} % left"))],
        _ => vec![
            piece(0, format!(", retention of {}: {percent:.0} % left", nearest.partition)),
            piece(2, "; the broker may soon delete what is still needed"),
        ],
    }
}

/// `AAPL       210.56  2/s  closed 11-13 00:50 210.55  RSI 47.15  EMA 210.52  open 11-13 01:05 210.59/210.59/210.56, 8 ticks`
fn stock_pieces(symbol: &Symbol, stock: &LiveStock) -> Vec<Piece> {
    let last = stock.open_bar.as_ref().map(|bar| bar.close).or(stock.closed.as_ref().map(|row| row.close));
    let mut pieces = vec![
        piece(0, format!("{symbol:<8} {:>9}", number(last))),
        piece(1, format!("  {:.0}/s", stock.ticks_per_second)),
    ];
    if let Some(row) = &stock.closed {
        pieces.extend([
            piece(2, "  closed"),
            piece(6, format!(" {}", clock(row.window_start.to_string()))),
            piece(2, format!(" {:.2}", row.close)),
            piece(3, format!("  RSI {}", number(row.rsi))),
            piece(5, format!("  EMA {}", number(row.ema))),
        ]);
    }
    if let Some(bar) = &stock.open_bar {
        pieces.extend([
            piece(4, "  open"),
            piece(7, format!(" {}", clock(bar.window_start.to_string()))),
            piece(4, format!(" {:.2}/{:.2}/{:.2}", bar.open, bar.high, bar.low)),
            piece(8, format!(", {}", counted(bar.ticks, "tick"))),
        ]);
    }
    pieces
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
    use crate::indicators::stock::StockIndicators;
    use crate::kafka::retention::NearestLoss;
    use crate::market::bar::Bar;
    use crate::market::checkpoint::{NextOffset, TopicPartition};
    use crate::market::retention::{RetentionDistance, RetentionLimits};
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

    const WIDE: usize = 200;

    #[test]
    fn in_a_narrow_terminal_what_matters_least_is_left_out_and_no_line_is_longer_than_it() {
        let mut view = view(25);
        for stock in view.stocks.values_mut() {
            let bar = stock.open_bar.clone().unwrap();
            stock.closed = Some(StockIndicators::default().push(&bar));
        }
        view.age = Some(Latency { median: 0.056, p99: 0.104, longest: 0.2 });
        let at = |width: usize| {
            let lines: Vec<String> = lines(&view, width).collect();
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
            [lines[0].clone(), lines[SHOWN].clone()]
        };
        (0..=WIDE).for_each(|width| drop(at(width)));
        let [stock, total] = at(80);
        assert_eq!(stock, "S00          11.00  2/s  closed 11.00  RSI -  EMA -  open 10.00/12.00/9.00");
        assert_eq!(total, "all        50 ticks/s, lag 5 records, ticks 56 ms old (+5 stocks not shown)");
        let [stock, total] = at(40);
        assert_eq!(stock, "S00          11.00  2/s  closed 11.00");
        assert_eq!(total, "all        50 ticks/s, lag 5 records");
        let [stock, total] = at(20);
        assert_eq!((stock.as_str(), total.as_str()), ("S00          11.00", "all        50 ticks/"));
    }

    fn distance(log_start: NextOffset, log_end: NextOffset, resume: NextOffset) -> RetentionDistance {
        let (needed_for, limits) = (Duration::ZERO, RetentionLimits::default());
        RetentionDistance { log_start, log_end, resume, needed_for, limits }
    }

    #[test]
    fn what_the_broker_is_about_to_delete_is_said_in_a_narrow_terminal_too() {
        let [log_start, log_end, resume] = [100, 300, 110].map(NextOffset);
        let distance = distance(log_start, log_end, resume);
        let nearest = NearestLoss { partition: TopicPartition::new("t", 3), distance, near: 1 };
        let view = LiveView { nearest_loss: Some(nearest), ..view(1) };
        let total = |width: usize| lines(&view, width).last().unwrap();
        assert_eq!(total(50), "all        2 ticks/s, retention of t-3: 5 % left");
    }

    #[test]
    fn a_stock_is_a_line_with_its_last_price_and_open_bar() {
        let line = lines(&view(1), WIDE).next().unwrap();
        assert!(line.starts_with("S00 ") && line.contains("11.00") && line.contains("05-14 15:30"), "{line}");
        assert!(line.contains("10.00/12.00/9.00, 7 ticks") && line.contains("2/s"), "{line}");
    }

    #[test]
    fn many_stocks_are_summed_up() {
        let lines: Vec<String> = lines(&view(25), WIDE).collect();
        assert_eq!(lines.len(), SHOWN + 1);
        assert!(lines[SHOWN].contains("50 ticks/s, lag 5 records (+5 stocks not shown)"), "{}", lines[SHOWN]);
    }

    #[test]
    fn how_old_ticks_are_when_they_reach_their_bars_is_shown() {
        let age = Some(Latency { median: 0.0024, p99: 86_400.0, longest: 86_400.0 });
        let total = lines(&LiveView { age, ..view(1) }, WIDE).last().unwrap();
        assert!(total.ends_with("lag 5 records, ticks 2 ms old (99 %: 86400 s)"), "{total}");
    }

    #[test]
    fn how_much_of_the_log_is_left_is_shown_once_the_broker_deletes() {
        let total = |near: usize, log_start: i64| {
            let [log_start, log_end, resume] = [log_start, 300, 110].map(NextOffset);
            let distance = distance(log_start, log_end, resume);
            let nearest = NearestLoss { partition: TopicPartition::new("t", 3), distance, near };
            lines(&LiveView { nearest_loss: Some(nearest), ..view(1) }, WIDE).last().unwrap()
        };
        assert!(total(1, 100).contains("retention of t-3: 5 % left; the broker may soon delete"), "{}", total(1, 100));
        assert!(total(0, 100).ends_with("lag 5 records, retention 5 % left"), "{}", total(0, 100));
        assert!(total(0, 0).ends_with("lag 5 records"), "{}", total(0, 0));
    }
}
