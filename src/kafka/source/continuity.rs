//! Whether what the client gives of a partition goes on where it stopped.
//!
//! librdkafka remembers at each pause, also at its own during a rebalance, where to go on. A control record (the end of a transaction)
//! that it throws away together with the records before it moves that place behind them, and they would never come. So after anything
//! that may have paused it, the first thing that comes must go on where the last one stopped; else the client is sent back there,
//! once: what does not come then is not in the log.

use crate::market::checkpoint::NextOffset;

pub(super) struct Continuity {
    /// Behind the last thing that was taken from the client.
    taken: NextOffset,
    doubted: bool,
    broken: bool,
}

impl Continuity {
    /// Of a partition that begins there.
    pub fn new(start: NextOffset) -> Self {
        Self { taken: start, doubted: true, broken: false }
    }

    /// Whether this is to be taken: a record, or an end of the log (then both are the same offset).
    pub fn admits(&mut self, offset: i64, behind: i64) -> bool {
        self.broken |= self.doubted && offset > self.taken.0;
        if self.broken || offset < self.taken.0 {
            return false;
        }
        self.doubted = false;
        self.taken = NextOffset(behind);
        true
    }

    /// The client may have been paused.
    pub fn doubt(&mut self) {
        self.doubted = true;
    }

    /// Where the client has to be sent back to.
    pub fn broken_at(&self) -> Option<NextOffset> {
        self.broken.then_some(self.taken)
    }

    /// It was: whatever comes first now is what the log has there.
    pub fn sent_back(&mut self) {
        (self.doubted, self.broken) = (false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these records are taken.
    fn taken(continuity: &mut Continuity, offsets: impl IntoIterator<Item = i64>) -> Vec<i64> {
        offsets.into_iter().filter(|offset| continuity.admits(*offset, offset + 1)).collect()
    }

    #[test]
    fn records_that_a_pause_has_lost_are_asked_for_again() {
        let mut continuity = Continuity::new(NextOffset(0));
        assert_eq!(taken(&mut continuity, 0..7), (0..7).collect::<Vec<_>>());
        continuity.doubt();
        assert!(taken(&mut continuity, 52..60).is_empty());
        assert_eq!(continuity.broken_at(), Some(NextOffset(7)));
        assert!(taken(&mut continuity, 7..60).is_empty(), "not sent back yet");
        continuity.sent_back();
        assert_eq!(taken(&mut continuity, 7..60), (7..60).collect::<Vec<_>>());
        assert_eq!(continuity.broken_at(), None);
    }

    #[test]
    fn a_hole_in_the_log_is_believed_at_once_or_after_a_look() {
        let mut continuity = Continuity::new(NextOffset(0));
        assert_eq!(taken(&mut continuity, [0, 1, 5]), [0, 1, 5], "nothing has paused");
        continuity.doubt();
        assert!(taken(&mut continuity, [8]).is_empty());
        continuity.sent_back();
        assert_eq!(taken(&mut continuity, [8, 9]), [8, 9]);
    }

    #[test]
    fn an_end_of_the_log_behind_lost_records_is_none() {
        let mut continuity = Continuity::new(NextOffset(7));
        assert!(!continuity.admits(52, 52));
        assert_eq!(continuity.broken_at(), Some(NextOffset(7)));
        continuity.sent_back();
        assert!(continuity.admits(52, 52), "control records stand there");
        continuity.doubt();
        assert!(continuity.admits(52, 52), "told again");
    }

    #[test]
    fn what_comes_twice_is_taken_once() {
        let mut continuity = Continuity::new(NextOffset(0));
        assert_eq!(taken(&mut continuity, [0, 1, 0, 1, 2]), [0, 1, 2]);
    }
}
