//! The lock that says which processes write to a lake, with the holder's process id inside.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FILE_MODE, failed};
use crate::storage::error::Action;
use crate::storage::layout::OWNER_LOCK;
use crate::storage::{Sharing, StorageError};

const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits() as i32;

/// How often, and how long apart, a refused process looks for the id of a holder that has only just begun.
const LOOKS: u32 = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Takes the owner lock of a lake without waiting; it ends with the returned handle.
pub(super) fn take_owner_lock(root: &Path, sharing: Sharing) -> Result<File, StorageError> {
    let path = root.join(OWNER_LOCK);
    let mut file = open_lock_file(&path)?;
    let taken = match sharing {
        Sharing::Exclusive => file.try_lock(),
        Sharing::Shared => file.try_lock_shared(),
    };
    match taken {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StorageError::InUse { path: root.to_owned(), holder: holder(&mut file) });
        }
        Err(TryLockError::Error(e)) => return Err(failed(Action::Lock, &path)(e)),
    }
    let pid = std::process::id().to_string();
    file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).map_err(failed(Action::Write, &path))?;
    Ok(file)
}

/// A lock file, made when it is missing. Not through a symbolic link: the file behind it would be overwritten with our id.
pub(super) fn open_lock_file(path: &Path) -> Result<File, StorageError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).custom_flags(NO_FOLLOW);
    match options.open(path) {
        Err(e) if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            Err(StorageError::SymbolicLink { path: path.to_owned() })
        }
        opened => opened.map_err(failed(Action::Open, path)),
    }
}

/// `process 1234`; the id is written just after the lock is taken, so one of a dead process is read again for a moment.
fn holder(file: &mut File) -> String {
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(LOOK_AGAIN);
        }
        let mut text = String::new();
        if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_err() {
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
