//! What a repair has done: listed up to a limit, counted beyond it.

use std::fmt;
use std::path::Path;

use serde::Serialize;

/// How many are listed.
const LIMIT: usize = 100;

/// One thing that was put right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deed {
    /// The file, as the user would write it.
    pub file: String,
    pub done: &'static str,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.done)
    }
}

/// All that was put right.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Repairs {
    pub listed: Vec<Deed>,
    pub unlisted: usize,
}

impl Repairs {
    pub fn did(&mut self, file: &Path, done: &'static str) {
        if self.listed.len() < LIMIT {
            self.listed.push(Deed { file: file.display().to_string(), done });
        } else {
            self.unlisted += 1;
        }
    }

    /// How many things were put right.
    pub fn count(&self) -> usize {
        self.listed.len() + self.unlisted
    }
}
