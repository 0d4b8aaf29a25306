//! How a command ended, as exit code and message.

use std::fmt::Arguments;
use std::io::Write;
use std::process::ExitCode;

use crate::actors::coordinator::StartError;
use crate::storage::StorageError;

/// Prints a result. Whoever reads it may have seen enough and closed the pipe: what was done is done all the same.
pub fn print(text: Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    let _closed = stdout.write_fmt(text).and_then(|()| stdout.flush());
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
        let of_lake = match error.downcast_ref::<StartError>() {
            Some(StartError::Lake(of_lake)) => Some(of_lake),
            _ => error.downcast_ref::<StorageError>(),
        };
        let message = format!("{error:#}");
        if error.is::<WrongInput>() || of_lake.is_some_and(StorageError::is_wrong_place) {
            Self::Usage(message)
        } else {
            Self::Failed(message)
        }
    }
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
        eprintln!("error: {message}");
        ExitCode::from(code)
    }
}
