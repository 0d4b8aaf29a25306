//! How a command ended, as exit code and message.

use std::process::ExitCode;

pub enum Outcome {
    /// 0
    Done,
    /// 1: it could have gone well
    Failed(String),
    /// 3: `verify` found something wrong, and has said what
    Unsound,
    /// 2: the command line or the settings are wrong
    Usage(String),
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
