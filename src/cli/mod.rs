//! The command line: one module a command, each returning how it ended.

mod args;
mod check;
mod console;
mod live_view;
mod outcome;
mod replay;
mod run;
mod ticks_file;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use outcome::Outcome;

/// Runs the program: parses the command line, runs one command, says what went wrong, and returns the exit code.
pub fn main() -> ExitCode {
    let Args { command, common, run } = Args::parse();
    let outcome = match command {
        None => run::run(&common, &run),
        Some(_) if run != args::RunArgs::default() => {
            Outcome::Usage(String::from("--for and --until-end belong to `run`: write them behind it"))
        }
        Some(Command::Run(run)) => run::run(&common, &run),
        Some(Command::Replay(replay)) => replay::replay(&common, &replay),
        Some(Command::Check) => check::check(&common),
    };
    outcome.report()
}
