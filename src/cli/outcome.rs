//! How a command ended, as exit code and message.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::process::ExitCode;

use super::terminal;
use crate::actors::coordinator::StartError;
use crate::storage::StorageError;

/// Prints a result, and is what it was given unless that fails.
pub fn print(text: Arguments<'_>, then: Outcome) -> Outcome {
    let mut stdout = io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(error) if !is_closed(&error) => Outcome::Failed(format!("cannot write the result to stdout: {error}")),
        _ => then,
    }
}

/// Whoever reads stdout may have seen enough and closed the pipe: what was done is done all the same.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Something that the command line names is wrong, as was found only when it was looked at.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct WrongInput(pub anyhow::Error);

pub enum Outcome {
    /// 0
    Done,
    /// 1: it could have gone well
    Failed(String),
    /// 3: `verify` found something wrong, and has said what
    Unsound,
    /// 2: the command line or the settings are wrong, or a path that they name
    Usage(String),
}

impl From<anyhow::Error> for Outcome {
    /// Where the lake's place is wrong, so are the settings or the command line.
    fn from(error: anyhow::Error) -> Self {
        if error.downcast_ref::<io::Error>().is_some_and(is_closed) {
            return Self::Done;
        }
        let is_wrong_input = match error.downcast_ref::<StartError>() {
            Some(StartError::Lake(of_lake)) => of_lake.is_wrong_place(),
            Some(StartError::GroupInUse { .. }) => true,
            _ => error.is::<WrongInput>() || error.downcast_ref().is_some_and(StorageError::is_wrong_place),
        };
        let message = told(&error);
        if is_wrong_input { Self::Usage(message) } else { Self::Failed(message) }
    }
}

/// An error with its causes; what it says of one itself is not said twice.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        before if before.contains(&cause) => told,
        before => format!("{before}: {cause}"),
    })
}

impl Outcome {
    /// Says on stderr what went wrong, and returns the exit code.
    pub fn report(self) -> ExitCode {
        let (code, message) = match self {
            Self::Done => return ExitCode::SUCCESS,
            Self::Unsound => return ExitCode::from(3),
            Self::Failed(message) => (1, message),
            Self::Usage(message) => (2, message),
        };
        terminal::write(format!("error: {message}\n").as_bytes());
        ExitCode::from(code)
    }
}
