//! Records on a medium that outlives the process: two segments, of which one is appended to.

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::disk::{Disk, LockError};
use super::recover::{self, Found};
use super::segment::{self, BODY, Header, MAX_INSTANCE_ID_BYTES};
use super::{Record, State};

/// The size to which a segment is filled with zeros before it is used. Appending then takes no new block of the disk, so
/// a full one does not stop the agent, and a sync has no metadata to write. Two of them are the ledger's disk space in
/// ordinary use; some 5,000 batches fill one.
const SEGMENT_BYTES: u64 = 1024 * 1024;

/// Compaction is worth its while when the log is so many times longer than the snapshot that it began with.
const COMPACT_AT: u64 = 4;

/// What is flushed but not synced is kept in memory too, in case the sync fails; at this size a flush syncs.
const MAX_UNSYNCED_BYTES: usize = 256 * 1024;

/// One of the two segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// `ledger.a`.
    A,
    /// `ledger.b`.
    B,
}

impl Slot {
    /// Its file's name.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Slot::A => "ledger.a",
            Slot::B => "ledger.b",
        }
    }

    pub(super) fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Slot::A => 0,
            Slot::B => 1,
        }
    }
}

/// What the two segments are on. Whoever holds one is its only writer.
pub trait Medium: Send + std::fmt::Debug {
    /// All of a segment, or nothing when there is none.
    ///
    /// # Errors
    /// When it is there and can't be read.
    fn read(&mut self, slot: Slot) -> io::Result<Option<Vec<u8>>>;

    /// Puts a new segment, `content` and zeros up to `size` bytes, in the place of whatever is there. A crash leaves the
    /// old one or the new one, and the new one for certain once this has returned.
    ///
    /// # Errors
    /// When that fails; the old one is still there then.
    fn replace(&mut self, slot: Slot, content: &[u8], size: u64) -> io::Result<()>;

    /// Writes bytes at a place. They survive the process now, and a crash of the host once
    /// [`sync`](Medium::sync) has returned; until then it may leave any of their sectors old or new.
    ///
    /// # Errors
    /// When that fails; any of the bytes may be written.
    fn write(&mut self, slot: Slot, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Waits until everything that was written is safely there.
    ///
    /// # Errors
    /// When that fails; nothing is known then of what was written since the last success.
    fn sync(&mut self, slot: Slot) -> io::Result<()>;

    /// A place for segments that are set aside, which nothing uses yet.
    fn aside(&self, name: &str) -> PathBuf;

    /// Keeps both segments as they are at `place` too. Doing it again changes nothing.
    ///
    /// # Errors
    /// When that fails.
    fn set_aside(&mut self, place: &Path) -> io::Result<()>;
}

/// The ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The id of the instance does not fit.
    #[error(
        "the instance id has {0} bytes; a ledger takes 1 to {MAX_INSTANCE_ID_BYTES}: set a shorter one in the configuration"
    )]
    InstanceId(usize),
    /// The directory is not usable, or another agent uses it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A segment can't be read, written or made.
    #[error(
        "cannot {doing} {} in {}: check the disk and the directory's owner, then start again; nothing was changed",
        .slot.file(), .directory.display()
    )]
    Segment {
        /// What was tried.
        doing: &'static str,
        /// With which segment.
        slot: Slot,
        /// Where.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// An open ledger.
#[derive(Debug)]
pub struct Opened {
    /// Where to append.
    pub store: Store,
    /// The account as it stands. Empty when the ledger is fresh, or another instance's.
    pub state: State,
    /// How it was found.
    pub how: How,
}

/// How a ledger was found.
#[derive(Debug)]
pub enum How {
    /// There was none.
    Fresh,
    /// It was there, and whole.
    Resumed,
    /// It was there, and not to be trusted. The part that is certainly true was taken over: nothing is skipped because
    /// of it, but lines that were shipped after it was written may be shipped again. When nothing could be read the
    /// account is empty, and files are begun as on the first start.
    SetAside {
        /// Where its files are kept, from the first commit on.
        to: PathBuf,
        /// What is wrong with it, and what that means, for people.
        why: String,
    },
    /// It is another host's: this disk is a copy of that one's. Before anything else, append all that says which bytes
    /// of the files are that host's, and commit: until then the ledger stays that host's, and is found so again after a
    /// crash.
    OtherInstance {
        /// Whose it is.
        instance_id: String,
        /// That host's account.
        state: Box<State>,
        /// Where its files are kept, from the first commit on.
        to: PathBuf,
    },
}

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
    /// How long the snapshot at the segment's beginning is.
    snapshot_bytes: u64,
    /// How long each file is.
    size: [u64; 2],
    /// Behind this, each file holds zeros.
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
    /// The other segment may have a header that is not to count.
    scrub: bool,
}

impl Store {
    /// Opens the ledger in a directory of the disk, or begins one there. Directories are made for the owner alone.
    ///
    /// # Errors
    /// When the directory can't be used, another agent uses it, or a file in it can't be read or made.
    pub fn open(directory: &Path, instance_id: &str) -> Result<Opened, OpenError> {
        check_instance_id(instance_id)?;
        let disk = Disk::open(directory)?;
        Store::open_on(Box::new(disk), directory, instance_id)
    }

    /// The same on any medium; `directory` is for messages.
    ///
    /// # Errors
    /// As [`open`](Store::open).
    pub fn open_on(
        mut medium: Box<dyn Medium>,
        directory: &Path,
        instance_id: &str,
    ) -> Result<Opened, OpenError> {
        check_instance_id(instance_id)?;
        let failed = |doing, slot| {
            move |source| OpenError::Segment {
                doing,
                slot,
                directory: directory.to_owned(),
                source,
            }
        };
        let a = medium.read(Slot::A).map_err(failed("read", Slot::A))?;
        let b = medium.read(Slot::B).map_err(failed("read", Slot::B))?;
        let extent = |bytes: &Option<Vec<u8>>| {
            let bytes = bytes.as_deref().unwrap_or_default();
            let used = bytes.iter().rposition(|byte| *byte != 0);
            (bytes.len() as u64, used.map_or(0, |last| last as u64 + 1))
        };
        let (extent_a, extent_b) = (extent(&a), extent(&b));
        let found = recover::recover(a.as_deref(), b.as_deref());
        drop((a, b));

        let mut store = Store {
            medium,
            instance_id: instance_id.to_owned(),
            slot: Slot::A,
            epoch: 0,
            snapshot_bytes: 0,
            size: [extent_a.0, extent_b.0],
            used: [extent_a.1, extent_b.1],
            synced_to: BODY,
            tail: Vec::new(),
            written: 0,
            pending: Vec::new(),
            anew: None,
            scrub: false,
        };
        match found {
            Found::Nothing => {
                store
                    .begin_on(Slot::B, Slot::A)
                    .map_err(failed("make", Slot::A))?;
                Ok(store.opened(State::default(), How::Fresh))
            }
            Found::Whole {
                slot,
                header,
                state,
                end,
                erase_to,
            } if header.instance_id == instance_id => {
                store.slot = slot;
                store.epoch = header.epoch;
                store.snapshot_bytes = header.snapshot_end - BODY;
                store.synced_to = end;
                if erase_to > end {
                    store
                        .erase(slot, end, erase_to)
                        .map_err(failed("repair", slot))?;
                }
                // What was read may be in the system's memory only, when the last agent was killed between write and
                // sync. Synced before anything is built on it.
                store.medium.sync(slot).map_err(failed("sync", slot))?;
                Ok(store.opened(state, How::Resumed))
            }
            Found::Whole {
                slot,
                header,
                state,
                ..
            } => Ok(store.of_other(slot, header.epoch, header.instance_id, state)),
            Found::Damaged {
                state,
                instance_id: Some(owner),
                epoch,
                best,
                ..
            } if owner != instance_id => Ok(store.of_other(best, epoch, owner, state)),
            Found::Damaged {
                why,
                state,
                epoch,
                best,
                ..
            } => {
                let to = store
                    .medium
                    .aside(&format!("ledger.corrupt-{}", timestamp()));
                store.epoch = epoch;
                store.anew = Some(Anew {
                    aside: to.clone(),
                    first: best.other(),
                    begun: false,
                });
                segment::encode(&state.snapshot(), &mut store.pending);
                let why = format!("{why}; {}", consequence(&state));
                Ok(store.opened(state, How::SetAside { to, why }))
            }
        }
    }

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
        self.grow_slot(self.slot, end)?;
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
        let enough = (self.snapshot_bytes * COMPACT_AT).max(SEGMENT_BYTES / 4 * 3);
        end > BODY + enough
    }

    /// Begins the other segment with a snapshot of the account ([`State::snapshot`]), which has to hold everything that
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
        let slot = self.slot.other();
        let (header, mut body) = self.image(self.epoch + 1, &records);
        let end = BODY + body.len() as u64;
        // Zeros over what the segment held before.
        let stale = self.used[slot.index()];
        body.resize(body.len().max(stale.saturating_sub(BODY) as usize), 0);
        self.used[slot.index()] = stale.max(end);
        self.grow_slot(slot, end)?;
        self.medium.write(slot, BODY, &body)?;
        self.medium.sync(slot)?;
        self.used[slot.index()] = end;
        // From here on the new header may be on the medium although we were told otherwise. Unless it is in use, it has
        // to be gone before the old segment goes on.
        self.scrub = true;
        self.medium.write(slot, 0, &header)?;
        self.medium.sync(slot)?;
        self.scrub = false;
        self.slot = slot;
        self.epoch += 1;
        self.settle_at(end);
        Ok(())
    }

    fn opened(self, state: State, how: How) -> Opened {
        Opened {
            store: self,
            state,
            how,
        }
    }

    fn of_other(mut self, newest: Slot, epoch: u64, instance_id: String, state: State) -> Opened {
        let to = self
            .medium
            .aside(&format!("ledger.of-{}", file_name(&instance_id)));
        self.epoch = epoch;
        self.anew = Some(Anew {
            aside: to.clone(),
            first: newest.other(),
            begun: false,
        });
        let how = How::OtherInstance {
            instance_id,
            state: Box::new(state),
            to,
        };
        self.opened(State::default(), how)
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
        let old = first.other();
        self.medium.replace(old, &[], SEGMENT_BYTES)?;
        self.size[old.index()] = SEGMENT_BYTES;
        self.used[old.index()] = 0;
        self.anew = None;
        Ok(())
    }

    fn begin_on(&mut self, blank: Slot, first: Slot) -> io::Result<()> {
        self.medium.replace(blank, &[], SEGMENT_BYTES)?;
        self.size[blank.index()] = SEGMENT_BYTES;
        self.begin_with(first)
    }

    /// A new segment of the next epoch with what is pending.
    fn begin_with(&mut self, slot: Slot) -> io::Result<()> {
        let (mut content, body) = self.image(self.epoch + 1, &self.pending);
        content.extend_from_slice(&body);
        let end = content.len() as u64;
        let size = end.next_multiple_of(SEGMENT_BYTES);
        self.medium.replace(slot, &content, size)?;
        self.size[slot.index()] = size;
        self.used[slot.index()] = end;
        self.slot = slot;
        self.epoch += 1;
        self.settle_at(end);
        Ok(())
    }

    /// The first page and the body of a segment that begins with these records.
    fn image(&self, epoch: u64, records: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut body = Vec::new();
        if !records.is_empty() {
            segment::frame(epoch, BODY, BODY, records, &mut body);
        }
        let header = Header {
            epoch,
            snapshot_end: BODY + body.len() as u64,
            instance_id: self.instance_id.clone(),
        };
        (header.encode(), body)
    }

    /// Everything is committed, and the log ends here.
    fn settle_at(&mut self, end: u64) {
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

    fn grow_slot(&mut self, slot: Slot, end: u64) -> io::Result<()> {
        let size = self.size[slot.index()];
        if end > size {
            let wanted = end.next_multiple_of(SEGMENT_BYTES);
            self.erase(slot, size, wanted)?;
            self.size[slot.index()] = wanted;
        }
        Ok(())
    }

    fn erase(&mut self, slot: Slot, from: u64, to: u64) -> io::Result<()> {
        let zeros = vec![0; (to - from) as usize];
        self.medium.write(slot, from, &zeros)?;
        self.medium.sync(slot)
    }

    fn scrub_other(&mut self) -> io::Result<()> {
        if self.scrub {
            self.erase(self.slot.other(), 0, BODY)?;
            self.scrub = false;
        }
        Ok(())
    }
}

fn check_instance_id(instance_id: &str) -> Result<(), OpenError> {
    match instance_id.len() {
        1..=MAX_INSTANCE_ID_BYTES => Ok(()),
        bytes => Err(OpenError::InstanceId(bytes)),
    }
}

/// What a damaged ledger means for the lines.
fn consequence(state: &State) -> &'static str {
    if state.is_empty() {
        "nothing of it could be taken over, so every file is begun as on the agent's first start: lines may be shipped \
         twice, or skipped where the configuration begins at the end. An agent of the version that wrote the ledger can \
         go on with it: stop this one, move the files back, start that one"
    } else {
        "everything before the damage was taken over, so no line is skipped: those shipped after it was written may be \
         shipped twice. Nothing has to be done; the files are kept for whoever wants to look"
    }
}

/// The present time, as part of a file's name.
fn timestamp() -> String {
    jiff::Timestamp::try_from(SystemTime::now())
        .unwrap_or_default()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}

fn file_name(instance_id: &str) -> String {
    instance_id
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}
