//! What the command line may say.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use super::OutputFormat;
use crate::settings::{Override, Sources};

/// Turns a stream of stock ticks into a lake of bars and indicators.
///
/// Without a command: `run`. Without settings: four stocks with simulated prices, a broker inside the process, the lake in ./lake.
/// Results go to stdout, logs and the live view to stderr.
///
/// Exit codes: 0 done (also after Ctrl-C with a clean drain), 1 failed while running, 2 wrong usage or settings or a path that cannot
/// be used, 3 `verify` found something wrong, 130 ended by a second signal.
#[derive(Debug, Parser)]
#[command(version, about, long_about, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Produce, consume and commit until stopped (the default)
    ///
    /// Starts a simulated producer for every stock of the settings (unless `producer.enabled = false`), reads the ticks back from
    /// Kafka, and commits bars and features. Edit a settings file to add, remove or change stocks while it runs. Ctrl-C, SIGTERM or a
    /// closed terminal drains and prints a summary; a second signal ends at once (the lake is right either way).
    #[command(after_help = "Examples:
  stockstream run --for 10m
  stockstream run --settings mine.toml --lake /data/lake
  stockstream run --until-end --json                        read what a cluster has, then stop")]
    Run(RunArgs),
    /// Send a file of ticks through Kafka and the whole flow, close all windows, and stop
    ///
    /// Timestamps are RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC) or epochs. Ticks may be out of order by as much as `market.lateness`; what
    /// comes later is counted as late. Give a file a lake of its own: bars of a simulation and of a file do not belong together.
    #[command(after_help = "Examples:
  stockstream replay ticks.csv.gz --lake ./history
  zcat ticks.csv.gz | grep ,AAPL, | stockstream replay - --lake ./apple
  stockstream replay ticks.csv --rate 60 --symbols AAPL,MSFT --lake ./history")]
    Replay(ReplayArgs),
    /// Validate the settings, also against the lake if there is one, and print each value and where it comes from
    #[command(after_help = "Examples:
  stockstream check --settings mine.toml
  stockstream check --json | python3 -m json.tool")]
    Check,
    /// Print the newest bars and features of the lake as a table
    #[command(after_help = "Examples:
  stockstream show                      the newest row of every stock
  stockstream show AAPL --last 20")]
    Show(ShowArgs),
    /// Check the whole lake: every bar once, in order, features equal to recomputed ones; exit code 3 if not
    ///
    /// Every finding says what helps. May run while another process writes to the lake, unless it is to repair something.
    #[command(after_help = "Examples:
  stockstream verify --lake /data/lake
  stockstream verify --against-log --settings mine.toml
  stockstream verify --repair --json")]
    Verify(VerifyArgs),
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Settings file; may be given several times, a later one overrides an earlier one
    ///
    /// Without it settings/local.toml is read if it is there (and watched either way), or settings/$STOCKSTREAM_ENV.toml. Single
    /// keys: environment variables such as STOCKSTREAM__MARKET__WINDOW=1m.
    #[arg(long, global = true, value_name = "FILE", action = ArgAction::Append)]
    pub settings: Vec<PathBuf>,
    /// Directory of the lake [default: lake.dir of the settings, ./lake]
    #[arg(long, global = true, value_name = "DIR")]
    pub lake: Option<PathBuf>,
    /// Print the result as one JSON object on one line, the last of stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Form of the log lines on stderr [default: log.format of the settings, text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormatArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    Text,
    Json,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct RunArgs {
    /// Stop by itself after this long, as at Ctrl-C (60s, 5m, 1h 30m)
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub for_duration: Option<Duration>,
    /// Stop when every partition has been read to the end it had at the start (cluster only)
    ///
    /// Runs no simulation. What the watermark has not passed stays open, and is read again at the next start.
    #[arg(long)]
    pub until_end: bool,
}

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Lines of `timestamp,symbol,price[,volume]`; may be gzipped; `-` is stdin, read to its end before anything is published
    pub file: PathBuf,
    /// `max`, or how many times real time by event time
    #[arg(long, default_value = "max", value_name = "max|N", value_parser = rate)]
    pub rate: crate::actors::replay_producer::ReplayRate,
    /// Stocks to read, or `settings` for those of the settings [default: all in the file]
    ///
    /// Ticks of other symbols count as unknown.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub symbols: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct VerifyArgs {
    /// Read the log again and compare every bar that it still gives (cluster only)
    ///
    /// Reads from the oldest record that the cluster keeps up to where the lake is; joins no group.
    #[arg(long)]
    pub against_log: bool,
    /// Make again what can be made again from what the lake holds, and say what cannot; then check again
    ///
    /// Features, published files that the chain still holds, entries of the chain that are still published, leftovers. No process
    /// may have the lake open meanwhile.
    #[arg(long)]
    pub repair: bool,
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Only this stock
    pub symbol: Option<String>,
    /// How many rows of each stock [default: 10 for one stock, 1 for all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub last: Option<u64>,
}

impl Common {
    /// How results are printed.
    pub fn format(&self) -> OutputFormat {
        if self.json { OutputFormat::Json } else { OutputFormat::Text }
    }

    /// Where the settings of this process come from.
    pub fn sources(&self) -> Sources {
        let lake = self.lake.as_ref().map(|dir| Override::new("lake.dir", &dir.to_string_lossy(), "--lake"));
        let format = self.log_format.map(|format| {
            let name = match format {
                LogFormatArg::Text => "text",
                LogFormatArg::Json => "json",
            };
            Override::new("log.format", name, "--log-format")
        });
        Sources::from_process(self.settings.clone(), lake.into_iter().chain(format).collect())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime_serde::re::humantime::parse_duration(text).map_err(|error| format!("{error}; write 60s, 5m or 1h 30m"))
}

fn rate(text: &str) -> Result<crate::actors::replay_producer::ReplayRate, String> {
    use crate::actors::replay_producer::ReplayRate;
    match text.parse::<f64>() {
        _ if text == "max" => Ok(ReplayRate::Max),
        Ok(times) if times > 0.0 && times.is_finite() => Ok(ReplayRate::TimesRealTime(times)),
        _ => Err(String::from("write max, or a number above 0 such as 10")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_and_its_options_need_no_command() {
        let args = Args::try_parse_from(["stockstream", "--for", "60s", "--lake", "x"]).unwrap();
        assert!(args.command.is_none());
        assert_eq!(args.run.for_duration, Some(Duration::from_secs(60)));
        assert_eq!(args.common.lake, Some(PathBuf::from("x")));
    }

    #[test]
    fn a_bad_rate_says_what_to_write() {
        let error = Args::try_parse_from(["stockstream", "replay", "f", "--rate", "0"]).unwrap_err();
        assert!(error.to_string().contains("max, or a number above 0"), "{error}");
    }
}
