//! What a running agent tells its operator: lines on stderr, each complaint once until it changes.
//!
//! In a unit, stderr is the journal, which reads the level from a prefix (sd-daemon(3)); elsewhere the level is a word.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use nix::sys::stat::fstat;

/// How much a line matters, with syslog's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Lines are not shipped.
    Error = 3,
    /// Something is not as it should be, and the agent goes on.
    Warning = 4,
    /// Worth knowing: start, stop, a complaint that is over.
    Info = 6,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error: ",
            Self::Warning => "warning: ",
            Self::Info => "",
        }
    }
}

/// The agent's voice. Never fails: without a reader it speaks to nobody.
#[derive(Debug)]
pub struct Log<W = io::Stderr> {
    inner: Mutex<Inner<W>>,
    journal: bool,
}

#[derive(Debug)]
struct Inner<W> {
    out: W,
    /// What was last said of each subject that is in trouble.
    troubles: BTreeMap<String, String>,
}

impl Log {
    /// On this process's stderr.
    #[must_use]
    pub fn to_stderr() -> Self {
        Log::new(io::stderr(), stderr_is_the_journal())
    }
}

impl<W: Write> Log<W> {
    /// To `out`, with the journal's prefixes or without.
    pub fn new(out: W, journal: bool) -> Self {
        Self {
            inner: Mutex::new(Inner {
                out,
                troubles: BTreeMap::new(),
            }),
            journal,
        }
    }

    /// Says something.
    pub fn say(&self, level: Level, message: &str) {
        self.write(&mut self.lock().out, level, message);
    }

    /// Says what is wrong with `subject`, if that was not the last thing said of it.
    pub fn trouble(&self, level: Level, subject: &str, message: &str) {
        let mut inner = self.lock();
        if inner
            .troubles
            .get(subject)
            .is_some_and(|said| said == message)
        {
            return;
        }
        inner
            .troubles
            .insert(subject.to_owned(), message.to_owned());
        self.write(&mut inner.out, level, &format!("{subject}: {message}"));
    }

    /// Says that `subject` is fine again, if it was in trouble.
    pub fn cleared(&self, subject: &str) {
        let mut inner = self.lock();
        if inner.troubles.remove(subject).is_some() {
            self.write(
                &mut inner.out,
                Level::Info,
                &format!("{subject}: fine again"),
            );
        }
    }

    fn write(&self, out: &mut W, level: Level, message: &str) {
        let mut text = String::new();
        for (at, line) in message.lines().enumerate() {
            if self.journal {
                text.push_str(&format!("<{}>", level as u8));
            }
            // The journal takes each line as a message of its own.
            text.push_str(if at == 0 { level.word() } else { "  " });
            text.push_str(line);
            text.push('\n');
        }
        let _ = out.write_all(text.as_bytes());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<W>> {
        // A panic elsewhere leaves at worst a line half written.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with its causes, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// systemd names the journal's end of stderr in `JOURNAL_STREAM`, as device and inode
/// (systemd.exec(5)); a process whose stderr was redirected inherits the variable, but not the stream.
fn stderr_is_the_journal() -> bool {
    let Some(named) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    fstat(io::stderr().as_fd())
        .is_ok_and(|stat| named.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn said(journal: bool, speak: impl FnOnce(&Log<Vec<u8>>)) -> String {
        let log = Log::new(Vec::new(), journal);
        speak(&log);
        String::from_utf8(log.inner.into_inner().unwrap().out).unwrap()
    }

    #[test]
    fn a_complaint_is_made_once_per_change_and_taken_back() {
        let text = said(false, |log| {
            log.cleared("/a");
            for message in ["unreadable", "unreadable", "gone", "gone"] {
                log.trouble(Level::Warning, "/a", message);
            }
            log.cleared("/a");
            log.cleared("/a");
            log.trouble(Level::Error, "/a", "gone");
        });
        assert_eq!(
            text,
            "warning: /a: unreadable\nwarning: /a: gone\n/a: fine again\nerror: /a: gone\n"
        );
    }

    #[test]
    fn every_line_for_the_journal_has_its_level() {
        let text = said(true, |log| log.say(Level::Warning, "first\nsecond"));
        assert_eq!(text, "<4>warning: first\n<4>  second\n");
    }
}
