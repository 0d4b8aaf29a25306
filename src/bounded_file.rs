//! Reading a whole file where somebody may have put something else: a pipe would block, a device has no end, a huge file fills the
//! memory.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// What a path may lead through at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    Followed,
    Refused,
}

/// The bytes of a regular file of at most so many.
///
/// # Errors
/// What the system says; of the kind [`ErrorKind::InvalidData`] when something stands there that may not be read as a whole.
pub fn read(path: &Path, most_bytes: u64, links: Links) -> Result<Vec<u8>> {
    let no_file = || Error::new(ErrorKind::InvalidData, "is not a file");
    let too_large = || Error::new(ErrorKind::InvalidData, format!("is larger than {} MiB", most_bytes >> 20));
    let mut flags = OFlags::NONBLOCK;
    flags.set(OFlags::NOFOLLOW, links == Links::Refused);
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::LOOP) if links == Links::Refused => Error::new(ErrorKind::InvalidData, "is a symbolic link"),
            // a socket, or a device that is not there
            Some(Errno::NXIO) => no_file(),
            _ => error,
        }
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(no_file());
    }
    // Told before a byte of it is read.
    if metadata.len() > most_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(most_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most_bytes { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn refusal(path: &Path, links: Links) -> String {
        let error = read(path, 1 << 20, links).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        error.to_string()
    }

    #[test]
    fn a_file_may_have_as_many_bytes_as_are_allowed_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, vec![7; 1 << 20]).unwrap();
        assert_eq!(read(&path, 1 << 20, Links::Refused).unwrap().len(), 1 << 20);
        fs::write(&path, vec![7; (1 << 20) + 1]).unwrap();
        assert_eq!(refusal(&path, Links::Refused), "is larger than 1 MiB");
        // It says that it is empty, and is not.
        assert!(!read(Path::new("/proc/self/status"), 1 << 20, Links::Refused).unwrap().is_empty());
        assert_eq!(read(&dir.path().join("none"), 1, Links::Refused).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_no_file_is_neither_waited_for_nor_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        for no_file in [dir.path(), &path("pipe"), &path("socket"), Path::new("/dev/zero")] {
            assert_eq!(refusal(no_file, Links::Refused), "is not a file", "{}", no_file.display());
        }
        symlink("/dev/zero", path("endless")).unwrap();
        assert_eq!(refusal(&path("endless"), Links::Followed), "is not a file");
        assert_eq!(refusal(&path("endless"), Links::Refused), "is a symbolic link");
    }

    #[test]
    fn a_link_is_followed_where_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "content").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 7, Links::Followed).unwrap(), b"content");
        assert_eq!(refusal(&link, Links::Refused), "is a symbolic link");
    }
}
