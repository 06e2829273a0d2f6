//! What is known of one generation.

use std::cell::Cell;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use super::identity::{Anchor, begins_with};
use super::source::Gzip;
use crate::account::{GenerationId, Head, Identity, Span};
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

/// One generation.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) id: GenerationId,
    pub(super) set: usize,
    pub(super) slot: usize,
    /// Where its bytes are now, as far as is known.
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// The head before it last grew: a copy that was made meanwhile may hold no more.
    pub(super) shorter_head: Head,
    /// A head that was compared with the file, and the checksum of its bytes.
    pub(super) checked_head: Cell<Option<(Head, u32)>>,
    /// The file that its bytes are in now: its own, or a copy.
    pub(super) node: Node,
    pub(super) source: Source,
    pub(super) state: State,
    /// One past the last byte that was ever seen.
    pub(super) size: u64,
    pub(super) consumed: u64,
    pub(super) modified: FileTime,
    pub(super) anchor: Anchor,
    /// When it last grew.
    pub(super) grew_at: Duration,
    pub(super) ended: bool,
    /// It was to be forgotten, but tells what is newer.
    pub(super) kept: bool,
    /// Something does not fit: look closely.
    pub(super) suspect: bool,
    /// A hole that is already reported.
    pub(super) hole_to: u64,
}

impl Generation {
    /// Whether content begins as this generation does.
    pub(super) fn is_begun_by(&self, content: &[u8]) -> bool {
        [self.identity.head, self.shorter_head]
            .into_iter()
            .any(|head| head.bytes > 0 && begins_with(content, head))
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
