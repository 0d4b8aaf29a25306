//! Last closes kept on disk, so that restarts ask the service seldom and start without it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{PriceError, PriceSource, is_price};
use crate::bounded_file::{self, Links};
use crate::market::symbol::Symbol;

const FILE_NAME: &str = "prices.json";
/// Shorter than a trading day apart from the next, so that each day starts at the close before it.
const FRESH_FOR: Duration = Duration::from_secs(12 * 3600);
/// Beyond any real cache; a foreign file is not read into memory.
const MAX_FILE: u64 = 16 << 20;

/// Another source with a memory: fresh prices are not asked for again, old ones serve when the source fails.
pub struct CachedPrices<S> {
    source: S,
    dir: PathBuf,
    now: fn() -> SystemTime,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct CachedPrice {
    price: f64,
    /// Seconds since the epoch at which the source gave it.
    at: u64,
}

impl<S: PriceSource> CachedPrices<S> {
    /// Keeps `prices.json` in `dir`, which is created when the first price comes.
    pub fn new(source: S, dir: PathBuf) -> Self {
        Self { source, dir, now: SystemTime::now }
    }

    /// What the file holds; a file that cannot be read counts as empty, for the service knows better.
    fn read(&self) -> BTreeMap<Symbol, CachedPrice> {
        let path = self.dir.join(FILE_NAME);
        match read_prices(&path) {
            Ok(prices) => prices,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read the cached prices: asking anew");
                BTreeMap::new()
            }
        }
    }

    /// A cache that cannot be written costs a request at the next start, nothing more.
    fn remember(&self, mut prices: BTreeMap<Symbol, CachedPrice>, symbol: &Symbol, price: f64) {
        prices.insert(symbol.clone(), CachedPrice { price, at: seconds(self.now) });
        if let Err(error) = write_prices(&self.dir, &prices) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot cache the last close");
        }
    }
}

impl<S: PriceSource> PriceSource for CachedPrices<S> {
    fn last_close(&self, symbol: &Symbol) -> Result<f64, PriceError> {
        let prices = self.read();
        let cached = prices.get(symbol).copied().filter(|cached| is_price(cached.price));
        // an entry from the future (the clock was set back) has no age and is not fresh
        let age = cached.and_then(|cached| seconds(self.now).checked_sub(cached.at));
        if let (Some(cached), Some(age)) = (cached, age)
            && age < FRESH_FOR.as_secs()
        {
            return Ok(cached.price);
        }
        match (self.source.last_close(symbol), cached) {
            (Ok(price), _) => {
                self.remember(prices, symbol, price);
                Ok(price)
            }
            (Err(error), Some(cached)) => {
                tracing::warn!(%symbol, %error, price = cached.price, "no new last close: using the cached one");
                Ok(cached.price)
            }
            (Err(error), None) => Err(error),
        }
    }
}

fn seconds(now: fn() -> SystemTime) -> u64 {
    now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read_prices(path: &Path) -> io::Result<BTreeMap<Symbol, CachedPrice>> {
    Ok(serde_json::from_slice(&bounded_file::read(path, MAX_FILE, Links::Followed)?)?)
}

/// Written aside and renamed: a reader sees the old file or the new one, never half of one. Not synced, for nothing is lost
/// with it.
fn write_prices(dir: &Path, prices: &BTreeMap<Symbol, CachedPrice>) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let aside = dir.join(format!(".{FILE_NAME}-{}", std::process::id()));
    let mut file = File::create(&aside)?;
    let written = file.write_all(&serde_json::to_vec(prices)?).and_then(|()| fs::rename(&aside, dir.join(FILE_NAME)));
    if written.is_err() {
        fs::remove_file(&aside).ok();
    }
    written
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Gives the prices in order, then fails; counts what it was asked.
    struct Script {
        prices: RefCell<Vec<f64>>,
        asked: RefCell<u32>,
    }

    impl Script {
        fn of(prices: &[f64]) -> Self {
            let prices = RefCell::new(prices.iter().rev().copied().collect());
            Self { prices, asked: RefCell::new(0) }
        }
    }

    impl PriceSource for Script {
        fn last_close(&self, _: &Symbol) -> Result<f64, PriceError> {
            *self.asked.borrow_mut() += 1;
            self.prices.borrow_mut().pop().ok_or(PriceError::Refused(429))
        }
    }

    const START: Duration = Duration::from_secs(1_747_236_600);

    fn at_start() -> SystemTime {
        UNIX_EPOCH + START
    }

    fn before_12_hours() -> SystemTime {
        at_start() + FRESH_FOR - Duration::from_secs(1)
    }

    fn after_12_hours() -> SystemTime {
        at_start() + FRESH_FOR
    }

    fn cached(dir: &Path, source: &[f64], now: fn() -> SystemTime) -> CachedPrices<Script> {
        CachedPrices { source: Script::of(source), dir: dir.join("made/when/needed"), now }
    }

    fn aapl() -> Symbol {
        Symbol::new("AAPL").unwrap()
    }

    #[test]
    fn a_fresh_price_is_not_asked_for_again_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(cached(dir.path(), &[212.33], at_start).last_close(&aapl()).unwrap(), 212.33);
        let restarted = cached(dir.path(), &[999.0], before_12_hours);
        assert_eq!(restarted.last_close(&aapl()).unwrap(), 212.33);
        assert_eq!(*restarted.source.asked.borrow(), 0);
        assert_eq!(restarted.last_close(&Symbol::new("IBM").unwrap()).unwrap(), 999.0, "another stock is asked for");
    }

    #[test]
    fn an_old_price_is_replaced_or_serves_when_the_source_fails() {
        let dir = tempfile::tempdir().unwrap();
        cached(dir.path(), &[212.33], at_start).last_close(&aapl()).unwrap();
        assert_eq!(cached(dir.path(), &[], after_12_hours).last_close(&aapl()).unwrap(), 212.33);
        assert_eq!(cached(dir.path(), &[214.0], after_12_hours).last_close(&aapl()).unwrap(), 214.0);
        assert_eq!(cached(dir.path(), &[], after_12_hours).last_close(&aapl()).unwrap(), 214.0);
    }

    #[test]
    fn a_price_from_the_future_is_not_fresh() {
        let dir = tempfile::tempdir().unwrap();
        cached(dir.path(), &[212.33], after_12_hours).last_close(&aapl()).unwrap();
        assert_eq!(cached(dir.path(), &[214.0], at_start).last_close(&aapl()).unwrap(), 214.0);
    }

    #[test]
    fn without_a_cached_price_the_failure_of_the_source_is_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let error = cached(dir.path(), &[], at_start).last_close(&aapl()).unwrap_err();
        assert!(matches!(error, PriceError::Refused(429)));
    }

    #[test]
    fn a_damaged_cache_is_asked_anew_and_mended() {
        for damage in ["", "{", "[]", r#"{"aapl":{"price":1,"at":1}}"#, r#"{"AAPL":{"price":-1,"at":1747236600}}"#] {
            let dir = tempfile::tempdir().unwrap();
            let prices = cached(dir.path(), &[212.33], at_start);
            fs::create_dir_all(&prices.dir).unwrap();
            fs::write(prices.dir.join(FILE_NAME), damage).unwrap();
            assert_eq!(prices.last_close(&aapl()).unwrap(), 212.33, "{damage}");
            assert_eq!(prices.last_close(&aapl()).unwrap(), 212.33, "{damage}: from the cache, the script is empty");
            let names: Vec<_> = fs::read_dir(&prices.dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, [FILE_NAME], "nothing is left aside");
        }
    }

    #[test]
    fn a_cache_that_cannot_be_written_does_not_keep_the_price_back() {
        let dir = tempfile::tempdir().unwrap();
        let in_the_way = dir.path().join("made");
        fs::write(&in_the_way, "a file where a directory should be").unwrap();
        assert_eq!(cached(dir.path(), &[212.33], at_start).last_close(&aapl()).unwrap(), 212.33);
    }
}
