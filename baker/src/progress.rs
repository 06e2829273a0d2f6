//! Progress on stderr, and the timeline of where the time went.
//!
//! Events become lines in pure code (`view`), the timeline in pure code too (`timeline`); what is left here is a thread
//! that owns stderr for the length of the bake. The terminal is never put into another mode: there is nothing to restore
//! when the process dies.

mod timeline;
mod view;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use timeline::{StageTime, StepTime, Timeline};
use view::{Style, View};

use crate::events::{Event, Events, Stamped};

/// How often a live line is drawn again when nothing happens: the spinner's pace.
const FRAME: Duration = Duration::from_millis(100);
/// Where the terminal does not tell its width.
const DEFAULT_COLUMNS: usize = 80;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One live line for the running stage, one lasting line for each that has ended.
    Live,
    /// One line for each event.
    Plain,
    /// Nothing is shown; the timeline is recorded all the same.
    Quiet,
}

impl Mode {
    /// Live on a terminal that can, plain elsewhere.
    #[must_use]
    pub fn for_stderr() -> Mode {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if io::stderr().is_terminal() && !dumb {
            Mode::Live
        } else {
            Mode::Plain
        }
    }
}

/// The thread that shows events and records the timeline.
#[derive(Debug)]
pub struct Progress {
    events: Events,
    thread: JoinHandle<Timeline>,
}

impl Progress {
    /// Starts showing events on stderr.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(mode: Mode) -> io::Result<Progress> {
        let (events, receiver) = Events::channel();
        let thread = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || show(mode, &receiver))?;
        Ok(Progress { events, thread })
    }

    /// The handle for the stages.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// Shows what has been emitted so far, clears the live line, and hands over the timeline. What is emitted later goes
    /// nowhere.
    #[must_use]
    pub fn finish(self) -> Timeline {
        self.events.emit(Event::Ended);
        // A defect in the display is no reason to lose a bake's result.
        self.thread.join().unwrap_or_default()
    }
}

fn show(mode: Mode, events: &Receiver<Stamped>) -> Timeline {
    let started = Instant::now();
    let mut timeline = Timeline::default();
    let mut view = View::new(match mode {
        Mode::Live => Style::Live {
            color: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        },
        Mode::Plain | Mode::Quiet => Style::Plain,
    });
    let mut screen = Screen::default();
    loop {
        let received = match mode {
            Mode::Live => events.recv_timeout(FRAME),
            Mode::Plain | Mode::Quiet => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let lasting = match received {
            Ok(Stamped {
                event: Event::Ended,
                ..
            })
            | Err(RecvTimeoutError::Disconnected) => {
                screen.draw(&[], "", columns());
                return timeline;
            }
            Ok(Stamped { at, event }) => {
                let at = at.saturating_duration_since(started);
                timeline.record(at, &event);
                view.apply(at, &event)
            }
            Err(RecvTimeoutError::Timeout) => Vec::new(),
        };
        match mode {
            Mode::Quiet => {}
            Mode::Plain => screen.draw(&lasting, "", usize::MAX),
            Mode::Live => {
                let columns = columns();
                let live = view.live(started.elapsed(), columns);
                screen.draw(&lasting, &live, columns);
            }
        }
    }
}

/// The terminal's width now: it may be another one than at the last look.
fn columns() -> usize {
    terminal_size::terminal_size_of(io::stderr())
        .map_or(DEFAULT_COLUMNS, |(width, _)| usize::from(width.0))
}

/// What stands on stderr below the lasting lines.
#[derive(Debug, Default)]
struct Screen {
    live: String,
}

impl Screen {
    /// Replaces the live line, with lasting lines above it. An error of stderr is nobody's to act on.
    fn draw(&mut self, lasting: &[String], live: &str, columns: usize) {
        if lasting.is_empty() && live == self.live {
            return;
        }
        let mut text = erase(&self.live, columns);
        for line in lasting {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(live);
        live.clone_into(&mut self.live);
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes());
        let _ = stderr.flush();
    }
}

/// What takes the cursor from the end of a live line to where it began, and wipes the line. A terminal that was made
/// narrower since has wrapped it into several rows.
fn erase(live: &str, columns: usize) -> String {
    if live.is_empty() {
        return String::new();
    }
    let rows = view::width(live).div_ceil(columns.max(1)).max(1);
    let up = match rows {
        1 => String::new(),
        rows => format!("\x1b[{}A", rows - 1),
    };
    format!("\r{up}\x1b[J")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_narrower_terminal_wrapped_is_wiped_whole() {
        assert_eq!(erase("", 80), "");
        assert_eq!(erase("0123456789", 80), "\r\x1b[J");
        assert_eq!(erase("0123456789", 10), "\r\x1b[J");
        assert_eq!(erase("0123456789", 4), "\r\x1b[2A\x1b[J");
        assert_eq!(erase("0123456789", 0), "\r\x1b[9A\x1b[J");
    }
}
