//! Settings that users are given to copy load as they stand: those of `docker/` and of the README.

use std::path::{Path, PathBuf};

use stockstream::settings::{KafkaMode, Loaded, Sources, load};
use tempfile::TempDir;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn loaded(file: &Path) -> Loaded {
    let dir = TempDir::new().unwrap();
    let sources = Sources { dir: dir.path().to_owned(), files: vec![file.to_owned()], ..Sources::default() };
    load(&sources).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The blocks of a Markdown text in this language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    let after = text.split(fence.as_str()).skip(1);
    after.map(|rest| rest.split("```").next().expect("a split has a first part")).collect()
}

#[test]
fn the_settings_of_the_containers_load() {
    let settings = loaded(&root().join("docker/stockstream.toml")).settings;
    assert_eq!((settings.kafka.mode, settings.kafka.bootstrap_servers.as_str()), (KafkaMode::Cluster, "kafka:9092"));
    assert_eq!((settings.lake.dir.as_path(), settings.stocks.len()), (Path::new("/lake"), 4));
}

#[test]
fn the_settings_in_the_readme_load() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let examples = blocks(&readme, "toml");
    assert!(examples.len() >= 2, "the README shows settings");
    for example in examples {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("readme.toml");
        std::fs::write(&file, example).unwrap();
        if !example.contains("[kafka.security]") {
            loaded(&file);
            continue;
        }
        // These name files of somebody else, and need a build with TLS; nothing else may be wrong with them.
        let sources = Sources { dir: dir.path().to_owned(), files: vec![file], ..Sources::default() };
        let told = load(&sources).err().map(|errors| errors.to_string()).unwrap_or_default();
        let known = |line: &str| line.contains("needs TLS") || line.contains("names a file that");
        let others: Vec<_> = told.lines().filter(|line| line.contains("readme.toml:") && !known(line)).collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

#[test]
fn the_defaults_that_the_readme_tells_are_the_defaults() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let dir = TempDir::new().unwrap();
    let defaults = load(&Sources { dir: dir.path().to_owned(), ..Sources::default() }).unwrap();
    let mut told = 0;
    // | `market.window` | `"5m"` | ... or | `producer.speed`, `producer.tick_interval` | 10, `"5s"` |
    for row in readme.lines().filter_map(|line| line.strip_prefix("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [keys, values, ..] = cells[..] else { continue };
        for (key, value) in keys.split(", ").zip(values.split(", ")) {
            let (key, value) = (key.trim_matches('`'), value.trim_matches('`').trim_matches('"'));
            let Some(effective) = defaults.origins.get(key) else { continue };
            let value = if value == "1 GiB" { (1u64 << 30).to_string() } else { value.to_owned() };
            let shown = effective.value.to_string();
            let shown = shown.trim_matches('"');
            assert!(shown == value || shown == format!("{value}.0"), "{key} is {shown}, the README says {value}");
            told += 1;
        }
    }
    assert!(told >= 10, "the README has a table of settings: {told}");
}
