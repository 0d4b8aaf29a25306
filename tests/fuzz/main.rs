//! Hostile input: whatever bytes come in by a record, a settings file, a file of the lake or a name in it, nothing panics, and
//! nothing allocates more than the input accounts for.
//!
//! Each target runs its corpus (`__fuzz__/<target>/corpus`, small files with telling names), then random cases, of which half are
//! mutations of the corpus. A failure prints `BOLERO_RANDOM_SEED`; with that variable it comes again. More cases with
//! `STOCKSTREAM_FAULTS=long` (more than ten million in all), or with `BOLERO_RANDOM_ITERATIONS` of any one target.

#[path = "../support/effort.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod effort;
mod lake_files;
mod letters;
mod memory;
mod mutation;
mod names;
mod settings;
mod wire;

use effort::Effort;

/// How many inputs a target is given beside its corpus; each is one case as it is and one as a mutation of the corpus.
#[derive(Clone, Copy)]
struct Inputs {
    short: usize,
    long: usize,
}

impl Inputs {
    fn of_this_run(self) -> usize {
        Effort::of_this_run().pick(self.short, self.short * 4, self.long)
    }
}

/// Runs a target over its corpus, over random bytes, and over mutations of the corpus.
///
/// `$bound` gives the most bytes that a case of so many bytes may have allocated at any moment.
macro_rules! fuzz {
    ($name:literal, $inputs:expr, $words:expr, $bound:expr, $target:expr) => {
        let corpus = crate::mutation::Corpus::of($name, $words);
        bolero::check!(name = $name)
            .with_iterations($inputs.of_this_run())
            .with_shrink_time(std::time::Duration::from_secs(1))
            .for_each(|input: &[u8]| {
                for case in [input, &corpus.mutated(input)] {
                    crate::memory::bounded($bound(case.len()), || $target(case));
                }
            })
    };
}
pub(crate) use fuzz;
