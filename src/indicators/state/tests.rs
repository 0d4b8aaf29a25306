use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::market::time::EventTime;

const STOCKS: [&str; 3] = ["0700.HK", "AAPL", "IBM"];

fn bar(symbol: &str, row: i64, [open, high, low, close]: [f64; 4]) -> Bar {
    Bar {
        symbol: Symbol::new(symbol).unwrap(),
        window_start: EventTime::from_micros(row * 300_000_000),
        open,
        high,
        low,
        close,
        volume: None,
        vwap: None,
        ticks: 1,
    }
}

/// A file of up to 12 rows a stock: some stocks missing, flat stretches and jumps.
fn file() -> impl Strategy<Value = Vec<(usize, [f64; 4])>> {
    let price = prop_oneof![3 => Just(100.0), 5 => 99.0..101.0, 1 => 1e-3..1e6f64];
    let prices = (price.clone(), price).prop_map(|(open, close)| [open, open.max(close), open.min(close), close]);
    proptest::collection::vec((0..STOCKS.len(), prices), 0..36)
}

/// The files' rows as bars, each file sorted as a bars file is.
fn bars_of(files: &[Vec<(usize, [f64; 4])>]) -> Vec<Vec<Bar>> {
    let mut row = 0;
    let mut bars_of_file = |file: &Vec<(usize, [f64; 4])>| {
        let mut bars: Vec<Bar> =
            file.iter().map(|&(stock, prices)| (row += 1, bar(STOCKS[stock], row, prices)).1).collect();
        bars.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
        bars
    };
    files.iter().map(&mut bars_of_file).collect()
}

/// Every bit of a row's values.
fn bits(rows: &[FeatureRow]) -> Vec<Vec<Option<u64>>> {
    let values = |r: &FeatureRow| [&[r.williams_r, r.ultimate_osc, r.rsi, r.ema], &r.close_lags[..]].concat();
    rows.iter().map(|row| values(row).into_iter().map(|value| value.map(f64::to_bits)).collect()).collect()
}

fn after_three_files() -> IndicatorState {
    let mut state = IndicatorState::new();
    for number in 1..=3u64 {
        let prices = |row: i64| [row as f64 + 0.1, row as f64 + 0.7, row as f64, row as f64 + 0.3];
        let rows =
            |symbol| (1..=20).map(move |row| number as i64 * 20 + row).map(move |row| bar(symbol, row, prices(row)));
        let bars: Vec<Bar> = ["AAPL", "IBM"].into_iter().flat_map(rows).collect();
        state.push_file(CommitNumber(number), &bars);
    }
    state
}

fn of_history(last: CommitNumber, dates: impl IntoIterator<Item = Vec<Bar>>) -> IndicatorState {
    let Ok(state) = IndicatorState::from_history::<Infallible>(last, dates.into_iter().map(Ok));
    state
}

proptest! {
    #[test]
    fn a_restart_changes_no_bit_of_what_follows(files in proptest::collection::vec(file(), 1..12)) {
        let (mut running, mut restarted) = (IndicatorState::new(), IndicatorState::new());
        for (number, bars) in (1..).map(CommitNumber).zip(bars_of(&files)) {
            restarted = IndicatorState::from_bytes(&restarted.to_bytes()).unwrap();
            let (expected, found) = (running.push_file(number, &bars), restarted.push_file(number, &bars));
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(bits(&found), bits(&expected));
            prop_assert_eq!(restarted.to_bytes(), running.to_bytes());
            prop_assert_eq!(restarted.last(), number);
        }
    }

    #[test]
    fn a_full_pass_ends_in_the_same_state(files in proptest::collection::vec(file(), 1..12)) {
        let mut state = IndicatorState::new();
        let files = bars_of(&files);
        for (number, bars) in (1..).map(CommitNumber).zip(&files) {
            state.push_file(number, bars);
        }
        let passed = of_history(state.last(), files);
        prop_assert_eq!(passed.to_bytes(), state.to_bytes());
    }

    #[test]
    fn features_do_not_depend_on_how_rows_are_cut_into_files(rows in file()) {
        let whole = IndicatorState::new().push_file(CommitNumber(1), &bars_of(std::slice::from_ref(&rows))[0]);
        let mut state = IndicatorState::new();
        let cut: Vec<_> = rows.chunks(1).map(<[_]>::to_vec).collect();
        let numbered = (1..).map(CommitNumber).zip(bars_of(&cut));
        let mut pieces: Vec<FeatureRow> = numbered.flat_map(|(number, bars)| state.push_file(number, &bars)).collect();
        pieces.sort_by(|a, b| (&a.symbol, a.window_start).cmp(&(&b.symbol, b.window_start)));
        prop_assert_eq!(bits(&pieces), bits(&whole));
    }

    #[test]
    fn no_value_is_nan_infinite_or_minus_zero(scale in -300..300i32, rows in file()) {
        let scale = 10f64.powi(scale);
        let rows: Vec<_> = rows.into_iter().map(|(stock, prices)| (stock, prices.map(|price| price * scale))).collect();
        let features = IndicatorState::new().push_file(CommitNumber(1), &bars_of(&[rows])[0]);
        for value in bits(&features).into_iter().flatten().flatten() {
            prop_assert!(f64::from_bits(value).is_finite() && value != (-0.0f64).to_bits());
        }
    }

    #[test]
    fn garbage_is_refused_or_read_but_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = IndicatorState::from_bytes(&bytes);
        let headed = [&[FORMAT], &bytes[..]].concat();
        let _ = IndicatorState::from_bytes(&headed);
    }
}

#[test]
fn every_cut_of_the_bytes_is_refused() {
    let bytes = after_three_files().to_bytes();
    for len in 0..bytes.len() {
        assert_eq!(
            IndicatorState::from_bytes(&bytes[..len]),
            Err(DamagedState::Truncated),
            "{len} of {} bytes",
            bytes.len()
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(IndicatorState::from_bytes(&longer), Err(DamagedState::TrailingBytes(1)));
}

#[test]
fn a_state_with_any_byte_replaced_is_refused_or_can_go_on() {
    let rows: Vec<Bar> = (100..114).map(|row| bar("AAPL", row, [1.5, 2.0, 1.0, 1.25])).collect();
    let one_stock = (1..=30).map(|row| bar("AAPL", row, [row as f64; 4]));
    let bytes = of_history(CommitNumber(1), [one_stock.collect()]).to_bytes();
    let mut refused = 0;
    for at in 0..bytes.len() {
        for byte in (0..=30).chain([127, 255]) {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            match IndicatorState::from_bytes(&bytes) {
                Ok(mut state) => {
                    assert_eq!(state.push_file(CommitNumber(u64::MAX), &rows).len(), 14, "byte {at} is {byte}")
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn another_format_is_named_in_the_error() {
    let mut bytes = after_three_files().to_bytes();
    bytes[0] = 2;
    let error = IndicatorState::from_bytes(&bytes).unwrap_err();
    assert_eq!(error, DamagedState::UnknownFormat { found: 2, expected: 1 });
}

#[test]
fn a_count_of_stocks_that_the_bytes_do_not_hold_is_refused() {
    let mut bytes = IndicatorState::new().to_bytes();
    bytes.truncate(9);
    bytes.extend_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(IndicatorState::from_bytes(&bytes), Err(DamagedState::Truncated));
}

#[test]
fn a_stock_that_stands_there_twice_is_refused() {
    let once = of_history(CommitNumber(1), [vec![bar("AAPL", 1, [1.0; 4])]]).to_bytes();
    let mut twice = [&once[..], &once[17..]].concat();
    twice[9] = 2;
    assert_eq!(IndicatorState::from_bytes(&twice), Err(DamagedState::InvalidStock));
}

#[test]
fn the_state_of_a_thousand_stocks_takes_less_than_a_megabyte() {
    let stocks = (0..1000).map(|stock| format!("S{stock}"));
    let bars = stocks.flat_map(|symbol| (1..=30).map(move |row| bar(&symbol, row, [row as f64; 4])));
    let bytes = of_history(CommitNumber(1), [bars.collect()]).to_bytes();
    assert!((500_000..1_000_000).contains(&bytes.len()), "{}", bytes.len());
}

#[test]
#[should_panic(expected = "bars file 000000003 came after 000000003")]
fn a_file_is_never_taken_twice() {
    after_three_files().push_file(CommitNumber(3), &[]);
}
