//! The store over the model of a disk. Where POSIX needs several calls for an operation, each is a step of its own: between two of
//! them the process may die, wait for an hour, or lose the power.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stockstream::market::checkpoint::CommitNumber;
use stockstream::storage::error::Action;
use stockstream::storage::layout::{self, BarsFile, EntryName, STATE};
use stockstream::storage::store::{Beside, Publish, Put, Store};
use stockstream::storage::{Dataset, StorageError, parquet};

use crate::disk::{Disk, Look};
use crate::names::{Node, Refused};
use crate::store_rules::StoreRule;
use crate::turn;

/// The lake as one process has it open.
pub struct ModelStore {
    disk: Arc<Mutex<Disk>>,
    process: usize,
    broken: Option<StoreRule>,
    /// What this process has put and not yet published, where a rule is broken.
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The newest entry this process has put: chain and number.
    put: Option<(String, CommitNumber)>,
    /// To be published late.
    late: Option<(String, String)>,
}

impl ModelStore {
    pub fn new(disk: Arc<Mutex<Disk>>, process: usize, broken: Option<StoreRule>) -> Self {
        Self { disk, process, broken, memory: Mutex::default() }
    }

    fn breaks(&self, rule: StoreRule) -> bool {
        self.broken == Some(rule)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One step, if this process is still alive to do it.
    fn step<T>(&self, path: &str, step: impl FnOnce(&mut Disk) -> T) -> Result<T, StorageError> {
        turn::step().map_err(|_| dead(path))?;
        Ok(step(&mut self.disk()))
    }

    fn make_dirs(&self, path: &str) -> Result<(), StorageError> {
        if self.disk().names.find(path).is_some() {
            return Ok(());
        }
        let parent = parent(path);
        self.make_dirs(parent)?;
        // another process may be faster, and die before it has synced this
        if self.step(path, |disk| disk.names.make_dir(path))?.is_ok() {
            self.step(path, |disk| disk.names.sync(parent))?;
        }
        Ok(())
    }

    /// A file under a temporary name, its content synced.
    fn write(&self, dir: &str, bytes: &[u8]) -> Result<(String, Node), StorageError> {
        self.make_dirs(dir)?;
        let synced = !self.breaks(StoreRule::DataIsNotSynced) || dir == STATE;
        self.step(dir, |disk| {
            let (node, name) = (disk.create(bytes, synced), disk.temporary(dir, self.process));
            disk.names.link(node, &name).expect("its name is unique and the directory is there");
            (name, node)
        })
    }

    fn publish_now(&self, from: &str, to: &str, synced: bool) -> Result<Publish, StorageError> {
        self.make_dirs(parent(to))?;
        let linked = self.step(to, |disk| {
            let file = disk.names.find(from)?;
            if disk.names.link(file, to) == Ok(()) {
                disk.look(Look::AtEveryChange);
            }
            Some(())
        })?;
        if linked.is_none() {
            return Ok(Publish::Superseded);
        }
        if synced {
            self.sync_public(to)?;
        }
        Ok(Publish::Done)
    }

    fn sync_public(&self, path: &str) -> Result<(), StorageError> {
        let date = parent(path);
        self.step(path, |disk| disk.names.sync(date))?;
        if !self.breaks(StoreRule::PublishForgetsTheParent) {
            self.step(path, |disk| disk.names.sync(parent(date)))?;
        }
        Ok(())
    }

    fn publish_what_is_late(&self) -> Result<(), StorageError> {
        let late = self.memory().late.take();
        match late {
            Some((from, to)) => self.publish_now(&from, &to, true).map(drop),
            None => Ok(()),
        }
    }

    /// Whether the entry at this path is put now, and its rows made public before.
    fn puts(&self, path: &str, bytes: &[u8]) -> Result<bool, StorageError> {
        let Some((chain, number)) = entry_of(path) else { return Ok(true) };
        let own = |chain: &str| self.memory().put.as_ref().is_some_and(|(put, _)| put == chain);
        if self.breaks(StoreRule::FenceIsNotWritten) && !own(&chain) {
            self.memory().put = Some((chain, number));
            return Ok(false);
        }
        if self.breaks(StoreRule::PublishBeforeCommit)
            && let Ok(content) = parquet::decode_commit(bytes)
            && let Some(file) = BarsFile::of(&content.partition, number, &content.commit.rows)
        {
            let (temporary, _) = self.write(STATE, bytes)?;
            self.publish_now(&temporary, &file.path(Dataset::Bars), true)?;
            self.step(path, |disk| disk.names.unlink(&temporary))?;
        }
        self.memory().put = Some((chain, number));
        Ok(true)
    }
}

impl Store for ModelStore {
    fn locate(&self, path: &str) -> PathBuf {
        path.into()
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError> {
        let mut names: Vec<String> =
            self.step(dir, |disk| disk.names.list(dir).map(|(name, _)| name.clone()).collect())?;
        names.retain(|name| !name.starts_with('.'));
        let own = self.memory().put.clone().filter(|(chain, _)| chain == dir).map(|(_, number)| number);
        let above = |name: &String| EntryName::parse(name).is_some_and(|entry| Some(entry.number()) > own);
        if let Some(own) = own.filter(|_| self.breaks(StoreRule::FencedRemovesItsOwn) && names.iter().any(above)) {
            self.step(dir, |disk| disk.names.unlink(&format!("{dir}/{own}.parquet")))?;
        }
        if own.is_some() && self.breaks(StoreRule::NothingAboveIsSeen) {
            names.retain(|name| !above(name));
        }
        Ok(names)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.step(path, |disk| disk.names.find(path).and_then(|file| disk.content(file)).map(|bytes| bytes.to_vec()))
    }

    fn exists(&self, path: &str) -> Result<bool, StorageError> {
        self.step(path, |disk| disk.names.find(path).is_some())
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put, StorageError> {
        if !self.puts(path, bytes)? {
            return Ok(Put::Done);
        }
        let (temporary, file) = self.write(parent(path), bytes)?;
        let replaces = self.breaks(StoreRule::PutReplaces);
        let linked = self.step(path, |disk| {
            if replaces {
                disk.names.unlink(path);
            }
            disk.names.link(file, path)
        })?;
        self.step(path, |disk| disk.names.unlink(&temporary))?;
        match linked {
            Ok(()) => {
                self.publish_what_is_late()?;
                Ok(Put::Done)
            }
            Err(Refused::Exists) => Ok(Put::Exists),
            Err(Refused::NoDirectory) => unreachable!("it was made"),
        }
    }

    fn settle(&self, dir: &str) -> Result<(), StorageError> {
        let taken = self.breaks(StoreRule::TakenIsNotSynced) && self.memory().put.is_none();
        if taken || self.breaks(StoreRule::ChainIsNotSynced) {
            return Ok(());
        }
        self.step(dir, |disk| disk.names.sync(dir))
    }

    fn remove(&self, path: &str) -> Result<(), StorageError> {
        self.step(path, |disk| disk.names.unlink(path))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let (temporary, _) = self.write(parent(path), bytes)?;
        self.step(path, |disk| disk.names.rename(&temporary, path))?.expect("its directory was made");
        self.step(path, |disk| disk.names.sync(parent(path)))
    }

    fn set_aside(&self, path: &str, to: &str) -> Result<(), StorageError> {
        if self.breaks(StoreRule::PutAsideFreesTheNumber) {
            return self.step(path, |disk| disk.names.unlink(path));
        }
        if self.step(path, |disk| disk.names.rename(path, to))?.expect("a name beside it") {
            self.step(path, |disk| disk.names.sync(parent(to)))?;
        }
        Ok(())
    }

    fn publish(&self, from: &str, to: &str) -> Result<Publish, StorageError> {
        let taking = self.memory().put.is_none();
        let late = match self.broken {
            Some(StoreRule::FenceBeforePublish) => taking,
            Some(StoreRule::NextBeforePublish) => !taking,
            _ => false,
        };
        if late {
            self.memory().late = Some((from.to_owned(), to.to_owned()));
            return Ok(Publish::Done);
        }
        self.publish_now(from, to, !self.breaks(StoreRule::PublishIsNotSynced))
    }

    fn publish_beside(&self, to: &str, bytes: &[u8], beside: &str) -> Result<Beside, StorageError> {
        let (temporary, file) = self.write(STATE, bytes)?;
        if !self.exists(beside)? {
            self.step(to, |disk| disk.names.unlink(&temporary))?;
            return Ok(Beside::Gone);
        }
        self.make_dirs(parent(to))?;
        let linked = self.step(to, |disk| {
            let linked = disk.names.link(file, to);
            disk.look(Look::AtEveryChange);
            linked
        })?;
        if !self.breaks(StoreRule::FeaturesAreNotSynced) {
            self.sync_public(to)?;
        }
        self.step(to, |disk| disk.names.unlink(&temporary))?;
        Ok(if linked == Ok(()) { Beside::Done } else { Beside::AlreadyThere })
    }

    fn retract(&self, path: &str) -> Result<(), StorageError> {
        if self.breaks(StoreRule::NothingIsWithdrawn) {
            return Ok(());
        }
        self.step(path, |disk| {
            disk.names.unlink(path);
            disk.look(Look::AtEveryChange);
        })?;
        self.sync_public(path)
    }

    fn sweep(&self, dir: &str) -> Result<(), StorageError> {
        if self.breaks(StoreRule::NothingIsSwept) {
            return Ok(());
        }
        let abandoned: Vec<String> = self.step(dir, |disk| {
            let names = disk.names.list(dir).map(|(name, _)| name.clone());
            names.filter(|name| disk.is_abandoned(name) == Some(true)).collect()
        })?;
        for name in abandoned {
            self.step(dir, |disk| disk.names.unlink(&format!("{dir}/{name}")))?;
        }
        Ok(())
    }
}

fn dead(path: &str) -> StorageError {
    let source = std::io::Error::other("the process is dead");
    StorageError::Io { action: Action::Write, path: path.into(), source }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Chain and number of an entry's path.
fn entry_of(path: &str) -> Option<(String, CommitNumber)> {
    let (dir, name) = path.rsplit_once('/')?;
    match EntryName::parse(name)? {
        EntryName::Entry(number) if layout::parse_partition(dir.strip_prefix("state/")?).is_some() => {
            Some((dir.to_owned(), number))
        }
        _ => None,
    }
}
