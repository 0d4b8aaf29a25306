//! What is wrong with a lake and what helps: listed up to a limit, counted beyond it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

use super::held::Held;
use super::remedy::Remedy;
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;
use crate::storage::StorageError;

/// How many findings are listed.
const LIMIT: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The file or directory, as the user would write it.
    pub file: String,
    /// `None` when it is the file as a whole, and nothing tells which rows it held.
    pub stock: Option<Symbol>,
    /// Start of the window.
    #[serde(serialize_with = "rfc3339")]
    pub window: Option<EventTime>,
    pub problem: String,
    pub remedy: Remedy,
    /// The same in words.
    pub advice: &'static str,
}

fn rfc3339<S: Serializer>(time: &Option<EventTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(serializer)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if let (Some(stock), Some(window)) = (&self.stock, self.window) {
            write!(f, "{stock} at {window}: ")?;
        }
        write!(f, "{}; {}", self.problem, self.advice)
    }
}

/// All findings of a verification.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    listed: Vec<Finding>,
    unlisted: usize,
}

impl Findings {
    /// Something is wrong with a file as a whole.
    pub fn of_file(&mut self, file: &Path, problem: impl fmt::Display, remedy: Remedy) {
        self.of_held(file, problem, None, remedy);
    }

    /// The same, told with the rows that the file held as far as something else tells them.
    pub fn of_held(&mut self, file: &Path, problem: impl fmt::Display, held: Option<&Held>, remedy: Remedy) {
        let problem = match held {
            Some(held) => format!("{problem}; {held}"),
            None => problem.to_string(),
        };
        self.of_row(file, problem, held.map(Held::first), remedy);
    }

    /// The same, told with a row of it.
    pub fn of_row(
        &mut self,
        file: &Path,
        problem: impl fmt::Display,
        row: Option<&(Symbol, EventTime)>,
        remedy: Remedy,
    ) {
        let (stock, window) = row.cloned().unzip();
        let (file, problem) = (file.display().to_string(), problem.to_string());
        self.add(Finding { file, stock, window, problem, remedy, advice: remedy.advice() });
    }

    /// Whether one that is listed is about this file.
    pub fn are_about(&self, file: &Path) -> bool {
        let file = file.display().to_string();
        self.listed.iter().any(|finding| finding.file == file)
    }

    /// A file cannot be read; `if_damaged` helps when that is because of what it holds.
    pub fn unreadable(&mut self, file: &Path, error: StorageError, held: Option<&Held>, if_damaged: Remedy) {
        let (problem, remedy) = match error {
            StorageError::Damaged { reason, .. } => {
                (format!("is damaged or was not written by stockstream: {reason}"), if_damaged)
            }
            StorageError::BadIdentity { reason, .. } => {
                (format!("is not readable as the lake's identity: {reason}"), if_damaged)
            }
            StorageError::Newer { version, .. } => {
                (format!("has format version {version}, newer than this program knows"), Remedy::NewerProgram)
            }
            StorageError::Io { action, source, .. } => (format!("cannot {action} it: {source}"), Remedy::CheckDisk),
            other => (other.to_string(), if_damaged),
        };
        self.of_held(file, problem, held, remedy);
    }

    /// What is wrong with rows of a file: of each kind the first, and how many more.
    pub fn of_rows(&mut self, file: &Path, faults: RowFaults, remedy: Remedy) {
        for RowFault { stock, window, problem, more } in faults.first.into_values() {
            let problem = match more {
                0 => problem,
                1 => format!("{problem} (and the like for 1 more row of this file)"),
                _ => format!("{problem} (and the like for {more} more rows of this file)"),
            };
            let file = file.display().to_string();
            let (stock, window) = (Some(stock), Some(window));
            self.add(Finding { file, stock, window, problem, remedy, advice: remedy.advice() });
        }
    }

    /// Adds those of a part.
    pub fn absorb(&mut self, part: Self) {
        part.listed.into_iter().for_each(|finding| self.add(finding));
        self.unlisted += part.unlisted;
    }

    /// The lake is of an embedded broker: nothing comes from the log again.
    pub fn are_without_log(&mut self) {
        for finding in &mut self.listed {
            finding.remedy = finding.remedy.without_log();
            finding.advice = finding.remedy.advice();
        }
    }

    /// Those that are listed, and how many are not.
    pub fn into_parts(self) -> (Vec<Finding>, usize) {
        (self.listed, self.unlisted)
    }

    fn add(&mut self, finding: Finding) {
        if self.listed.len() < LIMIT {
            self.listed.push(finding);
        } else {
            self.unlisted += 1;
        }
    }
}

/// What the rows of a file are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Sorted by (company, timestamp).
    Order,
    /// In the directory of their date.
    Date,
    /// Windows start where the window size puts them.
    Alignment,
    /// No window before the watermark has passed it.
    Closed,
    /// `0 < low <= open, close <= high`.
    Prices,
    /// `low <= vwap <= high`, and no volume below 0.
    Volume,
    Ticks,
    /// A stock has one partition.
    Home,
    /// A window has one bar, and a stock's bars ascend.
    Once,
    /// Features stand beside their bars.
    Pairing,
    /// Indicators are what the bars give.
    Indicators,
    /// The log gives the same values.
    Log,
    /// The log gives this bar.
    LogLacks,
    /// The lake has every bar that the log gives.
    LakeLacks,
}

/// Faults of the rows of one file.
#[derive(Debug, Default)]
pub struct RowFaults {
    first: BTreeMap<Rule, RowFault>,
}

#[derive(Debug)]
struct RowFault {
    stock: Symbol,
    window: EventTime,
    problem: String,
    more: usize,
}

impl RowFaults {
    /// The row of this stock and window breaks a rule.
    pub fn add(&mut self, rule: Rule, (stock, window): (&Symbol, EventTime), problem: impl FnOnce() -> String) {
        match self.first.get_mut(&rule) {
            Some(fault) => fault.more += 1,
            None => {
                self.first.insert(rule, RowFault { stock: stock.clone(), window, problem: problem(), more: 0 });
            }
        }
    }

    pub fn has(&self, rule: Rule) -> bool {
        self.first.contains_key(&rule)
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_beyond_the_limit_are_counted() {
        let mut findings = Findings::default();
        (0..LIMIT + 7).for_each(|i| findings.of_file(Path::new("x"), i, Remedy::MoveOut));
        let (listed, unlisted) = findings.into_parts();
        assert_eq!((listed.len(), unlisted), (LIMIT, 7));
    }

    #[test]
    fn rows_that_break_the_same_rule_make_one_finding() {
        let stock = Symbol::new("AAPL").unwrap();
        let mut faults = RowFaults::default();
        for minute in 0..3 {
            faults.add(Rule::Ticks, (&stock, EventTime::from_micros(minute * 60_000_000)), || format!("row {minute}"));
        }
        let mut findings = Findings::default();
        findings.of_rows(Path::new("bars/x"), faults, Remedy::MoveOut);
        let (listed, _) = findings.into_parts();
        assert_eq!(listed.len(), 1);
        let expected = "bars/x: AAPL at 1970-01-01T00:00:00.000000Z: row 0 (and the like for 2 more rows of this file); move it out of the lake";
        assert_eq!(listed[0].to_string(), expected);
    }
}
