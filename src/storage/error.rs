//! What can go wrong with the lake, whose fault it is and whether a retry helps.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::parquet::Unreadable;

/// What was being done to a path when the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Open,
    Read,
    List,
    Write,
    /// fsync of a file or directory.
    Sync,
    Link,
    Rename,
    Remove,
    Lock,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Create => "create",
            Action::Open => "open",
            Action::Read => "read",
            Action::List => "list",
            Action::Write => "write",
            Action::Sync => "make durable (fsync)",
            Action::Link => "link",
            Action::Rename => "rename",
            Action::Remove => "remove",
            Action::Lock => "lock",
        })
    }
}

/// Why the lake could not be read or written. Each names the path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("cannot {action} {path}: {source}{}", remedy(*action, source))]
    Io { action: Action, path: PathBuf, source: io::Error },
    /// The same of opening a lake, where the cause is the place that was given.
    #[error("cannot {action} {path}: {source}{}", remedy(*action, source))]
    UnusablePlace { action: Action, path: PathBuf, source: io::Error },
    #[error("{path} is not a directory; give another one with --lake")]
    NotADirectory { path: PathBuf },
    #[error(
        "{path} is a symbolic link, and inside a lake there may be none: what is behind it is not made durable with the lake, \
         and may be anybody's; put the directory itself there, or the whole lake where the link leads"
    )]
    SymbolicLink { path: PathBuf },
    #[error(
        "{path} is no lake, and not empty (`{found}` is in it): give a new or an empty directory, or that of a lake, with --lake"
    )]
    Foreign { path: PathBuf, found: String },
    #[error("{path} is no lake: it has neither `bars` nor `state`; give the directory of a lake with --lake")]
    NoLake { path: PathBuf },
    #[error("the lake at {path} is in use by {holder}; stop that process or give another directory with --lake")]
    InUse { path: PathBuf, holder: String },
    #[error(
        "the lake at {path} belongs to {what} `{recorded}`, this process has `{given}`; use the settings the lake was made \
         with or give another directory with --lake"
    )]
    OtherIdentity { path: PathBuf, what: &'static str, recorded: String, given: String },
    #[error("{path} is not readable as the lake's identity: {reason}; restore it from a copy, or give another --lake")]
    BadIdentity { path: PathBuf, reason: String },
    #[error(
        "the lake at {path} was moved, removed or replaced while it was in use; put it back where it was, or start again with the right --lake"
    )]
    Gone { path: PathBuf },
    #[error("{path} was opened for reading only")]
    ReadOnly { path: PathBuf },
    #[error("{path} does not exist")]
    Missing { path: PathBuf },
    #[error(
        "{path} is damaged or was not written by stockstream: {reason}; restore it from a copy, or move it out of the lake"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("{path} has format version {version}, newer than this program knows; use the newer program")]
    Newer { path: PathBuf, version: u32 },
    #[error(
        "no entry of the chain {path} is readable, and older ones are gone, so its bars cannot be told from new ones: \
         {reason}; restore the directory from a copy, or start a new lake"
    )]
    ChainLost { path: PathBuf, reason: String },
    #[error(
        "{path} is newer than everything in its chain, and cannot be taken back into it: {reason}; restore the chain's \
             directory from a copy, or move the file out of the lake"
    )]
    AheadOfChain { path: PathBuf, reason: String },
    #[error("the name of partition `{name}` cannot be a directory name; use another topic template")]
    UnusableName { name: String },
    #[error("these rows cannot be written to {path}: {reason}")]
    Unwritable { path: PathBuf, reason: String },
    #[error("{path} changed hands again and again while it was being taken; other processes are taking it too")]
    Contended { path: PathBuf },
}

impl StorageError {
    /// Whether doing the same again, after a pause, may succeed and is right: a full disk or quota, an interrupted call. Not a failed
    /// fsync: a second one can succeed over lost bytes, so that what was begun must be done anew.
    pub fn is_retriable(&self) -> bool {
        match self {
            StorageError::Io { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull
                        | io::ErrorKind::QuotaExceeded
                        | io::ErrorKind::Interrupted
                        | io::ErrorKind::WouldBlock
                )
            }
            StorageError::Contended { .. } => true,
            _ => false,
        }
    }

    /// Whether the lake is at a place where it cannot be, or another one than the settings say: for the user to put right before
    /// anything can be done.
    pub fn is_wrong_place(&self) -> bool {
        matches!(
            self,
            StorageError::NotADirectory { .. }
                | StorageError::NoLake { .. }
                | StorageError::Foreign { .. }
                | StorageError::OtherIdentity { .. }
                | StorageError::UnusablePlace { .. }
        )
    }

    /// What a lake could not be opened for: some refusals of the system are about the place then, which in the midst of work say
    /// that something has happened to it.
    pub(super) fn of_opening(self) -> Self {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        match self {
            StorageError::Io { action, path, source }
                if matches!(source.kind(), NotFound | NotADirectory | PermissionDenied | ReadOnlyFilesystem) =>
            {
                StorageError::UnusablePlace { action, path, source }
            }
            other => other,
        }
    }

    /// The file at `path` could not be decoded.
    pub(crate) fn unreadable(path: PathBuf, why: Unreadable) -> Self {
        match why {
            Unreadable::Damaged(reason) => StorageError::Damaged { path, reason },
            Unreadable::Newer(version) => StorageError::Newer { path, version },
        }
    }
}

fn remedy(action: Action, source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied if matches!(action, Action::Open | Action::Read | Action::List) => {
            "; give this user the right to read there, or another directory with --lake"
        }
        io::ErrorKind::PermissionDenied => {
            "; give this user the right to write there, or another directory with --lake"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is mounted read-only, give another directory with --lake"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
        io::ErrorKind::NotADirectory => "; a part of the path is a file, give another directory with --lake",
        io::ErrorKind::Unsupported | io::ErrorKind::CrossesDevices => {
            "; the whole lake must lie on one local file system with hard links"
        }
        _ if source.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) => {
            "; the whole lake must lie on one local file system with hard links"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(action: Action, errno: rustix::io::Errno) -> StorageError {
        let source = io::Error::from_raw_os_error(errno.raw_os_error());
        StorageError::Io { action, path: PathBuf::from("lake/x"), source }
    }

    #[test]
    fn a_full_disk_is_worth_a_retry_and_a_refusal_is_not() {
        use rustix::io::Errno;
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::INTR, Errno::AGAIN] {
            assert!(failed(Action::Write, errno).is_retriable(), "{errno}");
        }
        assert!(!failed(Action::Sync, Errno::IO).is_retriable());
        assert!(!failed(Action::Read, Errno::IO).is_retriable());
        assert!(!failed(Action::Write, Errno::ACCESS).is_retriable());
    }

    #[test]
    fn a_refusal_of_the_system_is_about_the_place_only_when_a_lake_is_opened() {
        use rustix::io::Errno;
        for errno in [Errno::NOENT, Errno::NOTDIR, Errno::ACCESS, Errno::ROFS] {
            let of_work = failed(Action::Write, errno).to_string();
            assert!(!failed(Action::Write, errno).is_wrong_place(), "{errno}");
            let opening = failed(Action::Write, errno).of_opening();
            assert_eq!((opening.is_wrong_place(), opening.to_string()), (true, of_work));
        }
        assert!(!failed(Action::Write, Errno::NOSPC).of_opening().is_wrong_place());
    }

    #[test]
    fn a_message_names_the_path_and_what_to_do() {
        let text = failed(Action::Write, rustix::io::Errno::NOSPC).to_string();
        assert!(text.contains("lake/x") && text.contains("free some space"), "{text}");
    }
}
