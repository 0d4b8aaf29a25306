use super::*;
use crate::cli::verify::sample::{Sample, Then, apple, at_rest, bar};

fn shown(request: &ShowRequest) -> String {
    let mut out = Vec::new();
    show(request, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn request(lake: &std::path::Path, symbol: Option<&str>, last: usize, format: OutputFormat) -> ShowRequest {
    ShowRequest { lake: lake.to_owned(), symbol: symbol.map(|text| Symbol::new(text).unwrap()), last, format }
}

#[test]
fn the_newest_rows_of_a_stock_come_in_window_order() {
    let dir = at_rest();
    let text = shown(&request(dir.path(), Some("IBM"), 5, OutputFormat::Json));
    assert_eq!(text.matches('\n').count(), 1);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    for (row, window) in rows.iter().zip(55..) {
        let bar = bar("IBM", window);
        assert_eq!(row["timestamp"], bar.window_start.to_string());
        assert_eq!((&row["company"], &row["close"]), (&"IBM".into(), &bar.close.into()));
        assert_eq!(row["volume"].as_f64(), bar.volume);
        assert!(row["rsi"].is_f64() && row["ema"].is_f64() && row["ultimate_osc"].is_f64(), "{row}");
    }
}

#[test]
fn without_a_stock_all_are_shown() {
    let dir = at_rest();
    let text = shown(&request(dir.path(), None, 2, OutputFormat::Text));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7, "{text}");
    let starts: Vec<String> = lines[1..].iter().map(|line| line.chars().take(28).collect()).collect();
    let expected = ["AAPL", "AAPL", "IBM ", "IBM ", "MSFT", "MSFT"];
    for (i, (start, stock)) in starts.iter().zip(expected).enumerate() {
        assert_eq!(*start, format!("2025-05-14 02:5{}:00  {stock}   ", if i % 2 == 0 { 0 } else { 5 }), "{text}");
    }
    let width = lines[0].len();
    assert!(lines.iter().all(|line| line.len() == width), "{text}");
}

#[test]
fn more_rows_than_there_are_is_all_of_them() {
    let dir = at_rest();
    let text = shown(&request(dir.path(), Some("AAPL"), 1000, OutputFormat::Text));
    assert_eq!(text.lines().count(), 61);
    let first = text.lines().nth(1).unwrap();
    assert!(first.ends_with('-'), "no indicator at the first bar: {first}");
}

#[test]
fn a_bar_is_shown_before_its_features_have_come() {
    let mut sample = Sample::new();
    sample.fill(40);
    sample.commit(&apple(), &["AAPL"], 40, Then::Nothing);
    let text = shown(&request(sample.dir.path(), Some("AAPL"), 3, OutputFormat::Json));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let has_rsi: Vec<bool> = json["rows"].as_array().unwrap().iter().map(|row| row["rsi"].is_f64()).collect();
    assert_eq!(has_rsi, [true, false, false]);
}

#[test]
fn an_unknown_stock_is_an_error_that_lists_those_there_are() {
    let dir = at_rest();
    let error = show(&request(dir.path(), Some("TSLA"), 1, OutputFormat::Text), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("no stock TSLA; it has 3 stocks: AAPL, IBM, MSFT"), "{error}");
}

#[test]
fn no_lake_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = show(&request(dir.path(), None, 1, OutputFormat::Text), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("is no lake") && error.to_string().contains("--lake"), "{error}");
}

#[test]
fn an_empty_lake_has_no_bars_yet() {
    let sample = Sample::new();
    assert!(shown(&request(sample.dir.path(), None, 1, OutputFormat::Text)).contains("no bars yet"));
    assert_eq!(shown(&request(sample.dir.path(), None, 1, OutputFormat::Json)), "{\"rows\":[]}\n");
}
