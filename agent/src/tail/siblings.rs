//! The rotated copies of a followed file that stand beside it.

use std::ffi::OsStr;
use std::fs::{DirEntry, File};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Links;
use super::checksums::Checksums;
use super::compare::Agreement;
use super::files::Files;
use super::generation::Generation;
use super::identity::{Beginning, HEAD_BYTES_MAX, read_full_at};
use super::rotation::{self, Packing, Rank, Ranked};
use super::slot::{Slot, Stood};
use super::source;
use super::unpack::{self, PIECE_BYTES, Unpacked, Unpacking};
use crate::account::{GenerationId, Head};
use crate::discover::directories::name_of;
use crate::discover::stat::{FileTime, Node, Stat};

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
    /// When it was made, where that can be believed, and while it stands at its path.
    pub(super) fn born_ns(&self) -> Option<i64> {
        source::born_ns_of(&self.path, self.stat.node)
    }

    /// Its first bytes, as far as a head covers them. None where they can't be read, or only after many NULs.
    pub(super) fn beginning(&self) -> Option<Beginning> {
        let (file, _) = self.open().ok()?;
        match self.packing {
            None => Beginning::of(&file).ok(),
            Some(Packing::Gzip) => unpack::beginning(&file),
            Some(Packing::Unreadable(_)) => None,
        }
    }

    /// Whether its content begins as `head` says. An empty head says nothing, and does not match.
    pub(super) fn begins_with(&self, head: Head) -> bool {
        head.bytes > 0 && self.beginning().is_some_and(|content| content.is(head))
    }

    /// Whether it is a copy, perhaps an unfinished one, of what stands in the file itself.
    pub(super) fn is_plain_copy_of(&self, live: &File) -> bool {
        self.packing.is_none()
            && source::open(&self.path, self.links).is_ok_and(|copy| is_prefix_of(&copy, live))
    }

    /// Opens it, unless a rotation put another file at its path.
    pub(super) fn open(&self) -> std::io::Result<(File, Stat)> {
        let file = source::open(&self.path, self.links)?;
        let stat = Stat::of_open(&file)?;
        if stat.node != self.stat.node {
            // A rotation is under way.
            return Err(ErrorKind::NotFound.into());
        }
        Ok((file, stat))
    }
}

/// A compressed copy as it stood when it was looked through.
pub(super) type Version = (Node, FileTime, u64);

/// Which state of a file a pass over it tells of.
pub(super) fn version(stat: &Stat) -> Version {
    (stat.node, stat.modified, stat.size)
}

/// What opening a copy showed.
#[derive(Debug)]
pub(super) enum Content {
    /// So many bytes.
    Plain(u64),
    /// What a pass over it told.
    Packed(Unpacked),
}

impl Content {
    /// How long it is.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Content::Plain(bytes) => *bytes,
            Content::Packed(unpacked) => unpacked.bytes,
        }
    }
}

/// Something that is known at once, or after further looks.
#[derive(Debug)]
pub(super) enum Soon<T> {
    /// Here it is.
    Now(T),
    /// A compressed copy has to be looked through first.
    Later,
}

impl<T> Soon<T> {
    pub(super) fn map<U>(self, of: impl FnOnce(T) -> U) -> Soon<U> {
        match self {
            Soon::Now(it) => Soon::Now(of(it)),
            Soon::Later => Soon::Later,
        }
    }
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
        leave_the_plain(&mut found);
        rotation::oldest_first(&mut found);
        found
    }

    /// The rotated copies of a slot's file in another folder, oldest first, as they stand just now.
    pub(super) fn copies_in(&self, folder: &Path, slot: &Slot) -> Vec<Sibling> {
        let name = name_of(&slot.path);
        let copy = |entry: DirEntry| {
            let path = folder.join(entry.file_name());
            let reading = rotation::readings(entry.file_name().as_bytes())
                .into_iter()
                .find(|reading| reading.base == name.as_bytes())?;
            let stat = Stat::at(&path).ok().filter(Stat::is_file)?;
            let followed = self.by_path.contains_key(&path);
            (!followed).then_some(Sibling {
                path,
                inode: entry.ino(),
                stat,
                rank: reading.rank,
                packing: reading.packing,
                links: self.sets[slot.set].links,
            })
        };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<Sibling> = entries.filter_map(copy).collect();
        leave_the_plain(&mut found);
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

    /// The generation whose bytes are in this copy.
    pub(super) fn owner(&self, sibling: &Sibling) -> Option<&Generation> {
        let born_ns = || sibling.born_ns();
        self.holder(sibling.stat.node, born_ns, |head| sibling.begins_with(head))
    }

    /// The generation whose bytes are in the file with this inode. One that nobody holds may have been given to another file: birth
    /// time or first bytes tell.
    pub(super) fn holder(
        &self,
        node: Node,
        born_ns: impl FnOnce() -> Option<i64>,
        begins_with: impl FnOnce(Head) -> bool,
    ) -> Option<&Generation> {
        let holder = self.generations.get(self.by_node.get(&node)?)?;
        let head = holder.identity.head;
        let same = || match (holder.node_born_ns(), born_ns()) {
            (Some(then), Some(now)) => then == now,
            _ => head.bytes == 0 || begins_with(head),
        };
        (holder.is_open() || same()).then_some(holder)
    }

    /// Opens a rotated copy that may have another name by now, because a rotation shifts it.
    pub(super) fn open_wherever(
        &mut self,
        index: usize,
        sibling: &Sibling,
        now: Duration,
    ) -> std::io::Result<(PathBuf, File, Stat)> {
        let mut moved: Option<Sibling> = None;
        for _ in 0..SHIFTS_MAX {
            let sibling = moved.as_ref().unwrap_or(sibling);
            match sibling.open() {
                Ok((file, stat)) => return Ok((sibling.path.clone(), file, stat)),
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

    /// All copies that stand there now are accounted for, or none of our business. False if a rotation has shifted names since
    /// they were listed: what none of them leads to any more is not accounted for by that.
    pub(super) fn set_baseline(&mut self, index: usize) -> bool {
        // While one has to be looked through, or is being written, not all of them are.
        let settled = self.slots[index]
            .as_ref()
            .filter(|slot| slot.waits.is_none());
        let mut whole = true;
        let baseline = settled.map(|slot| {
            self.sibling_names(slot)
                .filter_map(|(path, inode, _, _)| {
                    let before = slot.baseline.get(&inode).copied();
                    let is_it = |stat: &Stat| stat.node.1 == inode || is_link(&path, inode);
                    let stat = Stat::at(&path).ok().filter(is_it);
                    let stood = stat.map(|stat| {
                        // Thousands stand there, and few are new.
                        let as_before = before.filter(|before| before.is_as_written(&stat));
                        as_before.unwrap_or_else(|| Stood {
                            born_ns: source::born_ns_of(&path, stat.node),
                            modified: stat.modified,
                            size: stat.size,
                        })
                    });
                    whole &= stood.is_some();
                    Some((inode, stood.or(before)?))
                })
                .collect()
        });
        if let (Some(slot), Some(baseline)) = (&mut self.slots[index], baseline) {
            slot.baseline = baseline;
        }
        whole
    }

    /// What is in a compressed copy. It may take several looks to know. `None` where it can't be opened just now.
    pub(super) fn unpacked(&mut self, index: usize, sibling: &Sibling) -> Soon<Option<Unpacked>> {
        self.unpacked_of(index, version(&sibling.stat), || Ok(sibling.open()?.0))
    }

    /// The same of a file that is in this state, and opened so.
    pub(super) fn unpacked_of(
        &mut self,
        index: usize,
        version: Version,
        open: impl FnOnce() -> std::io::Result<File>,
    ) -> Soon<Option<Unpacked>> {
        if let Some((_, unpacked)) = self.unpacked.get(&version) {
            return Soon::Now(Some(unpacked.clone()));
        }
        if self.unpacking.contains_key(&version) {
            return Soon::Later;
        }
        let positions = self.positions(index);
        let begun = open().and_then(|file| Unpacking::of(&file, positions));
        let Ok(mut pass) = begun else {
            return Soon::Now(None);
        };
        match pass.go_on(PIECE_BYTES) {
            Some(unpacked) => {
                self.unpacked.insert(version, (index, unpacked.clone()));
                Soon::Now(Some(unpacked))
            }
            None => {
                self.unpacking.insert(version, (index, pass));
                Soon::Later
            }
        }
    }

    /// Goes on with the passes over compressed copies, one a look. Returns the slot whose copy is known now.
    pub(super) fn unpack_on(&mut self) -> Option<usize> {
        let (&version, (index, pass)) = self.unpacking.iter_mut().next()?;
        let (index, unpacked) = (*index, pass.go_on(PIECE_BYTES)?);
        self.unpacking.remove(&version);
        self.unpacked.insert(version, (index, unpacked));
        Some(index)
    }

    /// Forgets what is in the compressed copies of a slot: it knows all that it has to know of them.
    pub(super) fn forget_unpacked(&mut self, index: usize) {
        self.unpacked.retain(|_, (of, _)| *of != index);
        self.unpacking.retain(|_, (of, _)| *of != index);
    }

    /// The positions whose checksums compare a copy with all that is known of a slot's generations.
    fn positions(&self, index: usize) -> Vec<u64> {
        let mut contents = self.contents(index);
        contents.extend(self.live_content(index));
        let known = self.resuming.get(&index).into_iter().flatten();
        let remembered = known.map(|known| Checksums::remembered(&known.print, known.settled_to));
        contents
            .iter()
            .flat_map(|content| content.sums.positions())
            .chain(remembered.flat_map(|sums| sums.positions().collect::<Vec<_>>()))
            .collect()
    }

    /// What was read of the generation that stands at a slot's path.
    pub(super) fn live_content(&self, index: usize) -> Option<Contents<'_>> {
        let live = self.slots[index].as_ref()?.current?;
        self.generations.get(&live).map(|live| Contents {
            id: Some(live.id),
            head: live.identity.head,
            sums: &live.sums,
        })
    }

    /// What was read of the generations of a slot that left its path, followed and forgotten ones.
    pub(super) fn contents(&self, index: usize) -> Vec<Contents<'_>> {
        let Some(slot) = self.slots[index].as_ref() else {
            return Vec::new();
        };
        let detached = slot
            .detached
            .iter()
            .filter_map(|id| self.generations.get(id));
        let followed = detached.map(|generation| Contents {
            id: Some(generation.id),
            head: generation.identity.head,
            sums: &generation.sums,
        });
        let past = slot.past.iter().map(|past| Contents {
            id: None,
            head: past.head,
            sums: &past.sums,
        });
        followed.chain(past).collect()
    }
}

/// What was read of a generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contents<'a> {
    /// If it is followed.
    pub(super) id: Option<GenerationId>,
    pub(super) head: Head,
    pub(super) sums: &'a Checksums,
}

/// Whether a path is a symbolic link with this inode.
fn is_link(path: &Path, inode: u64) -> bool {
    path.symlink_metadata()
        .is_ok_and(|link| link.is_symlink() && link.ino() == inode)
}

/// What stands under which name.
pub(super) fn stands(siblings: &[Sibling]) -> Vec<(PathBuf, Node)> {
    let named = |sibling: &Sibling| (sibling.path.clone(), sibling.stat.node);
    siblings.iter().map(named).collect()
}

/// While one is being compressed both stand there: the plain one has it all.
fn leave_the_plain(found: &mut Vec<Sibling>) {
    let plain: Vec<Rank> = found
        .iter()
        .filter(|sibling| sibling.packing.is_none())
        .map(|sibling| sibling.rank.clone())
        .collect();
    found.retain(|sibling| sibling.packing.is_none() || !plain.contains(&sibling.rank));
}

/// Whether a file that was found to be a copy in the making ends before what was read, or seen, of the generation since then.
pub(super) fn may_lack_the_end(copy: &File, generation: &Generation) -> bool {
    let Ok(stat) = Stat::of_open(copy) else {
        return false;
    };
    // An empty one may be anybody's.
    if stat.size == 0 || stat.size >= generation.read_to().max(generation.size) {
        return false;
    }
    // What is too short to be compared was compared with the file itself when it appeared.
    let agreement = generation.compare(copy, stat.size);
    agreement.is_ok_and(|agreement| agreement != Agreement::Differs)
}

/// Whether a file holds all that was read of a generation.
pub(super) fn is_copy_of(copy: &File, generation: &Generation) -> bool {
    Stat::of_open(copy).is_ok_and(|stat| {
        generation
            .compare(copy, stat.size)
            .is_ok_and(|agreement| generation.is_whole_in(agreement, stat.size))
    })
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
