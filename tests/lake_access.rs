//! Who may read a lake (its owner and group, whatever the umask allows, and fewer if it says so), and that no data chooses where
//! the program writes.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use stockstream::storage::Lake;
use support::program::Program;
use support::ticks::{Recipe, Ticks};
use tempfile::TempDir;

/// Everything below a directory, and itself.
fn all_below(path: &Path, found: &mut Vec<PathBuf>) {
    found.push(path.to_owned());
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| all_below(&entry.unwrap().path(), found));
    }
}

#[rstest]
#[case::nothing_withheld("000", 0o750, 0o640)]
#[case::the_usual("022", 0o750, 0o640)]
#[case::all_withheld("077", 0o700, 0o600)]
fn directories_and_files_of_a_lake_are_closed_to_others(#[case] umask: &str, #[case] dirs: u32, #[case] files: u32) {
    let dir = TempDir::new().unwrap();
    let ticks = Ticks::make(&Recipe { seed: 61, lines: 5_000, ..Recipe::default() });
    std::fs::write(dir.path().join("ticks.csv"), ticks.file()).unwrap();
    let program = [env!("CARGO_BIN_EXE_stockstream"), "replay", "ticks.csv", "--lake", "new/lake"];
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"umask "$0"; exec "$@""#, umask]).args(program).current_dir(dir.path());
    let ended = shell.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let mut all = Vec::new();
    all_below(&dir.path().join("new"), &mut all);
    let is_data = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
    assert!(all.iter().filter(is_data).count() >= 3, "bars, features and a chain: {all:?}");
    for path in all {
        let (meta, wanted) = (path.metadata().unwrap(), if path.is_dir() { dirs } else { files });
        assert_eq!(meta.permissions().mode() & 0o7777, wanted, "{}", path.display());
    }
}

/// Symbols that would like to be paths, or names that mean something.
const HOSTILE: [&str; 22] = [
    "..",
    ".",
    "../evil",
    "../../../evil",
    "/tmp/evil",
    "AAPL/../../evil",
    "A/B",
    "A\\B",
    "A\u{0}B",
    "A\u{202e}B",
    "%2e%2e%2fevil",
    "~",
    "$HOME",
    "-rf",
    ".tmp-1",
    "date=2025-05-14",
    "compact-x",
    "lake.json",
    "aapl",
    "A..B",
    "STATE-0",
    "BARS=1",
];

#[test]
fn no_symbol_in_the_data_chooses_a_path() {
    let dir = TempDir::new().unwrap();
    let work = dir.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let line = |symbol: &str| format!("2025-05-14 15:30:00,{symbol},211.45\n");
    let text: String = HOSTILE.iter().chain(&["AAPL"]).map(|symbol| line(symbol)).collect();
    std::fs::write(work.join("ticks.csv"), text).unwrap();
    // The stocks are those of the file, as far as they are symbols.
    let summary = Program::new(&work, &["replay", "ticks.csv", "--json"]).run().summary();
    assert_eq!((summary.read, summary.in_bars, summary.malformed + summary.unknown), (23, 4, 19), "{summary:?}");
    assert_eq!(names(dir.path()), ["work"]);
    assert_eq!(names(&work), ["lake", "ticks.csv"]);
    let lake = work.join("lake");
    assert_eq!(names(&lake), ["bars", "features", "state"]);
    let topics = ["stock_topic.AAPL", "stock_topic.A_2e_2eB", "stock_topic.BARS_3d1", "stock_topic.STATE-0"];
    let partitions = Lake::open_read_only(&lake).unwrap().partitions().unwrap();
    let found: Vec<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
    assert_eq!(found, topics);
    for dataset in ["bars", "features"] {
        assert_eq!(names(&lake.join(dataset)), ["date=2025-05-14"]);
        assert_eq!(names(&lake.join(dataset).join("date=2025-05-14")).len(), topics.len());
    }
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}
