//! How the bytes of a file become events.

use std::time::Duration;

use regex::bytes::{Regex, RegexSet};

use super::extent::{self, HOLE_BYTES, START_BYTES};

/// The longest message that the service takes: a request of 1,048,576 bytes, less the 26 that each event counts.
/// Source: `PutLogEvents`, CloudWatch Logs API reference.
pub const MAX_EVENT_BYTES: usize = 1_048_576 - 26;
/// A smaller limit would leave no room between the marks of split messages.
pub const MIN_EVENT_BYTES: usize = 64;
/// How long an unfinished line waits for its end: longer than a writer with a buffer pauses in a busy minute.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(5);
/// How long an event of several lines waits for the next line: a trace is written at once.
pub const DEFAULT_MULTILINE_HOLD: Duration = Duration::from_secs(1);

/// How the bytes of a file become events. Two are equal if they make the same events of the same bytes.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Set where events have several lines.
    pub multiline: Option<Multiline>,
    /// If set, only events that match are sent.
    pub include: Option<Patterns>,
    /// Events that match are not sent.
    pub exclude: Option<Patterns>,
    /// Longer messages are split, in UTF-8 bytes. Taken as [`MIN_EVENT_BYTES`] or [`MAX_EVENT_BYTES`] where it is beyond them.
    pub max_event_bytes: usize,
    /// After so long without a new byte, what is unfinished is an event ([`super::End::Quiet`]).
    pub hold: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            multiline: None,
            include: None,
            exclude: None,
            max_event_bytes: MAX_EVENT_BYTES,
            hold: DEFAULT_HOLD,
        }
    }
}

impl Rules {
    /// A buffer of so many bytes shows every event, or as much of it as one event may hold.
    #[must_use]
    pub fn window_bytes(&self) -> usize {
        extent::reach_bytes(self, super::text::BYTE_ORDER_MARK.len()) + HOLE_BYTES.max(START_BYTES)
    }

    /// The limit on messages, within what is possible.
    #[inline]
    pub(super) fn limit_bytes(&self) -> usize {
        self.max_event_bytes.clamp(MIN_EVENT_BYTES, MAX_EVENT_BYTES)
    }

    /// Whether there are patterns at all.
    #[inline]
    pub(super) fn judges(&self) -> bool {
        self.include.is_some() || self.exclude.is_some()
    }

    /// Whether an event is to be sent.
    pub(super) fn wants(&self, text: &[u8]) -> bool {
        let matches = |patterns: &Patterns| patterns.0.is_match(text);
        self.include.as_ref().is_none_or(matches) && !self.exclude.as_ref().is_some_and(matches)
    }
}

/// Events of several lines, such as stack traces: a line that matches begins one, all others go on with the one before.
///
/// Lines before the first that matches are an event as well. Line ends inside an event are kept, those
/// behind it are not.
#[derive(Debug, Clone)]
pub struct Multiline {
    start: Regex,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let start = |rules: &Self| {
            rules
                .multiline
                .as_ref()
                .map(|m| m.start.as_str().to_owned())
        };
        let texts = |patterns: &Option<Patterns>| patterns.as_ref().map(|p| p.texts().to_vec());
        start(self) == start(other)
            && texts(&self.include) == texts(&other.include)
            && texts(&self.exclude) == texts(&other.exclude)
            && self.max_event_bytes == other.max_event_bytes
            && self.hold == other.hold
    }
}

impl Multiline {
    /// With the pattern of first lines, matched against a line without its end, or its first [`START_BYTES`].
    ///
    /// # Errors
    /// A pattern that can't be read.
    pub fn parse(start: &str) -> Result<Self, PatternError> {
        let start = Regex::new(start).map_err(|source| PatternError {
            pattern: start.to_owned(),
            source,
        })?;
        Ok(Self { start })
    }

    /// Whether a line without its end, or the first [`START_BYTES`] of one, begins an event.
    #[must_use]
    pub fn starts(&self, line: &[u8]) -> bool {
        self.start.is_match(line)
    }

    /// The pattern's text.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.start.as_str()
    }
}

/// Patterns of which one has to match an event's bytes, anywhere in it.
#[derive(Debug, Clone)]
pub struct Patterns(RegexSet);

impl Patterns {
    /// From their texts; `None` if there are none.
    ///
    /// # Errors
    /// A pattern that can't be read.
    pub fn parse<'p>(
        patterns: impl IntoIterator<Item = &'p str>,
    ) -> Result<Option<Self>, PatternError> {
        let patterns: Vec<&str> = patterns.into_iter().collect();
        if patterns.is_empty() {
            return Ok(None);
        }
        let set = RegexSet::new(&patterns).map_err(|source| PatternError {
            pattern: patterns.join("\", \""),
            source,
        })?;
        Ok(Some(Self(set)))
    }

    /// Their texts.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        self.0.patterns()
    }
}

/// A pattern that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the pattern \"{pattern}\" can't be used: correct it, or split it into several")]
pub struct PatternError {
    /// The pattern, or those it stands among.
    pub pattern: String,
    /// What is wrong with it.
    #[source]
    pub source: regex::Error,
}
