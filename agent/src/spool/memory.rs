//! A shelf in memory that forgets as a disk does: for tests that crash the agent.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Shelf;

const SECTOR: usize = 512;

/// A disk in memory. Clones are the same disk: give one to a spool, keep the other to crash it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    slots: BTreeMap<u32, Slot>,
    /// Removed, which the disk may not have taken down yet.
    ghosts: BTreeMap<u32, Slot>,
    full: bool,
    syncs: u64,
}

#[derive(Debug, Default)]
struct Slot {
    durable: Vec<u8>,
    visible: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl Memory {
    /// A power cut: of what was not synced, sector by sector, only what `keeps` says is there afterwards.
    pub(crate) fn crash(&self, mut keeps: impl FnMut() -> bool) {
        let mut inner = self.lock();
        for (number, slot) in std::mem::take(&mut inner.ghosts) {
            if keeps() {
                inner.slots.entry(number).or_insert(slot);
            }
        }
        for slot in inner.slots.values_mut() {
            slot.write_out(&mut keeps);
            slot.visible = slot.durable.clone();
        }
    }

    /// From now on nothing can be written, or can be again.
    pub(crate) fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Changes a byte.
    pub(crate) fn damage(&self, slot: u32, at: usize) {
        if let Some(slot) = self.lock().slots.get_mut(&slot) {
            slot.visible[at] ^= 0x55;
            slot.durable[at] ^= 0x55;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().slots.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn write_out(&mut self, mut keeps: impl FnMut() -> bool) {
        for (at, bytes) in std::mem::take(&mut self.unsynced) {
            let mut from = at;
            while from < at + bytes.len() {
                let to = (from / SECTOR * SECTOR + SECTOR).min(at + bytes.len());
                if keeps() {
                    self.durable[from..to].copy_from_slice(&bytes[from - at..to - at]);
                }
                from = to;
            }
        }
    }
}

impl Inner {
    fn slot(&mut self, slot: u32) -> io::Result<&mut Slot> {
        match self.full {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => self
                .slots
                .get_mut(&slot)
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }
}

impl Shelf for Memory {
    fn slots(&mut self) -> io::Result<Vec<u32>> {
        Ok(self.lock().slots.keys().copied().collect())
    }

    fn read(&mut self, slot: u32) -> io::Result<Vec<u8>> {
        let inner = self.lock();
        let slot = inner.slots.get(&slot);
        slot.map(|slot| slot.visible.clone())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, slot: u32, size: u64) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let zeros = vec![0; size as usize];
        let made = Slot {
            durable: zeros.clone(),
            visible: zeros,
            unsynced: Vec::new(),
        };
        inner.slots.insert(slot, made);
        // Their folder is synced.
        inner.ghosts.clear();
        Ok(())
    }

    fn write(&mut self, slot: u32, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let slot = inner.slot(slot)?;
        let at = at as usize;
        slot.visible[at..at + bytes.len()].copy_from_slice(bytes);
        slot.unsynced.push((at, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self, slot: u32) -> io::Result<()> {
        let mut inner = self.lock();
        inner.syncs += 1;
        inner.slot(slot)?.write_out(|| true);
        Ok(())
    }

    fn remove(&mut self, slot: u32) -> io::Result<()> {
        let mut inner = self.lock();
        if let Some(gone) = inner.slots.remove(&slot) {
            inner.ghosts.insert(slot, gone);
        }
        Ok(())
    }

    fn set_aside(&mut self, slot: u32) -> io::Result<PathBuf> {
        self.lock().slots.remove(&slot);
        Ok(format!("unknown.{slot}").into())
    }
}
