//! Parquet files against pyarrow and indicators against `ta`: the same bars, one thread each, in turn.
//!
//! ```text
//! pip install -r tests/foreign/requirements.txt
//! cargo bench --bench peers -- --python python3 --runs 5 --json figures.json
//! cargo bench --bench peers -- --test                        few bars, once
//! ```
//!
//! Ours begins and ends with rows (`Bar`, `FeatureRow`), theirs with columns in memory. What they run is in `benches/peers.py`: pyarrow
//! *tuned* as well as was found for these rows, *plain* with the encodings of our files, and as *usual*, with its own defaults.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::{Deserialize, Serialize};

use stockstream::indicators::state::IndicatorState;
use stockstream::market::bar::Bar;
use stockstream::market::checkpoint::{BarRules, Checkpoint, Commit, CommitNumber, TopicPartition};
use stockstream::market::time::{Span, WindowSize};
use stockstream::settings::Compression;
use stockstream::storage::parquet::{decode_commit, encode_commit};

use support::args::{CargoArgs, write_json};
use support::random_bars::random_bars;
use support::spread::{Spread, print_heading, print_row};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stocks, bars, and passes of each side, of which the best counts: two long histories, the largest commit of 1,000 stocks in
/// 8 partitions, and one of a live market, in which a window of 10,000 stocks in 8 partitions ends.
const DUELS: [(usize, usize, usize); 4] =
    [(1, 1_000_000, 3), (1_000, 1_000_000, 3), (125, ROWS_A_FILE, 30), (1_250, 1_250, 100)];
/// Bars reach the indicators commit by commit.
const ROWS_A_FILE: usize = 10_000;

#[derive(Parser)]
struct Options {
    /// With pyarrow, pandas and ta
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Writes the figures here
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    cargo: CargoArgs,
}

/// Of one file of bars.
#[derive(Default, Serialize)]
struct Duel {
    stocks: usize,
    rows: usize,
    bytes_per_bar: Spread,
    million_bars_written_per_second: Spread,
    million_bars_read_per_second: Spread,
    million_feature_rows_per_second: Spread,
    /// Against pyarrow.
    tuned: Ratios,
    plain: Ratios,
    usual: Ratios,
    /// Against `ta`.
    feature_speed: Spread,
}

/// Ours over theirs.
#[derive(Default, Serialize)]
struct Ratios {
    size: Spread,
    write_speed: Spread,
    read_speed: Spread,
}

/// A file written and read: its size, and seconds.
#[derive(Deserialize)]
struct Pass {
    bytes: usize,
    write: f64,
    read: f64,
}

/// What `benches/peers.py` prints.
#[derive(Deserialize)]
struct Theirs {
    tuned: Pass,
    plain: Pass,
    usual: Pass,
    /// Seconds of the indicators.
    ta: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !options.cargo.mean("peers") {
        return Ok(());
    }
    let duels = match options.cargo.is_smoke() {
        true => vec![(10, ROWS_A_FILE / 10, 1)],
        false => DUELS.to_vec(),
    };
    let dir = tempfile::tempdir()?;
    let mut figures = Vec::new();
    for (stocks, rows, passes) in duels {
        let (bars, file) = (random_bars(stocks, rows), dir.path().join("bars.parquet"));
        let mut duel = Duel { stocks, rows, ..Duel::default() };
        for _ in 0..options.runs {
            let (ours, features) = ours(&bars, &file, passes)?;
            duel.push(&ours, features, &theirs(&options.python, &file, passes)?);
        }
        duel.print();
        figures.push(duel);
    }
    write_json(&figures, options.json.as_deref())
}

/// The file, which is left for the others, and seconds of the features.
fn ours(bars: &[Bar], file: &Path, passes: usize) -> Result<(Pass, f64)> {
    let window = WindowSize::new(Span::from_secs(300)).context("five minutes divide the day")?;
    let rules = BarRules { window, lateness: Span::ZERO, max_ahead: Span::ZERO };
    let mut checkpoint = Checkpoint::genesis(rules, "bench");
    checkpoint.known = bars.iter().map(|bar| (bar.symbol.clone(), checkpoint.cut)).collect();
    let commit = Commit { rows: bars.into(), checkpoint };
    let (partition, number) = (TopicPartition::new("stock_ticks", 0), CommitNumber(1));
    let (write, bytes) = best(passes, || encode_commit(&partition, number, &commit, Compression::Zstd));
    let bytes = bytes?;
    std::fs::write(file, &bytes)?;
    let (read, again) = best(passes, || decode_commit(&bytes));
    ensure!(again?.commit == commit, "what was written is not what is read");
    let (features, computed) = best(passes, || {
        let mut state = IndicatorState::new();
        let files = (1..).map(CommitNumber).zip(bars.chunks(ROWS_A_FILE));
        files.map(|(number, rows)| state.push_file(number, rows).len()).sum::<usize>()
    });
    ensure!(computed == bars.len(), "each bar has features");
    Ok((Pass { bytes: bytes.len(), write, read }, features))
}

/// Seconds of the fastest pass, and what the last one gave.
fn best<R>(passes: usize, work: impl Fn() -> R) -> (f64, R) {
    let pass = || {
        let begun = Instant::now();
        let result = work();
        (begun.elapsed().as_secs_f64(), result)
    };
    let (mut least, mut last) = pass();
    for _ in 1..passes {
        let seconds;
        (seconds, last) = pass();
        least = least.min(seconds);
    }
    (least, last)
}

fn theirs(python: &Path, file: &Path, passes: usize) -> Result<Theirs> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers.py");
    let mut command = Command::new(python);
    let output = command.arg(script).arg(file).arg(passes.to_string()).output();
    let output = output.with_context(|| format!("cannot run {}: give one with --python", python.display()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the others failed; do they have tests/foreign/requirements.txt?\n{error}");
    serde_json::from_slice(&output.stdout).context("no JSON of the others")
}

impl Duel {
    fn push(&mut self, ours: &Pass, features: f64, theirs: &Theirs) {
        let rows = self.rows as f64;
        self.bytes_per_bar.push(ours.bytes as f64 / rows);
        self.million_bars_written_per_second.push(rows / 1e6 / ours.write);
        self.million_bars_read_per_second.push(rows / 1e6 / ours.read);
        self.million_feature_rows_per_second.push(rows / 1e6 / features);
        self.tuned.push(ours, &theirs.tuned);
        self.plain.push(ours, &theirs.plain);
        self.usual.push(ours, &theirs.usual);
        self.feature_speed.push(theirs.ta / features);
    }

    fn print(&self) {
        print_heading(&format!("{} bars of {} stocks, one thread", self.rows, self.stocks));
        print_row("bytes a bar", &self.bytes_per_bar);
        print_row("million bars written a second", &self.million_bars_written_per_second);
        print_row("million bars read a second", &self.million_bars_read_per_second);
        print_row("million feature rows a second", &self.million_feature_rows_per_second);
        for (name, ratios) in [("tuned", &self.tuned), ("plain", &self.plain), ("usual", &self.usual)] {
            print_row(&format!("size, of pyarrow's, {name}"), &ratios.size);
            print_row(&format!("write speed, of pyarrow's, {name}"), &ratios.write_speed);
            print_row(&format!("read speed, of pyarrow's, {name}"), &ratios.read_speed);
        }
        print_row("speed of indicators, of ta's", &self.feature_speed);
    }
}

impl Ratios {
    fn push(&mut self, ours: &Pass, theirs: &Pass) {
        self.size.push(ours.bytes as f64 / theirs.bytes as f64);
        self.write_speed.push(theirs.write / ours.write);
        self.read_speed.push(theirs.read / ours.read);
    }
}
