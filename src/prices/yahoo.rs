//! The last close by Yahoo's public chart endpoint.
//!
//! It needs no key, promises nothing and refuses clients that ask too often, so every answer is suspect: time and size are
//! bounded, and after a failure of the service as a whole the other stocks are not asked about for a minute. Without that a
//! start with a hundred stocks behind a firewall would take minutes.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{PriceError, PriceSource, is_price};
use crate::market::symbol::Symbol;

const BASE_URL: &str = "https://query1.finance.yahoo.com";
/// Some front ends of the service refuse agents that do not look like a browser.
const USER_AGENT: &str = concat!("Mozilla/5.0 (compatible; stockstream/", env!("CARGO_PKG_VERSION"), ")");
/// For one request as a whole: name resolution, connection, answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A real answer has about 2 KB.
const MAX_BODY: u64 = 1 << 20;
/// How long the service is left alone after it failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Asks the service once for every price; put [`super::CachedPrices`] in front.
pub struct YahooPrices {
    agent: ureq::Agent,
    base_url: String,
    last_failure: Cell<Option<Instant>>,
}

impl Default for YahooPrices {
    /// The real service.
    fn default() -> Self {
        Self::new(BASE_URL, TIMEOUT)
    }
}

impl YahooPrices {
    /// A service that speaks the same protocol at `base_url` (scheme and host, no path); `timeout` bounds a whole request.
    pub fn new(base_url: &str, timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(3)
            .http_status_as_error(false)
            .user_agent(USER_AGENT)
            .build();
        let base_url = base_url.trim_end_matches('/').to_owned();
        Self { agent: config.new_agent(), base_url, last_failure: Cell::new(None) }
    }

    /// The body of a successful answer.
    fn ask(&self, symbol: &Symbol) -> Result<Vec<u8>, PriceError> {
        let url = format!("{}/v8/finance/chart/{}?range=5d&interval=1d", self.base_url, percent_encoded(symbol));
        let unreachable = |error: ureq::Error| PriceError::Unreachable(error.to_string());
        let mut response = self.agent.get(url).call().map_err(unreachable)?;
        match response.status().as_u16() {
            200..=299 => {}
            404 => return Err(PriceError::UnknownSymbol(symbol.clone())),
            status => return Err(PriceError::Refused(status)),
        }
        response.body_mut().with_config().limit(MAX_BODY).read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(limit) => PriceError::Unusable(format!("more than {limit} bytes")),
            other => unreachable(other),
        })
    }
}

impl PriceSource for YahooPrices {
    fn last_close(&self, symbol: &Symbol) -> Result<f64, PriceError> {
        if self.last_failure.get().is_some_and(|at| at.elapsed() < PAUSE_AFTER_FAILURE) {
            return Err(PriceError::Unreachable(String::from("it failed less than a minute ago")));
        }
        let answer = self.ask(symbol);
        if let Err(PriceError::Unreachable(_) | PriceError::Refused(_)) = &answer {
            self.last_failure.set(Some(Instant::now()));
        }
        last_close_in(&answer?)
    }
}

/// A symbol as a path segment; of its characters only `^` and `=` are not allowed there as they are.
fn percent_encoded(symbol: &Symbol) -> String {
    symbol.as_str().replace('^', "%5E").replace('=', "%3D")
}

#[derive(Deserialize)]
struct Answer {
    chart: Chart,
}

#[derive(Deserialize)]
struct Chart {
    result: Option<Vec<StockChart>>,
}

#[derive(Deserialize)]
struct StockChart {
    meta: Option<Meta>,
    indicators: Option<Indicators>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    regular_market_price: Option<f64>,
}

#[derive(Deserialize)]
struct Indicators {
    #[serde(default)]
    quote: Vec<Quote>,
}

#[derive(Deserialize)]
struct Quote {
    /// Null on days without a trade.
    #[serde(default)]
    close: Vec<Option<f64>>,
}

/// `regularMarketPrice`, or the last daily close that is there.
fn last_close_in(body: &[u8]) -> Result<f64, PriceError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| PriceError::Unusable(error.to_string()))?;
    let unusable = |reason: &str| PriceError::Unusable(reason.to_owned());
    let charts = answer.chart.result.unwrap_or_default();
    let chart = charts.into_iter().next().ok_or_else(|| unusable("no chart"))?;
    let market_price = chart.meta.and_then(|meta| meta.regular_market_price);
    let quotes = chart.indicators.map(|indicators| indicators.quote).unwrap_or_default();
    let closes = quotes.into_iter().next().map(|quote| quote.close).unwrap_or_default();
    let newest_first = closes.into_iter().rev().flatten();
    market_price
        .into_iter()
        .chain(newest_first)
        .find(|&price| is_price(price))
        .ok_or_else(|| unusable("no price in it"))
}

#[cfg(test)]
mod tests {
    use super::super::test_server::{Reply, TestServer};
    use super::*;

    /// The shape of a recorded answer, shortened.
    const RECORDED: &str = r#"{"chart":{"result":[{"meta":{"currency":"USD","symbol":"AAPL","exchangeName":"NMS",
        "regularMarketTime":1747252801,"regularMarketPrice":212.33,"chartPreviousClose":196.25,"range":"5d"},
        "timestamp":[1747056600,1747143000,1747229400],"indicators":{"quote":[{"open":[210.97,210.43,212.43],
        "close":[210.789993286,212.929992675,212.330001831],"volume":[63775800,51909300,49325800]}],
        "adjclose":[{"adjclose":[210.79,212.92,212.33]}]}}],"error":null}}"#;

    fn symbol(text: &str) -> Symbol {
        Symbol::new(text).unwrap()
    }

    fn ask(reply: Reply) -> Result<f64, PriceError> {
        let server = TestServer::start(vec![reply]);
        YahooPrices::new(&server.url(), Duration::from_secs(10)).last_close(&symbol("AAPL"))
    }

    #[test]
    fn a_recorded_answer_gives_the_market_price() {
        let server = TestServer::start(vec![Reply::http(200, RECORDED)]);
        let prices = YahooPrices::new(&server.url(), Duration::from_secs(10));
        assert_eq!(prices.last_close(&symbol("EURUSD=X")).unwrap(), 212.33);
        let request = &server.requests()[0];
        assert!(request.starts_with("GET /v8/finance/chart/EURUSD%3DX?range=5d&interval=1d HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains("user-agent: mozilla/5.0 (compatible; stockstream/"), "{request}");
    }

    #[test]
    fn without_a_market_price_the_last_close_that_is_there_counts() {
        let body = r#"{"chart":{"result":[{"meta":{},"indicators":{"quote":[{"close":[210.5,211.25,null]}]}}]}}"#;
        assert_eq!(ask(Reply::http(200, body)).unwrap(), 211.25);
    }

    #[test]
    fn an_answer_without_a_usable_price_is_an_error() {
        for body in [
            "",
            "null",
            "<html>consent</html>",
            r#"{"chart":{"result":null,"error":{"code":"Not Found"}}}"#,
            r#"{"chart":{"result":[]}}"#,
            r#"{"chart":{"result":[{"meta":{"regularMarketPrice":"212.33"}}]}}"#,
            r#"{"chart":{"result":[{"meta":{"regularMarketPrice":1e999}}]}}"#,
            r#"{"chart":{"result":[{"meta":{"regularMarketPrice":0},"indicators":{"quote":[{"close":[null,-1.0]}]}}]}}"#,
            r#"{"chart":{"result":[{"indicators":{"quote":[{}]}}]}}"#,
        ] {
            let error = ask(Reply::http(200, body)).unwrap_err();
            assert!(matches!(error, PriceError::Unusable(_)), "{body}: {error}");
        }
    }

    #[test]
    fn a_stock_that_is_not_listed_is_told_from_a_refusal() {
        let not_found = r#"{"chart":{"result":null,"error":{"code":"Not Found"}}}"#;
        assert!(matches!(ask(Reply::http(404, not_found)), Err(PriceError::UnknownSymbol(_))));
        assert!(matches!(ask(Reply::http(429, "Too Many Requests")), Err(PriceError::Refused(429))));
        assert!(matches!(ask(Reply::http(500, "")), Err(PriceError::Refused(500))));
    }

    #[test]
    fn an_answer_of_endless_size_is_cut_off() {
        let error = ask(Reply::http(200, &" ".repeat(MAX_BODY as usize + 1))).unwrap_err();
        assert!(matches!(&error, PriceError::Unusable(reason) if reason.contains("bytes")), "{error}");
    }

    #[test]
    fn a_connection_that_ends_without_an_answer_is_an_error() {
        assert!(matches!(ask(Reply::Raw(Vec::new())), Err(PriceError::Unreachable(_))));
        let torn = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"chart\":".to_vec();
        assert!(matches!(ask(Reply::Raw(torn)), Err(PriceError::Unreachable(_))));
    }

    #[test]
    fn after_a_time_out_the_service_is_left_alone() {
        let server = TestServer::start(vec![Reply::Never, Reply::http(200, RECORDED)]);
        let prices = YahooPrices::new(&server.url(), Duration::from_millis(200));
        let started = Instant::now();
        for name in ["AAPL", "IBM", "MSFT"] {
            assert!(matches!(prices.last_close(&symbol(name)), Err(PriceError::Unreachable(_))));
        }
        assert!(started.elapsed() < Duration::from_secs(30), "the time-out holds");
        assert_eq!(server.requests().len(), 1, "only the first stock was asked about");
    }

    #[test]
    fn an_unlisted_stock_does_not_keep_the_others_from_being_asked_about() {
        let server = TestServer::start(vec![Reply::http(404, ""), Reply::http(200, RECORDED)]);
        let prices = YahooPrices::new(&server.url(), Duration::from_secs(10));
        assert!(prices.last_close(&symbol("NOSUCH")).is_err());
        assert_eq!(prices.last_close(&symbol("AAPL")).unwrap(), 212.33);
    }
}
