//! The operations that the commit protocol is made of. A POSIX file system does them with links and fsync, an object store can
//! with conditional puts, and a test with a map that forgets what was not made durable.
//!
//! Paths are those of [`super::layout`]: relative, with `/`. Every operation creates the directories it needs, durably.

use std::path::PathBuf;

use super::StorageError;

/// What became of [`Store::put_if_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Done,
    /// The name was taken; nothing has changed.
    Exists,
}

/// What became of [`Store::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// The public name stands, from now or from before.
    Done,
    /// The file to publish is no more: somebody further on has removed it.
    Superseded,
}

/// What became of [`Store::publish_beside`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    Done,
    AlreadyThere,
    /// The file that it would have stood beside is gone.
    Gone,
}

/// A place for files. An operation that fails may have happened or not; repeating it is always safe, and only after it has
/// succeeded may its durability be relied on.
pub trait Store: Send + Sync {
    /// The path as a user would write it, for messages.
    fn locate(&self, path: &str) -> PathBuf;

    /// Names in a directory, in no order, without temporary ones; none when it does not exist.
    fn list(&self, dir: &str) -> Result<Vec<String>, StorageError>;

    /// The whole file; `None` when the name does not exist.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError>;

    fn exists(&self, path: &str) -> Result<bool, StorageError>;

    /// Gives the bytes a name that must be free: of many that try, exactly one succeeds. The bytes are durable before the name
    /// appears, the name is after [`settle`](Self::settle) of its directory.
    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put, StorageError>;

    /// Makes the names in a directory durable as they are now. A missing directory is as durable as it can be.
    fn settle(&self, dir: &str) -> Result<(), StorageError>;

    /// Removes a name; one that is gone already is fine. Not durable by itself.
    fn remove(&self, path: &str) -> Result<(), StorageError>;

    /// Gives the bytes a name, over what had it: a reader finds the old or the new file. Durable.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError>;

    /// Renames a file inside its directory, durably; one that is gone already is fine.
    fn set_aside(&self, path: &str, to: &str) -> Result<(), StorageError>;

    /// Gives the file that now has the name `from` the public name `to` as well, under the shared lock. Durable, also when the
    /// name stood there before: the directory and its parent.
    fn publish(&self, from: &str, to: &str) -> Result<Publish, StorageError>;

    /// Gives the bytes the public name `to`, under the shared lock, only while `beside` exists. Durable as with
    /// [`publish`](Self::publish).
    fn publish_beside(&self, to: &str, bytes: &[u8], beside: &str) -> Result<Beside, StorageError>;

    /// Removes a public name, under the shared lock; durable.
    fn retract(&self, path: &str) -> Result<(), StorageError>;

    /// Removes what dead processes left half-written in a directory.
    fn sweep(&self, dir: &str) -> Result<(), StorageError>;
}
