//! Whether a thread still gets around to what it is asked.
//!
//! The handlers of our actors are synchronous, so an actor is stuck exactly when its thread is; and one that is only slow, or has much
//! to do, still answers between two messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::ArbiterHandle;
use tokio::time::Instant;

/// A longer time between two looks counts as this much: then it was the one who looks that did not run, or the whole process was stopped.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// Asks a thread for a sign of life, again and again.
pub struct Pulse {
    thread: ArbiterHandle,
    answered: Arc<AtomicBool>,
    looked_at: Instant,
    silent: Duration,
}

impl Pulse {
    pub fn of(thread: ArbiterHandle) -> Self {
        Self { thread, answered: Arc::new(AtomicBool::new(true)), looked_at: Instant::now(), silent: Duration::ZERO }
    }

    /// How long it has owed an answer. To be called several times a second.
    pub fn silent_for(&mut self) -> Duration {
        let now = Instant::now();
        if self.answered.swap(false, Ordering::Relaxed) {
            self.silent = Duration::ZERO;
            let answered = self.answered.clone();
            // A thread that has ended never answers.
            let _taken = self.thread.spawn_fn(move || answered.store(true, Ordering::Relaxed));
        } else {
            self.silent += now.duration_since(self.looked_at).min(LONGEST_STEP);
        }
        self.looked_at = now;
        self.silent
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::sleep;

    use actix::Arbiter;

    use super::*;

    /// Looks until this holds of the silence.
    fn until(pulse: &mut Pulse, holds: impl Fn(Duration) -> bool) {
        while !holds(pulse.silent_for()) {
            sleep(Duration::from_millis(5));
        }
    }

    #[actix::test]
    async fn a_blocked_thread_is_silent_for_longer_and_longer_and_is_forgiven_when_it_goes_on() {
        let thread = Arbiter::new();
        let mut pulse = Pulse::of(thread.handle());
        assert_eq!(pulse.silent_for(), Duration::ZERO);
        let (go_on, blocked) = mpsc::channel::<()>();
        thread.spawn_fn(move || assert!(blocked.recv().is_err(), "told by the end of the channel"));
        until(&mut pulse, |silent| silent > Duration::from_millis(100));
        drop(go_on);
        until(&mut pulse, |silent| silent.is_zero());
        thread.stop();
        thread.join().unwrap();
    }

    #[actix::test]
    async fn who_did_not_look_for_an_hour_takes_nobody_for_stuck() {
        tokio::time::pause();
        let thread = Arbiter::new();
        let (go_on, blocked) = mpsc::channel::<()>();
        thread.spawn_fn(move || assert!(blocked.recv().is_err(), "told by the end of the channel"));
        let mut pulse = Pulse::of(thread.handle());
        pulse.silent_for();
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(pulse.silent_for(), LONGEST_STEP);
        drop(go_on);
        thread.stop();
        thread.join().unwrap();
    }
}
