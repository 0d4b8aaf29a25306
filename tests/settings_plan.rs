//! What a reload would change, as it is printed.

use stockstream::settings::{ReloadPlan, Settings, Sources, load};
use tempfile::TempDir;

const BASE: &str = r#"stocks = [
    { symbol = "AAPL", initial_price = 211.45 },
    { symbol = "GOOG", initial_price = 166 },
    { symbol = "IBM", initial_price = 258, speed = 1.0, tick_interval = "1s" },
]"#;

fn settings(variables: &[(&str, &str)]) -> Settings {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("local.toml"), BASE).unwrap();
    let env = variables.iter().map(|(name, value)| (format!("STOCKSTREAM__{name}"), value.to_string())).collect();
    let sources = Sources { env, dir: dir.path().to_owned(), ..Sources::default() };
    load(&sources).unwrap_or_else(|errors| panic!("{errors}")).settings
}

fn plan(variables: &[(&str, &str)]) -> ReloadPlan {
    ReloadPlan::between(&settings(&[]), &settings(variables))
}

#[test]
fn added_removed_and_changed_stocks_print_in_this_order() {
    let stocks = r#"[
        { symbol = "NVDA", initial_price = 120 },
        { symbol = "GOOG", initial_price = 166 },
        { symbol = "AAPL", initial_price = 211.45, volatility = 0.3 },
    ]"#;
    let plan = plan(&[("STOCKS", stocks)]);
    assert_eq!(plan.to_string(), "+NVDA -IBM ~AAPL.volatility");
    assert_eq!(plan.added[0].initial_price, 120.0);
    assert_eq!(plan.changed[0].stock.volatility, Some(0.3));
    assert!(plan.needs_restart.is_empty() && plan.changes_stocks() && !plan.is_empty());
}

#[test]
fn several_changed_fields_of_a_stock_are_listed() {
    let stocks = r#"[
        { symbol = "AAPL", initial_price = 1, rate = 0.01, volatility = 0.3, speed = 2, tick_interval = "1s", enabled = false },
        { symbol = "GOOG", initial_price = 166 },
        { symbol = "IBM", initial_price = 258, speed = 1, tick_interval = "1000ms" },
    ]"#;
    assert_eq!(
        plan(&[("STOCKS", stocks)]).to_string(),
        "~AAPL.initial_price,rate,volatility,tick_interval,speed,enabled"
    );
}

#[test]
fn the_same_settings_in_another_order_or_spelling_are_no_change() {
    let stocks = r#"[
        { symbol = "IBM", initial_price = 258.0, speed = 1, tick_interval = "1000ms", enabled = true },
        { symbol = "AAPL", initial_price = 211.450 },
        { symbol = "GOOG", initial_price = 166, speed = 10 },
    ]"#;
    let plan = plan(&[("STOCKS", stocks), ("MARKET__WINDOW", "300s")]);
    assert!(plan.is_empty(), "{plan}");
    assert_eq!(plan.to_string(), "");
}

#[test]
fn the_pace_of_the_producer_changes_the_stocks_that_follow_it() {
    let plan = plan(&[("PRODUCER__SPEED", "20"), ("PRODUCER__TICK_INTERVAL", "1s")]);
    assert_eq!(plan.to_string(), "~AAPL.tick_interval,speed ~GOOG.tick_interval,speed");
    assert!(plan.needs_restart.is_empty());
}

#[test]
fn every_other_key_is_reported_with_both_values() {
    let plan = plan(&[
        ("MARKET__WINDOW", "1m"),
        ("KAFKA__PARTITIONS", "12"),
        ("KAFKA__MODE", "cluster"),
        ("KAFKA__PROPERTIES", r#"{ "linger.ms" = 7 }"#),
        ("PRODUCER__RATE_RANGE", "[0.0, 0.1]"),
        ("PRODUCER__FAULTS__LATE", "0.5"),
        ("LAKE__DIR", "/elsewhere"),
    ]);
    assert!(!plan.changes_stocks() && !plan.is_empty());
    let lines: Vec<_> = plan.needs_restart.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "kafka.mode: embedded -> cluster",
            "kafka.partitions: 8 -> 12",
            "lake.dir: lake -> /elsewhere",
            "market.window: 5m -> 1m",
            "producer.faults.late: 0 -> 0.5",
            "producer.rate_range: [0.005, 0.05] -> [0, 0.1]",
            "kafka.properties.linger.ms:  -> 7",
        ]
    );
}

#[test]
fn a_changed_password_is_reported_but_not_shown() {
    let with = |password: &str| {
        settings(&[
            ("KAFKA__SECURITY__PROTOCOL", "sasl_plaintext"),
            ("KAFKA__SECURITY__SASL_MECHANISM", "PLAIN"),
            ("KAFKA__SECURITY__USERNAME", "user"),
            ("KAFKA__SECURITY__PASSWORD", password),
        ])
    };
    let plan = ReloadPlan::between(&with("old"), &with("new"));
    let lines: Vec<_> = plan.needs_restart.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["kafka.security.password: *** -> ***"]);
    assert!(ReloadPlan::between(&with("old"), &with("old")).is_empty());
}

#[test]
fn after_a_reload_only_what_needs_a_restart_is_left_to_report() {
    let (old, new) = (settings(&[]), settings(&[("PRODUCER__SPEED", "20"), ("KAFKA__PARTITIONS", "12")]));
    let running = old.with_live_part_of(&new);
    let left = ReloadPlan::between(&running, &new);
    assert!(!left.changes_stocks());
    assert_eq!(left.needs_restart.len(), 1);
    assert_eq!(running.kafka.partitions, 8);
    assert_eq!(running.stocks, new.stocks);
}
