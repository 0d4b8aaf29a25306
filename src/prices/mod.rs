//! Where a stock's first price comes from when neither its topic nor the lake knows one.
//!
//! A [`PriceSource`] may fail, the start of the program may not: [`start_price`] falls back to the `initial_price` of the
//! settings and says so in the log. Sources block (network, disk), so call them off the actors' threads.

mod cache;
#[cfg(test)]
mod test_server;
mod yahoo;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::market::symbol::Symbol;
use crate::settings::{PriceSourceKind, Settings, StockSettings};

pub use cache::CachedPrices;
pub use yahoo::YahooPrices;

/// Knows the last close of stocks.
pub trait PriceSource: Send {
    /// The last close of `symbol`, finite and above 0, in the currency it is traded in. May block for seconds.
    ///
    /// # Errors
    /// When the source has no usable price of this stock at the moment.
    fn last_close(&self, symbol: &Symbol) -> Result<f64, PriceError>;
}

/// Why a source gave no price. None of these stops the program, see [`start_price`].
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// The source does not list the stock: asking again does not help.
    #[error("no price of {0} is known to the source; check the symbol or rely on its initial_price")]
    UnknownSymbol(Symbol),
    /// Network trouble: asking again later may help.
    #[error("the price service cannot be reached ({0}); check the network or set producer.price_source = \"fixed\"")]
    Unreachable(String),
    /// The service answered, but with a refusal such as 429 (too many requests): asking again later may help.
    #[error("the price service refused with HTTP status {0}; try later or set producer.price_source = \"fixed\"")]
    Refused(u16),
    /// The answer is not what the service documents: it, or the way to it, has changed.
    #[error("the price service sent an unusable answer ({0}); set producer.price_source = \"fixed\"")]
    Unusable(String),
}

/// The `initial_price` of each stock in the settings.
#[derive(Debug, Clone)]
pub struct FixedPrices(BTreeMap<Symbol, f64>);

impl FixedPrices {
    pub fn new(stocks: &[StockSettings]) -> Self {
        Self(stocks.iter().map(|stock| (stock.symbol.clone(), stock.initial_price)).collect())
    }
}

impl PriceSource for FixedPrices {
    fn last_close(&self, symbol: &Symbol) -> Result<f64, PriceError> {
        self.0.get(symbol).copied().ok_or_else(|| PriceError::UnknownSymbol(symbol.clone()))
    }
}

/// The source that the settings name. Make it anew after a reload: fixed prices are those of `settings`.
pub fn source_from(settings: &Settings) -> Box<dyn PriceSource> {
    match settings.producer.price_source {
        PriceSourceKind::Fixed => Box::new(FixedPrices::new(&settings.stocks)),
        PriceSourceKind::Yahoo => match cache_dir() {
            Some(dir) => Box::new(CachedPrices::new(YahooPrices::default(), dir)),
            None => Box::new(YahooPrices::default()),
        },
    }
}

/// The price a stock's simulation starts at: the source's last close, or its `initial_price` with a warning.
pub fn start_price(source: &dyn PriceSource, stock: &StockSettings) -> f64 {
    match source.last_close(&stock.symbol) {
        Ok(price) if is_price(price) => price,
        Ok(price) => {
            tracing::warn!(symbol = %stock.symbol, price, "not a price: starting at the initial_price of the settings");
            stock.initial_price
        }
        Err(error) => {
            tracing::warn!(symbol = %stock.symbol, %error, "no last close: starting at the initial_price of the settings");
            stock.initial_price
        }
    }
}

/// What a tick may carry as its price.
fn is_price(price: f64) -> bool {
    price.is_finite() && price > 0.0
}

/// `$XDG_CACHE_HOME/stockstream`, else `~/.cache/stockstream`; `None` where neither variable holds an absolute path.
fn cache_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("stockstream"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Answers every symbol with the same number.
    struct Always(f64);

    impl PriceSource for Always {
        fn last_close(&self, _: &Symbol) -> Result<f64, PriceError> {
            Ok(self.0)
        }
    }

    /// Answers nothing.
    struct Broken;

    impl PriceSource for Broken {
        fn last_close(&self, _: &Symbol) -> Result<f64, PriceError> {
            Err(PriceError::Unreachable(String::from("test")))
        }
    }

    fn stock(symbol: &str, initial_price: f64) -> StockSettings {
        StockSettings {
            symbol: Symbol::new(symbol).unwrap(),
            initial_price,
            rate: None,
            volatility: None,
            tick_interval: Duration::from_secs(5),
            speed: 10.0,
            enabled: true,
        }
    }

    #[test]
    fn fixed_prices_are_those_of_the_settings() {
        let source = FixedPrices::new(&[stock("AAPL", 211.45), stock("IBM", 261.28)]);
        assert_eq!(start_price(&source, &stock("IBM", 1.0)), 261.28);
        let unknown = source.last_close(&Symbol::new("NVDA").unwrap()).unwrap_err();
        assert!(matches!(unknown, PriceError::UnknownSymbol(symbol) if symbol.as_str() == "NVDA"));
    }

    #[test]
    fn a_source_that_fails_never_fails_the_start() {
        assert_eq!(start_price(&Broken, &stock("AAPL", 211.45)), 211.45);
        assert_eq!(start_price(&Always(99.5), &stock("AAPL", 211.45)), 99.5);
    }

    #[test]
    fn what_is_no_price_is_never_started_from() {
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(start_price(&Always(nonsense), &stock("AAPL", 211.45)), 211.45, "{nonsense}");
        }
    }
}
