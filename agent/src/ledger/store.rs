//! Records on a medium that outlives the process: two segments, of which one is appended to.

mod open;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use super::Record;
use super::medium::{Medium, Slot};
use super::segment::{self, BODY, Header};

pub use open::{How, OpenError, Opened};

/// The size to which a segment is filled with zeros before it is used. Appending then takes no new block of the disk, so
/// a full one does not stop the agent, and a sync has no metadata to write. Two of them are the ledger's disk space in
/// ordinary use; some 5,000 batches fill one.
const SEGMENT_BYTES: u64 = 1024 * 1024;

/// Compaction is worth its while when the log is so many times longer than the snapshot that it began with.
const COMPACT_AT: u64 = 4;

/// What is flushed but not synced is kept in memory too, in case the sync fails; at this size a flush syncs.
const MAX_UNSYNCED_BYTES: usize = 256 * 1024;

/// The segments of a ledger that is about to be begun anew, at the first commit.
#[derive(Debug)]
struct Anew {
    aside: PathBuf,
    first: Slot,
    /// The new ledger is there; the other old segment still has to go.
    begun: bool,
}

/// A ledger on its medium.
///
/// Every error can be answered by trying again: nothing is forgotten, and nothing is written half.
#[derive(Debug)]
pub struct Store {
    medium: Box<dyn Medium>,
    instance_id: String,
    slot: Slot,
    epoch: u64,
    /// The size that a segment begins with, and grows by.
    segment_bytes: u64,
    /// How long the snapshot at the segment's beginning is.
    snapshot_bytes: u64,
    /// How long each file is.
    size: [u64; 2],
    /// Behind this, each file holds zeros, on the disk as well.
    used: [u64; 2],
    /// Everything before this place is safely on the medium.
    synced_to: u64,
    /// The frames behind it.
    tail: Vec<u8>,
    /// How much of them the medium has taken.
    written: usize,
    /// Records that are in no frame yet.
    pending: Vec<u8>,
    anew: Option<Anew>,
    /// The other segment may have a header that is not to count, on the disk at least.
    scrub: bool,
}

impl Store {
    /// Takes records down, in order; they are on the medium after the next [`flush`](Store::flush) or
    /// [`commit`](Store::commit).
    pub fn append(&mut self, records: &[Record]) {
        segment::encode(records, &mut self.pending);
    }

    /// Whether a commit would do anything.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.pending.is_empty() || !self.tail.is_empty() || self.anew.is_some()
    }

    /// Hands what was appended to the system: it survives the end of this process, not yet a power cut.
    ///
    /// # Errors
    /// When the medium fails. Everything is kept, and tried again by the next call.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.is_dirty() {
            return Ok(());
        }
        self.begin_anew()?;
        self.scrub_other()?;
        if !self.pending.is_empty() {
            let at = self.synced_to + self.tail.len() as u64;
            segment::frame(
                self.epoch,
                at,
                self.synced_to,
                &self.pending,
                &mut self.tail,
            );
            self.pending.clear();
        }
        let end = self.synced_to + self.tail.len() as u64;
        self.grow(self.slot, end)?;
        if self.written < self.tail.len() {
            let at = self.synced_to + self.written as u64;
            let used = &mut self.used[self.slot.index()];
            *used = (*used).max(end);
            self.medium
                .write(self.slot, at, &self.tail[self.written..])?;
            self.written = self.tail.len();
        }
        if self.tail.len() > MAX_UNSYNCED_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    /// Brings everything that was appended safely onto the medium: once this has returned, it is there after a power
    /// cut too.
    ///
    /// # Errors
    /// When the medium fails. Everything is kept, and tried again by the next call.
    pub fn commit(&mut self) -> io::Result<()> {
        self.flush()?;
        if self.tail.is_empty() {
            return Ok(());
        }
        self.sync()
    }

    /// Whether it is time for [`compact`](Store::compact).
    #[must_use]
    pub fn is_large(&self) -> bool {
        let end = self.synced_to + (self.tail.len() + self.pending.len()) as u64;
        let enough = (self.snapshot_bytes * COMPACT_AT).max(self.segment_bytes / 4 * 3);
        end > BODY + enough
    }

    /// Begins the other segment with a snapshot of the account ([`State::snapshot`](super::State::snapshot)), which has to hold everything that
    /// was appended, and goes on there. It is all committed then.
    ///
    /// # Errors
    /// When the medium fails. The old segment stays in use, and nothing that was appended is forgotten.
    pub fn compact(&mut self, snapshot: &[Record]) -> io::Result<()> {
        let mut records = Vec::new();
        segment::encode(snapshot, &mut records);
        if self.anew.as_ref().is_some_and(|anew| !anew.begun) {
            self.pending = records;
            return self.begin_anew();
        }
        self.begin_anew()?;
        self.scrub_other()?;
        let slot = self.slot.other();
        let frame = self.snapshot_frame(&records);
        let end = BODY + frame.len() as u64;
        self.grow(slot, end)?;
        let stale = self.used[slot.index()].max(end);
        self.used[slot.index()] = stale;
        self.medium.write(slot, BODY, &frame)?;
        self.zero(slot, end, stale)?;
        self.medium.sync(slot)?;
        self.used[slot.index()] = end;
        // From here on the new header may be on the medium although we were told otherwise. Unless the new segment is
        // in use, it has to be gone before the old one goes on.
        self.scrub = true;
        let header = self.header(end, self.size[slot.index()]);
        self.medium.write(slot, 0, &header)?;
        self.medium.sync(slot)?;
        self.scrub = false;
        self.go_on_at(slot, end);
        Ok(())
    }

    /// Where a new ledger is due: the old segments are kept aside, and it takes their place, with everything that is
    /// pending.
    fn begin_anew(&mut self) -> io::Result<()> {
        let Some(anew) = &self.anew else {
            return Ok(());
        };
        let first = anew.first;
        if !anew.begun {
            self.medium.set_aside(&anew.aside)?;
            self.begin_with(first)?;
        }
        if let Some(anew) = &mut self.anew {
            anew.begun = true;
        }
        self.blank(first.other())?;
        self.anew = None;
        Ok(())
    }

    /// A segment that is not in use yet.
    fn blank(&mut self, slot: Slot) -> io::Result<()> {
        self.medium.replace(slot, &[], self.segment_bytes)?;
        self.size[slot.index()] = self.segment_bytes;
        self.used[slot.index()] = 0;
        Ok(())
    }

    /// A new segment of the next epoch with what is pending.
    fn begin_with(&mut self, slot: Slot) -> io::Result<()> {
        let body = self.snapshot_frame(&self.pending);
        let end = BODY + body.len() as u64;
        let size = end.next_multiple_of(self.segment_bytes);
        let content = [self.header(end, size), body].concat();
        self.medium.replace(slot, &content, size)?;
        self.size[slot.index()] = size;
        self.used[slot.index()] = end;
        self.go_on_at(slot, end);
        Ok(())
    }

    /// The frame that a segment of the next epoch begins with.
    fn snapshot_frame(&self, records: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        if !records.is_empty() {
            segment::frame(self.epoch + 1, BODY, BODY, records, &mut frame);
        }
        frame
    }

    /// The first page of a segment of the next epoch.
    fn header(&self, snapshot_end: u64, size: u64) -> Vec<u8> {
        Header {
            epoch: self.epoch + 1,
            snapshot_end,
            size,
            instance_id: self.instance_id.clone(),
        }
        .encode()
    }

    /// The next epoch has begun in this segment: everything is committed, and the log ends here.
    fn go_on_at(&mut self, slot: Slot, end: u64) {
        self.slot = slot;
        self.epoch += 1;
        self.snapshot_bytes = end - BODY;
        self.synced_to = end;
        self.tail.clear();
        self.written = 0;
        self.pending.clear();
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.medium.sync(self.slot) {
            Ok(()) => {
                self.synced_to += self.tail.len() as u64;
                self.tail.clear();
                self.written = 0;
                Ok(())
            }
            Err(error) => {
                // The system may have dropped what it could not write, and would say that all is well next time.
                self.written = 0;
                Err(error)
            }
        }
    }

    fn grow(&mut self, slot: Slot, end: u64) -> io::Result<()> {
        let size = self.size[slot.index()];
        if end > size {
            let wanted = end.next_multiple_of(self.segment_bytes);
            self.zero(slot, size, wanted)?;
            self.medium.sync(slot)?;
            self.size[slot.index()] = wanted;
        }
        Ok(())
    }

    fn scrub_other(&mut self) -> io::Result<()> {
        if self.scrub {
            let other = self.slot.other();
            self.zero(other, 0, BODY)?;
            self.medium.sync(other)?;
            self.scrub = false;
        }
        Ok(())
    }

    fn zero(&mut self, slot: Slot, from: u64, to: u64) -> io::Result<()> {
        // In pieces of a static: a buffer of a segment's size would stay in the process's memory.
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut at = from;
        while at < to {
            let piece = (to - at).min(ZEROS.len() as u64);
            self.medium.write(slot, at, &ZEROS[..piece as usize])?;
            at += piece;
        }
        Ok(())
    }
}
