//! The locks that say which processes write to a lake and which one simulates its stocks, with the holder's process id inside.
//!
//! The kernel ends a lock with its holder, however that dies; a holder that is stopped keeps it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FILE_MODE, failed};
use crate::storage::error::Action;
use crate::storage::layout::{OWNER_LOCK, PRODUCERS_LOCK};
use crate::storage::{Sharing, StorageError};

pub(super) const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits() as i32;
/// Neither for the writer of a pipe.
pub(super) const NO_WAIT: i32 = OFlags::NONBLOCK.bits() as i32;

/// Digits of a process id, and some more.
const MOST_OF_A_HOLDER: u64 = 32;

/// How often, and how long apart, a refused process looks for the id of a holder that has only just begun.
const LOOKS: u32 = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Takes the owner lock of a lake without waiting; it ends with the returned handle.
pub(super) fn take_owner_lock(root: &Path, sharing: Sharing) -> Result<File, StorageError> {
    match take(&root.join(OWNER_LOCK), sharing)? {
        Taken::Ours(file) => Ok(file),
        Taken::Others(file) => Err(StorageError::InUse { path: root.to_owned(), holder: holder(&file) }),
    }
}

/// The right to simulate the stocks. Ends with this handle, or with the process.
#[derive(Debug)]
pub struct ProducersLock {
    _file: File,
}

/// Which process simulates the stocks of a lake.
#[derive(Debug)]
pub enum Simulating {
    /// This one, as long as it holds the lock.
    Ours(ProducersLock),
    /// Another one; `process 1234`.
    Other { holder: String },
}

/// Takes the right to simulate the stocks of the lake at `root`, unless another process has it. Does not wait for that one.
///
/// # Errors
/// When the lake cannot be written.
pub fn take_producers_lock(root: &Path) -> Result<Simulating, StorageError> {
    Ok(match take(&root.join(PRODUCERS_LOCK), Sharing::Exclusive)? {
        Taken::Ours(file) => Simulating::Ours(ProducersLock { _file: file }),
        Taken::Others(file) => Simulating::Other { holder: holder(&file) },
    })
}

/// A lock file, with or without its lock.
enum Taken {
    Ours(File),
    Others(File),
}

fn take(path: &Path, sharing: Sharing) -> Result<Taken, StorageError> {
    let mut file = open_lock_file(path)?;
    let taken = match sharing {
        Sharing::Exclusive => file.try_lock(),
        Sharing::Shared => file.try_lock_shared(),
    };
    match taken {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Taken::Others(file)),
        Err(TryLockError::Error(e)) => return Err(failed(Action::Lock, path)(e)),
    }
    let pid = std::process::id().to_string();
    file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).map_err(failed(Action::Write, path))?;
    Ok(Taken::Ours(file))
}

/// A lock file, made when it is missing. Not through a symbolic link: the file behind it would be overwritten with our id.
pub(super) fn open_lock_file(path: &Path) -> Result<File, StorageError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).custom_flags(NO_FOLLOW | NO_WAIT);
    match options.open(path) {
        Err(e) if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            Err(StorageError::SymbolicLink { path: path.to_owned() })
        }
        opened => opened.map_err(failed(Action::Lock, path)),
    }
}

/// `process 1234`; the id is written just after the lock is taken, so one of a dead process is read again for a moment.
fn holder(mut file: &File) -> String {
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(LOOK_AGAIN);
        }
        let mut text = String::new();
        if file.rewind().and_then(|()| file.take(MOST_OF_A_HOLDER).read_to_string(&mut text)).is_err() {
            break;
        }
        let pid = text.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
        // EPERM: it lives, and belongs to another user
        let lives = |pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH));
        if let Some(pid) = pid.filter(|pid| lives(*pid)) {
            return format!("process {}", pid.as_raw_nonzero());
        }
    }
    String::from("another process")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_simulates_and_the_next_may_when_it_lets_go() {
        let dir = tempfile::TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        let Ok(Simulating::Ours(held)) = take_producers_lock(dir.path()) else { panic!("nobody had it") };
        let Ok(Simulating::Other { holder }) = take_producers_lock(dir.path()) else { panic!("it is held") };
        assert_eq!(holder, format!("process {}", std::process::id()));
        drop(held);
        assert!(matches!(take_producers_lock(dir.path()), Ok(Simulating::Ours(_))));
    }
}
