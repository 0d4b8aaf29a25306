//! stderr, shared by log lines and the live view without tearing each other apart.

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::terminal::{self, Terminal};
use crate::settings::{LogFormat, LogSettings};

/// At most so often: a view of many lines is drawn whole each time that one of them changes.
const DRAWS_A_SECOND: u8 = 20;

/// Whoever writes to stderr. Clones share it.
#[derive(Clone)]
pub struct Console {
    bars: MultiProgress,
    live: bool,
}

impl Console {
    /// Redraws in place if stderr is a terminal.
    pub fn new() -> Self {
        let live = io::stderr().is_terminal();
        let target = if live {
            ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), DRAWS_A_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        Self { bars: MultiProgress::with_draw_target(target), live }
    }

    /// Whether lines can be redrawn in place.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Columns of the terminal at this moment. Where there is none nothing needs to fit.
    pub fn width(&self) -> usize {
        terminal::size().map_or(usize::MAX, |size| usize::from(size.ws_col))
    }

    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes a line above the live view.
    pub fn say(&self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    fn write(&self, text: &[u8]) {
        let write = || terminal::write(text);
        if self.live { self.bars.suspend(write) } else { write() }
    }

    /// Sends log lines here from now on.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub fn log(&self, settings: &LogSettings) -> Result<(), String> {
        let filter = EnvFilter::try_new(&settings.level).map_err(|error| {
            format!("log.level = {:?} is no filter ({error}); write info or stockstream=debug", settings.level)
        })?;
        // What it says at `info` of a directory that was removed is not for the user.
        let filter = match "notify=warn".parse() {
            Ok(quiet) => filter.add_directive(quiet),
            Err(_) => filter,
        };
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(self.clone());
        let started = match settings.format {
            LogFormat::Text => builder.with_ansi(self.live && !no_color()).with_target(false).try_init(),
            LogFormat::Json => builder.json().try_init(),
        };
        started.map_err(|error| error.to_string())
    }
}

/// Whether the user wants no colours in any program: <https://no-color.org>.
fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { console: self, text: Vec::new() }
    }
}

/// A log line that is written as a whole, above the live view.
pub struct Line<'a> {
    console: &'a Console,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.console.write(&self.text);
    }
}
