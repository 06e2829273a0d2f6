//! What a ledger is kept on: a disk, or a memory that can be made to crash.

use std::io;
use std::path::{Path, PathBuf};

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
