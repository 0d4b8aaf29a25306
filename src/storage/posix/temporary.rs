//! Files being written: `.tmp-<unique>`, locked by their writer.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::dirs::make_dirs;
use super::lock::{NO_FOLLOW, NO_WAIT};
use super::{FILE_MODE, failed};
use crate::fail_points::Place;
use crate::storage::StorageError;
use crate::storage::error::Action;
use crate::storage::layout::TEMPORARY;

/// A file being written, removed again when dropped; what it was linked to stays.
pub(super) struct Temporary {
    pub path: PathBuf,
    /// Locked, which says that its writer lives.
    file: File,
}

impl Temporary {
    /// Written and synced.
    pub fn write(dir: &Path, bytes: &[u8]) -> Result<Self, StorageError> {
        loop {
            let mut temporary = Self::create(dir)?;
            // between its creation and its lock a sweeper may have taken it for a dead writer's; then another one is made
            let is_ours = !matches!(temporary.file.try_lock(), Err(TryLockError::WouldBlock));
            if !is_ours || temporary.file.metadata().map_err(failed(Action::Open, &temporary.path))?.nlink() == 0 {
                continue;
            }
            let written = Place::StoreWrite.reached_in_io().and_then(|()| temporary.file.write_all(bytes));
            written.map_err(failed(Action::Write, &temporary.path))?;
            let synced = Place::StoreSync.reached_in_io().and_then(|()| temporary.file.sync_all());
            synced.map_err(failed(Action::Sync, &temporary.path))?;
            return Ok(temporary);
        }
    }

    fn create(dir: &Path) -> Result<Self, StorageError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{TEMPORARY}{}-{count}-{:016x}", std::process::id(), rand::random::<u64>());
        let path = dir.join(unique);
        let open = || OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path);
        let file = match open() {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                make_dirs(dir)?;
                open()
            }
            opened => opened,
        };
        let file = file.map_err(failed(Action::Create, &path))?;
        Ok(Self { path, file })
    }

    /// Somebody has tidied up by hand: no reason to give up.
    pub fn taken_away(&self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::NotFound => io::Error::new(ErrorKind::WouldBlock, "the temporary file was removed"),
            _ => error,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // gone already after a rename; else left to the next sweep
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the writer of a temporary file is dead: nobody holds its lock.
pub(in crate::storage) fn is_abandoned(path: &Path) -> Result<bool, StorageError> {
    let file = match OpenOptions::new().read(true).custom_flags(NO_FOLLOW | NO_WAIT).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        // a link, which no writer makes
        Err(e) if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => return Ok(true),
        Err(e) => return Err(failed(Action::Open, path)(e)),
    };
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(failed(Action::Lock, path)(e)),
    }
}
