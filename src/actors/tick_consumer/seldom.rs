//! Log lines that could come a million times come once in a while.

use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

/// Between two lines of the same kind.
const SAY_AGAIN: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Seldom {
    quiet_until: FxHashMap<&'static str, Instant>,
}

impl Seldom {
    /// Whether a line of this kind may be said now; then it counts as said.
    pub fn may_say(&mut self, what: &'static str, now: Instant) -> bool {
        let quiet = self.quiet_until.get(what).is_some_and(|until| now < *until);
        if !quiet {
            self.quiet_until.insert(what, now + SAY_AGAIN);
        }
        !quiet
    }
}
