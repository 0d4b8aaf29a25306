//! Which letters are sent when there are too many: a flood of bad records must neither fill the broker's disk nor hold up the
//! good ones.
//!
//! A bucket of tokens for each partition and reason, and one for all together. Ordinary late ticks, thousands at once, are all
//! sent; of a flood some a second, and each says how many before it were left out. Counters are never sampled.

use std::time::Duration;

/// Size of a bucket and what flows into it. A letter costs one, and one more for each KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub burst: u64,
    pub per_second: u64,
}

/// Of one reason in one partition.
pub const OF_A_KIND: Limit = Limit { burst: 2_000, per_second: 100 };
/// Of all partitions of this process together. Fewer at once than the client's queue takes (its `queue.buffering.max` is 10,000
/// letters and 16 MiB), so that the beginning of a flood does not wait for the broker. A letter costs as much as five ticks: with 30,000 at
/// once the good ticks of the first seconds came at 0.47 of their rate where every other record was bad, with 10,000 at 0.49.
pub const OF_ALL: Limit = Limit { burst: 5_000, per_second: 1_000 };

/// What becomes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampled {
    /// It is sent, and says how many of its partition and reason were left out since the one before.
    Send { suppressed: u64 },
    /// It is left out and counted.
    Suppress,
}

/// What a letter costs that has so many bytes of key and payload.
pub fn cost(bytes: usize) -> u64 {
    1 + bytes as u64 / 1024
}

/// Decides about each letter by what came before it and by the time it is given, nothing else.
#[derive(Debug)]
pub struct Sampler {
    of_a_kind: Limit,
    all: Bucket,
    /// Left out since it was last asked.
    unsaid: u64,
}

/// The letters of one partition by reason, of which there are a few. Its owner keeps them: in a flood they are needed for every
/// record, and a partition that is lost takes them along.
#[derive(Debug, Default)]
pub struct Kinds(Vec<(&'static str, Kind)>);

#[derive(Debug)]
struct Kind {
    bucket: Bucket,
    suppressed: u64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new(OF_A_KIND, OF_ALL)
    }
}

impl Sampler {
    pub fn new(of_a_kind: Limit, of_all: Limit) -> Self {
        Self { of_a_kind, all: Bucket::full(of_all), unsaid: 0 }
    }

    /// `now` is the time since any fixed moment; one that steps back counts as standing still.
    pub fn offer(&mut self, of_source: &mut Kinds, reason: &'static str, cost: u64, now: Duration) -> Sampled {
        let now_micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let kind = of_source.kind(reason, self.of_a_kind);
        if kind.bucket.has(cost, now_micros) && self.all.has(cost, now_micros) {
            kind.bucket.take(cost);
            self.all.take(cost);
            return Sampled::Send { suppressed: std::mem::take(&mut kind.suppressed) };
        }
        kind.suppressed += 1;
        self.unsaid += 1;
        Sampled::Suppress
    }

    /// How many were left out since this was last taken.
    pub fn take_unsaid(&mut self) -> u64 {
        std::mem::take(&mut self.unsaid)
    }

    /// Whether any were.
    pub fn has_unsaid(&self) -> bool {
        self.unsaid > 0
    }
}

impl Kinds {
    fn kind(&mut self, reason: &'static str, limit: Limit) -> &mut Kind {
        let at = self.0.iter().position(|(of, _)| *of == reason).unwrap_or_else(|| {
            self.0.push((reason, Kind { bucket: Bucket::full(limit), suppressed: 0 }));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// Tokens in millionths, so that every microsecond counts and nothing is rounded.
#[derive(Debug)]
struct Bucket {
    limit: Limit,
    level: u64,
    /// Whole microseconds: the rest of one counts next time.
    filled_micros: u64,
}

const MILLIONTHS: u64 = 1_000_000;

impl Bucket {
    fn full(limit: Limit) -> Self {
        Self { limit, level: limit.burst.saturating_mul(MILLIONTHS), filled_micros: 0 }
    }

    fn fill(&mut self, now_micros: u64) {
        // All records of a slice are of one moment.
        if now_micros <= self.filled_micros {
            return;
        }
        let more = (now_micros - self.filled_micros).saturating_mul(self.limit.per_second);
        self.level = self.level.saturating_add(more).min(self.limit.burst.saturating_mul(MILLIONTHS));
        self.filled_micros = now_micros;
    }

    fn has(&mut self, cost: u64, now_micros: u64) -> bool {
        self.fill(now_micros);
        self.level >= cost.saturating_mul(MILLIONTHS)
    }

    fn take(&mut self, cost: u64) {
        self.level -= cost.saturating_mul(MILLIONTHS);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const REASONS: [&str; 3] = ["late", "malformed", "future"];

    #[test]
    fn two_thousand_letters_at_once_are_all_sent_and_then_a_hundred_a_second() {
        let (mut sampler, mut source) = (Sampler::default(), Kinds::default());
        let mut sent_of = |letters: u64, second: u64| {
            let now = Duration::from_secs(second);
            (0..letters).filter(|_| sampler.offer(&mut source, "late", 1, now) != Sampled::Suppress).count()
        };
        assert_eq!(sent_of(15_000, 5), 2_000);
        assert_eq!(sent_of(15_000, 6), 100);
        assert_eq!(sent_of(15_000, 16), 1_000);
        assert_eq!(sent_of(50, 17), 50, "an ordinary second after a flood");
    }

    #[test]
    fn a_large_letter_costs_more() {
        let (mut sampler, mut source) = (Sampler::default(), Kinds::default());
        let large = cost(64 * 1024);
        let sent =
            (0..1_000).filter(|_| sampler.offer(&mut source, "malformed", large, Duration::ZERO) != Sampled::Suppress);
        assert_eq!(sent.count(), 2_000 / 65);
    }

    #[test]
    fn all_partitions_together_send_fewer_at_once_than_the_queue_takes() {
        let (mut sampler, mut sources) = (Sampler::default(), <[Kinds; 8]>::default());
        let sent = (0..80_000)
            .filter(|number| sampler.offer(&mut sources[number % 8], "late", 1, Duration::ZERO) != Sampled::Suppress);
        assert_eq!(sent.count(), 5_000);
    }

    proptest! {
        #[test]
        fn a_sampler_keeps_its_laws(
            offers in prop::collection::vec((0usize..3, 0usize..3, 1u64..70, 0u64..400_000), 1..400),
            burst in 70u64..300,
            per_second in 0u64..50,
        ) {
            let (kind, all) = (Limit { burst, per_second }, Limit { burst: burst * 2, per_second: per_second * 2 });
            let (mut sampler, mut sources) = (Sampler::new(kind, all), <[Kinds; 3]>::default());
            let (mut now, mut spent, mut of_kind) = (Duration::ZERO, 0, HashMap::<_, (u64, u64, u64, u64)>::default());
            let (mut unsaid, offered) = (0, offers.len() as u64);
            for (partition, reason, cost, pause) in offers {
                now += Duration::from_micros(pause);
                let (suppressed, sent, announced, cost_sent) = of_kind.entry((partition, reason)).or_default();
                match sampler.offer(&mut sources[partition], REASONS[reason], cost, now) {
                    Sampled::Send { suppressed: before } => {
                        prop_assert_eq!(before, *suppressed - *announced, "each says what was left out since the last");
                        (*sent, *announced, *cost_sent, spent) = (*sent + 1, *suppressed, *cost_sent + cost, spent + cost);
                    }
                    Sampled::Suppress => (*suppressed, unsaid) = (*suppressed + 1, unsaid + 1),
                }
                let most = |limit: Limit| limit.burst as f64 + limit.per_second as f64 * now.as_secs_f64() + 1e-6;
                prop_assert!(*cost_sent as f64 <= most(kind) && spent as f64 <= most(all), "the limits hold at any time");
            }
            let sum: u64 = of_kind.values().map(|(suppressed, sent, ..)| suppressed + sent).sum();
            prop_assert_eq!(sum, offered, "every letter is sent or counted");
            prop_assert_eq!(sampler.take_unsaid(), unsaid);
            prop_assert!(!sampler.has_unsaid());
        }

        #[test]
        fn under_the_burst_nothing_is_left_out(letters in 1usize..500, jumps: Vec<u64>) {
            let (mut sampler, mut source) = (Sampler::default(), Kinds::default());
            for number in 0..letters {
                let now = Duration::from_micros(jumps.get(number).copied().unwrap_or(0));
                let sampled = sampler.offer(&mut source, "late", cost(100), now);
                prop_assert_eq!(sampled, Sampled::Send { suppressed: 0 });
            }
        }
    }
}
