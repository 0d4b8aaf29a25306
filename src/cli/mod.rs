//! The command line: one module a command, each returning how it ended.

mod args;
mod check;
mod console;
mod live_view;
mod made_with;
mod outcome;
mod replay;
mod run;
pub mod show;
mod signals;
mod terminal;
mod ticks_file;
pub mod verify;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, Common, ShowArgs, VerifyArgs};
use made_with::refuse_other_lake;
use outcome::Outcome;
use show::{ShowRequest, show};
use verify::{LogRequest, OtherCluster, Verdict, VerifyRequest, verify};

use crate::kafka::client::check_properties;
use crate::market::symbol::Symbol;
use crate::settings::{KafkaMode, Loaded, load};

/// How a command prints its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One object on one line.
    Json,
}

/// Runs the program: parses the command line, runs one command, says what went wrong, and returns the exit code.
pub fn main() -> ExitCode {
    #[cfg(feature = "fail-points")]
    let _armed = crate::fail_points::arm();
    let Args { command, common, run } = Args::parse();
    let outcome = match command {
        None => run::run(&common, &run),
        Some(_) if run != args::RunArgs::default() => {
            Outcome::Usage(String::from("--for and --until-end belong to `run`: write them behind it"))
        }
        Some(Command::Run(run)) => run::run(&common, &run),
        Some(Command::Replay(replay)) => replay::replay(&common, &replay),
        Some(Command::Check) => check::check(&common),
        Some(Command::Show(args)) => show_rows(&common, &args),
        Some(Command::Verify(args)) => verify_lake(&common, args),
    };
    outcome.report()
}

/// The settings of this process; everything that is wrong with them ends it with exit code 2.
fn settings_of(common: &Common) -> Result<Loaded, Outcome> {
    let loaded = load(&common.sources()).map_err(|errors| Outcome::Usage(errors.to_string()))?;
    refuse_bad_properties(&loaded)?;
    Ok(loaded)
}

/// The same for a command that writes to the lake: they must be those that the lake was made with.
fn settings_for_lake(common: &Common) -> Result<Loaded, Outcome> {
    let loaded = settings_of(common)?;
    refuse_other_lake(&loaded).map_err(|errors| Outcome::Usage(errors.to_string()))?;
    Ok(loaded)
}

fn refuse_bad_properties(loaded: &Loaded) -> Result<(), Outcome> {
    check_properties(&loaded.settings.kafka).map_err(|error| Outcome::Usage(error.to_string()))
}

fn show_rows(common: &Common, args: &ShowArgs) -> Outcome {
    let settings = match settings_of(common) {
        Ok(loaded) => loaded.settings,
        Err(outcome) => return outcome,
    };
    let symbol = match args.symbol.as_deref().map(Symbol::new).transpose() {
        Ok(symbol) => symbol,
        Err(error) => return Outcome::Usage(error.to_string()),
    };
    // One stock's history, or the newest of all.
    let last = args.last.unwrap_or(if symbol.is_some() { 10 } else { 1 });
    let last = usize::try_from(last).unwrap_or(usize::MAX);
    let request = ShowRequest { lake: settings.lake.dir, symbol, last, format: common.format() };
    match show(&request, &mut io::stdout().lock()) {
        Ok(()) => Outcome::Done,
        Err(error) => error.into(),
    }
}

fn verify_lake(common: &Common, args: VerifyArgs) -> Outcome {
    let settings = match settings_of(common) {
        Ok(loaded) => loaded.settings,
        Err(outcome) => return outcome,
    };
    if args.against_log && settings.kafka.mode == KafkaMode::Embedded {
        return Outcome::Usage(String::from(
            "--against-log needs the cluster that the lake was made from (kafka.mode = \"cluster\"): the log of the embedded \
             broker ended with its process",
        ));
    }
    let stocks = settings.symbols().collect();
    let request = VerifyRequest {
        lake: settings.lake.dir,
        format: common.format(),
        against_log: args.against_log.then_some(LogRequest { kafka: settings.kafka, stocks }),
        repair: args.repair.then_some(settings.lake.compression),
    };
    match verify(&request, &mut io::stdout().lock()) {
        Ok(Verdict::Sound) => Outcome::Done,
        Ok(Verdict::Unsound) => Outcome::Unsound,
        Err(error) if error.is::<OtherCluster>() => Outcome::Usage(error.to_string()),
        Err(error) => error.into(),
    }
}
