//! Names that appeared beside a followed file: its moved generation, a copy in the making, or a whole generation that
//! came and went between two looks.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;

use super::compare::{self, Agreement, COMPARED_BYTES_MAX, TELLING_BYTES};
use super::files::Files;
use super::generation::{Generation, Source, State};
use super::identity::Beginning;
use super::looking::Begin;
use super::reading::head_stands;
use super::rotation::{self, Packing, Ranked};
use super::siblings::{Content, Contents, Sibling, Soon, is_prefix_of, stands, version};
use super::slot::Copying;
use super::source;
use super::truncation::Copy;
use super::unpack::{self, Unpacked};
use crate::account::{GenerationId, Identity, Lost};
use crate::discover::stat::{FileTime, Node, Stat};

/// A copy that did not grow for this long is not followed by a truncation (logrotate's `copy`, or a person's).
const COPY_STALLED: Duration = Duration::from_secs(5);
/// While a copy is being made, the file is truncated soon: what is written until then must be read before.
const COPYING_LOOK: Duration = Duration::from_millis(1);
/// A copy that lacks no more than this is about to be whole, and the file to be truncated: at once, or when the disk has
/// the copy (logrotate waits for `fsync`, which takes 100 ms on a usual disk).
const COPY_LACKS_MAX: u64 = 1024 * 1024;
/// Then the file is looked at without a pause for so long.
const WHOLE_COPY: Duration = Duration::from_millis(300);
/// That is, as soon as what the last look found is read.
const WHOLE_COPY_LOOK: Duration = Duration::from_micros(20);
/// A compressed copy that ends in its middle and did not change for this long is damaged; before, it is being written.
const UNFINISHED: Duration = Duration::from_secs(10);
/// However long a copy takes: the file is looked at as often as usual again after this.
const COPYING_MAX: Duration = Duration::from_secs(60);

impl Files {
    /// Tries again what could not be told of compressed copies that may still be written.
    pub(super) fn look_at_unfinished(&mut self, now: Duration) {
        for index in std::mem::take(&mut self.unfinished) {
            self.resume_on(index, now);
            self.find_missed_on(index, now);
        }
    }

    /// Looks at the names that are new in a directory, or stand for another file now.
    pub(super) fn look_at_fresh_names(&mut self, now: Duration) {
        // A rotation gives all copies of a log other names, thousands perhaps: those are asked about once, all together.
        let mut missing = BTreeSet::new();
        for (directory, name) in std::mem::take(&mut self.fresh) {
            let Some(directory) = self.directories.get(directory) else {
                continue;
            };
            let (parent, listed) = (directory.path.clone(), directory.entries.get(&name));
            let path = parent.join(&name);
            for reading in rotation::readings(name.as_bytes()) {
                let base = parent.join(std::ffi::OsStr::from_bytes(&reading.base));
                let Some(&index) = self.by_path.get(&base) else {
                    continue;
                };
                let Some(stat) = Stat::at(&path).ok().filter(Stat::is_file) else {
                    continue;
                };
                let sibling = Sibling {
                    path: path.clone(),
                    inode: listed.map_or(0, |listed| listed.inode),
                    stat,
                    rank: reading.rank,
                    packing: reading.packing,
                    links: self.links_of(index),
                };
                if let Some(owner) = self.owner(&sibling) {
                    let id = owner.id;
                    if owner.state != State::Live {
                        self.moved(id, &path);
                    }
                } else if self.has_another_name(index, &sibling) {
                    // Nothing else about it is new.
                } else if !self.has_current(index) || sibling.is_packed() {
                    missing.insert(index);
                } else if !self.is_copying(index, &path, now) {
                    // Either the file was truncated since it was looked at, or what the copy holds came and went.
                    self.suspect_current(index);
                    self.look_at(index, now);
                    if self.owner(&sibling).is_none() {
                        missing.insert(index);
                    }
                }
            }
        }
        for index in missing {
            self.find_missed(index, None, now);
        }
    }

    /// Whether a copy stood there already, just as it is, under another name or this one.
    fn has_another_name(&self, index: usize, sibling: &Sibling) -> bool {
        self.slots[index]
            .as_ref()
            .and_then(|slot| slot.baseline.get(&sibling.inode))
            .is_some_and(|stood| stood.is_as_written(&sibling.stat))
    }

    fn suspect_current(&mut self, index: usize) {
        let current = self.slots[index].as_ref().and_then(|slot| slot.current);
        if let Some(generation) = current.and_then(|id| self.generations.get_mut(&id)) {
            generation.suspect = true;
        }
    }

    fn has_current(&self, index: usize) -> bool {
        self.slots[index]
            .as_ref()
            .is_some_and(|slot| slot.current.is_some())
    }

    /// If it is a copy of the live file that appeared beside it, that will be truncated any moment. True as well if it
    /// can't be told.
    fn is_copying(&mut self, index: usize, path: &std::path::Path, now: Duration) -> bool {
        let Some(id) = self.slots[index].as_ref().and_then(|slot| slot.current) else {
            return true;
        };
        if self.ensure_open(id).is_err() {
            return true;
        }
        let Ok(copy) = source::open(path, self.links_of(index)) else {
            return true;
        };
        let Some(original) = self.generations.get(&id).and_then(|g| g.file()) else {
            return true;
        };
        if !is_prefix_of(&copy, original) {
            return false;
        }
        let Ok(stat) = Stat::of_open(&copy) else {
            return true;
        };
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.copied = Some(stat.node);
            slot.copying = Some(Box::new(Copying {
                copy,
                size: stat.size,
                grew_at: now,
                since: now,
                whole_since: None,
            }));
            self.copying.insert(index);
        }
        true
    }

    /// Sees whether copies are still being made.
    pub(super) fn look_at_copying(&mut self, now: Duration) {
        if self.copying.is_empty() {
            return;
        }
        let (slots, generations) = (&mut self.slots, &self.generations);
        self.copying.retain(|&index| {
            let Some(Some(slot)) = slots.get_mut(index) else {
                return false;
            };
            let live = slot.current.and_then(|id| generations.get(&id));
            let Some(copying) = &mut slot.copying else {
                return false;
            };
            let size = Stat::of_open(&copying.copy).map_or(0, |stat| stat.size);
            if size > copying.size {
                copying.size = size;
                copying.grew_at = now;
            }
            let whole = live.is_some_and(|live| live.size <= size + COPY_LACKS_MAX);
            copying.whole_since = copying.whole_since.or(whole.then_some(now));
            let goes_on = now < copying.grew_at + COPY_STALLED && now < copying.since + COPYING_MAX;
            if !goes_on {
                slot.copying = None;
            }
            goes_on
        });
    }

    /// How soon to look again at files that are being copied.
    pub(super) fn copying_look(&self, now: Duration) -> Option<Duration> {
        let soonest = |&index: &usize| {
            let copying = self.slots[index].as_ref()?.copying.as_ref()?;
            let any_moment = copying
                .whole_since
                .is_some_and(|since| now < since + WHOLE_COPY);
            Some(if any_moment {
                WHOLE_COPY_LOOK
            } else {
                COPYING_LOOK
            })
        };
        self.copying.iter().filter_map(soonest).min()
    }

    /// Follows the rotated copies that are newer than the newest generation that was rotated away before, and that are
    /// neither followed nor a copy of what is: they came and went between two looks. `left` is the generation that left
    /// the path in this look, if one did: even before it, there may be copies of what its file held in between.
    pub(super) fn find_missed(&mut self, index: usize, left: Option<GenerationId>, now: Duration) {
        // Until it is known what stands where, everything looks as if it came between two looks.
        if !self.is_meant(index) || self.resuming.contains_key(&index) {
            return;
        }
        // What was rotated away before may have grown since, and its copy is known by its length.
        let before = self.slots[index].as_ref().map(|slot| slot.detached.clone());
        for id in before.into_iter().flatten() {
            if self
                .generations
                .get(&id)
                .is_some_and(|g| matches!(g.state, State::Detached { .. }))
            {
                self.look_at_one_detached(id, now);
            }
        }
        let Some(slot) = self.slots[index].as_ref() else {
            return;
        };
        let siblings = self.siblings(slot);
        let stood = stands(&siblings);
        let mut judged: BTreeSet<(Node, FileTime)> = siblings
            .iter()
            .map(|sibling| (sibling.stat.node, sibling.stat.modified))
            .filter(|judged| slot.judged.contains(judged))
            .collect();
        // What stood there before is older than anything that is missed, but does not tell what is newer than itself.
        let is_old = |sibling: &&Sibling| {
            let judged = judged.contains(&(sibling.stat.node, sibling.stat.modified));
            sibling.is_packed() && !judged && slot.was_there(sibling)
        };
        let old: BTreeSet<Node> = siblings
            .iter()
            .filter(is_old)
            .map(|sibling| sibling.stat.node)
            .collect();
        let mut undecided = BTreeSet::new();
        for sibling in &siblings {
            if old.contains(&sibling.stat.node) {
                continue;
            }
            match self.is_known(index, sibling) {
                Soon::Now(false) => {}
                Soon::Now(true) => _ = judged.insert((sibling.stat.node, sibling.stat.modified)),
                Soon::Later => _ = undecided.insert(sibling.stat.node),
            }
        }
        let Some(slot) = self.slots[index].as_ref() else {
            return;
        };
        let is_rotated = |sibling: &Sibling| {
            self.owner(sibling)
                .filter(|generation| generation.slot == index && generation.state != State::Live)
                .map(|generation| generation.id)
        };
        let is_past = |sibling: &Sibling| {
            let node = sibling.stat.node;
            judged.contains(&(node, sibling.stat.modified))
                || slot.past.iter().any(|past| past.is(sibling))
        };
        let left_at = siblings
            .iter()
            .rposition(|sibling| left.is_some() && is_rotated(sibling) == left);
        let reference = siblings.iter().rposition(|sibling| {
            is_rotated(sibling).is_some_and(|id| left != Some(id)) || is_past(sibling)
        });
        let live = slot
            .current
            .and_then(|id| self.generations.get(&id))
            .and_then(|generation| generation.file());
        let missed: Vec<Sibling> = siblings
            .into_iter()
            .enumerate()
            .filter(|(at, sibling)| {
                let new = !slot.was_there(sibling);
                let newest = left_at.is_none_or(|left| *at > left);
                match reference {
                    Some(reference) => *at > reference && (new || newest),
                    // An old copy that was compressed meanwhile looks new, too.
                    None => new && (newest || sibling.packing.is_none()),
                }
            })
            .map(|(_, sibling)| sibling)
            .filter(|sibling| !matches!(sibling.packing, Some(Packing::Unreadable(_))))
            .filter(|sibling| !old.contains(&sibling.stat.node))
            .filter(|sibling| !undecided.contains(&sibling.stat.node))
            .filter(|sibling| self.owner(sibling).is_none())
            .filter(|sibling| slot.copied != Some(sibling.stat.node))
            .filter(|sibling| !live.is_some_and(|live| sibling.is_plain_copy_of(live)))
            .collect();
        let directory = slot.directory;
        // Nor can a copy be compared with a file that left the path or is truncated by now: the next look comes to that first.
        let has_left = || {
            let current = slot.current.and_then(|id| self.generations.get(&id));
            current.is_some_and(|live| !stands_at(&slot.path, live) || is_cut(live))
        };
        if !missed.is_empty() && (has_left() || self.is_shifting(index, &stood, now)) {
            let names = missed.iter().filter_map(|sibling| sibling.path.file_name());
            self.fresh
                .extend(names.map(|name| (directory, name.to_owned())));
            self.suspect_current(index);
            self.due.push(index);
            // Until then what stands there is not accounted for.
            if let Some(Some(slot)) = self.slots.get_mut(index) {
                slot.waits = Some(left);
            }
            self.unfinished.insert(index);
            return;
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.judged = judged;
        }
        let followed = self.slots[index]
            .as_ref()
            .map_or(0, |slot| slot.detached.len());
        let mut waits = !undecided.is_empty();
        for sibling in missed {
            match self.open_missed(index, &sibling, now) {
                Missed::Opened(opened) => self.adopt_opened(index, opened, now),
                Missed::Later => waits = true,
                Missed::Gone => {
                    // What became of it is there at the next look.
                    self.unfinished.insert(index);
                    waits = true;
                }
                Missed::Unreadable => {}
            }
        }
        self.put_in_order(index, followed);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.waits = waits.then_some(left);
        }
        if !waits {
            self.forget_unpacked(index);
            self.set_baseline(index);
        }
    }

    /// Whether the copies of a slot stand under other names than these by now, or others beside them. Looked at by names
    /// while a rotation shifts them, one copy is judged by another's content. Names do not come back: if they stand for
    /// the same files now, they did all the while.
    fn is_shifting(&mut self, index: usize, stood: &[(PathBuf, Node)], now: Duration) -> bool {
        let Some(directory) = self.slots[index].as_ref().map(|slot| slot.directory) else {
            return true;
        };
        self.refresh(directory, now);
        let slot = self.slots[index].as_ref();
        slot.is_none_or(|slot| stands(&self.siblings(slot)) != stood)
    }

    /// Looks again at the copies of a slot of which one has been looked through meanwhile.
    pub(super) fn find_missed_on(&mut self, index: usize, now: Duration) {
        let waits = self.slots[index]
            .as_mut()
            .and_then(|slot| slot.waits.take());
        if let Some(left) = waits {
            self.find_missed(index, left, now);
        }
    }

    /// What was found late, behind the first so many, may be older than what is known to have been rotated away.
    fn put_in_order(&mut self, index: usize, followed: usize) {
        let Some(slot) = self.slots[index].as_ref() else {
            return;
        };
        if slot.detached.len() <= followed {
            return;
        }
        let order: Vec<GenerationId> = self
            .siblings(slot)
            .iter()
            .filter_map(|sibling| self.owner(sibling).map(|owner| owner.id))
            .collect();
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            let late = slot.detached.split_off(followed);
            insert_in_order(&mut slot.detached, late, &order);
        }
    }

    /// Whether a copy is one of a generation that is followed or was, though in another file. What was read of it may be more than what the
    /// copy has, which was made before that.
    fn is_known(&mut self, index: usize, sibling: &Sibling) -> Soon<bool> {
        match sibling.packing {
            Some(Packing::Gzip) => self.is_packed_known(index, sibling),
            Some(Packing::Unreadable(_)) => Soon::Now(false),
            None if self.owner(sibling).is_some() => Soon::Now(false),
            None => {
                let Ok((file, stat)) = sibling.open() else {
                    return Soon::Now(false);
                };
                let is_of = |content: &Contents<'_>| {
                    let (head, sums) = (content.head, content.sums);
                    stat.size <= sums.to()
                        && compare::compare(&file, stat.size, head, sums, COMPARED_BYTES_MAX)
                            .is_ok_and(Agreement::tells)
                };
                Soon::Now(self.contents(index).iter().any(is_of))
            }
        }
    }

    fn is_packed_known(&mut self, index: usize, sibling: &Sibling) -> Soon<bool> {
        let Some(slot) = self.slots[index].as_ref() else {
            return Soon::Now(false);
        };
        let judged = (sibling.stat.node, sibling.stat.modified);
        if slot.judged.contains(&judged) {
            return Soon::Now(true);
        }
        // What stands there uncompressed, under another number, is not what this was made of: two logs may say the same.
        let plain: BTreeSet<GenerationId> = self
            .siblings(slot)
            .iter()
            .filter(|other| other.packing.is_none())
            .filter_map(|other| self.owner(other).map(|owner| owner.id))
            .collect();
        let stands = |content: &Contents<'_>| content.id.is_some_and(|id| plain.contains(&id));
        let mut contents = self.contents(index);
        contents.retain(|content| !stands(content));
        // Somebody may have packed what stands at the path. Little content may as well be that of a generation that was
        // never read.
        let live = self.live_content(index);
        let trailer = sibling
            .open()
            .ok()
            .and_then(|(file, stat)| unpack::trailer(&file, stat.size));
        if let Some((crc, bytes)) = trailer {
            let is_of = |content: &Contents<'_>| content.sums.begins_with_all_of(bytes, crc);
            let tells = u64::from(bytes) >= TELLING_BYTES;
            if contents.iter().any(is_of) || (tells && live.is_some_and(|live| is_of(&live))) {
                return Soon::Now(true);
            }
        }
        let beginning = sibling.beginning();
        let may_be = |content: &Contents<'_>| {
            let begins = |beginning| compare::may_be(beginning, content.head);
            (content.head.bytes > 0 || !content.sums.is_empty())
                && beginning.as_ref().is_none_or(begins)
        };
        if !contents.iter().chain(&live).any(may_be) {
            return Soon::Now(false);
        }
        match self.unpacked(index, sibling) {
            Soon::Later => Soon::Later,
            Soon::Now(None) => Soon::Now(false),
            Soon::Now(Some(unpacked)) => {
                let compared = |content: &Contents<'_>| {
                    compare::compare_unpacked(&unpacked, content.head, content.sums)
                };
                let left = self.contents(index);
                let mut left = left.iter().filter(|content| !stands(content));
                let live = self.live_content(index);
                Soon::Now(
                    left.any(|content| compared(content).fits())
                        || live.is_some_and(|live| compared(&live).tells()),
                )
            }
        }
    }

    /// Whether a compressed copy ends in its middle because somebody writes it just now. One that stays so is damaged.
    fn is_unfinished(
        &mut self,
        index: usize,
        stat: &Stat,
        unpacked: &Unpacked,
        now: Duration,
    ) -> bool {
        if unpacked.damage.is_none() {
            return false;
        }
        let Some(Some(slot)) = self.slots.get_mut(index) else {
            return false;
        };
        let version = version(stat);
        let since = match slot.damaged {
            Some((damaged, since)) if damaged == version => since,
            _ => {
                slot.damaged = Some((version, now));
                now
            }
        };
        let unfinished = now < since + UNFINISHED;
        if unfinished {
            self.unfinished.insert(index);
        }
        unfinished
    }

    /// Opens a rotated copy that is a generation of its own, to be read whole.
    pub(super) fn open_missed(&mut self, index: usize, sibling: &Sibling, now: Duration) -> Missed {
        if let Some(Packing::Unreadable(format)) = sibling.packing {
            self.trouble(
                &sibling.path,
                format!(
                    "this rotated copy was not read before it was compressed with {format}, which can't be read here: its {} \
                     compressed bytes are not shipped; use gzip or delaycompress in logrotate's configuration",
                    sibling.stat.size
                ),
            );
            return Missed::Unreadable;
        }
        let (path, file, stat) = match self.open_wherever(index, sibling, now) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Missed::Gone,
            Err(error) => {
                let path = sibling.path.clone();
                self.trouble(&path, super::looking::unopened(&error));
                return Missed::Unreadable;
            }
        };
        let content = match sibling.packing {
            None => Content::Plain(stat.size),
            Some(_) => match self.unpacked_of(index, version(&stat), || file.try_clone()) {
                Soon::Now(Some(unpacked)) if self.is_unfinished(index, &stat, &unpacked, now) => {
                    return Missed::Later;
                }
                Soon::Now(Some(unpacked)) => Content::Packed(unpacked),
                Soon::Now(None) => {
                    self.unfinished.insert(index);
                    return Missed::Later;
                }
                Soon::Later => return Missed::Later,
            },
        };
        Missed::Opened(Opened {
            path,
            file,
            stat,
            content,
        })
    }

    /// Follows a rotated copy that is a generation of its own, from its first byte.
    pub(super) fn adopt_opened(&mut self, index: usize, opened: Opened, now: Duration) {
        let Opened {
            path,
            file,
            stat,
            content,
        } = opened;
        let beginning = match &content {
            Content::Plain(_) => Beginning::of(&file).unwrap_or_default(),
            Content::Packed(unpacked) => unpacked.beginning.clone(),
        };
        let identity = Identity {
            device: stat.node.0,
            inode: stat.node.1,
            head: beginning.head(),
        };
        let (source, state) = match &content {
            Content::Plain(_) => (
                Source::Plain(file.try_clone().ok()),
                State::Detached { deleted: false },
            ),
            Content::Packed(_) => (Source::Gone, State::Final),
        };
        // Of a copy in another folder it is remembered which log it is of.
        let own = self.slots[index].as_ref().map(|slot| slot.path.clone());
        let own = own.filter(|own| own.parent() != path.parent());
        let found_at = own.as_ref().unwrap_or(&path);
        let id = self.adopt(index, found_at, source, state, identity, Begin::At(0));
        self.moved(id, &path);
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.modified = stat.modified;
            generation.born_ns = source::born_ns(&file);
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.detached.push(id);
        }
        self.aside.insert(id);
        match content {
            Content::Plain(bytes) => self.grow(id, bytes, now),
            Content::Packed(_) => {
                let copy = Copy {
                    path,
                    node: stat.node,
                    file,
                    content,
                };
                self.take_over(id, copy, Lost::Unreadable, now);
            }
        }
    }
}

/// Puts generations that were found late among those that were followed: each before the first one that is newer by
/// `order`. What has no name any more keeps its place. Pure.
fn insert_in_order(
    followed: &mut Vec<GenerationId>,
    late: Vec<GenerationId>,
    order: &[GenerationId],
) {
    let rank = |id: &GenerationId| order.iter().position(|other| other == id);
    for id in late {
        let newer = rank(&id).and_then(|rank_of_it| {
            followed
                .iter()
                .position(|other| rank(other).is_some_and(|other| other > rank_of_it))
        });
        followed.insert(newer.unwrap_or(followed.len()), id);
    }
}

/// Whether a live generation's file is what its path leads to. What can't be looked at is taken to be.
fn stands_at(path: &std::path::Path, live: &Generation) -> bool {
    match Stat::at(path) {
        Ok(stat) => {
            let opened = |file| Stat::of_open(file).is_ok_and(|open| open.node == stat.node);
            stat.node == live.node || live.file().is_some_and(opened)
        }
        Err(Errno::ENOENT | Errno::ENOTDIR) => false,
        Err(_) => true,
    }
}

/// Whether a live generation's open file does not begin any more with what was seen of it.
fn is_cut(live: &Generation) -> bool {
    live.file().is_some_and(|file| {
        !head_stands(file, live).unwrap_or(false)
            || Stat::of_open(file).is_ok_and(|stat| stat.size < live.size)
    })
}

/// A rotated copy that is to be read whole.
#[derive(Debug)]
pub(super) struct Opened {
    path: PathBuf,
    file: File,
    stat: Stat,
    content: Content,
}

/// What came of opening a rotated copy.
#[derive(Debug)]
pub(super) enum Missed {
    Opened(Opened),
    /// It has to be looked through first, or is being written.
    Later,
    /// It is under no name that a copy has: it was compressed just now, perhaps, or deleted.
    Gone,
    /// It can't be read, which was said.
    Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_late_goes_before_what_is_newer() {
        let ids = |ids: &[u64]| ids.iter().copied().map(GenerationId).collect::<Vec<_>>();
        for (followed, late, order, expected) in [
            // 1 was deleted while it was followed: it stays the oldest.
            (&[1, 2][..], &[3][..], &[2, 3][..], &[1, 2, 3][..]),
            (&[1, 2], &[3], &[3, 2], &[1, 3, 2]),
            (&[1, 2], &[3, 4], &[3, 2, 4], &[1, 3, 2, 4]),
            (&[], &[3, 4], &[3, 4], &[3, 4]),
            (&[1], &[3], &[], &[1, 3]),
        ] {
            let mut found = ids(followed);
            insert_in_order(&mut found, ids(late), &ids(order));
            assert_eq!(found, ids(expected));
        }
    }
}
