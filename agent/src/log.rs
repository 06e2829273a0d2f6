//! What a running agent tells its operator: lines on stderr, each complaint once until it changes.
//!
//! What it says may come back to it: the journal is copied to syslog, and syslog is shipped. A complaint about shipping would then be a
//! line to ship, and so on for ever. So lines are paced: after a burst, only so many an hour, whatever happens. What was left out is counted,
//! and a complaint that still stands is made as soon as there is room; `baker-agent status` shows all of them at any time.
//!
//! A message is one line, whatever is in it, so that no name of a file can pass for a line of the agent's own.
//!
//! In a unit, stderr is the journal, which reads the level from a prefix (sd-daemon(3)); elsewhere the level is a word.

mod budget;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use diagnostics::terminal;
use nix::sys::stat::fstat;

use budget::Budget;

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
    /// What is wrong with each subject that is in trouble.
    troubles: BTreeMap<String, Trouble>,
    budget: Budget,
    /// Lines that were left out since the last one that was not.
    left_out: u64,
}

#[derive(Debug)]
struct Trouble {
    level: Level,
    message: String,
    said: bool,
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
                budget: Budget::full(Instant::now()),
                left_out: 0,
            }),
            journal,
        }
    }

    /// Says something.
    pub fn say(&self, level: Level, message: &str) {
        let message = terminal::inline(message);
        self.write(&mut self.lock(), level, &message, Instant::now());
    }

    /// Says how the agent ended, whatever else was said before: nothing of it is shipped by this process any more.
    pub fn end(&self, level: Level, message: &str) {
        let mut inner = self.lock();
        inner.budget = Budget::full(Instant::now());
        let message = terminal::inline(message);
        self.write(&mut inner, level, &message, Instant::now());
    }

    /// Says what is wrong with `subject`, if that was not the last thing said of it.
    pub fn trouble(&self, level: Level, subject: &str, message: &str) {
        self.trouble_at(level, subject, &terminal::inline(message), Instant::now());
    }

    /// The same for a message of several lines, which are the caller's own.
    pub fn trouble_in_lines(&self, level: Level, subject: &str, message: &str) {
        self.trouble_at(level, subject, &terminal::lines(message), Instant::now());
    }

    fn trouble_at(&self, level: Level, subject: &str, message: &str, now: Instant) {
        let mut inner = self.lock();
        if let Some(trouble) = inner.troubles.get(subject)
            && trouble.message == message
            && trouble.said
        {
            return;
        }
        let said = self.write(&mut inner, level, &about(subject, message), now);
        let message = message.to_owned();
        let trouble = Trouble {
            level,
            message,
            said,
        };
        inner.troubles.insert(subject.to_owned(), trouble);
    }

    /// Says that `subject` is fine again, if it was said to be in trouble.
    pub fn cleared(&self, subject: &str) {
        self.cleared_at(subject, Instant::now());
    }

    fn cleared_at(&self, subject: &str, now: Instant) {
        let mut inner = self.lock();
        if inner
            .troubles
            .remove(subject)
            .is_some_and(|trouble| trouble.said)
        {
            let message = about(subject, "fine again");
            self.write(&mut inner, Level::Info, &message, now);
        }
    }

    /// Says what is still wrong and was left out, as far as there is room now. To be called now and then.
    pub fn catch_up(&self) {
        self.catch_up_at(Instant::now());
    }

    fn catch_up_at(&self, now: Instant) {
        let mut inner = self.lock();
        let unsaid: Vec<String> = inner
            .troubles
            .iter()
            .filter(|(_, trouble)| !trouble.said)
            .map(|(subject, _)| subject.clone())
            .collect();
        for subject in unsaid {
            let Some(trouble) = inner.troubles.get(&subject) else {
                continue;
            };
            let (level, message) = (trouble.level, about(&subject, &trouble.message));
            if !self.write(&mut inner, level, &message, now) {
                return;
            }
            if let Some(trouble) = inner.troubles.get_mut(&subject) {
                trouble.said = true;
            }
        }
    }

    /// True if there was room for it.
    fn write(&self, inner: &mut Inner<W>, level: Level, message: &str, now: Instant) -> bool {
        let lines = message.lines().count();
        if !inner.budget.take(lines, now) {
            inner.left_out += lines as u64;
            return false;
        }
        if inner.left_out > 0 {
            let left_out = std::mem::take(&mut inner.left_out);
            let note = format!(
                "{left_out} lines were left out here: `baker-agent status` shows what is wrong now"
            );
            self.put(&mut inner.out, Level::Warning, &note);
        }
        self.put(&mut inner.out, level, message);
        true
    }

    fn put(&self, out: &mut W, level: Level, message: &str) {
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

fn about(subject: &str, message: &str) -> String {
    format!("{}: {message}", terminal::inline(subject))
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

    use std::time::Duration;

    use super::budget::{BURST_LINES, PACE};
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

    /// Each line of the agent is shipped, each request makes a complaint and takes it back: two lines more.
    #[test]
    fn what_it_says_about_shipping_its_own_lines_does_not_feed_itself() {
        const HOURS: u32 = 24;
        let log = Log::new(Vec::new(), false);
        let mut now = Instant::now();
        let end = now + HOURS * Duration::from_secs(3600);
        while now < end {
            log.trouble_at(Level::Warning, "stream", "refused", now);
            log.cleared_at("stream", now);
            now += Duration::from_millis(500);
        }
        let text = String::from_utf8(log.inner.into_inner().unwrap().out).unwrap();
        let lines = text.lines().count() as f64;
        // Beside each that stands, one may say what was left out.
        let most = 2.0 * (BURST_LINES + f64::from(HOURS) * 3600.0 / PACE.as_secs_f64());
        assert!(lines <= most, "{lines} lines");
        assert!(text.contains("lines were left out"), "{lines}");
    }

    #[test]
    fn a_complaint_that_was_left_out_is_made_when_there_is_room() {
        let log = Log::new(Vec::new(), false);
        let now = Instant::now();
        for number in 0..1000 {
            log.trouble_at(Level::Warning, &format!("/{number:03}"), "unreadable", now);
        }
        log.catch_up_at(now);
        log.cleared_at("/999", now);
        let later = now + 900 * PACE;
        for _ in 0..10 {
            log.catch_up_at(later);
        }
        log.catch_up_at(later + 900 * PACE);
        log.catch_up_at(later + 1800 * PACE);
        log.catch_up_at(later + 2700 * PACE);
        log.catch_up_at(later + 3600 * PACE);
        let text = String::from_utf8(log.inner.into_inner().unwrap().out).unwrap();
        for number in 0..999 {
            let line = format!("warning: /{number:03}: unreadable");
            assert_eq!(
                text.lines().filter(|said| **said == line).count(),
                1,
                "{line}"
            );
        }
        assert!(!text.contains("/999"), "it was over before there was room");
    }

    #[test]
    fn how_it_ended_is_told_whatever_was_said_before() {
        let text = said(false, |log| {
            (0..1000).for_each(|number| log.say(Level::Info, &number.to_string()));
            log.end(Level::Error, "the disk is gone");
        });
        assert!(text.ends_with("error: the disk is gone\n"), "{text}");
    }

    #[test]
    fn every_line_for_the_journal_has_its_level() {
        let text = said(true, |log| {
            log.trouble_in_lines(Level::Warning, "a", "first\nsecond");
        });
        assert_eq!(text, "<4>warning: a: first\n<4>  second\n");
    }

    /// A file may have any name, and so may a stream that is made of it.
    #[test]
    fn no_name_can_pass_for_a_line_of_the_agent_s_own_or_be_obeyed() {
        let evil = "/a\n<3>error: all is lost\x1b[2J\u{9b}2J\u{202e}";
        let shown = "/a\\n<3>error: all is lost\\x1b[2J\\u{9b}2J\\u{202e}";
        let now = Instant::now();
        let text = said(true, |log| {
            log.say(Level::Info, evil);
            log.trouble(Level::Error, evil, evil);
            log.cleared(evil);
            log.trouble_in_lines(Level::Error, evil, "x\x1b\ny");
            for _ in 0..1000 {
                log.say(Level::Info, "filler");
            }
            log.trouble_at(Level::Error, "late", &terminal::inline(evil), now);
            log.catch_up_at(now + 2000 * PACE);
            log.catch_up_at(now + 4000 * PACE);
            log.end(Level::Error, evil);
        });
        let own = text.lines().filter(|line| !line.ends_with("filler"));
        let own: Vec<&str> = own.filter(|line| !line.contains("left out")).collect();
        assert_eq!(
            own,
            [
                &format!("<6>{shown}"),
                &format!("<3>error: {shown}: {shown}"),
                &format!("<6>{shown}: fine again"),
                &format!("<3>error: {shown}: x\\x1b"),
                "<3>  y",
                &format!("<3>error: late: {shown}"),
                &format!("<3>error: {shown}"),
            ]
        );
    }
}
