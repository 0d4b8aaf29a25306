//! Places where a test makes the program panic, wait, fail or die. Compiled in with the feature `fail-points` only, which tests and
//! benches switch on; without it a place is nothing.
//!
//! The environment variable `FAILPOINTS` says what happens where: `place=actions`, several separated by `;`.
//!
//! | action | what happens |
//! |---|---|
//! | `panic`, `panic(text)` | a panic |
//! | `sleep(ms)` | the thread waits |
//! | `return` | the process dies at once, as by `kill -9` |
//! | `return(ENOSPC)`, `return(EIO)` | at the places `store.*` and `engine.*`: the step fails with this error |
//!
//! `3*off->1*panic` is the fourth time only, `10%panic` one time in ten. The places are the variants of [`Place`].

use std::io;

/// A place that a test can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `consumer.read`: the consumer is about to judge a record.
    ConsumerRead,
    /// `window.fold`: a window is about to fold a batch.
    WindowFold,
    /// `window.close`: a window is about to answer a barrier.
    WindowClose,
    /// `writer.commit`: the writer is about to add a commit to a chain.
    WriterCommit,
    /// `engine.compute`: the engine is about to compute the features of a commit.
    EngineCompute,
    /// `commits.off`: with `return`, nothing is committed, as if the disk were free of charge. For benchmarks.
    CommitsOff,
    /// `store.write`: a file is made and empty, its bytes are about to be written.
    StoreWrite,
    /// `store.sync`: a file's bytes are about to be synced.
    StoreSync,
    /// `store.written`: a chain's next entry is written and synced, under a temporary name.
    StoreWritten,
    /// `store.linked`: it is in the chain, but the directory is not synced yet.
    StoreLinked,
    /// `store.settled`: a chain's directory is synced.
    StoreSettled,
    /// `store.published`: the bars file has its public name, but the directory is not synced yet.
    StorePublished,
    /// `store.published_synced`: now it is.
    StorePublishedSynced,
    /// `engine.published`: a features file is public and synced.
    EnginePublished,
    /// `engine.saved`: the indicator state is saved.
    EngineSaved,
}

impl Place {
    /// All of them.
    pub const ALL: [Place; 15] = [
        Place::ConsumerRead,
        Place::WindowFold,
        Place::WindowClose,
        Place::WriterCommit,
        Place::EngineCompute,
        Place::CommitsOff,
        Place::StoreWrite,
        Place::StoreSync,
        Place::StoreWritten,
        Place::StoreLinked,
        Place::StoreSettled,
        Place::StorePublished,
        Place::StorePublishedSynced,
        Place::EnginePublished,
        Place::EngineSaved,
    ];

    /// The name in `FAILPOINTS`.
    pub const fn name(self) -> &'static str {
        match self {
            Place::ConsumerRead => "consumer.read",
            Place::WindowFold => "window.fold",
            Place::WindowClose => "window.close",
            Place::WriterCommit => "writer.commit",
            Place::EngineCompute => "engine.compute",
            Place::CommitsOff => "commits.off",
            Place::StoreWrite => "store.write",
            Place::StoreSync => "store.sync",
            Place::StoreWritten => "store.written",
            Place::StoreLinked => "store.linked",
            Place::StoreSettled => "store.settled",
            Place::StorePublished => "store.published",
            Place::StorePublishedSynced => "store.published_synced",
            Place::EnginePublished => "engine.published",
            Place::EngineSaved => "engine.saved",
        }
    }

    /// Whatever a test wants to happen here.
    #[inline(always)]
    pub fn reached(self) {
        #[cfg(feature = "fail-points")]
        armed::reached(self);
    }

    /// Whether `return` is asked for here, where that means another thing than death.
    #[inline(always)]
    pub fn is_asked_for(self) -> bool {
        #[cfg(feature = "fail-points")]
        return armed::eval(self, |_| ()).is_some();
        #[cfg(not(feature = "fail-points"))]
        false
    }

    /// As [`reached`](Self::reached), where an error can be told.
    ///
    /// # Errors
    /// The one that a test asks for.
    #[inline(always)]
    pub fn reached_in_io(self) -> io::Result<()> {
        #[cfg(feature = "fail-points")]
        return armed::reached_in_io(self);
        #[cfg(not(feature = "fail-points"))]
        Ok(())
    }
}

/// Reads what the environment wants; to be kept as long as it shall happen.
///
/// # Panics
/// When `FAILPOINTS` names no place, or no action: a test would pass for nothing.
#[cfg(feature = "fail-points")]
pub fn arm() -> impl Sized {
    let scenario = fail::FailScenario::setup();
    for (name, _) in fail::list() {
        let place = Place::ALL.into_iter().find(|place| place.name() == name);
        armed::arm(place.unwrap_or_else(|| panic!("FAILPOINTS names {name}, which is no place")));
        eprintln!("a build for tests, which FAILPOINTS tells to fail at {name}");
    }
    scenario
}

#[cfg(feature = "fail-points")]
mod armed {
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    use super::Place;

    /// A bit for each place where something is to happen: to look one up takes a lock, and some places are passed for every record, also
    /// while a benchmark has another one armed.
    static PLACES: AtomicU32 = AtomicU32::new(0);

    const fn bit(place: Place) -> u32 {
        1 << place as u32
    }

    pub(super) fn arm(place: Place) {
        PLACES.fetch_or(bit(place), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn eval<R>(place: Place, returned: impl FnOnce(Option<String>) -> R) -> Option<R> {
        let is_armed = PLACES.load(Ordering::Relaxed) & bit(place) != 0;
        if is_armed { fail::eval(place.name(), returned) } else { None }
    }

    #[inline(always)]
    pub(super) fn reached(place: Place) {
        if eval(place, |_| ()).is_some() {
            die();
        }
    }

    pub(super) fn reached_in_io(place: Place) -> io::Result<()> {
        match eval(place, |error| error) {
            None => Ok(()),
            Some(Some(error)) => Err(io::Error::from_raw_os_error(errno(&error).raw_os_error())),
            Some(None) => die(),
        }
    }

    fn errno(name: &str) -> Errno {
        match name {
            "ENOSPC" => Errno::NOSPC,
            "EIO" => Errno::IO,
            "EACCES" => Errno::ACCESS,
            _ => panic!("no error that a fail point can return: {name}"),
        }
    }

    /// Nothing runs after this, no destructor and no handler: as by `kill -9`.
    fn die() -> ! {
        // Should even that be refused, the process ends without another step.
        let _ends_here = kill_process(getpid(), Signal::KILL);
        std::process::abort()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_name_of_its_own() {
        let mut names = Place::ALL.map(Place::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }

    #[test]
    fn a_place_that_no_test_has_armed_is_passed() {
        Place::StoreWrite.reached();
        assert!(Place::StoreWrite.reached_in_io().is_ok());
    }
}
