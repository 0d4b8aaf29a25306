//! The store on a local file system: link(2) to a name that must be free, fsync of files and directories, flock(2).
//!
//! - A file is written as `.tmp-<unique>` inside `state/`, never in a dataset. Its writer holds a lock on it, so that others can
//!   tell a dead writer's file from a living one's.
//! - After a failed fsync the kernel may have marked the pages clean: the file is dropped, and a retry writes a new one.
//! - A date directory may stand where it does by an exchange, or a making, that nobody has made durable: its parent is synced when this store
//!   makes it, or sees that very directory there for the first time.

mod dirs;
mod lock;
mod settled_dates;
mod temporary;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::error::Action;
use super::layout::{self, PUBLISH_LOCK, STATE, TEMPORARY};
use super::parquet::MOST_BYTES;
use super::store::{Beside, Publish, Put, Store};
use super::{Dataset, Sharing, StorageError};
use crate::bounded_file::{self, Links};
use crate::fail_points::Place;
use dirs::{DirId, Made, all_names, dir_id, make_dirs, make_own_dirs, parent, refuse_link, sync_dir};
pub use lock::{ProducersLock, Simulating, take_producers_lock};
use settled_dates::SettledDates;
use temporary::Temporary;
pub(in crate::storage) use temporary::is_abandoned;

/// Group members may read.
const FILE_MODE: u32 = 0o640;

/// A lake's directory.
pub struct PosixStore {
    root: PathBuf,
    /// Which directory it was when it was opened for writing.
    opened: Option<DirId>,
    settled_dates: SettledDates,
    /// Held as long as the store lives.
    _owner: Option<File>,
}

impl PosixStore {
    /// Makes the directory and its datasets where they are missing, and takes the owner lock.
    ///
    /// # Errors
    /// When the directory cannot be made or written, or another process holds the lock in a way that excludes `sharing`.
    pub fn open(root: &Path, sharing: Sharing) -> Result<Self, StorageError> {
        Self::open_or_make(root, sharing).map_err(StorageError::of_opening)
    }

    fn open_or_make(root: &Path, sharing: Sharing) -> Result<Self, StorageError> {
        match fs::metadata(root) {
            Ok(meta) if !meta.is_dir() => return Err(StorageError::NotADirectory { path: root.to_owned() }),
            _ => {
                make_dirs(root)?;
                refuse_foreign(root)?;
            }
        }
        for dir in layout::DIRS {
            make_own_dirs(&root.join(dir))?;
        }
        // another process may have made them a moment ago, and died before this
        sync_dir(root)?;
        let owner = lock::take_owner_lock(root, sharing)?;
        Ok(Self {
            root: root.to_owned(),
            opened: dir_id(root)?,
            settled_dates: SettledDates::default(),
            _owner: Some(owner),
        })
    }

    /// Without locks; nothing may be written through it.
    ///
    /// # Errors
    /// When the path is no directory, or one that is no lake.
    pub fn open_read_only(root: &Path) -> Result<Self, StorageError> {
        let is_dir = |path: &Path| match fs::metadata(path) {
            Ok(meta) => Ok(meta.is_dir()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed(Action::Open, path)(e).of_opening()),
        };
        if fs::metadata(root).is_ok_and(|meta| !meta.is_dir()) {
            return Err(StorageError::NotADirectory { path: root.to_owned() });
        }
        if is_dir(&root.join(Dataset::Bars.dir()))? || is_dir(&root.join(STATE))? {
            return Ok(Self {
                root: root.to_owned(),
                opened: None,
                settled_dates: SettledDates::default(),
                _owner: None,
            });
        }
        Err(StorageError::NoLake { path: root.to_owned() })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Whoever moves a lake away, or removes it, does not get another one made in its place, which nobody would have locked.
    fn must_be_here(&self) -> Result<(), StorageError> {
        if self.opened.is_some() && dir_id(&self.root)? != self.opened {
            return Err(StorageError::Gone { path: self.root.clone() });
        }
        Ok(())
    }

    /// The shared lock under which names are put into a dataset. Of a handle of its own: flock belongs to the handle, and
    /// another thread's release would end it.
    fn lock_shared(&self) -> Result<File, StorageError> {
        let path = self.at(PUBLISH_LOCK);
        let file = lock::open_lock_file(&path)?;
        retry_interrupted(|| file.lock_shared()).map_err(failed(Action::Lock, &path))?;
        Ok(file)
    }

    /// fsync of a public file's date directory and of the dataset's directory.
    fn sync_public(&self, path: &Path) -> Result<(), StorageError> {
        let date = parent(path);
        sync_dir(date)?;
        let id = dir_id(date)?;
        if !self.settled_dates.contain(date, id) {
            sync_dir(parent(date))?;
            self.settled_dates.add(date, id);
        }
        Ok(())
    }

    /// Makes the date directory of a public file where it is missing.
    fn make_date(&self, path: &Path) -> Result<(), StorageError> {
        let date = parent(path);
        if make_own_dirs(date)? == Made::Now {
            self.settled_dates.add(date, dir_id(date)?);
        }
        Ok(())
    }
}

impl Store for PosixStore {
    fn locate(&self, path: &str) -> PathBuf {
        self.at(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        let mut names = all_names(&self.at(dir))?;
        names.retain(|name| !name.starts_with('.'));
        Ok(names)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.at(path);
        match bounded_file::read(&path, MOST_BYTES, Links::Refused) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == ErrorKind::InvalidData => {
                Err(StorageError::Damaged { path, reason: format!("it {e}") })
            }
            Err(e) => Err(failed(Action::Read, &path)(e)),
        }
    }

    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        let path = self.at(path);
        fs::exists(&path).map_err(failed(Action::Open, &path))
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put, StorageError> {
        self.must_be_here()?;
        let path = self.at(path);
        refuse_link(parent(&path))?;
        let temporary = Temporary::write(parent(&path), bytes)?;
        Place::StoreWritten.reached_in_io().map_err(failed(Action::Link, &path))?;
        match fs::hard_link(&temporary.path, &path) {
            Ok(()) => {
                Place::StoreLinked.reached_in_io().map_err(failed(Action::Sync, &path))?;
                Ok(Put::Done)
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(Put::Exists),
            Err(e) => Err(failed(Action::Link, &path)(temporary.taken_away(e))),
        }
    }

    fn settle(&self, dir: &str) -> Result<(), StorageError> {
        match sync_dir(&self.at(dir)) {
            Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Place::StoreSettled.reached_in_io().map_err(failed(Action::Sync, &self.at(dir))),
        }
    }

    fn remove(&self, path: &str) -> Result<(), StorageError> {
        remove_file(&self.at(path))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.must_be_here()?;
        let path = self.at(path);
        refuse_link(parent(&path))?;
        let temporary = Temporary::write(parent(&path), bytes)?;
        fs::rename(&temporary.path, &path).map_err(|e| failed(Action::Rename, &path)(temporary.taken_away(e)))?;
        sync_dir(parent(&path))
    }

    fn set_aside(&self, path: &str, to: &str) -> Result<(), StorageError> {
        let (path, to) = (self.at(path), self.at(to));
        match fs::rename(&path, &to) {
            Ok(()) => sync_dir(parent(&to)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(failed(Action::Rename, &path)(e)),
        }
    }

    fn publish(&self, from: &str, to: &str) -> Result<Publish, StorageError> {
        self.must_be_here()?;
        let (from, to) = (self.at(from), self.at(to));
        let _lock = self.lock_shared()?;
        self.make_date(&to)?;
        match fs::hard_link(&from, &to) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Publish::Superseded),
            Err(e) => return Err(failed(Action::Link, &to)(e)),
        }
        Place::StorePublished.reached_in_io().map_err(failed(Action::Sync, &to))?;
        self.sync_public(&to)?;
        Place::StorePublishedSynced.reached_in_io().map_err(failed(Action::Sync, &to))?;
        Ok(Publish::Done)
    }

    fn publish_beside(&self, to: &str, bytes: &[u8], beside: &str) -> Result<Beside, StorageError> {
        self.must_be_here()?;
        let to = self.at(to);
        let temporary = Temporary::write(&self.at(STATE), bytes)?;
        let _lock = self.lock_shared()?;
        if !self.exists(beside)? {
            return Ok(Beside::Gone);
        }
        self.make_date(&to)?;
        let outcome = match fs::hard_link(&temporary.path, &to) {
            Ok(()) => Beside::Done,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Beside::AlreadyThere,
            Err(e) => return Err(failed(Action::Link, &to)(temporary.taken_away(e))),
        };
        self.sync_public(&to)?;
        Ok(outcome)
    }

    fn retract(&self, path: &str) -> Result<(), StorageError> {
        let path = self.at(path);
        let _lock = self.lock_shared()?;
        if !parent(&path).exists() {
            return Ok(());
        }
        remove_file(&path)?;
        self.sync_public(&path)
    }

    fn sweep(&self, dir: &str) -> Result<(), StorageError> {
        let dir = self.at(dir);
        for name in all_names(&dir)? {
            let path = dir.join(&name);
            if name.starts_with(TEMPORARY) && is_abandoned(&path)? {
                remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// A directory in which somebody else has something, and nothing is ours, does not become a lake by a slip of the hand.
fn refuse_foreign(root: &Path) -> Result<(), StorageError> {
    let names = all_names(root)?;
    match names.iter().find(|name| !layout::is_let_be(name)) {
        Some(found) if !names.iter().any(|name| layout::DIRS.contains(&name.as_str())) => {
            Err(StorageError::Foreign { path: root.to_owned(), found: found.clone() })
        }
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(Action::Remove, path)(e)),
        _ => Ok(()),
    }
}

fn failed(action: Action, path: &Path) -> impl FnOnce(io::Error) -> StorageError + '_ {
    move |source| StorageError::Io { action, path: path.to_owned(), source }
}

fn retry_interrupted(mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match call() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
