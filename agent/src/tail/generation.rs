//! What is known of one generation.

use std::cell::Cell;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use super::checksums::Checksums;
use super::compare::{Agreement, COMPARED_BYTES_MAX, TELLING_BYTES, compare};
use super::identity::{Anchor, read_full_at};
use super::slot::Past;
use super::source::Gzip;
use crate::account::{GenerationId, Head, Identity, Print, Span};
use crate::discover::stat::{FileTime, Node};

/// Where its bytes are.
#[derive(Debug)]
pub(super) enum Source {
    /// A file; open or to be opened by its path.
    Plain(Option<File>),
    /// A compressed copy.
    Packed(Box<Gzip>),
    /// Nowhere.
    Gone,
}

/// What may still happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It stands at its slot's path.
    Live,
    /// It was rotated away or deleted; its writer may still hold it.
    Detached { deleted: bool },
    /// A copy, or what is left of it: it ends at its size.
    Final,
}

/// What is known of a file that did not grow but has another time of its last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// There is no such file.
    No,
    /// Nothing tells whether it was written or only touched. inotify may, until then.
    Untold(FileTime, Duration),
    /// It was written, and this was first seen then.
    Perhaps(FileTime, Duration),
}

/// One generation.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) id: GenerationId,
    pub(super) set: usize,
    pub(super) slot: usize,
    /// Where its bytes are now, as far as is known.
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// When its file was made, where that can be believed.
    pub(super) born_ns: Option<i64>,
    /// The same of the copy that its bytes are in now, if they are in one.
    pub(super) copy_born_ns: Option<i64>,
    /// Of what was read of it.
    pub(super) sums: Checksums,
    /// Its first bytes as they were read, up to [`TELLING_BYTES`]: so little is compared byte by byte.
    pub(super) short: Vec<u8>,
    /// The ledger does not know of it yet what is known here: its checksums, or the times of its file.
    pub(super) unprinted: bool,
    /// A head that was compared with the file, and the checksum of its bytes.
    pub(super) checked_head: Cell<Option<(Head, u32)>>,
    /// The file that its bytes are in now: its own, or a copy.
    pub(super) node: Node,
    pub(super) source: Source,
    pub(super) state: State,
    /// One past the last byte that was ever seen.
    pub(super) size: u64,
    pub(super) consumed: u64,
    /// The time of the last write that goes with its size.
    pub(super) modified: FileTime,
    /// Whether it may have been written anew with the bytes that it had.
    pub(super) rewritten: Rewritten,
    pub(super) anchor: Anchor,
    /// When it last grew.
    pub(super) grew_at: Duration,
    /// When its file was last looked at, once it did not stand at its path any more.
    pub(super) looked_at: Duration,
    /// When it was last asked whether anybody can write to it, having no name.
    pub(super) asked_at: Duration,
    pub(super) ended: bool,
    /// Its file had no name when it ended.
    pub(super) deleted: bool,
    /// It was to be forgotten, but tells what is newer.
    pub(super) kept: bool,
    /// Something does not fit: look closely.
    pub(super) suspect: bool,
    /// A hole that is already reported.
    pub(super) hole_to: u64,
}

impl Generation {
    /// One past the last byte that was read of it.
    pub(super) fn read_to(&self) -> u64 {
        self.sums.to().max(self.anchor.end()).max(self.consumed)
    }

    /// Takes in bytes that were read at `at`.
    pub(super) fn take_in(&mut self, bytes: &[u8], at: u64) {
        self.sums.read(bytes, at);
        let end = (at + bytes.len() as u64).min(TELLING_BYTES);
        let known = self.short.len() as u64;
        if at <= known && end > known {
            self.short
                .extend_from_slice(&bytes[(known - at) as usize..(end - at) as usize]);
        }
    }

    /// Whether all of an open file of this length is known to be the beginning of what was read of it.
    pub(super) fn begins_with_all_of(&self, file: &File, bytes: u64) -> bool {
        let is_all = self.sums.base() == 0;
        match self
            .short
            .get(..usize::try_from(bytes).unwrap_or(usize::MAX))
        {
            Some(expected) if is_all && bytes > 0 => {
                let mut content = vec![0; expected.len()];
                read_full_at(file, &mut content, 0).is_ok_and(|read| read == expected.len())
                    && content == expected
            }
            _ => self.compare(file, bytes).is_ok_and(Agreement::tells),
        }
    }

    /// Compares an open file of this length with what was read of it.
    pub(super) fn compare(&self, file: &File, bytes: u64) -> std::io::Result<Agreement> {
        compare(
            file,
            bytes,
            self.identity.head,
            &self.sums,
            COMPARED_BYTES_MAX,
        )
    }

    /// Whether content of this length, which agrees so far, has all that was read of it.
    pub(super) fn is_whole_in(&self, agreement: Agreement, bytes: u64) -> bool {
        bytes >= self.consumed && agreement.is_whole(bytes, self.identity.head, &self.sums)
    }

    /// When the file was made that its bytes are in now.
    pub(super) fn node_born_ns(&self) -> Option<i64> {
        match self.state {
            State::Final => self.copy_born_ns,
            State::Live | State::Detached { .. } => self.born_ns,
        }
    }

    /// What the ledger is to remember of it.
    pub(super) fn print(&self) -> Print {
        let (seconds, nanoseconds) = self.modified;
        let known = self.modified != (0, 0);
        let found_at = (self.identity.device, self.identity.inode);
        let moved = self.file().is_some() && self.node != found_at;
        Print {
            moved_to: moved.then_some(self.node),
            born_ns: self.born_ns,
            modified_ns: known.then(|| nanoseconds_of(seconds, nanoseconds)),
            base: self.sums.base(),
            marks: self.sums.marks().to_vec(),
        }
    }

    /// What is remembered of it when it is forgotten.
    pub(super) fn past(&self) -> Past {
        Past {
            node: self.node,
            born_ns: self.born_ns,
            head: self.identity.head,
            sums: self.sums.clone(),
            size: self.size,
            modified: self.modified,
        }
    }

    /// Its file has no name any more, or had none when it ended.
    pub(super) fn is_deleted(&self) -> bool {
        self.deleted || self.state == State::Detached { deleted: true }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.consumed >= self.size
    }

    pub(super) fn unread(&self) -> u64 {
        self.size.saturating_sub(self.consumed)
    }

    pub(super) fn span(&self, start: u64, end: u64) -> Span {
        Span {
            generation: self.id,
            start,
            end,
        }
    }

    pub(super) fn file(&self) -> Option<&File> {
        match &self.source {
            Source::Plain(file) => file.as_ref(),
            Source::Packed(_) | Source::Gone => None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.source, Source::Plain(Some(_)) | Source::Packed(_))
    }
}

/// A file system's time, as the ledger has it.
pub(super) fn nanoseconds_of(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}
