//! What a run did, in numbers that add up: `read` equals the sum of the seven that follow it.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;
use statrs::statistics::{Data, Median, OrderStatistics, Statistics};

use crate::market::checkpoint::Checkpoint;
use crate::words::counted;

/// Counted over the commits of a run, so that a tick counts when what became of it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RunSummary {
    /// Records read, also those read again after a restart.
    pub read: u64,
    /// Ticks in bars that this run closed.
    pub in_bars: u64,
    /// Ticks in windows that are open at the end, less those that were open at the start.
    pub open: i64,
    pub late: u64,
    pub malformed: u64,
    pub future: u64,
    pub unknown: u64,
    /// Records below the restored cut: they were counted by an earlier run.
    pub skipped_replayed: u64,
    pub bars: u64,
    pub feature_rows: u64,
    pub commits: u64,
    pub restarts: u64,
    pub seconds: f64,
    pub ticks_per_second: f64,
    /// How long commits took, from the cut of the log to bars that readers see. Not in the JSON, whose fields are fixed.
    #[serde(skip)]
    pub latency: Option<Latency>,
}

/// Seconds that something took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    pub median: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    pub longest: f64,
}

/// Collects latencies. Of very many it keeps some thousand, evenly over all of them.
#[derive(Clone, Debug)]
pub struct Latencies {
    seconds: Vec<f64>,
    /// One of so many is kept.
    one_of: u64,
    seen: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { seconds: Vec::new(), one_of: 1, seen: 0 }
    }
}

impl Latencies {
    const MOST_KEPT: usize = 10_000;

    pub fn add(&mut self, seconds: f64) {
        if self.seconds.len() == Self::MOST_KEPT {
            self.halve();
        }
        if self.seen.is_multiple_of(self.one_of) {
            self.seconds.push(seconds);
        }
        self.seen += 1;
    }

    fn halve(&mut self) {
        let mut at = 0;
        self.seconds.retain(|_| {
            at += 1;
            at % 2 == 1
        });
        self.one_of *= 2;
    }

    /// Adds those that somebody else has collected.
    pub fn merge(&mut self, mut other: Self) {
        let one_of = self.one_of.max(other.one_of);
        for some in [&mut *self, &mut other] {
            while some.one_of < one_of {
                some.halve();
            }
        }
        self.seconds.append(&mut other.seconds);
        self.seen += other.seen;
    }

    /// `None` when there were none.
    pub fn summary(&self) -> Option<Latency> {
        if self.seconds.is_empty() {
            return None;
        }
        let mut seconds = Data::new(self.seconds.clone());
        Some(Latency {
            median: seconds.median(),
            p99: seconds.percentile(99),
            longest: Statistics::max(self.seconds.iter()),
        })
    }
}

impl RunSummary {
    /// A commit moved a partition from one checkpoint to the next; `replayed` records were read again meanwhile.
    pub fn committed(&mut self, before: &Checkpoint, after: &Checkpoint, replayed: u64, bars: usize) {
        let (old, new) = (&before.counters, &after.counters);
        // What a gap of the log took was counted before: it is no longer open, and was read all the same.
        let lost = after.open_ticks_lost() - before.open_ticks_lost();
        self.read += new.read + lost - old.read + replayed;
        self.in_bars += new.in_bars - old.in_bars;
        self.open += after.open_ticks as i64 + lost as i64 - before.open_ticks as i64;
        self.late += new.late - old.late;
        self.malformed += new.malformed - old.malformed;
        self.future += new.future - old.future;
        self.unknown += new.unknown - old.unknown;
        self.skipped_replayed += replayed;
        self.bars += bars as u64;
        self.commits += 1;
    }

    /// The run took this long.
    pub fn timed(mut self, elapsed: Duration) -> Self {
        self.seconds = elapsed.as_secs_f64();
        self.ticks_per_second = self.read as f64 / self.seconds.max(1e-9);
        self
    }
}

impl AddAssign for RunSummary {
    /// Adds what another writer has counted in the same run.
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.in_bars += other.in_bars;
        self.open += other.open;
        self.late += other.late;
        self.malformed += other.malformed;
        self.future += other.future;
        self.unknown += other.unknown;
        self.skipped_replayed += other.skipped_replayed;
        self.bars += other.bars;
        self.feature_rows += other.feature_rows;
        self.commits += other.commits;
        self.restarts += other.restarts;
    }
}

impl fmt::Display for RunSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = counted(self.read, "record");
        writeln!(f, "read {read} in {:.1} s ({:.0} a second):", self.seconds, self.ticks_per_second)?;
        // A run that goes on where another stopped may close more than it leaves open.
        let open = match self.open {
            ..0 => format!("{} fewer open than at the start", -self.open),
            open => format!("{open} open"),
        };
        writeln!(
            f,
            "  {} in bars, {open}, {} late, {} malformed, {} future, {} unknown, {} read again",
            self.in_bars, self.late, self.malformed, self.future, self.unknown, self.skipped_replayed
        )?;
        let [bars, rows, commits] = [(self.bars, "bar"), (self.feature_rows, "feature row"), (self.commits, "commit")]
            .map(|(count, noun)| counted(count, noun));
        write!(f, "committed {bars} and {rows} in {commits}")?;
        if let Some(Latency { median, p99, longest }) = self.latency {
            let [median, p99, longest] = [median, p99, longest].map(|seconds| seconds * 1e3);
            write!(f, "; a commit took {median:.1} ms (median), {p99:.1} ms (99 %), {longest:.1} ms (longest)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::checkpoint::{BarRules, Checkpoint};
    use crate::market::time::{Span, WindowSize};

    #[test]
    fn latencies_of_very_many_are_told_by_some_of_them_evenly() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), None);
        latencies.add(0.25);
        assert_eq!(latencies.summary(), Some(Latency { median: 0.25, p99: 0.25, longest: 0.25 }));
        (0..1_000_000).for_each(|millis| latencies.add(f64::from(millis) / 1e3));
        let Latency { median, p99, longest } = latencies.summary().unwrap();
        assert!(
            (median - 500.0).abs() < 1.0 && (p99 - 990.0).abs() < 1.0 && longest > 999.0,
            "{median} {p99} {longest}"
        );
        assert!(latencies.seconds.len() <= Latencies::MOST_KEPT);
    }

    #[test]
    fn latencies_of_two_writers_count_alike_however_many_each_has() {
        let (mut many, mut few) = (Latencies::default(), Latencies::default());
        (0..80_000).for_each(|_| many.add(1.0));
        (0..20_000).for_each(|_| few.add(2.0));
        let one_of = few.one_of;
        few.merge(many);
        assert!(few.one_of > one_of);
        let twos = few.seconds.iter().filter(|seconds| **seconds == 2.0).count();
        let share = twos as f64 / few.seconds.len() as f64;
        assert!((share - 0.2).abs() < 0.01 && few.seen == 100_000, "{share} of {}", few.seen);
    }

    #[test]
    fn a_summary_of_one_of_each_is_in_the_singular_and_in_plain_words() {
        let latency = Some(Latency { median: 0.001, p99: 0.002, longest: 0.003 });
        let summary =
            RunSummary { read: 1, in_bars: 1, bars: 1, feature_rows: 1, commits: 1, latency, ..RunSummary::default() };
        let text = summary.to_string();
        assert!(text.starts_with("read 1 record in "), "{text}");
        let last = "committed 1 bar and 1 feature row in 1 commit; a commit took 1.0 ms (median), 2.0 ms (99 %), 3.0 ms (longest)";
        assert!(text.ends_with(last), "{text}");
    }

    #[test]
    fn read_is_the_sum_of_the_seven_that_follow_it_also_when_windows_were_open_before() {
        let rules = BarRules {
            window: WindowSize::new(Span::from_secs(300)).expect("five minutes divide the day"),
            lateness: Span::ZERO,
            max_ahead: Span::ZERO,
        };
        let mut before = Checkpoint::genesis(rules, "test");
        before.counters.read = 40;
        before.open_ticks = 40;
        let mut after = before.clone();
        after.counters.read = 50;
        after.counters.in_bars = 45;
        after.counters.late = 3;
        after.open_ticks = 2;
        let mut summary = RunSummary::default();
        summary.committed(&before, &after, 38, 4);
        let s = summary;
        let parts =
            s.in_bars as i64 + s.open + (s.late + s.malformed + s.future + s.unknown + s.skipped_replayed) as i64;
        assert_eq!((s.read as i64, s.open), (parts, -38));
    }
}
