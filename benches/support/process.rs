//! Runs a program as a child process and measures it from outside, by `/proc`: so Linux only.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(20);
/// Longer than any measurement takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(900);
/// The unit of CPU time in `/proc`, fixed by Linux's interface.
const JIFFIES_PER_SECOND: f64 = 100.0;

/// A child that ended with exit code 0.
pub struct Measured {
    pub stdout: String,
    pub stderr: String,
    pub wall: Duration,
    /// User and system, all threads, from start to exit.
    pub cpu_seconds: f64,
    pub memory: Vec<MemorySample>,
    pub peak_rss_mb: f64,
}

/// Resident memory at one moment.
#[derive(Clone, Copy)]
pub struct MemorySample {
    pub after: Duration,
    pub rss_mb: f64,
}

impl Measured {
    /// When it was first looked at after so long a time.
    pub fn rss_mb_at(&self, after: Duration) -> Option<f64> {
        self.memory.iter().find(|sample| sample.after >= after).map(|sample| sample.rss_mb)
    }

    /// The last line of stdout as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        let last = self.stdout.lines().last().context("nothing on stdout")?;
        serde_json::from_str(last).with_context(|| format!("no JSON: {last}"))
    }
}

/// Runs the command to its end.
///
/// # Errors
/// When it cannot be started, fails, or hangs.
pub fn measure(command: &mut Command) -> Result<Measured> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = Pid::from_child(&child);
    let stdout = reader(child.stdout.take().context("stdout is piped")?);
    let stderr = reader(child.stderr.take().context("stderr is piped")?);
    let (mut memory, mut peak_rss_mb) = (Vec::new(), 0.0);
    // The status is left in place: CPU time can be read until the child is waited for.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while waitid(WaitId::Pid(pid), options)?.is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
        if let (Some(rss_mb), Some(peak)) = (megabytes(&status, "VmRSS:"), megabytes(&status, "VmHWM:")) {
            memory.push(MemorySample { after: started.elapsed(), rss_mb });
            peak_rss_mb = peak;
        }
        if started.elapsed() > PATIENCE {
            child.kill()?;
            bail!("still running after {PATIENCE:?}: {command:?}");
        }
        thread::sleep(LOOK);
    }
    let wall = started.elapsed();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    let status = child.wait()?;
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    ensure!(status.success(), "{command:?} ended with {status}:\n{stdout}\n{stderr}");
    Ok(Measured { stdout, stderr, wall, cpu_seconds: cpu_seconds(&stat)?, memory, peak_rss_mb })
}

fn reader(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        // What came before an error is all there is.
        let _cut_short = from.read_to_string(&mut text);
        text
    })
}

/// A line `name  123456 kB` of `/proc/<pid>/status`.
fn megabytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Fields 14 and 15 of `/proc/<pid>/stat`; the second field may hold blanks, and ends with the last parenthesis.
fn cpu_seconds(stat: &str) -> Result<f64> {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let jiffies: Vec<f64> = after_name.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    ensure!(jiffies.len() == 2, "no CPU time in {stat}");
    Ok(jiffies.iter().sum::<f64>() / JIFFIES_PER_SECOND)
}

/// CPU seconds of the calling thread so far.
pub fn thread_cpu_seconds() -> Result<f64> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: f64 = schedstat.split_whitespace().next().context("an empty schedstat")?.parse()?;
    Ok(nanos / 1e9)
}
