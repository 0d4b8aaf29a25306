//! What is wrong with the settings: everything at once, each with its key, where it stands and why it is refused.

use std::fmt;

use crate::words::counted;
use serde::Serialize;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Full key such as `market.window` or `stocks.AAPL.rate`; empty when a whole file cannot be read.
    pub key: String,
    /// `file:line` (`file:line:column` for broken TOML), the name of a variable, or a command line option.
    pub origin: String,
    /// Why, and what would be accepted. Never the value of a secret.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.origin, self.reason),
            key => write!(f, "{}: {key}: {}", self.origin, self.reason),
        }
    }
}

/// The settings were refused. Prints one line a problem, and last what to do. The user's fault: trying again without a change
/// does not help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingsErrors {
    /// In the order of the sources, inside a file by line; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let problems = counted(self.problems.len(), "problem");
        write!(
            f,
            "{problems} in the settings, nothing of them was applied: correct the above and try `stockstream check`"
        )
    }
}

impl std::error::Error for SettingsErrors {}

/// So many are told; a file that is no settings file at all would have a million.
pub(super) const MOST_PROBLEMS: usize = 100;
/// A key, origin or reason is cut to this many characters.
const MOST_CHARACTERS: usize = 2_000;

/// Problems found so far.
#[derive(Default)]
pub(super) struct Findings {
    told: Vec<Problem>,
    more: usize,
}

impl Findings {
    pub(super) fn add(&mut self, key: &str, origin: &str, reason: impl Into<String>) {
        if self.told.len() < MOST_PROBLEMS {
            self.told.push(Problem { key: cut(key), origin: cut(origin), reason: cut(&reason.into()) });
        } else {
            self.more += 1;
        }
    }

    /// Problems that nobody wants to read one by one.
    pub(super) fn add_more(&mut self, count: usize) {
        self.more += count;
    }

    /// Whether the values of these keys are the ones the user meant: none was refused, and no source was unreadable as a whole.
    pub(super) fn are_sound(&self, keys: &[&str]) -> bool {
        self.more == 0
            && self
                .told
                .iter()
                .all(|problem| !problem.key.is_empty() && keys.iter().all(|key| !is_or_is_under(&problem.key, key)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty() && self.more == 0
    }

    pub(super) fn into_errors(self) -> SettingsErrors {
        let mut problems = self.told;
        if self.more > 0 {
            let (origin, reason) = ("all of them together".to_owned(), counted(self.more, "more problem"));
            problems.push(Problem { key: String::new(), origin, reason });
        }
        SettingsErrors { problems }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}... (cut)", &text[..end]),
        None => text.to_owned(),
    }
}

fn is_or_is_under(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
