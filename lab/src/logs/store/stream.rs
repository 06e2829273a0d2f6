//! One stream: the messages of all its events in one growing text, and a small entry for each event.

use super::batch::{Batch, Rejected};

/// The text grows by an eighth, not by doubling: a million events shall cost little more than their bytes.
const GROWTH_DIVISOR: usize = 8;
const GROWTH_LEAST_BYTES: usize = 64 * 1024;

/// A stream's events.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) created_ms: i64,
    text: String,
    entries: Vec<Entry>,
    /// When each batch was taken, in µs since the epoch.
    batches: Vec<i64>,
    /// Whether `entries` are sorted by [`Entry::key`]: they are put in order only when somebody reads.
    sorted: bool,
    /// Time of the first and of the last event.
    pub(super) range_ms: Option<(i64, i64)>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) unix_ms: i64,
    start: u64,
    len: u32,
    batch: u32,
}

/// Place of an event among all of its stream: by time, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) unix_ms: i64,
    /// Where the message begins in the stream's text: grows with each event that arrives.
    pub(super) start: u64,
}

impl Entry {
    pub(super) fn key(&self) -> Key {
        Key {
            unix_ms: self.unix_ms,
            start: self.start,
        }
    }
}

impl Stream {
    pub(super) fn new(created_ms: i64) -> Self {
        Self {
            created_ms,
            text: String::new(),
            entries: Vec::new(),
            batches: Vec::new(),
            sorted: true,
            range_ms: None,
        }
    }

    /// Takes the events of `batch` that are not rejected; returns how many.
    pub(super) fn take(&mut self, batch: &Batch, rejected: &Rejected, now_us: i64) -> usize {
        let taken = rejected.taken(batch.len());
        if taken.is_empty() {
            return 0;
        }
        reserve(&mut self.text, batch.bytes());
        if self.entries.capacity() - self.entries.len() < taken.len() {
            let more = taken.len().max(self.entries.len() / GROWTH_DIVISOR);
            self.entries.reserve_exact(more);
        }
        // A stream holds fewer than 2³² batches: a batch is at least 16 bytes here.
        let number = u32::try_from(self.batches.len()).unwrap_or(u32::MAX);
        self.batches.push(now_us);
        let mut last = self.entries.last().map(Entry::key);
        for (unix_ms, message) in batch.iter().skip(taken.start).take(taken.len()) {
            let entry = Entry {
                unix_ms,
                start: self.text.len() as u64,
                len: u32::try_from(message.len()).unwrap_or(u32::MAX),
                batch: number,
            };
            self.text.push_str(message);
            self.sorted &= last.is_none_or(|last| last < entry.key());
            last = Some(entry.key());
            self.entries.push(entry);
            let (first_ms, last_ms) = self.range_ms.unwrap_or((unix_ms, unix_ms));
            self.range_ms = Some((first_ms.min(unix_ms), last_ms.max(unix_ms)));
        }
        taken.len()
    }

    /// All events by time, then by arrival.
    pub(super) fn by_time(&mut self) -> &[Entry] {
        if !self.sorted {
            self.entries.sort_by_key(Entry::key);
            self.sorted = true;
        }
        &self.entries
    }

    /// All events in the order in which they came.
    pub(super) fn by_arrival(&self) -> Vec<Entry> {
        let mut entries = self.entries.clone();
        entries.sort_by_key(|entry| entry.start);
        entries
    }

    /// Entries as they lie.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn message(&self, entry: &Entry) -> &str {
        // Positions come from this text itself, which never shrinks.
        let start = usize::try_from(entry.start).unwrap_or(usize::MAX);
        self.text
            .get(start..start + entry.len as usize)
            .unwrap_or_default()
    }

    /// When an event was taken, in µs since the epoch.
    pub(super) fn ingested_us(&self, entry: &Entry) -> i64 {
        self.batches
            .get(entry.batch as usize)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn last_ingested_us(&self) -> Option<i64> {
        self.batches.last().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of all messages.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Memory that it holds, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.text.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.batches.capacity() * size_of::<i64>()
    }
}

fn reserve(text: &mut String, more_bytes: usize) {
    if text.capacity() - text.len() < more_bytes {
        let growth = (text.len() / GROWTH_DIVISOR).max(GROWTH_LEAST_BYTES);
        text.reserve_exact(more_bytes.max(growth));
    }
}
