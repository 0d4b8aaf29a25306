//! Actors on threads of which exactly one runs at a time, and only as many steps as it is told. A step is an operation of the file
//! system. Between two steps an actor can be left alone for as long as one likes, or killed.

use std::cell::RefCell;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

thread_local! {
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

struct Turn {
    grants: Receiver<usize>,
    paused: Sender<()>,
    left: usize,
    dead: bool,
}

/// The actor of this thread was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

/// Waits until this thread may do its next step; a thread that is no actor always may.
pub fn step() -> Result<(), Killed> {
    TURN.with_borrow_mut(|turn| {
        let Some(turn) = turn else { return Ok(()) };
        while turn.left == 0 && !turn.dead {
            // nobody listens any more: it was killed
            let _gone = turn.paused.send(());
            match turn.grants.recv() {
                Ok(steps) => turn.left = steps,
                Err(_) => turn.dead = true,
            }
        }
        if turn.dead {
            return Err(Killed);
        }
        turn.left -= 1;
        Ok(())
    })
}

pub struct Actor {
    grants: Option<Sender<usize>>,
    paused: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Actor {
    /// Does nothing yet.
    pub fn new(body: impl FnOnce() + Send + 'static) -> Self {
        let ((grants, granted), (pause, paused)) = (channel(), channel());
        let thread = std::thread::spawn(move || {
            let Ok(left) = granted.recv() else { return };
            TURN.set(Some(Turn { grants: granted, paused: pause, left, dead: false }));
            body();
        });
        Self { grants: Some(grants), paused, thread: Some(thread) }
    }

    /// Lets it do so many steps; whether it could go on after them.
    pub fn run(&mut self, steps: usize) -> bool {
        if steps == 0 {
            return true;
        }
        let granted = self.grants.as_ref().is_some_and(|grants| grants.send(steps).is_ok());
        let goes_on = granted && self.paused.recv().is_ok();
        if !goes_on {
            self.kill();
        }
        goes_on
    }

    /// It does not come to another step.
    pub fn kill(&mut self) {
        self.grants = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.grants = None;
        if let Some(thread) = self.thread.take() {
            // its panic matters only where somebody waits for it
            let _panic = thread.join();
        }
    }
}
