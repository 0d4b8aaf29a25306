//! The commands that look at a lake.

pub mod show;
pub mod verify;

/// How a command prints its result to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object on one line.
    Json,
}
