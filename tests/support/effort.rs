//! How long the tests of faults may take: short by default, longer by `STOCKSTREAM_FAULTS`.

/// What the run was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// With every `cargo test`.
    Short,
    /// `STOCKSTREAM_FAULTS=ci`: some minutes, before a change lands.
    Ci,
    /// `STOCKSTREAM_FAULTS=long`: as long as the faults deserve, up to hours.
    Long,
}

impl Effort {
    pub fn of_this_run() -> Self {
        match std::env::var("STOCKSTREAM_FAULTS").as_deref() {
            Err(_) => Self::Short,
            Ok("ci") => Self::Ci,
            Ok("long") => Self::Long,
            Ok(other) => panic!("STOCKSTREAM_FAULTS is {other:?}: \"ci\", \"long\", or not set"),
        }
    }

    pub fn pick<T>(self, short: T, ci: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Ci => ci,
            Self::Long => long,
        }
    }
}

/// What decides every chance of a test, printed: `STOCKSTREAM_FAULTS_SEED` repeats a run. Only what the test itself decides is
/// repeated; the machine's own chances (threads, the network) are not.
pub fn seed() -> u64 {
    let seed = match std::env::var("STOCKSTREAM_FAULTS_SEED") {
        Ok(seed) => seed.parse().expect("STOCKSTREAM_FAULTS_SEED is a whole number"),
        Err(_) => rand::random(),
    };
    println!("STOCKSTREAM_FAULTS_SEED={seed}");
    seed
}
