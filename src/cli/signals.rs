//! Ctrl-C, SIGTERM and the closing of the terminal (SIGHUP): the first asks for an end in order, the second ends the process at once.
//!
//! They are heard on a thread of their own, from [`listen`] to the end of the process: before a job has begun, while it is busy, and
//! while its summary waits for a reader. Once somebody listens the system does nothing by itself any more, so nobody may stop
//! listening.

use std::io;
use std::thread;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::terminal;

/// Ended by a second signal.
const INTERRUPTED: i32 = 130;

/// The first signal, whenever it comes.
pub struct FirstSignal(oneshot::Receiver<()>);

/// Hears every signal from now on.
pub fn listen() -> FirstSignal {
    let (first, heard) = oneshot::channel();
    if let Err(error) = start(first) {
        tracing::warn!(%error, "signals end the process at once");
    }
    FirstSignal(heard)
}

impl FirstSignal {
    /// Waits for it. To be asked once.
    pub async fn come(&mut self) {
        if (&mut self.0).await.is_err() {
            // Nobody listens, and the system ends the process.
            std::future::pending().await
        }
    }
}

fn start(first: oneshot::Sender<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _entered = runtime.enter();
        // Whoever starts it with `nohup` wants it to outlive the terminal.
        let hangup = if is_ignored(SignalKind::hangup()) { None } else { Some(signal(SignalKind::hangup())?) };
        Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup }
    };
    thread::Builder::new().name(String::from("signals")).spawn(move || hear(&runtime, signals, first))?;
    Ok(())
}

fn hear(runtime: &Runtime, mut signals: Signals, first: oneshot::Sender<()>) {
    runtime.block_on(signals.next());
    // Whoever waited for it may have ended by himself.
    let _told = first.send(());
    // A terminal that goes may say so more than once, and nobody is in a hurry then.
    signals.hangup = None;
    runtime.block_on(signals.next());
    terminal::write(
        b"ended by a second signal; what is committed is right; the rest is read again from a cluster, and gone with the embedded broker\n",
    );
    std::process::exit(INTERRUPTED);
}

/// Whether the process was started with this signal ignored, as Linux tells.
fn is_ignored(signal: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw_value() - 1) & 1 == 1)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None`: to be ignored.
    hangup: Option<Signal>,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(_) = of(self.hangup.as_mut()) => {}
        }
    }
}

async fn of(signal: Option<&mut Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}
