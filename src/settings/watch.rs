//! Notices that the content of settings files changed.
//!
//! Editors replace files, Kubernetes swaps symbolic links, and a file may not be there yet: so the directories above the files
//! are watched, and what counts is whether the bytes differ. Events of the file system only make it quick; without any (network
//! file systems, links into other directories) looking once a second finds the change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use notify_debouncer_full::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};

use super::sources::read_bounded;

/// How long events are gathered before they are looked at.
const GATHER: Duration = Duration::from_millis(200);
/// How often the gathered events are looked through.
const TICK: Duration = Duration::from_millis(100);
/// How long the content must stay the same before it counts: a file that is being written, or written often, is one change.
const QUIET: Duration = Duration::from_millis(300);
/// Content that changes without pause is reported this often all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look without any event.
const LOOK: Duration = Duration::from_secs(1);

enum Wake {
    Event,
    Stop,
}

/// Watches until it is dropped; dropping waits for its threads, and so for a callback that is running.
pub struct SettingsWatcher {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

impl SettingsWatcher {
    /// Calls `on_change` on a thread of its own, once a burst of changes, each time the content of any of the files came to
    /// differ from what it was at this call or at the last callback. A file that is not there is a content too.
    ///
    /// # Errors
    /// When no thread can be started. A file system that cannot be watched is no error, it is looked at once a second.
    pub fn start(files: Vec<PathBuf>, on_change: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (wake, woken) = channel();
        let events = Directories::new(&files, wake.clone());
        // Read before returning: what changes after this call is seen.
        let known = content(&files);
        let watch = Watch { files, known, woken, events };
        let thread = std::thread::Builder::new().name("settings-watch".into()).spawn(move || watch.run(on_change))?;
        Ok(Self { wake, thread: Some(thread) })
    }
}

impl Drop for SettingsWatcher {
    fn drop(&mut self) {
        // A thread that is gone already needs no message.
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the watcher of the settings files panicked");
        }
    }
}

/// Bytes of each file, `None` where there is none that can be read.
type Content = Vec<Option<Vec<u8>>>;

fn content(files: &[PathBuf]) -> Content {
    files.iter().map(|file| read_bounded(file).ok()).collect()
}

/// What has to stay the same for a burst to be over. The times of the last writes are part of it: a program that empties the
/// file before each save would else look quiet to whoever reads it empty twice.
#[derive(PartialEq)]
struct Look {
    written: Vec<Option<SystemTime>>,
    content: Content,
}

impl Look {
    fn at(files: &[PathBuf]) -> Self {
        // The times first: a write after them shows in the next look.
        let written = files.iter().map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok()).collect();
        Self { written, content: content(files) }
    }
}

struct Watch {
    files: Vec<PathBuf>,
    known: Content,
    woken: Receiver<Wake>,
    events: Directories,
}

impl Watch {
    fn run(mut self, on_change: impl Fn()) {
        loop {
            match self.woken.recv_timeout(LOOK) {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Wake::Event) => {}
                Err(RecvTimeoutError::Timeout) => self.events.watch_new(),
            }
            let seen = Look::at(&self.files);
            if seen.content == self.known {
                continue;
            }
            let Some(settled) = self.settle(seen) else { break };
            if settled != self.known {
                self.known = settled;
                on_change();
            }
        }
        self.events.stop();
    }

    /// Waits until the content has stayed the same for a while; `None` when told to stop.
    fn settle(&self, mut seen: Look) -> Option<Content> {
        let out_of_patience = Instant::now() + PATIENCE;
        let mut quiet_at = Instant::now() + QUIET;
        loop {
            match self.woken.recv_timeout(quiet_at.saturating_duration_since(Instant::now())) {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(Wake::Event) | Err(RecvTimeoutError::Timeout) => {}
            }
            let look = Look::at(&self.files);
            let now = Instant::now();
            if now >= out_of_patience || (look == seen && now >= quiet_at) {
                return Some(look.content);
            }
            if look != seen {
                (seen, quiet_at) = (look, now + QUIET);
            }
        }
    }
}

/// The directories above the files, as far as they can be watched.
struct Directories {
    debouncer: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
    unwatched: Vec<PathBuf>,
}

impl Directories {
    fn new(files: &[PathBuf], wake: Sender<Wake>) -> Self {
        let mut unwatched: Vec<PathBuf> = files.iter().map(|file| directory_of(file)).collect();
        unwatched.sort();
        unwatched.dedup();
        let notice = move |result: DebounceEventResult| {
            // Reading a file is an event too; woken by its own reading the watcher would never rest.
            let matters = result.map_or(true, |events| events.iter().any(|event| !event.kind.is_access()));
            if matters {
                // The receiver goes last, with the debouncer.
                let _ = wake.send(Wake::Event);
            }
        };
        let debouncer = new_debouncer(GATHER, Some(TICK), notice)
            .inspect_err(
                |error| tracing::warn!(%error, "cannot watch the settings files, looking at them every second"),
            )
            .ok();
        let mut directories = Self { debouncer, unwatched };
        directories.watch_new();
        directories
    }

    /// Watches those that exist by now.
    fn watch_new(&mut self) {
        if let Some(debouncer) = &mut self.debouncer {
            self.unwatched.retain(|directory| debouncer.watch(directory, RecursiveMode::NonRecursive).is_err());
        }
    }

    fn stop(self) {
        if let Some(debouncer) = self.debouncer {
            debouncer.stop();
        }
    }
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
