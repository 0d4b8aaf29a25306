//! A file system of some MiB that can be filled up. Mounting it takes rights that not everybody has.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::skip::skipped;

/// Mounted over a directory; gone when dropped.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None`, and a notice, where this is not allowed.
    pub fn mount(at: &Path, mib: u32) -> Option<Self> {
        let options = format!("size={mib}m,mode=0755");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).stderr(Stdio::null()).status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self { at: at.to_owned() });
        }
        skipped("a file system cannot be mounted here, no full disk was tested");
        None
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Leaves no byte.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a program that still has a file open there may be ending.
        let _left_behind = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
