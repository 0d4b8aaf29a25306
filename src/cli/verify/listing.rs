//! What stands below `bars/` and `features/`, and what should not: readers of the whole directory take every file for rows.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;

use super::Findings;
use crate::storage::layout::{self, BarsFile, Dataset};

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
                Some(date) if kind.is_dir() => {
                    dates.insert(date.to_owned());
                }
                _ => findings.of_file(&dir.join(name), "does not belong here: only directories `date=YYYY-MM-DD` do"),
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
            Some(_) => findings.of_file(&dir.join(name), "does not belong here: it is no regular file"),
            None => findings.of_file(
                &dir.join(name),
                "does not belong here: its name is not that of a commit; move it out of the lake",
            ),
        }
    }
    Ok(files)
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
