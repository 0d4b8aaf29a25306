//! Ctrl-C and SIGTERM: the first asks for an end in order, the second ends the process at once.
//!
//! They are heard on a thread of their own, from [`listen`] to the end of the process: before a job has begun, while it is busy, and
//! while its summary waits for a reader. Once somebody listens the system does nothing by itself any more, so nobody may stop
//! listening.

use std::io;
use std::thread;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

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
        Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? }
    };
    thread::Builder::new().name(String::from("signals")).spawn(move || hear(&runtime, signals, first))?;
    Ok(())
}

fn hear(runtime: &Runtime, mut signals: Signals, first: oneshot::Sender<()>) {
    runtime.block_on(signals.next());
    // Whoever waited for it may have ended by himself.
    let _told = first.send(());
    runtime.block_on(signals.next());
    eprintln!(
        "ended by a second signal; what is committed is right; the rest is read again from a cluster, and gone with the embedded broker"
    );
    std::process::exit(INTERRUPTED);
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
