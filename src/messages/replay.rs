//! A file that is replayed: to its end, or as far as it came.

use std::fmt;

use actix::Message;
use serde::{Serialize, Serializer};

use crate::market::codec::Malformed;
use crate::words::counted;

/// The file has been published and acknowledged to its end, or could not be.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ReplayPublished(pub Result<(), String>);

/// Coordinator to the producer of a file: publish no more. Answered with what has become of the file.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "ReplayedFile")]
pub struct StopReplay;

/// What has become of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayedFile {
    /// Lines that were published, malformed ones too.
    pub published: u64,
    /// Empty lines and the header, which are no ticks.
    pub skipped: u64,
    /// Whether all of it was published and acknowledged.
    pub complete: bool,
    /// The first of the published lines that are no ticks.
    pub malformed_lines: Vec<MalformedLine>,
    /// How many more there were.
    pub malformed_lines_unlisted: u64,
}

/// A line that is no tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MalformedLine {
    /// From 1.
    pub line: u64,
    #[serde(serialize_with = "in_words")]
    pub reason: Malformed,
}

fn in_words<S: Serializer>(reason: &Malformed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reason)
}

impl ReplayedFile {
    /// How many malformed lines are listed.
    pub const MOST_LISTED: usize = 10;

    /// A published line is no tick.
    pub fn add_malformed(&mut self, line: MalformedLine) {
        if self.malformed_lines.len() < Self::MOST_LISTED {
            self.malformed_lines.push(line);
        } else {
            self.malformed_lines_unlisted += 1;
        }
    }
}

impl fmt::Display for ReplayedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "published {}, skipped {} (header, empty)", counted(self.published, "line"), self.skipped)?;
        if !self.complete {
            f.write_str("; NOT COMPLETE: the end of the file was not reached")?;
        }
        for MalformedLine { line, reason } in &self.malformed_lines {
            write!(f, "\n  line {line} is malformed: {reason}")?;
        }
        if self.malformed_lines_unlisted > 0 {
            write!(f, "\n  ... and {}", counted(self.malformed_lines_unlisted, "more malformed line"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_malformed_lines_are_told_with_their_reasons_and_the_rest_is_counted() {
        let mut file = ReplayedFile { published: 13, skipped: 1, complete: true, ..ReplayedFile::default() };
        (2..=12).for_each(|line| file.add_malformed(MalformedLine { line, reason: Malformed::Price }));
        let text = file.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "published 13 lines, skipped 1 (header, empty)");
        assert_eq!(lines[10], "  line 11 is malformed: the price is not a finite number above 0");
        assert_eq!(lines[11..], ["  ... and 1 more malformed line"]);
        let json = serde_json::to_value(&file).unwrap();
        assert_eq!(json["malformed_lines"].as_array().unwrap().len(), ReplayedFile::MOST_LISTED);
        assert_eq!(json["malformed_lines"][0]["line"], 2);
        assert_eq!(json["malformed_lines"][0]["reason"], "the price is not a finite number above 0");
        assert_eq!(json["malformed_lines_unlisted"], 1);
    }

    #[test]
    fn a_file_that_was_not_published_to_its_end_says_so() {
        let file = ReplayedFile { published: 1, ..ReplayedFile::default() };
        assert!(file.to_string().starts_with("published 1 line, skipped 0 (header, empty); NOT COMPLETE"), "{file}");
    }
}
