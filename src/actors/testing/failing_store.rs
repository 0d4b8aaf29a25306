//! A store over a directory that refuses to write when it is told to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::lake_identity;
use crate::settings::Compression;
use crate::storage::error::Action;
use crate::storage::posix::PosixStore;
use crate::storage::store::{Beside, Publish, Put, Store};
use crate::storage::{Lake, Sharing, StorageError};

/// Which operations fail.
#[derive(Clone, Default)]
pub struct Trouble(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    writes: usize,
    failures: usize,
    of_writes: Option<Errno>,
    of_lists: Option<Errno>,
}

impl Trouble {
    /// So many writes succeed, then so many fail, then all succeed again. A commit with rows is two writes.
    pub fn after(&self, writes: usize, failures: usize, errno: Errno) {
        let mut plan = self.0.lock().unwrap();
        (plan.writes, plan.failures, plan.of_writes) = (writes, failures, Some(errno));
    }

    /// Directories cannot be listed from now on, or again.
    pub fn lists(&self, errno: Option<Errno>) {
        self.0.lock().unwrap().of_lists = errno;
    }

    fn of_list(&self) -> Option<Errno> {
        self.0.lock().unwrap().of_lists
    }

    fn of_write(&self) -> Option<Errno> {
        let mut plan = self.0.lock().unwrap();
        if plan.writes > 0 {
            plan.writes -= 1;
            return None;
        }
        plan.failures = plan.failures.checked_sub(1)?;
        plan.of_writes
    }
}

/// A lake whose store has this trouble.
pub fn failing_lake(dir: &Path, trouble: &Trouble) -> Lake {
    let store = FailingStore { store: PosixStore::open(dir, Sharing::Shared).unwrap(), trouble: trouble.clone() };
    Lake::over(Box::new(store), Compression::Zstd, &lake_identity()).unwrap()
}

struct FailingStore {
    store: PosixStore,
    trouble: Trouble,
}

impl FailingStore {
    fn write<T>(&self, path: &str, write: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
        self.trouble.of_write().map_or_else(write, |errno| Err(self.refusal(Action::Write, path, errno)))
    }

    fn refusal(&self, action: Action, path: &str, errno: Errno) -> StorageError {
        StorageError::Io { action, path: self.store.locate(path), source: errno.into() }
    }
}

impl Store for FailingStore {
    fn locate(&self, path: &str) -> PathBuf {
        self.store.locate(path)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        match self.trouble.of_list() {
            None => self.store.list(dir),
            Some(errno) => Err(self.refusal(Action::List, dir, errno)),
        }
    }
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(path)
    }
    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        self.store.exists(path)
    }
    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put, StorageError> {
        self.write(path, || self.store.put_if_absent(path, bytes))
    }
    fn settle(&self, dir: &str) -> Result<(), StorageError> {
        self.store.settle(dir)
    }
    fn remove(&self, path: &str) -> Result<(), StorageError> {
        self.store.remove(path)
    }
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.write(path, || self.store.replace(path, bytes))
    }
    fn set_aside(&self, path: &str, to: &str) -> Result<(), StorageError> {
        self.store.set_aside(path, to)
    }
    fn publish(&self, from: &str, to: &str) -> Result<Publish, StorageError> {
        self.write(to, || self.store.publish(from, to))
    }
    fn publish_beside(&self, to: &str, bytes: &[u8], beside: &str) -> Result<Beside, StorageError> {
        self.write(to, || self.store.publish_beside(to, bytes, beside))
    }
    fn retract(&self, path: &str) -> Result<(), StorageError> {
        self.store.retract(path)
    }
    fn sweep(&self, dir: &str) -> Result<(), StorageError> {
        self.store.sweep(dir)
    }
}
