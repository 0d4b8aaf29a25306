//! Directories: listed, made where they are missing, and made durable.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::failed;
use crate::storage::StorageError;
use crate::storage::error::Action;

/// Group members may read the lake, others may not enter it.
pub(super) const DIR_MODE: u32 = 0o750;

const DIRECTORY: i32 = OFlags::DIRECTORY.bits() as i32;

/// A directory, wherever it is moved: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirId(u64, u64);

/// `None` when there is nothing.
pub(super) fn dir_id(dir: &Path) -> Result<Option<DirId>, StorageError> {
    match fs::metadata(dir) {
        Ok(meta) => Ok(Some(DirId(meta.dev(), meta.ino()))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(Action::Open, dir)(e)),
    }
}

/// Names that are no text are nobody's here.
pub(super) fn all_names(dir: &Path) -> Result<Vec<String>, StorageError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(Action::List, dir)(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed(Action::List, dir))?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

/// Who made a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// We have, now, and it is durable in its parent.
    Now,
    Before,
}

/// Makes the directory and what is missing above it, each durable in its parent.
pub(super) fn make_dirs(dir: &Path) -> Result<Made, StorageError> {
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        Ok(()) => sync_dir(parent(dir)).map(|()| Made::Now),
        Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(Made::Before),
        Err(e) if e.kind() == ErrorKind::NotFound && !parent(dir).as_os_str().is_empty() && !parent(dir).exists() => {
            make_dirs(parent(dir))?;
            make_dirs(dir)
        }
        Err(e) => Err(failed(Action::Create, dir)(e)),
    }
}

/// The same inside the lake, where nothing may lead out of it.
pub(super) fn make_own_dirs(dir: &Path) -> Result<Made, StorageError> {
    let made = make_dirs(dir)?;
    refuse_link(dir).map(|()| made)
}

/// A link inside a lake would lead out of it.
pub(super) fn refuse_link(path: &Path) -> Result<(), StorageError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => Err(StorageError::SymbolicLink { path: path.to_owned() }),
        // What is missing is made, and what cannot be looked at fails where it is used.
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StorageError> {
    // What is none is refused, and not waited for.
    let file = OpenOptions::new().read(true).custom_flags(DIRECTORY).open(dir).map_err(failed(Action::Open, dir))?;
    file.sync_all().map_err(failed(Action::Sync, dir))
}

/// The directory of a path; `.` of a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}
