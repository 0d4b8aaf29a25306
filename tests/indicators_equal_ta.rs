//! Every indicator, row for row, against the numbers that the Python library `ta` gave for the same bars
//! (`tests/golden/make_golden.py`).

use std::path::{Path, PathBuf};

use stockstream::indicators::feature_row::FeatureRow;
use stockstream::indicators::state::IndicatorState;
use stockstream::indicators::stock::StockIndicators;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::CommitNumber;
use stockstream::market::symbol::Symbol;
use stockstream::market::time::EventTime;

const COLUMNS: &str =
    "open,high,low,close,williams_r,ultimate_osc,rsi,ema,close_lag1,close_lag2,close_lag3,close_lag4,close_lag5";
/// pandas slides the sums under the Ultimate Oscillator along, which rounds otherwise; everything else is equal bit for bit.
const ULTIMATE_OSC: &str = "ultimate_osc";
const TOLERANCE: f64 = 1e-9;
/// A directory that lost files must not pass for one that agrees.
const LEAST_FILES: usize = 25;
const LEAST_ROWS: usize = 8_700;

/// Bars of one stock, and the values `ta` gave by the columns after the prices.
struct Golden {
    name: String,
    bars: Vec<Bar>,
    expected: Vec<Vec<Option<f64>>>,
}

fn golden_files() -> Vec<Golden> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = dir.read_dir().expect("tests/golden can be listed");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    let files: Vec<Golden> = paths.iter().map(|path| read(path)).collect();
    let rows: usize = files.iter().map(|file| file.bars.len()).sum();
    assert!(files.len() >= LEAST_FILES && rows >= LEAST_ROWS, "only {} files with {rows} rows in {dir:?}", files.len());
    files
}

fn read(path: &Path) -> Golden {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(COLUMNS), "{name}");
    let (mut bars, mut expected) = (Vec::new(), Vec::new());
    for (row, line) in lines.enumerate() {
        let number =
            |text: &str| text.parse::<f64>().unwrap_or_else(|error| panic!("{name} row {row}: {text:?}: {error}"));
        let values: Vec<Option<f64>> = line.split(',').map(|text| (!text.is_empty()).then(|| number(text))).collect();
        assert_eq!(values.len(), COLUMNS.split(',').count(), "{name} row {row}");
        let price = |column: usize| values[column].expect("a bar has all its prices");
        bars.push(Bar {
            symbol: Symbol::new("AAPL").unwrap(),
            window_start: EventTime::from_micros(row as i64 * 300_000_000),
            open: price(0),
            high: price(1),
            low: price(2),
            close: price(3),
            volume: None,
            vwap: None,
            ticks: 1,
        });
        expected.push(values[4..].to_vec());
    }
    Golden { name, bars, expected }
}

fn values(row: &FeatureRow) -> Vec<Option<f64>> {
    [&[row.williams_r, row.ultimate_osc, row.rsi, row.ema], &row.close_lags[..]].concat()
}

fn agree(column: &str, found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) if column == ULTIMATE_OSC => (found - expected).abs() <= TOLERANCE,
        _ => found.map(f64::to_bits) == expected.map(f64::to_bits),
    }
}

/// The differences of a file, at most the first few of each column.
fn differences(golden: &Golden, features: &[FeatureRow]) -> Vec<String> {
    assert_eq!(features.len(), golden.expected.len(), "{}", golden.name);
    let mut differences = Vec::new();
    for (column, name) in COLUMNS.split(',').skip(4).enumerate() {
        let rows = features.iter().zip(&golden.expected).enumerate();
        let pairs = rows.map(|(row, (feature, expected))| (row, values(feature)[column], expected[column]));
        let wrong = pairs.filter(|&(_, found, expected)| !agree(name, found, expected));
        let lines =
            wrong.map(|(row, found, expected)| format!("{} {name} row {row}: {found:?}, ta {expected:?}", golden.name));
        differences.extend(lines.take(3));
    }
    differences
}

#[test]
fn every_value_equals_that_of_ta() {
    let compare = |golden: &Golden| {
        let mut indicators = StockIndicators::new();
        let features: Vec<FeatureRow> = golden.bars.iter().map(|bar| indicators.push(bar)).collect();
        differences(golden, &features)
    };
    let differences: Vec<String> = golden_files().iter().flat_map(compare).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_restart_after_every_bar_changes_nothing() {
    let compare = |golden: &Golden| {
        let (mut state, mut features) = (IndicatorState::new(), Vec::new());
        for (number, bar) in (1..).map(CommitNumber).zip(&golden.bars) {
            features.extend(state.push_file(number, std::slice::from_ref(bar)));
            state = IndicatorState::from_bytes(&state.to_bytes()).unwrap();
        }
        differences(golden, &features)
    };
    let differences: Vec<String> = golden_files().iter().flat_map(compare).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_column_of_the_golden_files_has_values() {
    let files = golden_files();
    for (column, name) in COLUMNS.split(',').skip(4).enumerate() {
        let values = files.iter().flat_map(|golden| &golden.expected).filter(|row| row[column].is_some()).count();
        assert!(values > LEAST_ROWS / 2, "{name}: {values} values");
    }
}
