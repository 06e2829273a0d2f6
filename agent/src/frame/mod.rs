//! Bytes into events: lines, and events of several lines.
//!
//! Framing is a function of the byte before an event, the bytes from its start, and what ended them. How the
//! bytes are cut into buffers makes no difference, so the same bytes framed again, after a restart or to
//! recall what was sent, are the same events. What a [`Framer`] remembers only saves work.
//!
//! - A line ends with `\n` or `\r\n`; a `\r` elsewhere is text.
//! - A message over the limit is split at a character's boundary. Every piece but the last ends with
//!   [`CONTINUED`]; patterns judge each piece by itself.
//! - Invalid UTF-8 becomes U+FFFD, one for each maximal part, and is counted. UTF-16 is not decoded.
//! - A byte order mark (UTF-8) at the start of a generation belongs to the first event, but not to its message.
//! - NUL bytes at the start of an event, and [`HOLE_BYTES`] or more of them inside one, are a hole that a
//!   writer left by going on at its old offset after a truncation. Fewer inside an event are text.
//! - A line without text is filtered, because the service takes no empty message. One of blanks is sent.

use std::borrow::Cow;
use std::sync::Arc;

use crate::account::Filtered;

mod extent;
mod rules;
mod text;

pub use extent::{HOLE_BYTES, START_BYTES};
pub use rules::{
    DEFAULT_HOLD, DEFAULT_MULTILINE_HOLD, MAX_EVENT_BYTES, MIN_EVENT_BYTES, Multiline,
    PatternError, Patterns, Rules,
};
pub use text::CONTINUED;

use extent::{Ended, Extent};
use text::Text;

/// What the end of the buffer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There may be more behind it, in the file or written soon.
    More,
    /// It is the end of the file, and nothing was added for the time of [`Rules::hold`]: what is unfinished is
    /// an event now. If bytes follow all the same, they are an event of their own.
    Quiet,
    /// No byte will ever follow.
    Final,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'b> {
    /// An event.
    Event(Event<'b>),
    /// Bytes that are not sent: one or more lines, or a part of a hole.
    Filtered {
        /// How many; never none.
        bytes: usize,
        /// Why.
        why: Filtered,
    },
    /// The buffer holds no whole event: read more, into a larger buffer if this one is full. A buffer of
    /// [`Rules::window_bytes`] is always enough.
    Need,
}

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'b> {
    /// Its text, never empty, without the line's end: the buffer's own bytes wherever they are valid and whole.
    pub message: Cow<'b, str>,
    /// The bytes of the file that it covers, line ends included.
    pub bytes: usize,
    /// How many invalid sequences were replaced by U+FFFD.
    pub replaced: u32,
    /// It begins inside a line, whose first part was an event of its own: split, or shipped unfinished. The
    /// time of the line is the time of that event.
    pub continues: bool,
    /// It ended only because the buffer did ([`End::Quiet`], [`End::Final`]). Who frames these bytes again has
    /// to end the buffer here again.
    pub open: bool,
}

/// Cuts the bytes of one generation into events.
#[derive(Debug)]
pub struct Framer {
    rules: Arc<Rules>,
    /// The last byte that was consumed.
    before: Option<u8>,
    /// No event ends among so many bytes from its start on.
    scanned: usize,
    /// What the bytes after a filtered run were found to be, so that nothing is judged twice.
    ahead: Option<Step>,
}

/// What the first bytes of a buffer are.
#[derive(Debug, Clone, Copy)]
enum Step {
    Keep(Extent),
    Skip { bytes: usize, why: Filtered },
}

impl Framer {
    /// For a generation from its first byte on.
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Self {
        Self::resume(rules, None)
    }

    /// For a generation from the middle on, `byte_before` being the byte in front; `None` at its start.
    #[must_use]
    pub fn resume(rules: Arc<Rules>, byte_before: Option<u8>) -> Self {
        Self {
            rules,
            before: byte_before,
            scanned: 0,
            ahead: None,
        }
    }

    /// What the next bytes are.
    ///
    /// `buf` starts where the last event or filtered run ended. After [`Next::Need`] it starts with the same bytes
    /// again, and may be shorter or longer. With [`End::Quiet`] and [`End::Final`] it ends where the file does.
    #[inline]
    pub fn next<'b>(&mut self, buf: &'b [u8], end: End) -> Next<'b> {
        let step = match self.ahead.take() {
            Some(step) if step.bytes() <= buf.len() => Some(step),
            _ => self.step(buf, end),
        };
        match step {
            None => Next::Need,
            Some(Step::Keep(extent)) => self.event(buf, extent),
            Some(Step::Skip { bytes, why }) => self.run(buf, end, bytes, why),
        }
    }

    /// A run of bytes that are not sent, as far as the buffer shows it.
    fn run<'b>(&mut self, buf: &'b [u8], end: End, first: usize, why: Filtered) -> Next<'b> {
        let mut bytes = first;
        loop {
            self.consume(buf, bytes);
            self.ahead = self.step(&buf[bytes..], end);
            match self.ahead {
                Some(Step::Skip {
                    bytes: more,
                    why: same,
                }) if same == why => bytes += more,
                _ => return Next::Filtered { bytes, why },
            }
        }
    }

    fn consume(&mut self, buf: &[u8], bytes: usize) {
        self.before = buf[..bytes].last().copied().or(self.before);
        self.scanned = 0;
        self.ahead = None;
    }

    /// Judges the first bytes; `None` if they are not a whole event yet.
    #[inline]
    fn step(&mut self, buf: &[u8], end: End) -> Option<Step> {
        if buf.first() == Some(&0) {
            let bytes = buf.iter().position(|&byte| byte != 0).unwrap_or(buf.len());
            return Some(Step::Skip {
                bytes,
                why: Filtered::Hole,
            });
        }
        let mark = text::byte_order_mark(self.before, buf);
        let extent = extent::find(buf, &mut self.scanned, mark, &self.rules, end)?;
        if extent.is_empty(self.rules.limit_bytes()) {
            return Some(Step::Skip {
                bytes: extent.bytes,
                why: Filtered::Empty,
            });
        }
        if self.rules.judges() {
            return Some(self.judge(buf, extent));
        }
        Some(Step::Keep(extent))
    }

    /// Applies the patterns to the event, or to its first piece if it is to be split.
    fn judge(&self, buf: &[u8], extent: Extent) -> Step {
        let limit = self.rules.limit_bytes();
        let (all, text) = extent.of(buf);
        let mut seen = &all[..text];
        let mut bytes = extent.bytes;
        // What is judged is what would be sent. A replacement is up to three times as long as what it replaces.
        if all.len() * 3 > text::whole_bytes(limit, false)
            && let Text::Piece { bytes: piece, .. } =
                text::message(all, text, limit, extent.ends_line())
        {
            seen = &all[..piece];
            bytes = extent.start + piece;
        }
        if self.rules.wants(seen) {
            Step::Keep(extent)
        } else {
            Step::Skip {
                bytes,
                why: Filtered::Pattern,
            }
        }
    }

    #[inline]
    fn event<'b>(&mut self, buf: &'b [u8], extent: Extent) -> Next<'b> {
        let (all, text) = extent.of(buf);
        let (message, bytes, replaced, open) =
            match text::message(all, text, self.rules.limit_bytes(), extent.ends_line()) {
                Text::Whole { message, replaced } => {
                    let open = extent.ended == Ended::Buffer;
                    (message, extent.bytes, replaced, open)
                }
                Text::Piece {
                    message,
                    bytes,
                    replaced,
                } => (Cow::Owned(message), extent.start + bytes, replaced, false),
            };
        let continues = !matches!(self.before, None | Some(b'\n' | 0));
        self.consume(buf, bytes);
        Next::Event(Event {
            message,
            bytes,
            replaced,
            continues,
            open,
        })
    }
}

impl Step {
    fn bytes(&self) -> usize {
        match self {
            Self::Keep(extent) => extent.bytes,
            Self::Skip { bytes, .. } => *bytes,
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
