//! The program as a child process, as a user starts it: its own directory, its own environment, and a limit in time.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

/// Longer than any step of these tests takes on a slow machine; what is not over by then hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// A command line that is not started yet.
pub struct Program {
    command: Command,
    stdin: Input,
}

/// What a program finds on its stdin.
enum Input {
    Bytes(Vec<u8>),
    /// Nothing, and no end.
    Endless,
}

impl Program {
    /// `dir` is the working directory: without `--lake` the lake is `dir/lake`.
    pub fn new(dir: &Path, arguments: &[&str]) -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_stockstream")), dir, arguments)
    }

    /// Started as by `nohup`: SIGHUP is ignored.
    pub fn without_hangups(dir: &Path, arguments: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_stockstream")]);
        Self::of(shell, dir, arguments)
    }

    fn of(mut command: Command, dir: &Path, arguments: &[&str]) -> Self {
        command.current_dir(dir).args(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STOCKSTREAM") {
                command.env_remove(name);
            }
        }
        Self { command, stdin: Input::Bytes(Vec::new()) }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = Input::Bytes(bytes.to_vec());
        self
    }

    /// Whoever writes to it does not come to an end.
    pub fn endless_stdin(mut self) -> Self {
        self.stdin = Input::Endless;
        self
    }

    pub fn start(mut self) -> Running {
        let command = self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, out) = collect(child.stdout.take().unwrap());
        let (stderr, err) = collect(child.stderr.take().unwrap());
        let mut threads = vec![out, err];
        // The child keeps what is not taken from it, open.
        if let Input::Bytes(bytes) = self.stdin {
            let mut stdin = child.stdin.take().unwrap();
            // A program that does not read its input closes it: no fault of the test.
            threads.push(std::thread::spawn(move || drop(stdin.write_all(&bytes))));
        }
        Running { child, stdout, stderr, threads }
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Ended {
        self.start().end()
    }
}

type Lines = Arc<Mutex<Vec<String>>>;

fn collect(stream: impl Read + Send + 'static) -> (Lines, JoinHandle<()>) {
    let lines = Lines::default();
    let kept = lines.clone();
    let read = move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            kept.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    };
    (lines, std::thread::spawn(read))
}

/// A started program; killed when dropped.
pub struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().join("\n")
    }

    /// Waits until the condition holds, while the program runs.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?} while waiting until {what}:\n{}", self.stderr());
            assert!(Instant::now() < deadline, "in vain: waiting until {what}:\n{}", self.stderr());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits for this many lines on stderr that hold the text.
    #[track_caller]
    pub fn until_said(&mut self, text: &str, times: usize) {
        let stderr = self.stderr.clone();
        let said = move || stderr.lock().unwrap().iter().filter(|line| line.contains(text)).count() >= times;
        self.until(&format!("it says {text:?} {times} times"), said);
    }

    /// Waits for a line on stderr that is exactly this.
    #[track_caller]
    pub fn until_line(&mut self, wanted: &str) {
        let stderr = self.stderr.clone();
        let said = move || stderr.lock().unwrap().iter().any(|line| line == wanted);
        self.until(&format!("it says just {wanted:?}"), said);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(LOOK),
                None => panic!("still running after {PATIENCE:?}:\n{}", self.stderr()),
            }
        };
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        let text = |lines: &Lines| lines.lock().unwrap().join("\n");
        Ended { code: status.code(), stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What a program left behind.
#[derive(Debug)]
pub struct Ended {
    /// `None`: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// It ended well; returns what it says it did, which adds up.
    #[track_caller]
    pub fn summary(&self) -> Summary {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.summary_of_failure()
    }

    /// The same when it did not end well.
    #[track_caller]
    pub fn summary_of_failure(&self) -> Summary {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("no summary:\n{}", self.stderr));
        let summary: Summary = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
        let s = &summary;
        let parts = s.in_bars + s.late + s.malformed + s.future + s.unknown + s.skipped_replayed;
        assert_eq!(s.read as i64, parts as i64 + s.open, "conservation: {s:?}");
        summary
    }

    /// It ended with this exit code, and said this on stdout.
    #[track_caller]
    pub fn says(&self, code: i32, text: &str) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert!(self.stdout.contains(text), "{text:?} is not in: {}", self.stdout);
    }

    /// It failed with this exit code, and said what is asked for, without a panic.
    #[track_caller]
    pub fn refused(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        for text in says {
            assert!(self.stderr.contains(text), "{text:?} is not in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// The last line of stdout with `--json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    pub read: u64,
    pub in_bars: u64,
    pub open: i64,
    pub late: u64,
    pub malformed: u64,
    pub future: u64,
    pub unknown: u64,
    pub skipped_replayed: u64,
    pub bars: u64,
    pub feature_rows: u64,
    pub commits: u64,
    pub restarts: u64,
    pub seconds: f64,
    pub ticks_per_second: f64,
    // of a replay
    pub published: Option<u64>,
    pub skipped: Option<u64>,
    pub complete: Option<bool>,
    #[serde(default)]
    pub malformed_lines: Vec<MalformedLine>,
    pub malformed_lines_unlisted: Option<u64>,
}

/// A line of a replayed file that is no tick.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MalformedLine {
    pub line: u64,
    pub reason: String,
}

impl Summary {
    /// late, malformed, future, unknown
    pub fn dropped(&self) -> [u64; 4] {
        [self.late, self.malformed, self.future, self.unknown]
    }
}
