//! Pages of events, as GetLogEvents and FilterLogEvents give them.

use super::super::limits::{EVENT_OVERHEAD_BYTES, PAGE_BYTES};
use super::super::pattern::Pattern;
use super::stream::{Entry, Key, Stream};

/// What part of a stream is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// First time, inclusive.
    pub(crate) from_ms: i64,
    /// Last time, inclusive.
    pub(crate) to_ms: i64,
    /// Events that were taken later are not shown yet, in µs since the epoch.
    pub(crate) visible_us: i64,
    /// Events in a page.
    pub(crate) limit: usize,
}

/// Where a page begins and in which direction it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// Events after this place, oldest first.
    After(Place),
    /// The last events before this place.
    Before(Place),
}

/// A place between events: before all whose key is greater or equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) unix_ms: i64,
    pub(crate) start: u64,
}

impl Place {
    pub(crate) const HEAD: Self = Self {
        unix_ms: i64::MIN,
        start: 0,
    };
    pub(crate) const END: Self = Self {
        unix_ms: i64::MAX,
        start: u64::MAX,
    };

    fn before(key: Key) -> Self {
        Self {
            unix_ms: key.unix_ms,
            start: key.start,
        }
    }

    fn behind(key: Key) -> Self {
        Self {
            unix_ms: key.unix_ms,
            // A message is at least one byte long, so this is the next event's at the earliest.
            start: key.start + 1,
        }
    }
}

/// Events of a stream, and how to go on from there in both directions.
#[derive(Debug)]
pub(crate) struct Page<'s> {
    stream: &'s Stream,
    entries: Vec<Entry>,
    pub(crate) backward: Place,
    pub(crate) forward: Place,
}

/// An event as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown<'s> {
    pub(crate) unix_ms: i64,
    pub(crate) ingested_us: i64,
    pub(crate) message: &'s str,
}

/// Events with the names of their streams, and whether more follow.
pub(crate) type Found<'s> = (Vec<(&'s str, Shown<'s>)>, bool);

impl<'s> Page<'s> {
    pub(crate) fn events(&self) -> impl Iterator<Item = Shown<'s>> {
        self.entries.iter().map(|entry| shown(self.stream, entry))
    }
}

pub(super) fn shown<'s>(stream: &'s Stream, entry: &Entry) -> Shown<'s> {
    Shown {
        unix_ms: entry.unix_ms,
        ingested_us: stream.ingested_us(entry),
        message: stream.message(entry),
    }
}

/// One page of a stream.
pub(super) fn page<'s>(stream: &'s mut Stream, window: &Window, cursor: Cursor) -> Page<'s> {
    let all = stream.by_time();
    let position = |place: Place| all.partition_point(|entry| Place::before(entry.key()) < place);
    let from = position(Place {
        unix_ms: window.from_ms,
        start: 0,
    });
    let to = position(Place {
        unix_ms: window.to_ms,
        start: u64::MAX,
    });
    let (range, forward) = match cursor {
        Cursor::After(place) => (from.max(position(place))..to, true),
        Cursor::Before(place) => (from..to.min(position(place)), false),
    };
    let stream: &Stream = stream;
    let candidates = stream.entries().get(range).unwrap_or_default();
    let visible = |entry: &&Entry| stream.ingested_us(entry) <= window.visible_us;
    let mut room_bytes = PAGE_BYTES;
    let fits = |entry: &&Entry| {
        let bytes = stream.message(entry).len() + EVENT_OVERHEAD_BYTES;
        let fits = bytes <= room_bytes;
        room_bytes = room_bytes.saturating_sub(bytes);
        fits
    };
    let entries: Vec<Entry> = if forward {
        let chosen = candidates.iter().filter(visible).take_while(fits);
        chosen.take(window.limit).copied().collect()
    } else {
        let chosen = candidates.iter().rev().filter(visible).take_while(fits);
        let mut chosen: Vec<Entry> = chosen.take(window.limit).copied().collect();
        chosen.reverse();
        chosen
    };
    let here = match cursor {
        Cursor::After(place) | Cursor::Before(place) => place,
    };
    Page {
        backward: entries
            .first()
            .map_or(here, |entry| Place::before(entry.key())),
        forward: entries
            .last()
            .map_or(here, |entry| Place::behind(entry.key())),
        stream,
        entries,
    }
}

/// One page of several streams, oldest first, sorted as FilterLogEvents sorts: by time, then by when they were taken.
/// `skip` events of those that match were shown before; returns the events, and whether more follow.
pub(super) fn filter<'s>(
    streams: Vec<(&'s str, &'s Stream)>,
    window: &Window,
    pattern: &Pattern,
    skip: usize,
) -> Found<'s> {
    let all = sorted(&streams, window, |message| pattern.matches(message));
    let mut room_bytes = PAGE_BYTES;
    let mut chosen = Vec::new();
    let mut rest = all.into_iter().skip(skip);
    for (number, entry) in rest.by_ref() {
        let (name, stream) = streams[number];
        let event = shown(stream, &entry);
        let bytes = event.message.len() + EVENT_OVERHEAD_BYTES;
        if chosen.len() == window.limit || bytes > room_bytes {
            return (chosen, true);
        }
        room_bytes -= bytes;
        chosen.push((name, event));
    }
    (chosen, false)
}

/// All events of several streams in a window of time, oldest first.
pub(super) fn all<'s>(
    streams: Vec<(&'s str, &'s Stream)>,
    window: &Window,
) -> Vec<(&'s str, Shown<'s>)> {
    let entries = sorted(&streams, window, |_| true);
    let one = |(number, entry): (usize, Entry)| {
        let (name, stream) = streams[number];
        (name, shown(stream, &entry))
    };
    entries.into_iter().map(one).collect()
}

/// The events that are wanted, each with the number of its stream: by time, then by when they were taken.
fn sorted(
    streams: &[(&str, &Stream)],
    window: &Window,
    wanted: impl Fn(&str) -> bool,
) -> Vec<(usize, Entry)> {
    let mut all: Vec<(usize, Entry)> = Vec::new();
    for (number, (_, stream)) in streams.iter().enumerate() {
        let matching = stream.entries().iter().filter(|entry| {
            (window.from_ms..=window.to_ms).contains(&entry.unix_ms)
                && stream.ingested_us(entry) <= window.visible_us
                && wanted(stream.message(entry))
        });
        all.extend(matching.map(|entry| (number, *entry)));
    }
    all.sort_by_key(|(number, entry)| {
        let ingested_us = streams[*number].1.ingested_us(entry);
        (entry.unix_ms, ingested_us, *number, entry.key())
    });
    all
}
