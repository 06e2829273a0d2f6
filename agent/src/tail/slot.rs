//! A path that is followed, and the generations that stood there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use super::checksums::Checksums;
use super::compare::{Agreement, COMPARED_BYTES_MAX, compare};
use super::siblings::{Sibling, Version};
use crate::account::{GenerationId, Head};
use crate::discover::directories::DirectoryId;
use crate::discover::stat::{FileTime, Node, Stat};

/// How many generations that are done with are remembered, so that their copies are not taken for something new.
const PAST_MAX: usize = 16;

/// A file that is written anew more often than this in a second is not followed as closely: something else than a log is
/// written there.
const BEGUN_PER_SECOND_MAX: u32 = 20;

/// A generation that is forgotten.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) node: Node,
    pub(super) born_ns: Option<i64>,
    pub(super) head: Head,
    pub(super) sums: Checksums,
    pub(super) size: u64,
    /// The time of the last write that goes with its size.
    pub(super) modified: FileTime,
}

impl Past {
    /// Whether a rotated copy stands in its file, and holds no more than was read of it.
    pub(super) fn is(&self, sibling: &Sibling) -> bool {
        if self.node != sibling.stat.node {
            return false;
        }
        if self.size == 0 && sibling.stat.size == 0 {
            return true;
        }
        if sibling.packing.is_some() {
            return sibling.begins_with(self.head);
        }
        let Ok((file, stat)) = sibling.open() else {
            return false;
        };
        self.compare(&file, stat.size).is_ok_and(Agreement::fits)
    }

    /// Compares an open file of this length with what was read of it.
    pub(super) fn compare(&self, file: &File, bytes: u64) -> std::io::Result<Agreement> {
        compare(file, bytes, self.head, &self.sums, COMPARED_BYTES_MAX)
    }
}

/// A rotated copy that is accounted for, or none of our business; of which nothing may be known but its inode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stood {
    pub(super) born_ns: Option<i64>,
    pub(super) modified: FileTime,
    pub(super) size: u64,
}

impl Stood {
    /// Whether a file has the size and the time of writing that it had.
    pub(super) fn is_as_written(&self, stat: &Stat) -> bool {
        self.modified == stat.modified && self.size == stat.size
    }
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
    /// The rotated copies that are accounted for or none of our business, by their inodes as the directory lists them. A copy that is
    /// compressed away often leaves its inode to the next one.
    pub(super) baseline: BTreeMap<u64, Stood>,
    /// A compressed copy is being looked through, or a rotation is under way: not all copies are accounted for. What had left the
    /// path then.
    pub(super) waits: Option<Option<GenerationId>>,
    /// Compressed copies that were found to be of generations that are followed or were.
    pub(super) judged: BTreeSet<(Node, FileTime)>,
    /// A compressed copy that ends in its middle, and since when it does.
    pub(super) damaged: Option<(Version, Duration)>,
    /// Its size when it was first seen, if it was there before the agent was to begin.
    pub(super) start_at: Option<u64>,
    /// Another path leads to the same file, which is followed there.
    pub(super) alias: bool,
    pub(super) copying: Option<Box<Copying>>,
    /// The newest copy that was made of the live generation.
    pub(super) copied: Option<Node>,
    pub(super) grew_at: Duration,
    /// How many generations began in it since then.
    pub(super) begun: (Duration, u32),
}

impl Slot {
    pub(super) fn remember(&mut self, past: Past) {
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }

    /// Whether a rotated copy was there already when all of them were accounted for.
    ///
    /// Its inode tells, unless it was given to another file since; then that was made later, or written at another time. On overlayfs
    /// a copy from a lower layer is given a new birth time, and with hard links even a new inode, when it is renamed: its size and the
    /// time of its last write stay. So they do when it is compressed, but for the size.
    pub(super) fn was_there(&self, sibling: &Sibling) -> bool {
        was_there(&self.baseline, sibling)
    }

    /// Whether one more generation may begin in the file now.
    pub(super) fn may_begin(&mut self, now: Duration) -> bool {
        if now >= self.begun.0 + Duration::from_secs(1) {
            self.begun = (now, 0);
        }
        self.begun.1 += 1;
        self.begun.1 <= BEGUN_PER_SECOND_MAX
    }

    /// Whether anything stood at its path before what stands there now.
    pub(super) fn has_history(&self) -> bool {
        !self.detached.is_empty() || !self.past.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.current.is_none() && self.detached.is_empty()
    }
}

fn was_there(baseline: &BTreeMap<u64, Stood>, sibling: &Sibling) -> bool {
    let (stat, packed) = (&sibling.stat, sibling.packing.is_some());
    let as_written = |stood: &Stood| stood.is_as_written(stat);
    let by_inode = baseline.get(&sibling.inode).is_some_and(|stood| {
        as_written(stood)
            || match (stood.born_ns, sibling.born_ns()) {
                (Some(then), Some(now)) => then == now,
                // The inode has to do.
                _ => stood.size <= stat.size,
            }
    });
    by_inode
        || baseline
            .values()
            .any(|stood| as_written(stood) || (packed && keeps_time(stood.modified, stat.modified)))
}

/// Whether the time of a compressed copy is that of the file it was made of. gzip keeps all of it; what sets it by older calls keeps
/// microseconds, or seconds.
pub(super) fn keeps_time(plain: FileTime, packed: FileTime) -> bool {
    let grain = match packed.1 {
        0 => 1_000_000_000,
        nanoseconds if nanoseconds % 1000 == 0 => 1000,
        _ => 1,
    };
    plain.0 == packed.0 && plain.1 / grain == packed.1 / grain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::rotation::{Packing, Rank};

    #[test]
    fn the_time_of_a_compressed_copy_is_that_of_its_file_as_far_as_it_was_kept() {
        let plain = (1_700_000_000, 123_456_789);
        for kept in [plain, (plain.0, 123_456_000), (plain.0, 0)] {
            assert!(keeps_time(plain, kept), "{kept:?}");
        }
        for other in [
            (plain.0 + 1, 0),
            (plain.0, 123_456_788),
            (plain.0, 123_457_000),
        ] {
            assert!(!keeps_time(plain, other), "{other:?}");
        }
    }

    /// overlayfs, measured on Linux 6.1: a rename of a lower file gives it a new birth time, or with hard links a new inode.
    #[test]
    fn an_old_copy_is_known_in_another_inode_or_with_another_birth() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let path = folder.path().join("a.log.1");
        std::fs::write(&path, "old\n").unwrap_or_else(|error| panic!("{error}"));
        let stat = Stat::at(&path).unwrap_or_else(|error| panic!("{error}"));
        let sibling = Sibling {
            path,
            inode: stat.node.1,
            stat,
            rank: Rank::Number(1),
            packing: None,
            links: crate::tail::Links::default(),
        };
        let stood = Stood {
            born_ns: Some(1),
            modified: stat.modified,
            size: stat.size,
        };
        for inode in [stat.node.1, stat.node.1 + 1] {
            assert!(was_there(&BTreeMap::from([(inode, stood)]), &sibling));
        }
        let other = Stood {
            modified: (1, 1),
            ..stood
        };
        assert!(!was_there(
            &BTreeMap::from([(stat.node.1, other)]),
            &sibling
        ));
        let mut packed = Sibling {
            packing: Some(Packing::Gzip),
            inode: 7,
            ..sibling
        };
        packed.stat.size = 1;
        assert!(was_there(&BTreeMap::from([(stat.node.1, stood)]), &packed));
    }
}
