//! Credits bound what is under way: ticks between the consumer and the windows, rows between the writer and the indicator engine. A
//! mailbox's capacity does not: sending from a fresh address never finds it full.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the ticks, or rows, that are under way. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Credits {
    under_way: Arc<AtomicUsize>,
    limit: usize,
}

/// Those of one batch. Dropping it gives them back, also when the receiver died with the batch in its mailbox.
#[derive(Debug)]
pub struct Credit {
    under_way: Arc<AtomicUsize>,
    count: usize,
}

impl Credits {
    /// At most about `limit` under way: a sender looks before each slice of work, not before each tick.
    pub fn new(limit: usize) -> Self {
        Self { under_way: Arc::new(AtomicUsize::new(0)), limit }
    }

    pub fn take(&self, count: usize) -> Credit {
        self.under_way.fetch_add(count, Ordering::Relaxed);
        Credit { under_way: self.under_way.clone(), count }
    }

    pub fn are_exhausted(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) >= self.limit
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.under_way.fetch_sub(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_batch_gives_its_credit_back() {
        let credits = Credits::new(10);
        let first = credits.take(6);
        assert!(!credits.are_exhausted());
        let second = credits.take(4);
        assert!(credits.are_exhausted());
        drop(first);
        assert!(!credits.are_exhausted());
        drop(second);
    }
}
