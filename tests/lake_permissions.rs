//! Who may read a lake: its owner and group, whatever the umask allows, and fewer if it says so.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
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
