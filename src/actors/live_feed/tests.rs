use std::sync::Arc;

use tokio::sync::mpsc;

use super::*;
use crate::actors::testing::{minute, symbol};
use crate::indicators::feature_row::CLOSE_LAGS;
use crate::market::time::Span;

struct Setup {
    feed: Addr<LiveFeed>,
    shown: mpsc::UnboundedReceiver<LiveView>,
}

impl Setup {
    fn new() -> Self {
        tokio::time::pause();
        let (views, shown) = mpsc::unbounded_channel();
        let show = Box::new(move |view: &LiveView| views.send(view.clone()).unwrap());
        Self { feed: LiveFeed::new(Duration::from_secs(2), show).start(), shown }
    }

    async fn view(&mut self) -> LiveView {
        self.shown.recv().await.unwrap()
    }
}

fn open_bar(name: &str, minutes: i64, close: f64, ticks: u64) -> OpenBarChanged {
    let (symbol, window_start) = (symbol(name), minute(minutes));
    let (open, high, low) = (1.0, 99.0, 0.5);
    let bar = Bar { symbol, window_start, open, high, low, close, volume: None, vwap: None, ticks: 5 };
    OpenBarChanged { bar, ticks, age: None }
}

fn features(name: &str, minutes: i64, rsi: f64) -> FeatureRow {
    FeatureRow {
        window_start: minute(minutes),
        symbol: symbol(name),
        open: 1.0,
        high: 1.0,
        low: 1.0,
        close: 1.0,
        williams_r: None,
        ultimate_osc: None,
        rsi: Some(rsi),
        ema: None,
        close_lags: [None; CLOSE_LAGS],
    }
}

#[actix::test]
async fn the_newest_open_bar_of_each_stock_is_shown_at_the_interval() {
    let mut setup = Setup::new();
    let begin = Instant::now();
    setup.feed.do_send(open_bar("MSFT", 5, 30.0, 1));
    setup.feed.do_send(open_bar("AAPL", 0, 10.0, 1));
    setup.feed.do_send(open_bar("AAPL", 5, 11.0, 1));
    let view = setup.view().await;
    assert_eq!(begin.elapsed().as_secs(), 2);
    let last: Vec<_> = view.stocks.iter().map(|(name, stock)| (name.as_str(), stock.open_bar.clone())).collect();
    assert_eq!(last[0], ("AAPL", Some(open_bar("AAPL", 5, 11.0, 1).bar)));
    assert_eq!(last[1], ("MSFT", Some(open_bar("MSFT", 5, 30.0, 1).bar)));
}

#[actix::test]
async fn an_older_file_does_not_take_the_newest_features_back() {
    let mut setup = Setup::new();
    let file = |rows: &[FeatureRow]| FeaturesComputed(Arc::from(rows));
    setup.feed.do_send(file(&[features("AAPL", 0, 1.0), features("AAPL", 10, 3.0), features("MSFT", 0, 7.0)]));
    setup.feed.do_send(file(&[features("AAPL", 5, 2.0)]));
    let view = setup.view().await;
    let rsi = |name: &str| view.stocks[&symbol(name)].closed.as_ref().and_then(|row| row.rsi);
    assert_eq!((rsi("AAPL"), rsi("MSFT")), (Some(3.0), Some(7.0)));
}

#[actix::test]
async fn rates_are_of_the_interval_that_is_over() {
    let mut setup = Setup::new();
    setup.feed.do_send(open_bar("AAPL", 0, 10.0, 30));
    setup.feed.do_send(open_bar("AAPL", 0, 10.0, 10));
    setup.feed.do_send(open_bar("MSFT", 0, 10.0, 2));
    // A timer is a millisecond late.
    let rates = |view: &LiveView| view.stocks.values().map(|stock| stock.ticks_per_second.round()).collect::<Vec<_>>();
    assert_eq!(rates(&setup.view().await), [20.0, 1.0]);
    setup.feed.do_send(open_bar("MSFT", 0, 10.0, 8));
    assert_eq!(rates(&setup.view().await), [0.0, 4.0]);
    assert_eq!(rates(&setup.view().await), [0.0, 0.0]);
}

#[actix::test]
async fn the_newest_lag_is_shown_also_before_the_first_tick() {
    let mut setup = Setup::new();
    setup.feed.do_send(LagMeasured { records: 9 });
    setup.feed.do_send(LagMeasured { records: 4 });
    let view = setup.view().await;
    assert_eq!((view.lag, view.stocks.len()), (4, 0));
}

#[actix::test]
async fn a_stock_that_was_removed_is_shown_no_more() {
    let mut setup = Setup::new();
    setup.feed.do_send(open_bar("AAPL", 0, 10.0, 1));
    setup.feed.do_send(open_bar("GOOG", 0, 20.0, 1));
    setup.feed.do_send(ShowStocks([symbol("AAPL"), symbol("IBM")].into()));
    // Its last windows still close.
    setup.feed.do_send(open_bar("GOOG", 5, 20.0, 1));
    setup.feed.do_send(FeaturesComputed(Arc::from([features("GOOG", 0, 50.0), features("IBM", 0, 50.0)])));
    let view = setup.view().await;
    assert_eq!(view.stocks.keys().map(Symbol::as_str).collect::<Vec<_>>(), ["AAPL", "IBM"]);
}

#[actix::test]
async fn the_age_of_ticks_is_that_of_those_since_the_view_before() {
    let mut setup = Setup::new();
    for millis in [1, 2, 30] {
        let age = Some(Span::from_micros(millis * 1_000));
        setup.feed.do_send(OpenBarChanged { age, ..open_bar("AAPL", 0, 10.0, 1) });
    }
    assert_eq!(setup.view().await.age.map(|age| (age.median, age.longest)), Some((0.002, 0.030)));
    assert_eq!(setup.view().await.age, None);
}
