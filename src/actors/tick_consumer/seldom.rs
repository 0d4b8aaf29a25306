//! Log lines that could come a million times come once in a while.

use std::time::Duration;

use tokio::time::Instant;

/// Between two lines of the same kind.
const SAY_AGAIN: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Seldom {
    /// Of each kind, of which there are a few.
    quiet_until: Vec<(&'static str, Instant)>,
}

impl Seldom {
    /// Whether a line of this kind may be said now; then it counts as said.
    pub fn may_say(&mut self, what: &'static str, now: Instant) -> bool {
        match self.quiet_until.iter_mut().find(|(kind, _)| *kind == what) {
            Some((_, until)) if now < *until => return false,
            Some((_, until)) => *until = now + SAY_AGAIN,
            None => self.quiet_until.push((what, now + SAY_AGAIN)),
        }
        true
    }
}
