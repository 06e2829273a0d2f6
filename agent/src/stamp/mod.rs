//! When an event happened, as its own text says.
//!
//! A stamp that can't be found or is no time is not an error: the event gets the time of the line before it, or that of
//! reading, and [`Origin`] says so. Whether a time is plausible is judged where the service's rules are kept.

use std::sync::Arc;

mod calendar;
mod cursor;
mod fields;
mod format;
mod presets;
mod resolve;
mod syntax;
mod zone;

pub use format::{Format, FormatError};

use format::Way;
use resolve::{Near, Resolved};
use zone::Zone;

/// A stamp begins in the first so many bytes of an event.
const SEARCH_BYTES: usize = 1024;
/// The line before tells the time of a line that was read so much later at most: traces are written at once, and a file
/// whose lines have no stamps must not stay at the one it had.
const PREVIOUS_LASTS_MS: i64 = 60 * 60 * 1000;

/// When an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: i64,
    /// Who says so.
    pub origin: Origin,
}

/// Where a stamp comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The event's own text.
    Own,
    /// The last event before it that had one.
    Previous,
    /// The time it was read.
    Read,
}

/// Finds the stamps in the events of one generation, one after the other.
#[derive(Debug)]
pub struct Stamper {
    format: Option<Arc<Format>>,
    zone: Zone,
    /// By how much the clock that writes the stamps is ahead of that of reading; not less than zero.
    ahead_ms: i64,
    found: Option<Found>,
    previous: Option<Previous>,
}

/// The last stamp that was found: lines of the same second have the same bytes.
#[derive(Debug)]
struct Found {
    way: usize,
    column: usize,
    /// All bytes that were looked at to understand it.
    seen: Vec<u8>,
    /// Whether the message's end was looked at, too.
    saw_end: bool,
    resolved: Resolved,
}

/// The last event that had a stamp.
#[derive(Debug, Clone, Copy)]
struct Previous {
    unix_ms: i64,
    read_ms: i64,
}

impl Stamper {
    /// With the format of the stamps, `None` if events have none; `zone` is meant by stamps that name no other.
    #[must_use]
    pub fn new(format: Option<Arc<Format>>, zone: jiff::tz::TimeZone) -> Self {
        Self {
            format,
            zone: Zone::new(zone),
            ahead_ms: 0,
            found: None,
            previous: None,
        }
    }

    /// The host's clock, which stamps are written by, is so far ahead of the one that times of reading are by.
    #[inline]
    pub fn set_ahead(&mut self, ahead_ms: i64) {
        self.ahead_ms = ahead_ms.max(0);
    }

    /// Another zone is meant from now on by stamps that name none.
    pub fn set_zone(&mut self, zone: jiff::tz::TimeZone) {
        self.zone = Zone::new(zone);
        self.found = None;
    }

    /// When the event happened; `read_ms` is when it was read, in milliseconds since 1970-01-01 UTC.
    #[inline]
    pub fn stamp(&mut self, message: &str, read_ms: i64) -> Stamp {
        let text = message.as_bytes();
        if let Some(found) = &self.found
            && found.is_at(text, found.column)
            && found.resolved.holds(read_ms, self.ahead_ms)
        {
            return self.own(found.resolved.unix_ms, read_ms);
        }
        match self.search(text, read_ms) {
            Some(unix_ms) => self.own(unix_ms, read_ms),
            None => self.follow(read_ms),
        }
    }

    /// The stamp of an event that has none of its own, such as the rest of a line.
    #[must_use]
    pub fn follow(&self, read_ms: i64) -> Stamp {
        match self.previous {
            Some(previous) if read_ms.abs_diff(previous.read_ms) <= PREVIOUS_LASTS_MS as u64 => {
                Stamp {
                    unix_ms: previous.unix_ms,
                    origin: Origin::Previous,
                }
            }
            _ => Stamp {
                unix_ms: read_ms,
                origin: Origin::Read,
            },
        }
    }

    #[inline]
    fn own(&mut self, unix_ms: i64, read_ms: i64) -> Stamp {
        self.previous = Some(Previous { unix_ms, read_ms });
        Stamp {
            unix_ms,
            origin: Origin::Own,
        }
    }

    /// Looks where the last stamp was, then everywhere else.
    fn search(&mut self, text: &[u8], read_ms: i64) -> Option<i64> {
        let format = Arc::clone(self.format.as_ref()?);
        let (first, column) = match &self.found {
            Some(found) => (found.way, found.column),
            None => (0, 0),
        };
        let way = &format.ways[first];
        let tried = way.may_begin(text, column).then_some(column);
        if tried.is_some()
            && let Some(unix_ms) = self.try_at(way, first, text, column, read_ms)
        {
            return Some(unix_ms);
        }
        let others = (0..format.ways.len()).filter(|&index| index != first);
        for index in std::iter::once(first).chain(others) {
            let way = &format.ways[index];
            let mut from = 0;
            while let Some(column) = way.next(text, from, SEARCH_BYTES) {
                from = column + 1;
                if index == first && tried == Some(column) {
                    continue;
                }
                if let Some(unix_ms) = self.try_at(way, index, text, column, read_ms) {
                    return Some(unix_ms);
                }
            }
        }
        None
    }

    /// Understands the stamp at one column, and remembers it.
    fn try_at(
        &mut self,
        way: &Way,
        index: usize,
        text: &[u8],
        column: usize,
        read_ms: i64,
    ) -> Option<i64> {
        if let Some(found) = &mut self.found
            && found.way == index
            && found.is_at(text, column)
            && found.resolved.holds(read_ms, self.ahead_ms)
        {
            found.column = column;
            return Some(found.resolved.unix_ms);
        }
        let reading = fields::read(&way.items, text, column)?;
        let near = Near {
            read_ms,
            ahead_ms: self.ahead_ms,
            previous: self
                .previous
                .map(|previous| (previous.unix_ms, previous.read_ms)),
        };
        let resolved = resolve::resolve(&reading.fields, text, &mut self.zone, near)?;
        let mut seen = self.found.take().map_or_else(Vec::new, |found| found.seen);
        seen.clear();
        seen.extend_from_slice(&text[column..reading.seen.min(text.len())]);
        self.found = Some(Found {
            way: index,
            column,
            seen,
            saw_end: reading.seen > text.len(),
            resolved,
        });
        Some(resolved.unix_ms)
    }
}

impl Found {
    /// Whether the very same stamp is at that column of `text`.
    #[inline]
    fn is_at(&self, text: &[u8], column: usize) -> bool {
        let rest = text.get(column..).unwrap_or_default();
        rest.starts_with(&self.seen) && !(self.saw_end && rest.len() != self.seen.len())
    }
}

#[cfg(test)]
mod tests;
