//! A path that is followed, and the generations that stood there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::siblings::Sibling;
use crate::account::{GenerationId, Head};
use crate::discover::directories::DirectoryId;
use crate::discover::stat::{FileTime, Node, Stat, born};

/// How many generations that are done with are remembered, so that their copies are not taken for something new.
const PAST_MAX: usize = 16;

/// A generation that is forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    pub(super) node: Node,
    pub(super) head: Head,
    pub(super) size: u64,
}

/// A copy of the live generation that is being made: it will be truncated soon.
#[derive(Debug)]
pub(super) struct Copying {
    pub(super) copy: File,
    pub(super) size: u64,
    /// When the copy last grew.
    pub(super) grew_at: Duration,
    pub(super) since: Duration,
    /// Since when it has all but what was written meanwhile.
    pub(super) whole_since: Option<Duration>,
}

/// A path that is followed.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) set: usize,
    pub(super) path: PathBuf,
    pub(super) directory: DirectoryId,
    /// The patterns mean it just now.
    pub(super) meant: bool,
    /// What the last look showed; an equal one means that nothing happened.
    pub(super) last: Option<Stat>,
    pub(super) current: Option<GenerationId>,
    /// Rotated away, oldest first.
    pub(super) detached: Vec<GenerationId>,
    pub(super) past: VecDeque<Past>,
    /// The rotated copies that are accounted for or none of our business: inodes as the directory lists them, and when each was born, where
    /// the file system tells. A copy that is compressed away often leaves its inode to the next one.
    pub(super) baseline: BTreeMap<u64, Option<SystemTime>>,
    /// Compressed copies that were found to be of generations that are followed or were.
    pub(super) judged: BTreeSet<(Node, FileTime)>,
    /// Its size when it was first seen, if it was there before the agent was to begin.
    pub(super) start_at: Option<u64>,
    /// Another path leads to the same file, which is followed there.
    pub(super) alias: bool,
    pub(super) copying: Option<Box<Copying>>,
    /// The newest copy that was made of the live generation.
    pub(super) copied: Option<Node>,
    pub(super) grew_at: Duration,
}

impl Slot {
    pub(super) fn remember(&mut self, past: Past) {
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }

    /// Whether a rotated copy was there already when all of them were accounted for.
    pub(super) fn was_there(&self, sibling: &Sibling) -> bool {
        let Some(known) = self.baseline.get(&sibling.inode) else {
            return false;
        };
        match (known, born(&sibling.path, sibling.inode)) {
            (Some(known), Some(now)) => *known == now,
            // The inode has to do.
            _ => true,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.current.is_none() && self.detached.is_empty()
    }
}
