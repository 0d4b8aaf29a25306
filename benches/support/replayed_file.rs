//! A file of ticks through the embedded broker, which is producer, broker and the whole flow in one process: speed and memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::Value;

use super::process::{Measured, MemorySample, measure};
use super::spread::{Spread, print_heading, print_row};
use super::work::{KEYED_PARTITIONS, Universe, Work, layout_name};
use stockstream::settings::Layout;

/// What the replays measured.
#[derive(Debug, Default, Serialize)]
pub struct Replays {
    layout: &'static str,
    ticks: usize,
    million_ticks_per_second: Spread,
    cpu_seconds_per_million: Spread,
    peak_rss_mb: Spread,
    /// Resident memory when this share of the time had passed: mean over a twentieth of the time.
    rss_mb_at: Vec<(&'static str, Spread)>,
}

/// Replays a generated file.
///
/// # Errors
/// When anything fails, or a tick is lost.
pub fn replay(layout: Layout, ticks: usize, rounds: usize) -> Result<Replays> {
    let dir = tempfile::tempdir()?;
    let (file, settings) = (dir.path().join("ticks.csv"), dir.path().join("settings.toml"));
    let layout_text = layout_name(layout);
    std::fs::write(&settings, format!("[kafka]\nlayout = \"{layout_text}\"\npartitions = {KEYED_PARTITIONS}\n"))?;
    let mut out = BufWriter::new(File::create(&file)?);
    let (mut work, mut buffer) = (Work::new(Universe::of(layout)), Vec::new());
    for _ in 0..ticks {
        out.write_all(work.next_line(&mut buffer).payload)?;
        out.write_all(b"\n")?;
    }
    out.into_inner()?;
    let mut replays = Replays { layout: layout_text, ticks, ..Replays::default() };
    replays.rss_mb_at = ["10 %", "50 %", "90 %"].map(|share| (share, Spread::default())).to_vec();
    for round in 0..rounds {
        let measured = measure(
            Command::new(env!("CARGO_BIN_EXE_stockstream"))
                .arg("replay")
                .arg(&file)
                .arg("--settings")
                .arg(&settings)
                .arg("--lake")
                .arg(dir.path().join(format!("lake-{round}")))
                .arg("--json"),
        )?;
        replays.push(&measured)?;
    }
    Ok(replays)
}

impl Replays {
    fn push(&mut self, measured: &Measured) -> Result<()> {
        let summary: Value = measured.json()?;
        ensure!(summary["read"] == self.ticks, "not every tick was read: {summary}");
        ensure!(summary["in_bars"] == self.ticks, "not every tick is in a bar: {summary}");
        self.million_ticks_per_second.push(summary["ticks_per_second"].as_f64().unwrap_or(f64::NAN) / 1e6);
        self.cpu_seconds_per_million.push(measured.cpu_seconds * 1e6 / self.ticks as f64);
        self.peak_rss_mb.push(measured.peak_rss_mb);
        for ((_, spread), share) in self.rss_mb_at.iter_mut().zip([0.1, 0.5, 0.9]) {
            spread.push(around(&measured.memory, measured.wall, share));
        }
        Ok(())
    }

    pub fn print(&self) {
        print_heading(&format!("replay of a file on the embedded broker, {}, {} ticks", self.layout, self.ticks));
        print_row("million ticks a second", &self.million_ticks_per_second);
        print_row("CPU seconds a million ticks (producer and broker too)", &self.cpu_seconds_per_million);
        for (share, spread) in &self.rss_mb_at {
            print_row(&format!("memory after {share} of the time, MB"), spread);
        }
        print_row("peak memory, MB", &self.peak_rss_mb);
    }
}

/// The mean of the samples around a share of the whole time.
fn around(memory: &[MemorySample], whole: Duration, share: f64) -> f64 {
    let (from, to) = (whole.mul_f64(share - 0.025), whole.mul_f64(share + 0.025));
    let near: Vec<f64> =
        memory.iter().filter(|sample| (from..=to).contains(&sample.after)).map(|sample| sample.rss_mb).collect();
    near.iter().sum::<f64>() / near.len() as f64
}
