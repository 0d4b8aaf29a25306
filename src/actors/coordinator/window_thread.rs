//! The thread of the windows. One that is stuck is left behind, for nothing can end it, and another one takes its place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, Arbiter, ArbiterHandle};

use crate::actors::bar_window::BarWindow;
use crate::actors::pulse::Pulse;
use crate::actors::tick_consumer::WindowHandle;

/// Cheap to clone; all clones are the same thread.
#[derive(Clone)]
pub struct WindowThread(Arc<Mutex<Current>>);

struct Current {
    handle: ArbiterHandle,
    pulse: Pulse,
    /// `None` once it has ended.
    arbiter: Option<Arbiter>,
}

impl Current {
    fn start() -> Self {
        let arbiter = Arbiter::new();
        Self { handle: arbiter.handle(), pulse: Pulse::of(arbiter.handle()), arbiter: Some(arbiter) }
    }
}

impl WindowThread {
    pub fn start() -> Self {
        Self(Arc::new(Mutex::new(Current::start())))
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn spawn(&self, make: impl FnOnce() -> BarWindow + Send + 'static) -> WindowHandle {
        let window = BarWindow::start_in_arbiter(&self.current().handle, move |_| make());
        WindowHandle { ticks: window.clone().recipient(), barriers: window.recipient() }
    }

    /// When it has been silent for so long: goes on with a fresh thread, and says how long it was.
    pub fn replace_if_stuck(&self, stuck_after: Duration) -> Option<Duration> {
        let mut current = self.current();
        let silent = current.pulse.silent_for();
        (silent >= stuck_after).then(|| {
            *current = Current::start();
            silent
        })
    }

    /// Ends the thread that is in use now, and waits for it.
    pub fn join(self) {
        let arbiter = self.current().arbiter.take();
        if let Some(arbiter) = arbiter {
            arbiter.stop();
            // A thread that panicked has said so already.
            let _panicked = arbiter.join();
        }
    }
}
