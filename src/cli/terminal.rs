//! stderr as a terminal that may be closed at any moment. indicatif panics where a write fails, and a closed terminal is no reason to stop
//! before everything is drained.

use std::io::{self, Write};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;
use rustix::termios::{Winsize, tcgetwinsize};

/// Collects what is drawn until it is flushed, so that nobody sees half a view.
#[derive(Debug, Default)]
pub struct Terminal(Mutex<Vec<u8>>);

/// Rows and columns of the terminal at this moment; `None` where there is none.
pub fn size() -> Option<Winsize> {
    tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0)
}

/// Writes to stderr; whether somebody reads it does not matter.
pub fn write(text: &[u8]) {
    let _closed = io::stderr().write_all(text);
}

impl Terminal {
    fn add(&self, text: &str) -> io::Result<()> {
        self.buffer().extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn move_by(&self, n: usize, direction: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.add(&format!("\x1b[{n}{direction}")) }
    }

    fn buffer(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        size().map_or(80, |size| size.ws_col)
    }

    fn height(&self) -> u16 {
        size().map_or(24, |size| size.ws_row)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_by(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_by(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_by(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_by(n, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.add(line)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let text = mem::take(&mut *self.buffer());
        write(&text);
        Ok(())
    }
}
