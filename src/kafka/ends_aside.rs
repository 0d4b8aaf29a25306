//! A client that ends on a thread of its own, whoever drops it and why: while no broker answers, its end can hang for ever.

use std::ops::Deref;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(super) struct EndsAside<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> EndsAside<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }

    /// Ends it; tells whether it has within `patience`. If not, its thread ends with the process.
    pub(super) fn end(mut self, patience: Duration) -> bool {
        self.begin_to_end().is_some_and(|ended| ended.recv_timeout(patience).is_ok())
    }

    fn begin_to_end(&mut self) -> Option<mpsc::Receiver<()>> {
        let client = self.0.take()?;
        let (done, ended) = mpsc::channel();
        let spawned = thread::Builder::new().name(String::from("kafka-close")).spawn(move || {
            drop(client);
            let _nobody_waits_any_more = done.send(());
        });
        spawned.ok().map(|_detached| ended)
    }
}

impl<T: Send + 'static> Deref for EndsAside<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken only by `end`, which consumes this, and by `drop`")
    }
}

impl<T: Send + 'static> Drop for EndsAside<T> {
    fn drop(&mut self) {
        let _not_waited_for = self.begin_to_end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hangs at its end until it is told to go on.
    struct Hanging(mpsc::Receiver<()>);

    impl Drop for Hanging {
        fn drop(&mut self) {
            let _told = self.0.recv();
        }
    }

    #[test]
    fn a_client_that_hangs_at_its_end_holds_up_nobody() {
        let (_go_on, hangs) = mpsc::channel();
        drop(EndsAside::new(Hanging(hangs)));
        let (_go_on, hangs) = mpsc::channel();
        assert!(!EndsAside::new(Hanging(hangs)).end(Duration::from_millis(10)));
    }

    #[test]
    fn the_end_of_a_client_is_waited_for() {
        assert!(EndsAside::new(String::from("client")).end(Duration::from_secs(60)));
    }
}
