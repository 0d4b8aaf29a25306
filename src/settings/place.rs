//! Where a value stands: what problems and `check` call its origin.

/// Origin of what nobody gave.
pub(super) const DEFAULT: &str = "default";

/// Where a value stands.
pub(super) enum Place<'a> {
    Default,
    /// Name, and the byte at which each line after the first begins.
    File(&'a str, Vec<usize>),
    Variable(&'a str),
    CommandLine(&'a str),
}

impl<'a> Place<'a> {
    pub(super) fn file(name: &'a str, text: &str) -> Self {
        Place::File(name, text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    /// Origin of the value that begins at this byte.
    pub(super) fn origin(&self, at: usize) -> String {
        match self {
            Place::Default => DEFAULT.into(),
            Place::File(name, lines) => format!("{name}:{}", 1 + lines.partition_point(|line| *line <= at)),
            Place::Variable(name) | Place::CommandLine(name) => (*name).into(),
        }
    }

    /// `file:line:column` for broken TOML; the column counts bytes from 1.
    pub(super) fn origin_with_column(&self, at: usize) -> String {
        match self {
            Place::File(_, lines) => {
                let start = lines[..lines.partition_point(|line| *line <= at)].last().copied().unwrap_or(0);
                format!("{}:{}", self.origin(at), 1 + at - start)
            }
            _ => self.origin(at),
        }
    }
}
