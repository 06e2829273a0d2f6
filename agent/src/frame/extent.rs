//! Where the first event of a buffer ends.

use memchr::{memchr, memchr2};

use super::End;
use super::rules::{Multiline, Rules};
use super::text;

/// So many NUL bytes in a row inside an event are a hole, not text: no writer of text means them.
pub const HOLE_BYTES: usize = 64;
/// A start pattern sees so much of a line, so that no line has to be read to its end to know whose it is.
pub const START_BYTES: usize = 4096;
/// A carriage return and a line feed behind a message of the full limit.
const LINE_END_BYTES: usize = 2;

/// Where an event is in the buffer that begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where its text begins: behind a byte order mark.
    pub(super) start: usize,
    /// Where its text ends.
    pub(super) end: usize,
    /// Where the next event begins.
    pub(super) bytes: usize,
    /// What ended it.
    pub(super) ended: Ended,
}

impl Extent {
    /// What of `buf` it covers, without a byte order mark, and how much of that is text.
    #[inline]
    pub(super) fn of<'b>(&self, buf: &'b [u8]) -> (&'b [u8], usize) {
        (&buf[self.start..self.bytes], self.end - self.start)
    }

    /// Whether nothing of it is text.
    #[inline]
    pub(super) fn is_empty(&self, limit: usize) -> bool {
        self.start == self.end
            && self.bytes - self.start <= text::whole_bytes(limit, self.ends_line())
    }

    /// Whether it is one line that is known to end here.
    #[inline]
    pub(super) fn ends_line(&self) -> bool {
        self.ended == Ended::Line
    }
}

/// What ended an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The line's end, where a line is an event.
    Line,
    /// The next event's first line, or a hole.
    Next,
    /// It goes on beyond all that one event may hold.
    Limit,
    /// The buffer's end, [`End`] being what it is.
    Buffer,
}

/// What a line, or the rest of it, runs into.
enum Stop {
    LineFeed(usize),
    Hole(usize),
    /// Nothing as far as an event may reach.
    Limit,
    /// Nothing in the buffer: there may be something from this byte on.
    Buffer(usize),
}

/// So many bytes after `mark` always tell whether an event is over the limit.
pub(super) fn reach_bytes(rules: &Rules, mark: usize) -> usize {
    mark + rules.limit_bytes() + LINE_END_BYTES
}

/// Finds the first event of `buf`, of which `mark` bytes are a byte order mark and the first `scanned` are known to hold
/// no end. `None`: the buffer does not show one.
#[inline]
pub(super) fn find(
    buf: &[u8],
    scanned: &mut usize,
    mark: usize,
    rules: &Rules,
    end: End,
) -> Option<Extent> {
    if *scanned > buf.len() {
        *scanned = 0;
    }
    match &rules.multiline {
        None => line(buf, scanned, mark, rules, end),
        Some(multiline) => lines(buf, scanned, mark, rules, multiline, end),
    }
}

#[inline]
fn line(buf: &[u8], scanned: &mut usize, mark: usize, rules: &Rules, end: End) -> Option<Extent> {
    match stop(buf, *scanned, reach_bytes(rules, mark), end) {
        Stop::LineFeed(at) => Some(Extent {
            start: mark.min(at),
            end: without_return(buf, mark, at),
            bytes: at + 1,
            ended: Ended::Line,
        }),
        Stop::Hole(at) => Some(cut(mark, at, Ended::Next)),
        Stop::Limit => Some(cut(mark, reach_bytes(rules, mark), Ended::Limit)),
        Stop::Buffer(at) => {
            *scanned = at;
            rest(buf, mark, end)
        }
    }
}

/// Several lines: up to the next that the pattern matches.
fn lines(
    buf: &[u8],
    scanned: &mut usize,
    mark: usize,
    rules: &Rules,
    multiline: &Multiline,
    end: End,
) -> Option<Extent> {
    let reach = reach_bytes(rules, mark);
    let trimmed = |mut extent: Extent| {
        extent.end = extent.start + text::trimmed(&buf[extent.start..extent.end]).len();
        Some(extent)
    };
    loop {
        let begins_line = *scanned > mark && buf[*scanned - 1] == b'\n';
        if begins_line {
            let line = *scanned;
            let head = head(&buf[line..], end)?;
            if line < buf.len() && multiline.starts(head) {
                return trimmed(cut(mark, line, Ended::Next));
            }
        }
        match stop(buf, *scanned, reach, end) {
            Stop::LineFeed(at) => *scanned = at + 1,
            Stop::Hole(at) => return trimmed(cut(mark, at, Ended::Next)),
            Stop::Limit => return trimmed(cut(mark, reach, Ended::Limit)),
            Stop::Buffer(at) => {
                *scanned = at;
                return rest(buf, mark, end).and_then(trimmed);
            }
        }
    }
}

/// As much of a line as the start pattern sees; `None` if the buffer does not show so much.
fn head(line: &[u8], end: End) -> Option<&[u8]> {
    let seen = &line[..line.len().min(START_BYTES)];
    match memchr(b'\n', seen) {
        Some(at) => Some(&seen[..without_return(seen, 0, at)]),
        None if seen.len() == START_BYTES || end != End::More => Some(seen),
        None => None,
    }
}

/// All that is left, if nothing is to follow.
fn rest(buf: &[u8], mark: usize, end: End) -> Option<Extent> {
    let all = match end {
        End::More => return None,
        // The first half of a character can wait for the other: a writer's buffer ended there.
        End::Quiet => buf.len() - text::unfinished(&buf[mark..]),
        End::Final => buf.len(),
    };
    (all > mark || (end == End::Final && all > 0)).then(|| cut(mark, all, Ended::Buffer))
}

/// The first line feed or hole from `from` on.
#[inline]
fn stop(buf: &[u8], from: usize, reach: usize, end: End) -> Stop {
    let visible = buf.len().min(reach);
    let mut at = from;
    while at < visible {
        let Some(found) = memchr2(b'\n', 0, &buf[at..visible]) else {
            break;
        };
        at += found;
        if buf[at] == b'\n' {
            return Stop::LineFeed(at);
        }
        let run = &buf[at..buf.len().min(at + HOLE_BYTES)];
        let length = run.iter().position(|&byte| byte != 0).unwrap_or(run.len());
        if length == HOLE_BYTES {
            return Stop::Hole(at);
        }
        if at + length == buf.len() && end == End::More {
            return Stop::Buffer(at);
        }
        at += length;
    }
    if buf.len() >= reach {
        Stop::Limit
    } else {
        Stop::Buffer(buf.len())
    }
}

fn cut(mark: usize, at: usize, ended: Ended) -> Extent {
    Extent {
        start: mark.min(at),
        end: at,
        bytes: at,
        ended,
    }
}

/// Where a line's text ends whose line feed is at `at`.
fn without_return(buf: &[u8], mark: usize, at: usize) -> usize {
    if at > mark && buf[at - 1] == b'\r' {
        at - 1
    } else {
        at
    }
}
