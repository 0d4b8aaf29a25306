//! Settings that are refused: every problem at once, each with its key, where it stands and why.

mod credentials;

use std::path::PathBuf;

use rstest::rstest;
use stockstream::settings::{Override, SettingsErrors, Sources, load};
use tempfile::TempDir;

struct Case {
    dir: TempDir,
    sources: Sources,
}

impl Case {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let sources = Sources { dir: dir.path().to_owned(), ..Sources::default() };
        Self { dir, sources }
    }

    fn file(mut self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        self.sources.files.push(path);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.env.push((name.into(), value.into()));
        self
    }

    #[track_caller]
    fn errors(&self) -> SettingsErrors {
        load(&self.sources).err().expect("these settings must be refused")
    }

    /// The problems as printed, the directory left out.
    #[track_caller]
    fn lines(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        self.errors().problems.iter().map(|problem| problem.to_string().replace(&dir, "")).collect()
    }
}

/// The one problem that the text, as a file, must cause.
#[track_caller]
fn refusal(text: &str) -> String {
    let lines = Case::new().file("s.toml", text).lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines[0].clone()
}

#[rstest]
#[case("[kafka]\npartitions = 4.7", "s.toml:2: kafka.partitions: must be a whole number from 1 to 10000, not 4.7")]
#[case("[kafka]\npartitions = 4.0", "s.toml:2: kafka.partitions: must be a whole number from 1 to 10000, not 4.0")]
#[case("[kafka]\npartitions = \"4\"", "s.toml:2: kafka.partitions: must be a whole number from 1 to 10000, not \"4\"")]
#[case("[kafka]\npartitions = true", "s.toml:2: kafka.partitions: must be a whole number from 1 to 10000, not true")]
#[case("[kafka]\npartitions = 0", "s.toml:2: kafka.partitions: must be a whole number from 1 to 10000, not 0")]
#[case(
    "[lake]\ncommit_every = 99999999999999999999",
    "s.toml:2: lake.commit_every: must be a whole number of at most 63 bits"
)]
#[case("[producer]\nenabled = \"yes\"", "s.toml:2: producer.enabled: must be true or false, not \"yes\"")]
#[case("[producer]\n\nspeed = nan", "s.toml:3: producer.speed: must be a finite number, not nan")]
#[case("[producer]\nspeed = -1", "s.toml:2: producer.speed: must be a number from 0.001 to 100000, not -1")]
#[case("[producer]\nseed = -1", "s.toml:2: producer.seed: must be a whole number from 0")]
#[case(
    "[producer]\nrate_range = [0.05, 0.005]",
    "s.toml:2: producer.rate_range: must be [low, high] with -1 <= low <= high <= 1"
)]
#[case("[producer]\nrate_range = [0.05]", "s.toml:2: producer.rate_range: must be [low, high]")]
#[case("[producer.faults]\nlate = 1.5", "s.toml:2: producer.faults.late: must be a number from 0 to 1, not 1.5")]
#[case("[market]\nlateness = 600", "s.toml:2: market.lateness: must be a duration with its unit from 0s to 7days")]
#[case("[market]\nlateness = \"-1s\"", "s.toml:2: market.lateness: must be a duration")]
#[case("[market]\nlateness = 2020-01-01", "s.toml:2: market.lateness: must not be a date")]
#[case("[market]\nwindow = \"7m\"", "s.toml:2: market.window: must be a duration of 1s to 24h that divides 24 hours")]
#[case("[market]\nwindow = \"2 days\"", "s.toml:2: market.window: must be a duration of 1s to 24h")]
#[case("[market]\nwindow = \"0s\"", "s.toml:2: market.window: must be a duration of 1s to 24h")]
#[case("[kafka]\nmode = \"Cluster\"", "s.toml:2: kafka.mode: must be \"embedded\" or \"cluster\", not \"Cluster\"")]
#[case("[kafka]\nbootstrap_servers = \"here\"", "s.toml:2: kafka.bootstrap_servers: must be host:port")]
#[case("[kafka]\ntopic_template = \"ticks\"", "s.toml:2: kafka.topic_template: must hold {symbol} exactly once")]
#[case(
    "[kafka]\ntopic_template = \"{symbol}{symbol}\"",
    "s.toml:2: kafka.topic_template: must hold {symbol} exactly once"
)]
#[case("[kafka]\ntopic_template = \"a/{symbol}\"", "s.toml:2: kafka.topic_template: must hold only letters, digits")]
#[case("[kafka]\ntopic = \"..\"", "s.toml:2: kafka.topic: must be 1 to 249 of letters")]
#[case(
    "[kafka]\ndead_letter_topic = \"stock.topic.DEAD\"",
    "s.toml:2: kafka.dead_letter_topic: must not be what kafka.topic_template"
)]
#[case(
    "[kafka]\nlayout = \"keyed\"\ndead_letter_topic = \"stock.ticks\"",
    "s.toml:3: kafka.dead_letter_topic: must differ from kafka.topic"
)]
#[case("[lake]\ndir = \" \"", "s.toml:2: lake.dir: must not be empty")]
#[case("[log]\nlevel = \"inof\"", "s.toml:2: log.level: must be off, error, warn, info, debug or trace")]
#[case("[producer]\nhistory = \"11 days\"", "s.toml:2: producer.history: must not be longer than producer.start_ago")]
#[case("[producer]\nstart_ago = \"1h\"", "s.toml:2: producer.history: must not be longer than producer.start_ago")]
fn a_bad_value_is_refused_with_its_line_and_what_is_allowed(#[case] text: &str, #[case] wanted: &str) {
    let line = refusal(text);
    assert!(line.starts_with(wanted), "{line}");
}

#[rstest]
#[case("[kafka]\npartition = 4", "s.toml:2: kafka.partition: there is no such key; did you mean `kafka.partitions`?")]
#[case("window = \"5m\"", "s.toml:1: window: there is no such key; did you mean `market.window`?")]
#[case("\"market.window\" = \"1m\"", "s.toml:1: market.window: there is no such key")]
#[case("[web]\nport = 80\nbind = \"\"", "s.toml:1: web: there is no such key")]
#[case("[lake]\nformat.version = 2", "s.toml:2: lake.format: there is no such key")]
#[case("kafka = 3", "s.toml:1: kafka: is a section")]
#[case("[kafka.mode]\nx = 1", "s.toml:1: kafka.mode: must be \"embedded\" or \"cluster\", not a table")]
fn an_unknown_or_misplaced_key_is_refused(#[case] text: &str, #[case] wanted: &str) {
    let line = refusal(text);
    assert!(line.starts_with(wanted), "{line}");
}

#[rstest]
#[case("symbol = \"nvda\"\ninitial_price = 1", "s.toml:2: stocks[0].symbol: must be upper case (`NVDA`), not \"nvda\"")]
#[case("symbol = \"../../x\"\ninitial_price = 1", "s.toml:2: stocks[0].symbol: must be 1 to 16 of A-Z")]
#[case("symbol = \"..\"\ninitial_price = 1", "s.toml:2: stocks[0].symbol: must be 1 to 16 of A-Z")]
#[case("symbol = 3\ninitial_price = 1", "s.toml:2: stocks[0].symbol: must be a text")]
#[case("symbol = \"A\"", "s.toml:1: stocks.A.initial_price: is missing")]
#[case("initial_price = 1", "s.toml:1: stocks[0].symbol: is missing")]
#[case(
    "symbol = \"A\"\ninitial_price = 0",
    "s.toml:3: stocks.A.initial_price: must be a number from 0.0001 to 1000000000, not 0"
)]
#[case("symbol = \"A\"\ninitial_price = inf", "s.toml:3: stocks.A.initial_price: must be a finite number")]
#[case(
    "symbol = \"A\"\ninitial_price = 1\nvolatilty = 1",
    "s.toml:4: stocks.A.volatilty: there is no such key; did you mean `volatility`?"
)]
#[case(
    "symbol = \"A\"\ninitial_price = 1\nvolatility = 9",
    "s.toml:4: stocks.A.volatility: must be a number from 0 to 5, not 9"
)]
#[case(
    "symbol = \"A\"\ninitial_price = 1\n[[stocks]]\nsymbol = \"A\"\ninitial_price = 2",
    "s.toml:4: stocks.A: this symbol was given before, at s.toml:1"
)]
fn a_bad_stock_is_refused(#[case] stock: &str, #[case] wanted: &str) {
    let line = refusal(&format!("[[stocks]]\n{stock}"));
    // The place of the first of two stocks is a path too.
    assert!(line.replace(&std::env::temp_dir().display().to_string(), "").starts_with(wanted), "{line}");
}

#[test]
fn symbols_that_differ_only_in_case_collide() {
    let text = "[[stocks]]\nsymbol = \"A\"\ninitial_price = 1\n[[stocks]]\nsymbol = \"a\"\ninitial_price = 1";
    assert_eq!(refusal(text), "s.toml:4: stocks[1]: this symbol was given before, at s.toml:1");
}

#[test]
fn a_list_without_stocks_is_refused() {
    assert_eq!(refusal("\nstocks = []"), "s.toml:2: stocks: must be 1 to 10000 stocks, not 0");
    assert!(refusal("stocks = \"AAPL\"").starts_with("s.toml:1: stocks: must be a list of tables"));
    assert!(refusal("stocks = [\"AAPL\"]").starts_with("s.toml:1: stocks[0]: must be a table"));
}

#[rstest]
#[case("[market]\nwindow = \"5m", "s.toml:2:13: is not TOML: invalid basic string")]
#[case("[market]\nwindow = \"5m\"\nlate", "s.toml:3:")]
#[case("[market\n", "s.toml:1:")]
#[case("[[stocks]]\nsymbol = \"A\"\ninitial_price =", "s.toml:3:")]
fn a_half_written_file_is_refused_with_line_and_column(#[case] text: &str, #[case] wanted: &str) {
    let lines = Case::new().file("s.toml", text).lines();
    assert!(lines[0].starts_with(wanted) && lines[0].contains("is not TOML"), "{lines:#?}");
}

#[test]
fn a_file_cut_at_any_byte_is_read_or_refused_with_a_line() {
    let text = stockstream::settings::DEFAULT_TOML;
    for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)).step_by(11) {
        let case = Case::new().file("s.toml", &text[..cut]);
        let Err(errors) = load(&case.sources) else { continue };
        let file = format!("{}:", case.sources.files[0].display());
        assert!(errors.problems.iter().all(|problem| problem.origin.starts_with(&file)), "cut at {cut}: {errors}");
    }
}

#[test]
fn a_broken_file_does_not_repeat_the_secrets_in_it() {
    let case = Case::new().file("s.toml", "[kafka.security]\npassword = \"hunter2\nusername = \"x\"\n");
    assert!(!case.errors().to_string().contains("hunter2"));
}

#[test]
fn files_that_are_missing_or_no_text_are_refused() {
    let mut case = Case::new().file("binary.toml", b"a = 1\n\xff\xfe");
    case.sources.files.push(PathBuf::from("/nowhere/s.toml"));
    case.sources.files.push(case.dir.path().to_owned());
    let lines = case.lines();
    assert_eq!(lines[0], "binary.toml:2: is not UTF-8");
    assert!(lines[1].starts_with("/nowhere/s.toml: cannot be read: No such file"), "{lines:#?}");
    assert!(lines[2].ends_with("is not a file"), "{lines:#?}");
}

#[test]
fn all_problems_of_all_sources_are_told_at_once_in_order() {
    let mut case = Case::new()
        .file("a.toml", "[market]\nwindow = \"7m\"\n[kafka]\npartitions = 4.7\ntypo = 1\n[web]\n")
        .file("b.toml", "[producer]\nspeed = \"fast\"\nhistory = \"never\"\nstart_ago = \"1s\"\n")
        .variable("STOCKSTREAM__MARKET__WINDOW", "1m")
        .variable("STOCKSTREAM__LAKE__COMMIT_EVERY", "many");
    case.sources.overrides.push(Override::new("lake.dir", "", "--lake"));
    let lines = case.lines();
    let places: Vec<String> =
        lines.iter().map(|line| line.splitn(3, ": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        [
            "a.toml:2 market.window",
            "a.toml:4 kafka.partitions",
            "a.toml:5 kafka.typo",
            "a.toml:6 web",
            "b.toml:2 producer.speed",
            "b.toml:3 producer.history",
            "STOCKSTREAM__LAKE__COMMIT_EVERY lake.commit_every",
            "--lake lake.dir",
        ]
    );
    let errors = case.errors();
    let text = errors.to_string();
    assert_eq!(text.lines().count(), 9);
    assert!(text.ends_with(
        "8 problems in the settings, nothing of them was applied: correct the above and try `stockstream check`"
    ));
    let json = serde_json::to_value(&errors).unwrap();
    assert_eq!(json["problems"][6]["origin"], "STOCKSTREAM__LAKE__COMMIT_EVERY");
    assert_eq!(json["problems"][6]["key"], "lake.commit_every");
}

#[rstest]
#[case("STOCKSTREAM__MARKET__WINDOWS", "1m", "market.windows: there is no such key; did you mean `market.window`?")]
#[case("STOCKSTREAM__MARKET", "1m", "market: is a section")]
#[case("STOCKSTREAM__", "1m", "there is no such key")]
#[case("STOCKSTREAM__KAFKA__PARTITIONS", "4.7", "kafka.partitions: must be a whole number from 1 to 10000, not 4.7")]
#[case("STOCKSTREAM__KAFKA__PARTITIONS", "", "kafka.partitions: must be a whole number from 1 to 10000, not \"\"")]
#[case("STOCKSTREAM__PRODUCER__ENABLED", "yes", "producer.enabled: must be true or false, not \"yes\"")]
#[case("STOCKSTREAM__MARKET__WINDOW", "7m", "market.window: must be a duration of 1s to 24h")]
#[case("STOCKSTREAM__STOCKS", "AAPL", "stocks: must be a list of tables")]
#[case("STOCKSTREAM__LAKE__DIR", "a\u{fffd}b", "lake.dir: is not UTF-8")]
#[case("STOCKSTREAM_MARKET__WINDOW", "1m", "begins with one underscore too few")]
fn a_bad_variable_is_refused_by_name(#[case] name: &str, #[case] value: &str, #[case] wanted: &str) {
    let lines = Case::new().variable(name, value).lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].strip_prefix(&format!("{name}: ")).is_some_and(|line| line.contains(wanted)), "{}", lines[0]);
}

#[test]
fn client_properties_outside_the_list_are_refused_without_their_value() {
    for property in ["plugin.library.paths", "ssl.key.pem", "enable.auto.commit", "auto.offset.reset", "sasl.password"]
    {
        let line = refusal(&format!("[kafka.properties]\n\"{property}\" = \"/tmp/evil\""));
        assert!(
            line.starts_with(&format!("s.toml:2: kafka.properties.{property}: this client property may not be set"))
        );
        assert!(line.contains("linger.ms") && !line.contains("evil"), "{line}");
    }
    assert!(refusal("[kafka.properties]\nclient.id = \"a\\nb\"").contains("control character"));
    assert!(refusal("[kafka.properties]\nlinger.ms = 0.5").contains("must be a text, a whole number"));
}
