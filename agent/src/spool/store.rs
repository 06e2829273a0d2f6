//! The spool on its shelf: what is written, what is in memory, and what is given up.

mod open;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::book::Book;
use super::codec::{Decoder, Encoder, Record};
use super::segment::{self, BODY, Header};
use super::{Fate, Range, Reading, Scope, Series};

pub use open::Found;

/// How long a segment is. It holds some four hours of a host's metrics, measured each minute.
const SEGMENT_BYTES: u64 = 256 * 1024;

/// Fewer segments can't be used in turn.
const MIN_SEGMENTS: u64 = 4;

/// A reading that takes more is written as several of the same instant.
const MAX_READING_BYTES: usize = 64 * 1024;

/// So many points are held in memory to be sent next; the rest is on the disk only.
const WINDOW_POINTS: usize = 8 * 1024;

/// So many points are held in memory because the disk does not take them; beyond that the oldest are given up.
const UNWRITTEN_POINTS: usize = 16 * 1024;

/// What segments are on.
pub trait Shelf: Send + Debug {
    /// Which slots hold something.
    ///
    /// # Errors
    /// When that can't be told.
    fn slots(&mut self) -> io::Result<Vec<u32>>;

    /// All that a slot holds.
    ///
    /// # Errors
    /// When it can't be read.
    fn read(&mut self, slot: u32) -> io::Result<Vec<u8>>;

    /// Fills a slot with so many zeros, safely.
    ///
    /// # Errors
    /// When there is no room; the slot is empty then.
    fn create(&mut self, slot: u32, size: u64) -> io::Result<()>;

    /// Writes at a place of a slot. It survives the process now, and a crash of the host once [`sync`](Shelf::sync) has returned.
    ///
    /// # Errors
    /// When that fails; any of the bytes may be written.
    fn write(&mut self, slot: u32, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Waits until everything that was written to a slot is safely there.
    ///
    /// # Errors
    /// When that fails; nothing is known then of what was written since the last success.
    fn sync(&mut self, slot: u32) -> io::Result<()>;

    /// Empties a slot.
    ///
    /// # Errors
    /// When that fails.
    fn remove(&mut self, slot: u32) -> io::Result<()>;

    /// Empties a slot and keeps what was in it elsewhere; returns where.
    ///
    /// # Errors
    /// When that fails.
    fn set_aside(&mut self, slot: u32) -> io::Result<PathBuf>;
}

/// What was given up without having been sent, in points, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// For want of room.
    pub overflow: u64,
    /// For being damaged on the disk.
    pub damaged: u64,
    /// For belonging to another instance, of whose disk this is a copy.
    pub other_instance: u64,
}

/// How full the spool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Points that wait, or are under way.
    pub points: u64,
    /// The room that is taken on the disk.
    pub disk_bytes: u64,
    /// When the oldest of them was measured, in milliseconds since 1970 UTC.
    pub oldest_ms: Option<i64>,
    /// What was given up.
    pub dropped: Dropped,
}

/// A segment in use.
#[derive(Debug)]
struct Segment {
    slot: u32,
    epoch: u64,
    /// The last reading in it, or in the segments before it.
    last_seq: u64,
    /// Behind its last frame.
    end: u64,
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    shelf: Box<dyn Shelf>,
    instance_id: String,
    segment_bytes: u64,
    max_segments: usize,
    /// Oldest first; the last one is appended to.
    segments: VecDeque<Segment>,
    /// Slots that are filled with zeros, or with what is settled.
    spare: Vec<u32>,
    encoder: Encoder,
    book: Book,
    next_seq: u64,
    /// The oldest readings that are not settled.
    window: VecDeque<Arc<Reading>>,
    window_points: usize,
    /// Of the readings up to this number, all that are not settled are in the window.
    loaded_through: u64,
    /// The newest readings, which the disk has not taken.
    unwritten: VecDeque<Arc<Reading>>,
    unwritten_points: usize,
    /// Something was written and not synced.
    unsynced: bool,
    points: u64,
    dropped: Dropped,
    trouble: Option<String>,
    newest_ms: Option<i64>,
}

impl Spool {
    /// Takes down what was measured. It survives the process when this has returned, and a power cut once a request was intended after
    /// it. Where the disk does not take it, it is held in memory ([`trouble`](Spool::trouble) tells).
    pub fn append(&mut self, at_ms: i64, scope: &Arc<Scope>, values: Vec<(Series, f64)>) {
        let (mut part, mut bytes) = (Vec::new(), 0);
        for (series, value) in values {
            let size = spelled_bytes(&series);
            if bytes + size > MAX_READING_BYTES && !part.is_empty() {
                self.take(at_ms, scope, std::mem::take(&mut part));
                bytes = 0;
            }
            bytes += size;
            part.push((self.encoder.intern(series), value));
        }
        if !part.is_empty() {
            self.take(at_ms, scope, part);
        }
        self.write_out();
    }

    fn take(&mut self, at_ms: i64, scope: &Arc<Scope>, values: Vec<(Arc<Series>, f64)>) {
        let reading = Arc::new(Reading {
            seq: self.next_seq,
            at_ms,
            scope: Arc::clone(scope),
            values,
        });
        self.next_seq += 1;
        self.newest_ms = Some(at_ms);
        self.points += reading.values.len() as u64;
        if self.loaded_through + 1 == reading.seq && self.window_points < WINDOW_POINTS {
            self.load(Arc::clone(&reading));
        }
        self.unwritten_points += reading.values.len();
        self.unwritten.push_back(reading);
    }

    /// Writes what is in memory only, as far as the disk takes it.
    fn write_out(&mut self) {
        while let Some(reading) = self.unwritten.pop_front() {
            self.unwritten_points -= reading.values.len();
            if reading.seq <= self.book.through() {
                continue;
            }
            let record = Record::Reading(Reading::clone(&reading));
            if let Err(error) = self.log(&record) {
                self.trouble = Some(error.to_string());
                self.unwritten_points += reading.values.len();
                self.unwritten.push_front(reading);
                return self.bound_memory();
            }
        }
        self.trouble = None;
    }

    fn bound_memory(&mut self) {
        while self.unwritten_points > UNWRITTEN_POINTS {
            let Some(oldest) = self.unwritten.pop_front() else {
                break;
            };
            self.unwritten_points -= oldest.values.len();
            if oldest.seq > self.loaded_through {
                self.give_up(oldest.values.len() as u64);
            }
        }
    }

    fn give_up(&mut self, points: u64) {
        self.dropped.overflow += points;
        self.points = self.points.saturating_sub(points);
    }

    /// A request is about to leave: when this has returned, that it did survives a power cut. With a disk that takes nothing it is kept
    /// in memory only: a full disk is no reason to stop telling that it is full.
    pub fn intend(&mut self, range: Range) {
        self.book.intend(range);
        let written = self.log(&Record::Intent(range)).and_then(|()| self.sync());
        if let Err(error) = written {
            self.trouble = Some(error.to_string());
        }
    }

    /// An intended request has not arrived, for certain.
    pub fn withdraw(&mut self, range: Range) {
        self.book.withdraw(range);
        // Should this be forgotten, the service is asked.
        let _ = self.log(&Record::Withdrawn(range));
    }

    /// Points have met their fate.
    pub fn settle(&mut self, range: Range, fate: Fate) {
        self.book.settle(range);
        // Should this be forgotten, the service is asked.
        let _ = self.log(&Record::Settled(range, fate));
        self.trim();
        self.release();
    }

    /// Readings that are in no parcel yet, oldest first, as far as they are in memory. Some are, if there are any.
    pub fn unpacked(&mut self) -> Vec<Arc<Reading>> {
        self.refill();
        let packed = self.book.packed_through();
        let after = self.window.iter().filter(|reading| reading.seq > packed);
        after.cloned().collect()
    }

    /// The readings of a parcel.
    pub fn parcel(&mut self, range: Range) -> Vec<Arc<Reading>> {
        self.refill();
        let inside = |reading: &&Arc<Reading>| (range.first..=range.last).contains(&reading.seq);
        self.window.iter().filter(inside).cloned().collect()
    }

    /// Readings up to this number are in a parcel: the next one begins behind it.
    #[must_use]
    pub fn packed_through(&self) -> u64 {
        self.book.packed_through()
    }

    /// Parcels that are not settled.
    #[must_use]
    pub fn parcels(&self) -> usize {
        self.book.parcels()
    }

    /// Requests whose outcome is not known, oldest first.
    #[must_use]
    pub fn open_ranges(&self) -> Vec<Range> {
        self.book.open()
    }

    /// Parts of parcels that have to be sent, oldest first.
    #[must_use]
    pub fn gaps(&self) -> Vec<Range> {
        self.book.gaps()
    }

    /// How full it is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            points: self.points,
            disk_bytes: (self.segments.len() + self.spare.len()) as u64 * self.segment_bytes,
            oldest_ms: self.window.front().map(|reading| reading.at_ms),
            dropped: self.dropped,
        }
    }

    /// Why the disk does not take what is measured.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// When the newest reading was measured that is known, sent or not, in milliseconds since 1970 UTC.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// Puts a reading at the window's end.
    fn load(&mut self, reading: Arc<Reading>) {
        self.loaded_through = reading.seq;
        self.window_points += reading.values.len();
        self.window.push_back(reading);
    }

    /// Takes what is settled out of the window.
    fn trim(&mut self) {
        let through = self.book.through();
        while let Some(reading) = self.window.pop_front_if(|it| it.seq <= through) {
            self.window_points -= reading.values.len();
            self.points = self.points.saturating_sub(reading.values.len() as u64);
        }
        self.loaded_through = self.loaded_through.max(through);
    }

    /// Reads on from the disk, and then takes what is in memory only.
    fn refill(&mut self) {
        // What is in a parcel is packed anew from all of its readings.
        let packed = self.loaded_through >= self.book.packed_through();
        let enough = self.window_points >= WINDOW_POINTS / 2 && packed;
        if enough || self.loaded_through + 1 >= self.next_seq {
            return;
        }
        let behind: Vec<(u32, u64, u64)> = self
            .segments
            .iter()
            .filter(|segment| segment.last_seq > self.loaded_through)
            .map(|segment| (segment.slot, segment.epoch, segment.last_seq))
            .collect();
        for (slot, epoch, last_seq) in behind {
            match self.readings_of(slot, epoch) {
                Ok(readings) => {
                    for reading in readings {
                        if reading.seq > self.loaded_through {
                            if self.is_full() {
                                return;
                            }
                            self.load(Arc::new(reading));
                        }
                    }
                    self.loaded_through = self.loaded_through.max(last_seq);
                }
                Err(error) => {
                    self.trouble = Some(error.to_string());
                    return;
                }
            }
        }
        let held: Vec<_> = self.unwritten.iter().cloned().collect();
        for reading in held {
            if reading.seq > self.loaded_through && !self.is_full() {
                self.load(reading);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.window_points >= WINDOW_POINTS && self.loaded_through >= self.book.packed_through()
    }

    /// What a segment holds that is not settled.
    fn readings_of(&mut self, slot: u32, epoch: u64) -> io::Result<Vec<Reading>> {
        let bytes = self.shelf.read(slot)?;
        let mut decoder = Decoder::default();
        let mut readings = Vec::new();
        for frame in segment::scan(&bytes, epoch).frames {
            for record in decoder.decode(frame).unwrap_or_default() {
                if let Record::Reading(reading) = record
                    && reading.seq > self.book.through()
                    // What named its points may be lost.
                    && !reading.values.is_empty()
                {
                    readings.push(reading);
                }
            }
        }
        Ok(readings)
    }

    /// Appends a record.
    fn log(&mut self, record: &Record) -> io::Result<()> {
        let mut fresh = false;
        let from_seq = match record {
            Record::Reading(reading) => reading.seq,
            _ => self.unwritten.front().map_or(self.next_seq, |it| it.seq),
        };
        loop {
            let Some(current) = self.segments.back() else {
                self.begin_segment(from_seq)?;
                continue;
            };
            let (slot, epoch, at) = (current.slot, current.epoch, current.end);
            let mark = self.encoder.mark();
            let mut records = Vec::new();
            if let Record::Reading(reading) = record
                && !self.encoder.is_about(&reading.scope)
            {
                let scope = Record::Scope(Arc::clone(&reading.scope));
                self.encoder.encode(&scope, &mut records);
            }
            self.encoder.encode(record, &mut records);
            let end = at + segment::frame_bytes(records.len()) as u64;
            if end > self.segment_bytes {
                self.encoder.back_to(mark);
                if fresh {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                self.begin_segment(from_seq)?;
                fresh = true;
                continue;
            }
            self.unsynced = true;
            let frame = segment::frame(epoch, at, &records);
            if let Err(error) = self.shelf.write(slot, at, &frame) {
                self.encoder.back_to(mark);
                return Err(error);
            }
            if let Some(current) = self.segments.back_mut() {
                current.end = end;
                if let Record::Reading(reading) = record {
                    current.last_seq = reading.seq;
                }
            }
            return Ok(());
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(current) = self.segments.back()
            && self.unsynced
        {
            self.shelf.sync(current.slot)?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Goes on in another segment. What a slot held before may go only when all that says that it is settled is safely on the disk.
    fn begin_segment(&mut self, from_seq: u64) -> io::Result<()> {
        self.sync()?;
        let (slot, made) = match self.spare.pop() {
            Some(slot) => (slot, true),
            None if self.segments.len() >= self.max_segments => (self.drop_oldest()?, true),
            None => (self.unused_slot(), false),
        };
        let header = Header {
            epoch: self.segments.back().map_or(1, |last| last.epoch + 1),
            next_seq: from_seq,
            through: self.book.through(),
            newest_ms: self.newest_ms.unwrap_or(i64::MIN),
            instance_id: self.instance_id.clone(),
        };
        let begun = match made {
            true => Ok(()),
            false => self.shelf.create(slot, self.segment_bytes),
        }
        .and_then(|()| self.shelf.write(slot, 0, &header.encode()))
        .and_then(|()| self.shelf.sync(slot));
        if let Err(error) = begun {
            if made {
                self.spare.push(slot);
            }
            return Err(error);
        }
        self.encoder = Encoder::default();
        self.segments.push_back(Segment {
            slot,
            epoch: header.epoch,
            last_seq: header.next_seq.saturating_sub(1),
            end: BODY,
        });
        Ok(())
    }

    fn unused_slot(&self) -> u32 {
        let used = |slot: &u32| {
            self.spare.contains(slot) || self.segments.iter().any(|segment| segment.slot == *slot)
        };
        (0..).find(|slot| !used(slot)).unwrap_or_default()
    }

    /// Gives the oldest segment up with all that is in it; returns its slot.
    fn drop_oldest(&mut self) -> io::Result<u32> {
        let Some(oldest) = self.segments.front() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let (slot, epoch, last_seq) = (oldest.slot, oldest.epoch, oldest.last_seq);
        let points = |values: usize| values as u64;
        let inside = self.readings_of(slot, epoch).unwrap_or_default();
        let mut lost: u64 = inside.iter().map(|it| points(it.values.len())).sum();
        let through = self.book.forget(last_seq);
        // A parcel goes whole, with what it has in later segments.
        let behind = |it: &&Arc<Reading>| it.seq > last_seq && it.seq <= through;
        let behind = self.window.iter().filter(behind);
        lost += behind.map(|it| points(it.values.len())).sum::<u64>();
        let left = self.points.saturating_sub(lost);
        self.dropped.overflow += lost;
        self.trim();
        self.points = left;
        self.segments.pop_front();
        Ok(slot)
    }

    /// Frees the segments that hold nothing any more but the one in use.
    fn release(&mut self) {
        let through = self.book.through();
        let done = |segment: &Segment| segment.last_seq <= through;
        if self.segments.len() < 2 || !self.segments.front().is_some_and(done) {
            return;
        }
        // They go only when it is safely said that they are settled: a power cut may bring some of them back, and not others that said so.
        let settled = self.log(&Record::Through(through));
        if settled.and_then(|()| self.sync()).is_err() {
            return;
        }
        while self.segments.len() > 1 && self.segments.front().is_some_and(done) {
            let Some(segment) = self.segments.pop_front() else {
                break;
            };
            // One is kept for the next turn.
            let keep = self.spare.is_empty();
            if keep || self.shelf.remove(segment.slot).is_err() {
                self.spare.push(segment.slot);
            }
        }
    }
}

/// How long a metric and its value are at most.
fn spelled_bytes(series: &Series) -> usize {
    let labels = series.labels.iter();
    let labels: usize = labels
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum();
    series.name.len() + series.unit.len() + labels + 32
}
