//! Cases near the good ones: files of the corpus, changed a little by what random bytes say.

use std::path::Path;

/// The corpus of a target, and words that its format gives a meaning to.
pub struct Corpus {
    files: Vec<Vec<u8>>,
    words: Vec<&'static [u8]>,
}

/// Numbers at which things go wrong.
const EDGES: [u64; 8] = [0, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];
/// A mutation grows to no more than this.
const MOST_BYTES: usize = 64 * 1024;

impl Corpus {
    pub fn of(target: &str, words: &[&'static [u8]]) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/__fuzz__").join(target).join("corpus");
        let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let files = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        Self { files, words: words.to_vec() }
    }

    /// A file of the corpus with one change for every six bytes of the script. The same for the same script.
    pub fn mutated(&self, script: &[u8]) -> Vec<u8> {
        let Some(([first, second], changes)) = script.split_first_chunk() else { return Vec::new() };
        let file = usize::from(u16::from_le_bytes([*first, *second])) % self.files.len();
        let mut bytes = self.files[file].clone();
        // Few: what is changed everywhere is random again.
        for change in changes.chunks_exact(6).take(1 + usize::from(*second) % 8) {
            self.change(&mut bytes, change);
        }
        bytes.truncate(MOST_BYTES);
        bytes
    }

    fn change(&self, bytes: &mut Vec<u8>, change: &[u8]) {
        let [how, value, length, from, at @ ..] = change else { return };
        let at = usize::from(u16::from_le_bytes([at[0], at[1]])) % (bytes.len() + 1);
        let end = (at + usize::from(*length)).min(bytes.len());
        match how % 10 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, *value),
            2 => drop(bytes.drain(at..end)),
            3 => bytes[at..end].fill(*value),
            4 => {
                let edge = EDGES[usize::from(*value) % EDGES.len()].to_le_bytes();
                let width = [1, 2, 4, 8][usize::from(*length) % 4].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&edge[..width]);
            }
            5 if !self.words.is_empty() => {
                let word = self.words[usize::from(*value) % self.words.len()];
                bytes.splice(at..at, word.iter().copied());
            }
            6 => {
                let other = &self.files[usize::from(*from) % self.files.len()];
                let start = usize::from(*value) % (other.len() + 1);
                let part = &other[start..(start + usize::from(*length)).min(other.len())];
                bytes.splice(at..end, part.iter().copied());
            }
            7 => {
                let again = bytes[at..end].repeat(1 + usize::from(*value) % 8);
                bytes.splice(at..at, again);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (value % 8);
                }
            }
        }
    }
}
