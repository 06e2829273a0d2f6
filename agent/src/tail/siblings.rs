//! The rotated copies of a followed file that stand beside it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use super::Links;
use super::files::Files;
use super::generation::Generation;
use super::identity::{HEAD_BYTES_MAX, beginning, begins_with, read_full_at};
use super::rotation::{self, Packing, Rank, Ranked};
use super::slot::Slot;
use super::source::{self, Gzip, Survey};
use crate::account::Head;
use crate::discover::directories::name_of;
use crate::discover::stat::{Stat, born};

/// A rotation that shifts names is waited for by looking again, this often at most.
pub(super) const SHIFTS_MAX: u32 = 100;

/// One rotated copy.
#[derive(Debug)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    /// As the directory lists it.
    pub(super) inode: u64,
    pub(super) stat: Stat,
    pub(super) rank: Rank,
    pub(super) packing: Option<Packing>,
    /// Which symbolic links are followed on the way to it.
    pub(super) links: Links,
}

impl Ranked for Sibling {
    fn rank(&self) -> &Rank {
        &self.rank
    }

    fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    fn modified(&self) -> (i64, i64) {
        self.stat.modified
    }
}

impl Sibling {
    /// Its first bytes, as far as a head covers them. None where it can't be read.
    pub(super) fn beginning(&self) -> Option<Vec<u8>> {
        let file = source::open(&self.path, self.links).ok()?;
        match self.packing {
            None => beginning(&file).ok(),
            Some(Packing::Gzip) => {
                let mut content = Vec::with_capacity(HEAD_BYTES_MAX);
                let decoder = flate2::read::MultiGzDecoder::new(file);
                // Damage further on does not spoil what was read before it.
                let _ = decoder
                    .take(HEAD_BYTES_MAX as u64)
                    .read_to_end(&mut content);
                Some(content)
            }
            Some(Packing::Unreadable(_)) => None,
        }
    }

    /// Whether its content begins as `head` says. An empty head says nothing, and does not match.
    pub(super) fn begins_with(&self, head: Head) -> bool {
        head.bytes > 0
            && self
                .beginning()
                .is_some_and(|content| begins_with(&content, head))
    }

    /// Whether it is a copy, perhaps an unfinished one, of what stands in the file itself.
    pub(super) fn is_plain_copy_of(&self, live: &File) -> bool {
        self.packing.is_none()
            && source::open(&self.path, self.links).is_ok_and(|copy| is_prefix_of(&copy, live))
    }

    /// Whether a gzip file holds so many bytes, or more. Its last four bytes tell the length of its last member (RFC 1952);
    /// only where that is not the answer, all of it is read.
    pub(super) fn packed_bytes_are(&self, bytes: u64) -> bool {
        let Ok(file) = source::open(&self.path, self.links) else {
            return false;
        };
        let mut length = [0; 4];
        let end = self.stat.size.saturating_sub(4);
        let told = read_full_at(&file, &mut length, end).is_ok_and(|read| read == 4);
        if told && u64::from(u32::from_le_bytes(length)) == bytes & u64::from(u32::MAX) {
            return true;
        }
        Gzip::survey(&file).is_ok_and(|survey| survey.bytes >= bytes)
    }

    /// Opens it, and tells how long its content is.
    pub(super) fn open(&self) -> std::io::Result<(File, Content)> {
        let file = source::open(&self.path, self.links)?;
        let stat = Stat::of_open(&file)?;
        if stat.node != self.stat.node {
            // A rotation is under way.
            return Err(ErrorKind::NotFound.into());
        }
        let content = match self.packing {
            None => Content::Plain(stat.size),
            Some(_) => Content::Packed(Gzip::survey(&file)?),
        };
        Ok((file, content))
    }
}

/// What opening a copy showed.
#[derive(Debug)]
pub(super) enum Content {
    /// So many bytes.
    Plain(u64),
    /// What a pass over it told.
    Packed(Survey),
}

impl Files {
    /// The rotated copies of a slot's file, oldest first, as the directory was last listed.
    pub(super) fn siblings(&self, slot: &Slot) -> Vec<Sibling> {
        let mut found: Vec<Sibling> = self
            .sibling_names(slot)
            .filter_map(|(path, inode, rank, packing)| {
                let stat = Stat::at(&path).ok().filter(Stat::is_file)?;
                Some(Sibling {
                    path,
                    inode,
                    stat,
                    rank,
                    packing,
                    links: self.sets[slot.set].links,
                })
            })
            .collect();
        // While one is being compressed both stand there: the plain one has it all.
        let plain: Vec<Rank> = found
            .iter()
            .filter(|sibling| sibling.packing.is_none())
            .map(|sibling| sibling.rank.clone())
            .collect();
        found.retain(|sibling| sibling.packing.is_none() || !plain.contains(&sibling.rank));
        rotation::oldest_first(&mut found);
        found
    }

    fn sibling_names<'a>(
        &'a self,
        slot: &'a Slot,
    ) -> impl Iterator<Item = (PathBuf, u64, Rank, Option<Packing>)> + 'a {
        let name = name_of(&slot.path);
        // With `stem-20260101.log`, only the stem is common.
        let stem = name
            .as_bytes()
            .iter()
            .rposition(|&byte| byte == b'.')
            .filter(|&dot| dot > 0)
            .map_or(name.as_bytes(), |dot| &name.as_bytes()[..dot]);
        let directory = self.directories.get(slot.directory);
        directory
            .into_iter()
            .flat_map(move |directory| directory.entries.from(OsStr::from_bytes(stem)))
            .take_while(move |(entry, _)| entry.as_bytes().starts_with(stem))
            .filter(move |(entry, _)| *entry != name)
            .filter_map(move |(entry, listed)| {
                let reading = rotation::readings(entry.as_bytes())
                    .into_iter()
                    .find(|reading| reading.base == name.as_bytes())?;
                let path = slot.path.with_file_name(entry);
                // A path that is followed for itself is nobody's copy.
                let followed = self.by_path.contains_key(&path);
                (!followed).then_some((path, listed.inode, reading.rank, reading.packing))
            })
    }

    /// The generation whose bytes are in this copy. An inode that nobody holds may have been given to another file.
    pub(super) fn owner(&self, sibling: &Sibling) -> Option<&Generation> {
        let id = self.by_node.get(&sibling.stat.node)?;
        let owner = self.generations.get(id)?;
        let head = owner.identity.head;
        (owner.is_open() || head.bytes == 0 || sibling.begins_with(head)).then_some(owner)
    }

    /// Opens a rotated copy that may have another name by now, because a rotation shifts it.
    pub(super) fn open_wherever(
        &mut self,
        index: usize,
        sibling: &Sibling,
        now: Duration,
    ) -> std::io::Result<(PathBuf, File, Content)> {
        let mut moved: Option<Sibling> = None;
        for _ in 0..SHIFTS_MAX {
            let sibling = moved.as_ref().unwrap_or(sibling);
            match sibling.open() {
                Ok((file, content)) => return Ok((sibling.path.clone(), file, content)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let Some(slot) = self.slots[index].as_ref() else {
                break;
            };
            let directory = slot.directory;
            let changed = self.refresh(directory, now);
            let slot = self.slots[index].as_ref();
            let found = slot.and_then(|slot| {
                let mut siblings = self.siblings(slot).into_iter();
                siblings.find(|other| other.stat.node == sibling.stat.node)
            });
            if found.is_none() && !changed {
                break;
            }
            moved = found.or(moved);
        }
        Err(ErrorKind::NotFound.into())
    }

    pub(super) fn has_siblings(&self, slot: &Slot) -> bool {
        self.sibling_names(slot).next().is_some()
    }

    /// All copies that stand there now are accounted for, or none of our business.
    pub(super) fn set_baseline(&mut self, index: usize) {
        let baseline = self.slots[index].as_ref().map(|slot| {
            let known = |inode| slot.baseline.get(&inode).copied().flatten();
            self.sibling_names(slot)
                // A rotation may have shifted the names since they were listed.
                .map(|(path, inode, _, _)| (inode, born(&path, inode).or(known(inode))))
                .collect()
        });
        if let (Some(slot), Some(baseline)) = (&mut self.slots[index], baseline) {
            slot.baseline = baseline;
        }
    }
}

/// Whether a file holds what was read of a generation: its head, and its last bytes read.
pub(super) fn is_copy_of(copy: &File, generation: &Generation) -> bool {
    let begins = beginning(copy).is_ok_and(|content| generation.is_begun_by(&content));
    begins && anchor_stands(copy, generation)
}

/// Whether a file that was found to be a copy in the making ends before what was read of the generation since then.
pub(super) fn may_lack_the_end(copy: &File, generation: &Generation) -> bool {
    // An empty one may be anybody's.
    let Some(content) = beginning(copy).ok().filter(|content| !content.is_empty()) else {
        return false;
    };
    if generation.identity.head.bytes == 0 {
        // Nothing is known of it that could speak against the copy.
        return generation.consumed == 0;
    }
    let read_to = generation.anchor.end().max(generation.consumed);
    // What is shorter than the head was compared with the file itself when it appeared.
    let begins =
        content.len() < generation.identity.head.bytes as usize || generation.is_begun_by(&content);
    begins && Stat::of_open(copy).is_ok_and(|stat| stat.size < read_to)
}

/// Whether the last bytes that were read still stand where they were.
pub(super) fn anchor_stands(file: &File, generation: &Generation) -> bool {
    let anchor = &generation.anchor;
    let mut found = vec![0; anchor.bytes().len()];
    let read = read_full_at(file, &mut found, anchor.start());
    read.is_ok_and(|bytes| bytes == found.len() && found == anchor.bytes())
}

/// Whether a file is a copy, perhaps an unfinished one, of what stands in another: its first and its last bytes are there,
/// too.
pub(super) fn is_prefix_of(copy: &File, original: &File) -> bool {
    let Ok(size) = Stat::of_open(copy).map(|stat| stat.size) else {
        return false;
    };
    let same_at = |at: u64, bytes: usize| {
        let (mut ours, mut theirs) = (vec![0; bytes], vec![0; bytes]);
        let read = read_full_at(copy, &mut ours, at)
            .ok()
            .zip(read_full_at(original, &mut theirs, at).ok());
        read.is_some_and(|(a, b)| a == bytes && b == bytes && ours == theirs)
    };
    let bytes = size.min(HEAD_BYTES_MAX as u64) as usize;
    same_at(0, bytes) && same_at(size - bytes as u64, bytes)
}
