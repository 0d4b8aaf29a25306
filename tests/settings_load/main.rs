//! Settings from files, environment and command line: what overrides what, and where each value comes from.

mod every_key;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use stockstream::market::time::Span;
use stockstream::settings::{
    Compression, DEFAULT_TOML, KafkaMode, Layout, Loaded, LogFormat, OnGap, Override, PriceSourceKind, Sources, keys,
    load,
};
use tempfile::TempDir;

fn write(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Sources whose directory is empty, so that a `settings/local.toml` of the checkout means nothing.
fn sources(dir: &TempDir) -> Sources {
    Sources { dir: dir.path().to_owned(), ..Sources::default() }
}

fn env(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[track_caller]
fn loaded(sources: &Sources) -> Loaded {
    load(sources).unwrap_or_else(|errors| panic!("{errors}"))
}

fn symbols(loaded: &Loaded) -> Vec<&str> {
    loaded.settings.stocks.iter().map(|stock| stock.symbol.as_str()).collect()
}

fn origin(loaded: &Loaded, key: &str) -> String {
    loaded.origins.get(key).unwrap_or_else(|| panic!("no key {key}")).origin.clone()
}

#[test]
fn without_any_source_the_documented_defaults_hold() {
    let dir = TempDir::new().unwrap();
    let settings = loaded(&sources(&dir)).settings;
    let seconds = Duration::from_secs;
    let hours = |hours: u64| seconds(3600 * hours);

    assert_eq!(settings.kafka.mode, KafkaMode::Embedded);
    assert_eq!(settings.kafka.layout, Layout::PerStock);
    assert_eq!(settings.kafka.topic_template, "stock_topic.{symbol}");
    assert_eq!(settings.kafka.topic, "stock_ticks");
    assert_eq!(settings.kafka.partitions, 8);
    assert_eq!(settings.kafka.group_id, "stockstream");
    assert_eq!(settings.kafka.dead_letter_topic, "stockstream_dead_letters");
    assert_eq!(settings.kafka.retention, hours(7 * 24));
    assert_eq!(settings.kafka.retention_bytes, 1 << 30);
    assert_eq!(settings.kafka.on_gap, OnGap::Stop);
    assert_eq!(settings.kafka.security.protocol, "plaintext");
    assert!(settings.kafka.security.password.is_none() && settings.kafka.security.username.is_none());
    assert!(settings.kafka.properties.is_empty());

    assert_eq!(settings.market.rules.window.span(), Span::from_secs(300));
    assert_eq!(settings.market.rules.lateness, Span::from_secs(600));
    assert_eq!(settings.market.rules.max_ahead, Span::from_secs(60));
    assert_eq!(settings.market.idle_timeout, seconds(30));

    let producer = &settings.producer;
    assert!(producer.enabled);
    assert_eq!((producer.tick_interval, producer.speed), (seconds(5), 10.0));
    assert_eq!((producer.start_ago, producer.history), (hours(240), hours(6)));
    assert_eq!(producer.trajectory_ticks, 1200);
    assert_eq!((producer.rate_range, producer.volatility_range), ((0.005, 0.05), (0.05, 0.40)));
    assert_eq!(producer.price_source, PriceSourceKind::Fixed);
    assert_eq!(producer.faults, Default::default());

    assert_eq!((settings.lake.dir.as_path(), settings.lake.commit_every), (Path::new("lake"), 100_000));
    assert_eq!(settings.lake.compression, Compression::Zstd);
    assert_eq!(settings.supervision.drain_timeout, seconds(30));
    assert_eq!(settings.supervision.stuck_after, seconds(120));
    assert_eq!((settings.log.level.as_str(), settings.log.format), ("info", LogFormat::Text));

    let aapl = &settings.stocks[0];
    assert_eq!((settings.stocks.len(), aapl.symbol.as_str(), aapl.initial_price), (4, "AAPL", 211.45));
    assert_eq!((aapl.rate, aapl.volatility, aapl.enabled), (None, None, true));
    assert_eq!((aapl.tick_interval, aapl.speed), (seconds(5), 10.0));
}

#[test]
fn every_key_of_the_default_file_has_a_comment_that_says_when_a_change_takes_effect() {
    let (mut comment, mut section) = (String::new(), "");
    let mut documented = BTreeSet::new();
    for line in DEFAULT_TOML.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text);
            continue;
        }
        let key = if let Some(list) = line.strip_prefix("[[") {
            Some(list.trim_end_matches(']').to_owned())
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            Some(section.to_owned()).filter(|section| section == "kafka.properties")
        } else {
            line.split_once(" = ").map(|(name, _)| format!("{section}.{name}"))
        };
        if let Some(key) = key {
            assert!(comment.contains("(restart)") || comment.contains("(live)"), "{key}: {comment:?}");
            documented.insert(key.clone());
            if key == "stocks" {
                break;
            }
        }
        comment.clear();
    }
    let missing: Vec<_> = keys().filter(|key| !documented.contains(*key)).collect();
    assert!(missing.is_empty(), "not in default.toml: {missing:?}");
}

#[test]
fn a_later_file_overrides_an_earlier_one_the_environment_both_and_the_command_line_all() {
    let dir = TempDir::new().unwrap();
    let first =
        write(&dir, "a.toml", "[market]\nwindow = \"1m\"\nlateness = \"2m\"\n[lake]\ndir = \"a\"\ncommit_every = 5\n");
    let second = write(&dir, "b.toml", "[market]\nlateness = \"3m\"\n[lake]\ndir = \"b\"\ncommit_every = 6\n");
    let sources = Sources {
        files: vec![first.clone(), second.clone()],
        env: env(&[("STOCKSTREAM__LAKE__COMMIT_EVERY", "7"), ("STOCKSTREAM__LAKE__DIR", "c"), ("HOME", "/")]),
        overrides: vec![Override::new("lake.dir", "d", "--lake")],
        ..sources(&dir)
    };
    let loaded = loaded(&sources);
    let settings = &loaded.settings;
    assert_eq!(settings.market.rules.window.span(), Span::from_secs(60));
    assert_eq!(settings.market.rules.lateness, Span::from_secs(180));
    assert_eq!(settings.market.rules.max_ahead, Span::from_secs(60));
    assert_eq!((settings.lake.dir.as_path(), settings.lake.commit_every), (Path::new("d"), 7));

    assert_eq!(origin(&loaded, "market.window"), format!("{}:2", first.display()));
    assert_eq!(origin(&loaded, "market.lateness"), format!("{}:2", second.display()));
    assert_eq!(origin(&loaded, "market.max_ahead"), "default");
    assert_eq!(origin(&loaded, "lake.commit_every"), "STOCKSTREAM__LAKE__COMMIT_EVERY");
    assert_eq!(origin(&loaded, "lake.dir"), "--lake");
}

#[test]
fn the_local_file_is_read_and_watched_only_when_no_file_is_given() {
    let dir = TempDir::new().unwrap();
    let mut sources = sources(&dir);
    let local = dir.path().join("local.toml");
    assert_eq!(sources.watched_files(), std::slice::from_ref(&local), "watched before it exists");
    assert_eq!(symbols(&loaded(&sources)), ["AAPL", "GOOG", "MSFT", "IBM"]);

    write(&dir, "local.toml", "[[stocks]]\nsymbol = \"NVDA\"\ninitial_price = 120\n");
    assert_eq!(symbols(&loaded(&sources)), ["NVDA"]);
    assert_eq!(origin(&loaded(&sources), "stocks.NVDA.initial_price"), format!("{}:3", local.display()));

    let other = write(&dir, "other.toml", "");
    sources.files = vec![other.clone()];
    assert_eq!(symbols(&loaded(&sources)), ["AAPL", "GOOG", "MSFT", "IBM"]);
    assert_eq!(sources.watched_files(), [other]);
}

#[test]
fn the_named_environment_takes_the_place_of_the_local_file() {
    let dir = TempDir::new().unwrap();
    write(&dir, "local.toml", "[log]\nlevel = \"debug\"\n");
    let production = write(&dir, "production.toml", "[log]\nlevel = \"warn\"\n");
    let sources = Sources { env: env(&[("STOCKSTREAM_ENV", "production")]), ..sources(&dir) };
    assert_eq!(loaded(&sources).settings.log.level, "warn");
    assert_eq!(sources.watched_files(), std::slice::from_ref(&production));

    std::fs::remove_file(production).unwrap();
    let errors = load(&sources).err().unwrap().to_string();
    assert!(errors.contains("production.toml: cannot be read"), "{errors}");

    let outside = Sources { env: env(&[("STOCKSTREAM_ENV", "../../etc/passwd")]), ..sources };
    let errors = load(&outside).err().unwrap().to_string();
    assert!(errors.starts_with("STOCKSTREAM_ENV: must be the name"), "{errors}");
    assert!(outside.watched_files().is_empty());
}

#[test]
fn a_stock_can_pin_what_else_comes_from_the_producer() {
    let dir = TempDir::new().unwrap();
    let text = "[producer]\nspeed = 20\n[[stocks]]\nsymbol = \"A\"\ninitial_price = 1\n\
                [[stocks]]\nsymbol = \"BRK.B\"\ninitial_price = 2.5\nrate = 0.01\nvolatility = 0.3\ntick_interval = \"1s\"\nspeed = 1\nenabled = false\n";
    let loaded = loaded(&Sources { files: vec![write(&dir, "s.toml", text)], ..sources(&dir) });
    let [a, b] = loaded.settings.stocks.as_slice() else { panic!("two stocks") };
    assert_eq!(
        (a.rate, a.volatility, a.tick_interval, a.speed, a.enabled),
        (None, None, Duration::from_secs(5), 20.0, true)
    );
    assert_eq!(
        (b.rate, b.volatility, b.tick_interval, b.speed, b.enabled),
        (Some(0.01), Some(0.3), Duration::from_secs(1), 1.0, false)
    );
}

#[test]
fn credentials_come_from_the_environment_or_from_files_and_are_never_shown() {
    let dir = TempDir::new().unwrap();
    let file = write(&dir, "password", "from-a-file\n");
    let sasl = [
        ("STOCKSTREAM__KAFKA__SECURITY__PROTOCOL", "sasl_plaintext"),
        ("STOCKSTREAM__KAFKA__SECURITY__SASL_MECHANISM", "PLAIN"),
        ("STOCKSTREAM__KAFKA__SECURITY__USERNAME", "user"),
    ];
    let with = |name: &str, value: &str| {
        let mut env = env(&sasl);
        env.push((format!("STOCKSTREAM__KAFKA__SECURITY__{name}"), value.into()));
        Sources { env, ..sources(&dir) }
    };
    let inline = loaded(&with("PASSWORD", "s3cret"));
    assert_eq!(inline.settings.kafka.security.password.as_ref().unwrap().expose_secret(), "s3cret");
    assert_eq!(inline.settings.kafka.security.sasl_mechanism.as_deref(), Some("PLAIN"));
    assert_eq!(inline.origins.get("kafka.security.password").unwrap().value, "***");
    assert!(!inline.origins.to_string().contains("s3cret") && !inline.origins.to_json().to_string().contains("s3cret"));

    let by_file = loaded(&with("PASSWORD_FILE", file.to_str().unwrap()));
    assert_eq!(by_file.settings.kafka.security.password.as_ref().unwrap().expose_secret(), "from-a-file");
    assert!(!by_file.origins.to_string().contains("from-a-file"));
}

#[test]
fn client_properties_may_be_written_quoted_or_dotted() {
    let dir = TempDir::new().unwrap();
    let text = "[kafka.properties]\nlinger.ms = 7\n\"socket.keepalive.enable\" = true\nclient.id = \"me\"\n";
    let loaded = loaded(&Sources { files: vec![write(&dir, "p.toml", text)], ..sources(&dir) });
    let properties: Vec<_> = loaded.settings.kafka.properties.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(properties, [("client.id", "me"), ("linger.ms", "7"), ("socket.keepalive.enable", "true")]);
    assert_eq!(loaded.origins.get("kafka.properties.linger.ms").unwrap().value, "7");
}

#[test]
fn the_effective_settings_print_as_a_table_and_as_json() {
    let dir = TempDir::new().unwrap();
    let effective = loaded(&Sources { env: env(&[("STOCKSTREAM__MARKET__WINDOW", "1m")]), ..sources(&dir) }).origins;
    let table = effective.to_string();
    let line = table.lines().find(|line| line.starts_with("market.window ")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["market.window", "\"1m\"", "STOCKSTREAM__MARKET__WINDOW"]);
    let json = effective.to_json();
    assert_eq!(json["market.window"], serde_json::json!({ "value": "1m", "origin": "STOCKSTREAM__MARKET__WINDOW" }));
    assert_eq!(json["kafka.partitions"], serde_json::json!({ "value": 8, "origin": "default" }));
    assert_eq!(json["stocks.AAPL.initial_price"]["value"], 211.45);
    for key in keys().filter(|key| !matches!(*key, "stocks" | "kafka.properties")) {
        assert!(json.get(key).is_some(), "{key} is not printed");
    }
}
