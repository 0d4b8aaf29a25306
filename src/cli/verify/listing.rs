//! What stands in a lake, and what should not: readers of a dataset, or of all below the lake, take every file for rows.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::Findings;
use super::remedy::Remedy;
use crate::storage::layout::{self, BarsFile, Dataset, EntryName};
use crate::storage::repair::is_dead_temporary;

/// How often, and how long apart, a file is looked at that seems to have no writer.
const LOOKS: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The files of `state/` itself.
const OF_STATE: [&str; 4] = [layout::IDENTITY, layout::OWNER_LOCK, layout::PRODUCERS_LOCK, layout::PUBLISH_LOCK];

/// Looks at the names in the lake's own directory: those that are not known are findings.
///
/// # Errors
/// When it cannot be listed.
pub fn root(root: &Path, findings: &mut Findings) -> anyhow::Result<()> {
    for (name, kind) in entries(root)? {
        let text = name.to_string_lossy();
        let is_ours = layout::DIRS.contains(&&*text) && kind.is_dir();
        if !is_ours && !layout::is_let_be(&text) {
            let problem = "does not belong here: only the directories `bars`, `features` and `state` do";
            findings.of_file(&root.join(&name), problem, Remedy::MoveOut);
        }
    }
    Ok(())
}

/// The dates that either dataset has, ascending.
///
/// # Errors
/// When a dataset cannot be listed.
pub fn dates(root: &Path, findings: &mut Findings) -> anyhow::Result<BTreeSet<String>> {
    let mut dates = BTreeSet::new();
    for dataset in [Dataset::Bars, Dataset::Features] {
        let dir = root.join(dataset.dir());
        for (name, kind) in entries(&dir)? {
            match name.to_str().and_then(layout::parse_date_dir) {
                Some(date) if kind.is_dir() && is_of_the_calendar(date) => {
                    dates.insert(date.to_owned());
                }
                _ => findings.of_file(
                    &dir.join(name),
                    "does not belong here: only directories `date=YYYY-MM-DD` do",
                    Remedy::MoveOut,
                ),
            }
        }
    }
    Ok(dates)
}

/// The files of commits that one date of a dataset has. Other names are findings.
///
/// # Errors
/// When the directory cannot be listed.
pub fn files(root: &Path, dataset: Dataset, date: &str, findings: &mut Findings) -> anyhow::Result<BTreeSet<BarsFile>> {
    let dir = root.join(dataset.date_dir(date));
    let mut files = BTreeSet::new();
    for (name, kind) in entries(&dir)? {
        match name.to_str().and_then(layout::parse_public_name) {
            Some((partition, number)) if kind.is_file() => {
                files.insert(BarsFile { partition, number, date: date.to_owned() });
            }
            Some(_) => {
                findings.of_file(&dir.join(name), "does not belong here: it is no regular file", Remedy::MoveOut)
            }
            None => {
                let problem = "does not belong here: its name is not that of a commit";
                findings.of_file(&dir.join(name), problem, Remedy::MoveOut);
            }
        }
    }
    Ok(files)
}

/// Looks at the names in `state/`: those that are not known are findings. Returns what dead processes left half-written.
///
/// # Errors
/// When a directory cannot be listed.
pub fn state(root: &Path, findings: &mut Findings) -> anyhow::Result<Vec<PathBuf>> {
    let mut dead = Vec::new();
    let dir = root.join(layout::STATE);
    for (name, kind) in entries(&dir)? {
        let path = dir.join(&name);
        match name.to_str() {
            Some(text) if kind.is_dir() && layout::parse_partition(text).is_some() => {
                for (name, kind) in entries(&path)? {
                    let known = |text: &str| text == "indicators" || EntryName::parse(text).is_some();
                    let is_known = kind.is_file() && name.to_str().is_some_and(known);
                    if !is_known {
                        dead.extend(unknown(path.join(name), kind, findings)?);
                    }
                }
            }
            Some(_) if kind.is_file() && OF_STATE.iter().any(|known| root.join(known) == path) => {}
            _ => dead.extend(unknown(path, kind, findings)?),
        }
    }
    Ok(dead)
}

/// Returns the path of what a dead process left half-written.
fn unknown(path: PathBuf, kind: FileType, findings: &mut Findings) -> anyhow::Result<Option<PathBuf>> {
    let is_temporary = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(layout::TEMPORARY));
    if is_temporary && kind.is_file() {
        return Ok(is_dead(&path)?.then_some(path));
    }
    findings.of_file(&path, "does not belong here: no file of this name is known", Remedy::MoveOut);
    Ok(None)
}

/// A living writer takes its lock a moment after it has made the file.
fn is_dead(path: &Path) -> anyhow::Result<bool> {
    for _ in 0..LOOKS {
        if !path.exists() || !is_dead_temporary(path)? {
            return Ok(false);
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(path.exists())
}

fn is_of_the_calendar(date: &str) -> bool {
    date.parse::<chrono::NaiveDate>().is_ok()
}

/// Names with what they are, hidden ones too, sorted; nothing when there is no such directory.
fn entries(dir: &Path) -> anyhow::Result<Vec<(OsString, FileType)>> {
    let cannot = || format!("cannot list {}", dir.display());
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(cannot),
    };
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry.with_context(cannot)?;
        match entry.file_type() {
            Ok(kind) => entries.push((entry.file_name(), kind)),
            // gone since it was listed
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e).with_context(cannot),
        }
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}
