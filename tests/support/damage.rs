//! What can become of a file between two runs.

use std::fs;
use std::path::Path;

pub fn torn(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

pub fn empty(path: &Path) {
    fs::write(path, "").unwrap();
}

pub fn flipped(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(path, bytes).unwrap();
}
