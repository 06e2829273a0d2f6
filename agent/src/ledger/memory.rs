//! A medium in memory that forgets as a disk does: for tests that crash the agent.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::medium::{Medium, Slot};

const SECTOR: u64 = 512;

/// A disk in memory. Clones are the same disk: give one to a [`Store`](super::Store), keep the other to crash it.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    segments: [Option<Segment>; 2],
    aside: BTreeMap<PathBuf, [Option<Vec<u8>>; 2]>,
    operations: u64,
    fail_from: Option<u64>,
    fail_for: u64,
    stop_from: Option<u64>,
    luck: u64,
}

#[derive(Debug, Clone, Default)]
struct Segment {
    /// What is safely there.
    durable: Vec<u8>,
    /// What the process sees.
    visible: Vec<u8>,
    /// What was written since the last sync.
    unsynced: Vec<(u64, Vec<u8>)>,
}

impl Memory {
    /// A new, empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new one; the seed says which sectors get onto the disk when a sync fails.
    #[must_use]
    pub fn with_luck(seed: u64) -> Self {
        let memory = Self::default();
        memory.lock().luck = seed;
        memory
    }

    /// A power cut: of what was not synced, sector by sector, only what `keeps` says is there afterwards. A store that
    /// was open must not be used any more. (The end of the process alone loses nothing: open another store.)
    pub fn crash(&self, mut keeps: impl FnMut() -> bool) {
        let mut inner = self.lock();
        for segment in inner.segments.iter_mut().flatten() {
            segment.write_out(&mut keeps);
            segment.visible = segment.durable.clone();
        }
    }

    /// The system needs its memory for something else: what a sync failed to write, and counts as written, is now read
    /// from the disk, and is not there.
    pub fn evict(&self) {
        let mut inner = self.lock();
        for segment in inner.segments.iter_mut().flatten() {
            segment.visible = segment.durable.clone();
            for (at, bytes) in &segment.unsynced {
                put(&mut segment.visible, *at, bytes);
            }
        }
    }

    /// From the operation with this number on, `count` operations that write or sync fail; a write that fails has been
    /// carried out by half, in whole sectors, and of what a sync fails to write some sectors are written.
    pub fn fail(&self, from_operation: u64, count: u64) {
        let mut inner = self.lock();
        inner.fail_from = Some(from_operation);
        inner.fail_for = count;
    }

    /// From the operation with this number on, nothing is done any more, and each fails: what a process that was killed
    /// there would leave. `None`: the next process is there.
    pub fn stop(&self, from_operation: Option<u64>) {
        self.lock().stop_from = from_operation;
    }

    /// How many operations there were that write or sync.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// What a segment holds, as a process sees it.
    #[must_use]
    pub fn segment(&self, slot: Slot) -> Option<Vec<u8>> {
        self.lock().segments[slot.index()]
            .as_ref()
            .map(|segment| segment.visible.clone())
    }

    /// Makes a segment hold this, or not be there.
    pub fn set_segment(&self, slot: Slot, content: Option<Vec<u8>>) {
        self.lock().segments[slot.index()] = content.map(|durable| Segment {
            visible: durable.clone(),
            durable,
            unsynced: Vec::new(),
        });
    }

    /// The places where segments were set aside.
    #[must_use]
    pub fn asides(&self) -> Vec<PathBuf> {
        self.lock().aside.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segment {
    /// Of what was not synced, sector by sector, what `keeps` says gets onto the disk, the rest never.
    fn write_out(&mut self, mut keeps: impl FnMut() -> bool) {
        for (at, bytes) in std::mem::take(&mut self.unsynced) {
            let end = at + bytes.len() as u64;
            let mut from = at;
            while from < end {
                let to = (from / SECTOR * SECTOR + SECTOR).min(end);
                if keeps() {
                    let piece = &bytes[(from - at) as usize..(to - at) as usize];
                    put(&mut self.durable, from, piece);
                }
                from = to;
            }
        }
    }
}

impl Inner {
    /// Counts an operation; whether it is to fail. An error when nothing of it is to be done.
    fn fails(&mut self) -> io::Result<bool> {
        let number = self.operations;
        self.operations += 1;
        if self.stop_from.is_some_and(|from| number >= from) {
            return Err(failure());
        }
        Ok(self
            .fail_from
            .is_some_and(|from| (from..from.saturating_add(self.fail_for)).contains(&number)))
    }

    fn segment(&mut self, slot: Slot) -> io::Result<&mut Segment> {
        self.segments[slot.index()]
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn put(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let end = at as usize + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at as usize..end].copy_from_slice(bytes);
}

fn failure() -> io::Error {
    io::Error::other("the medium was told to fail")
}

impl Medium for Memory {
    fn read(&mut self, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        Ok(self.segment(slot))
    }

    fn replace(&mut self, slot: Slot, content: &[u8], size: u64) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.fails()? {
            return Err(failure());
        }
        let mut durable = content.to_vec();
        durable.resize(content.len().max(size as usize), 0);
        inner.segments[slot.index()] = Some(Segment {
            visible: durable.clone(),
            durable,
            unsynced: Vec::new(),
        });
        Ok(())
    }

    fn write(&mut self, slot: Slot, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let fails = inner.fails()?;
        let segment = inner.segment(slot)?;
        let bytes = if fails {
            let half = (at + bytes.len() as u64 / 2) / SECTOR * SECTOR;
            &bytes[..half.saturating_sub(at) as usize]
        } else {
            bytes
        };
        put(&mut segment.visible, at, bytes);
        segment.unsynced.push((at, bytes.to_vec()));
        if fails { Err(failure()) } else { Ok(()) }
    }

    fn sync(&mut self, slot: Slot) -> io::Result<()> {
        let mut inner = self.lock();
        let fails = inner.fails()?;
        let mut luck = DefaultHasher::new();
        (inner.luck, inner.operations).hash(&mut luck);
        let segment = inner.segment(slot)?;
        if fails {
            // As Linux does: the pages count as written, and what is on the disk is anybody's guess.
            segment.write_out(|| {
                0_u8.hash(&mut luck);
                luck.finish() & 1 == 1
            });
            return Err(failure());
        }
        segment.write_out(|| true);
        Ok(())
    }

    fn aside(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    fn set_aside(&mut self, place: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.fails()? {
            return Err(failure());
        }
        let kept = [0, 1].map(|slot: usize| {
            inner.segments[slot]
                .as_ref()
                .map(|segment| segment.durable.clone())
        });
        inner.aside.entry(place.to_owned()).or_insert(kept);
        Ok(())
    }
}
