//! What a look at a path means: nothing new, grown, truncated, another file, or gone.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use super::checksums::Checksums;
use super::files::{ACTIVE, Files};
use super::generation::{Generation, Rewritten, Source, State};
use super::identity::{Anchor, Beginning, HEAD_BYTES_MAX};
use super::reading::written_to;
use super::siblings::is_prefix_of;
use super::slot::keeps_time;
use super::source;
use super::{Known, Sight};
use crate::account::{GenerationId, Identity, Print};
use crate::discover::links::refusal;
use crate::discover::stat::Stat;

/// A file that was written without growing is looked at again after this: by then its writer has made it longer, if it was
/// about to. A file system's journal may keep it waiting between the two.
const REWRITTEN_AFTER: Duration = Duration::from_secs(1);
/// Longer content that did not change is not taken to be written anew: it is a log's, whose lines bear times, not a report's.
const REWRITTEN_BYTES_MAX: u64 = 64 * 1024;
/// What was written is told by inotify within this, or not at all.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

impl Files {
    /// Looks at a slot's path.
    pub(super) fn look_at(&mut self, index: usize, now: Duration) {
        if self.resuming.contains_key(&index) {
            return;
        }
        let Some(Some(slot)) = self.slots.get_mut(index) else {
            return;
        };
        let stat = match Stat::at(&slot.path) {
            Ok(stat) => Some(stat),
            Err(Errno::ENOENT | Errno::ENOTDIR) => None,
            Err(error) => {
                let path = slot.path.clone();
                slot.last = None;
                self.trouble(&path, unreadable(&error.into()));
                return;
            }
        };
        let current = slot.current;
        let suspect = current
            .and_then(|id| self.generations.get(&id))
            .is_some_and(|generation| {
                generation.suspect
                    || (generation.rewritten != Rewritten::No && self.written.contains(&slot.path))
            });
        if stat == slot.last && !suspect && stat.is_some() == current.is_some() {
            return;
        }
        let path = slot.path.clone();
        match stat {
            None => {
                slot.last = None;
                slot.alias = false;
                if let Some(id) = current {
                    self.detach(id, now);
                    self.find_missed(index, self.newest_detached(index), now);
                }
                self.clear(&path);
            }
            Some(stat) if !stat.is_file() => {
                slot.last = None;
                if let Some(id) = current {
                    self.detach(id, now);
                }
                self.trouble(
                    &path,
                    format!(
                        "this is {}, and only regular files are followed; exclude it, or have it written to a file",
                        stat.kind_name()
                    ),
                );
            }
            Some(stat) => {
                self.follow_inode(current, stat);
                match current.and_then(|id| Some((id, self.generations.get(&id)?.node))) {
                    Some((id, node)) if node == stat.node => self.observe(index, id, stat, now),
                    _ => {
                        if let Some(id) = current {
                            self.detach(id, now);
                        }
                        if self.is_meant(index) {
                            self.attach(index, &path, stat, current, now);
                        }
                    }
                }
            }
        }
    }

    /// The file that is open may be the one at the path although that has another inode: on overlayfs a file with several names gets one
    /// when it is first written.
    fn follow_inode(&mut self, current: Option<GenerationId>, stat: Stat) {
        let Some(generation) = current.and_then(|id| self.generations.get_mut(&id)) else {
            return;
        };
        let (id, before) = (generation.id, generation.node);
        let is_it = |file| Stat::of_open(file).is_ok_and(|open| open.node == stat.node);
        if before != stat.node && generation.file().is_some_and(is_it) {
            generation.node = stat.node;
            generation.unprinted = true;
            if self.by_node.get(&before) == Some(&id) {
                self.by_node.remove(&before);
            }
            self.by_node.insert(stat.node, id);
        }
    }

    /// What left the path in this look, if something did: it was truncated on the way, perhaps.
    fn newest_detached(&self, index: usize) -> Option<GenerationId> {
        self.slots[index].as_ref()?.detached.last().copied()
    }

    /// The same file as before: did it grow, or was it truncated?
    fn observe(&mut self, index: usize, id: GenerationId, stat: Stat, now: Duration) {
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        let suspect = std::mem::take(&mut generation.suspect);
        let Some(generation) = self.generations.get(&id) else {
            return;
        };
        let (size, head_bytes) = (generation.size, generation.identity.head.bytes as usize);
        let told = match generation.rewritten {
            Rewritten::No => false,
            Rewritten::Perhaps(..) => true,
            Rewritten::Untold(modified, until) => {
                modified == stat.modified && now < until && self.rang_written(index)
            }
        };
        let touched = stat.modified != generation.modified || told;
        let was_quiet = now >= generation.grew_at + ACTIVE;
        let drained = generation.is_drained();
        let stands = if stat.size < size {
            Some(false)
        } else if touched && drained && size > 0 && (stat.size == size || was_quiet) {
            // It may have been written anew, to the same length or a greater one.
            self.all_stands(id, stat)
        } else if suspect || stat.size > size || (touched && size > 0) {
            // Only what is known to be this generation's is told to have been seen.
            self.still_stands(id)
        } else {
            Some(true)
        };
        let grows_head = stands == Some(true) && stat.size > size && head_bytes < HEAD_BYTES_MAX;
        let stands = if grows_head {
            self.grow_head(id)
        } else {
            stands
        };
        match stands {
            Some(true) => {}
            Some(false) => {
                self.anew(index, id, stat, now);
                return;
            }
            None => {
                // It can't be read just now; try again at the next look.
                let path = self.slots[index].as_ref().map(|slot| slot.path.clone());
                if let (Some(path), Some(Some(slot))) = (path, self.slots.get_mut(index)) {
                    slot.last = None;
                    self.trouble(&path, unreadable(&Errno::EACCES.into()));
                }
                return;
            }
        }
        if touched && drained && stat.size == size && (1..=REWRITTEN_BYTES_MAX).contains(&size) {
            match self.rewriting(index, id, stat, now) {
                Rewriting::No => {}
                Rewriting::Perhaps => {
                    if let Some(Some(slot)) = self.slots.get_mut(index) {
                        slot.last = None;
                    }
                    self.doubted.insert(index);
                    return;
                }
                Rewriting::Yes => {
                    self.anew(index, id, stat, now);
                    return;
                }
            }
        }
        let seen = self.seen_bytes(id, stat);
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        if seen > generation.size {
            generation.rewritten = Rewritten::No;
        }
        let drained = generation.is_drained();
        if touched && generation.modified != stat.modified {
            generation.modified = stat.modified;
            generation.unprinted = true;
        }
        // What is written into space that was allocated ahead does not change the size.
        let written = touched && seen == generation.size && !generation.is_drained();
        if seen > generation.size || written {
            generation.size = seen;
            generation.grew_at = now;
            generation.ended = false;
            self.sights.push(Sight::Grew { id, size: seen });
            self.note_growth(index, now);
        } else if drained && let Some(print) = self.print(id) {
            self.sights.push(Sight::Printed { id, print });
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.last = Some(stat);
            let path = slot.path.clone();
            self.clear(&path);
        }
    }

    /// What stands in the file is a new generation; unless there were too many of them lately.
    fn anew(&mut self, index: usize, id: GenerationId, stat: Stat, now: Duration) {
        let Some(Some(slot)) = self.slots.get_mut(index) else {
            return;
        };
        if slot.may_begin(now) {
            self.truncated(index, id, stat, now);
        } else {
            slot.last = None;
            self.doubted.insert(index);
        }
    }

    /// A file that was written and did not grow: was it written anew, with the same bytes?
    ///
    /// Only inotify tells that from a new time stamp alone. A writer sets the time before it makes the file longer, so it is looked at
    /// twice before it is believed.
    fn rewriting(
        &mut self,
        index: usize,
        id: GenerationId,
        stat: Stat,
        now: Duration,
    ) -> Rewriting {
        let rang = self.rang_written(index);
        let Some(generation) = self.generations.get_mut(&id) else {
            return Rewriting::No;
        };
        match generation.rewritten {
            Rewritten::Perhaps(modified, since) if modified == stat.modified => {
                if now >= since + REWRITTEN_AFTER {
                    return Rewriting::Yes;
                }
            }
            Rewritten::Perhaps(..) => {
                generation.rewritten = Rewritten::Perhaps(stat.modified, now);
            }
            Rewritten::No | Rewritten::Untold(..) if rang => {
                generation.rewritten = Rewritten::Perhaps(stat.modified, now);
            }
            Rewritten::No | Rewritten::Untold(..) => {
                generation.rewritten = Rewritten::Untold(stat.modified, now + TOLD_WITHIN);
                return Rewriting::No;
            }
        }
        Rewriting::Perhaps
    }

    /// Whether inotify told since the last look that the slot's file was written.
    fn rang_written(&self, index: usize) -> bool {
        self.slots[index]
            .as_ref()
            .is_some_and(|slot| self.written.contains(&slot.path))
    }

    /// How much of a file was written: NULs at its end may be space that is allocated ahead.
    pub(super) fn seen_bytes(&self, id: GenerationId, stat: Stat) -> u64 {
        let Some(generation) = self.generations.get(&id) else {
            return stat.size;
        };
        if stat.size <= generation.size {
            return stat.size;
        }
        generation.file().map_or(stat.size, |file| {
            written_to(file, generation.size, stat.size)
        })
    }

    /// Another file than before stands at the path.
    fn attach(
        &mut self,
        index: usize,
        path: &Path,
        stat: Stat,
        before: Option<GenerationId>,
        now: Duration,
    ) {
        if let Some(&id) = self.by_node.get(&stat.node)
            && self.attach_followed(index, path, id, stat, now)
        {
            return;
        }
        let left = before.and_then(|_| self.newest_detached(index));
        self.find_missed(index, left, now);
        let links = self.links_of(index);
        let opened = self.open_path(path, links).and_then(|file| {
            let stat = Stat::of_open(&file)?;
            let content = Beginning::of(&file)?;
            Ok((file, stat, content))
        });
        let (file, stat, content) = match opened {
            Ok((file, opened, content)) if opened.node == stat.node => (file, opened, content),
            Ok(_) => {
                self.due.push(index);
                return;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.due.push(index);
                return;
            }
            Err(error) => {
                self.trouble(path, unopened(&error));
                return;
            }
        };
        let born_ns = source::born_ns(&file);
        let returned = self.returned(index, &file, stat, born_ns);
        // Whatever stood there in between, what stands there now was not put in the place of what left.
        let in_its_place = self.newest_detached(index) == left;
        let replaced = || self.replaced(index, before.filter(|_| in_its_place), &file, stat);
        let goes_on = returned.or_else(replaced);
        let Some(Some(slot)) = self.slots.get_mut(index) else {
            return;
        };
        let start = slot.start_at.take().map(|size| size.min(stat.size));
        let sums = goes_on.clone().map(|(_, sums)| sums);
        let begin = match goes_on {
            Some((from, _)) => Begin::After(from),
            None => Begin::At(start.unwrap_or(0)),
        };
        slot.alias = false;
        let seen = written_to(&file, begin.from(), stat.size);
        let id = self.adopt(
            index,
            path,
            Source::Plain(Some(file)),
            State::Live,
            Identity {
                device: stat.node.0,
                inode: stat.node.1,
                head: content.head(),
            },
            begin,
        );
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.current = Some(id);
            slot.last = Some(stat);
        }
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.modified = stat.modified;
            generation.born_ns = born_ns;
            if let Some(sums) = sums {
                generation.sums = sums;
            }
        }
        self.grow(id, seen, now);
        self.set_baseline(index);
        self.clear(path);
    }

    /// How far this file was read as a generation that is forgotten: it went away, and is back.
    fn returned(
        &self,
        index: usize,
        file: &File,
        stat: Stat,
        born_ns: Option<i64>,
    ) -> Option<(u64, Checksums)> {
        let slot = self.slots[index].as_ref()?;
        slot.past.iter().rev().find_map(|past| {
            let same = past.node == stat.node && (past.born_ns == born_ns || born_ns.is_none());
            let agreement = same.then(|| past.compare(file, stat.size));
            let agreement = agreement?.ok()?;
            let whole = agreement.is_whole(stat.size, past.head, &past.sums);
            // Little content tells little. If it was written since, and is no longer than it was, it was written anew.
            let anew =
                past.modified != stat.modified && !agreement.tells() && stat.size <= past.size;
            (whole && !anew && past.size <= stat.size).then(|| (past.size, past.sums.clone()))
        })
    }

    /// How far this file is the one that left the path, written into another file: an editor does so, and what restores a backup. What was
    /// rotated away stands beside it, and is another.
    fn replaced(
        &self,
        index: usize,
        before: Option<GenerationId>,
        file: &File,
        stat: Stat,
    ) -> Option<(u64, Checksums)> {
        let slot = self.slots[index].as_ref()?;
        let before = before.and_then(|id| self.generations.get(&id))?;
        let rotated = self.siblings(slot).iter().any(|sibling| {
            // Compressed at once, it has another inode, and its time still.
            let is_packed = sibling.packing.is_some();
            let packed_from = |plain| is_packed && keeps_time(plain, sibling.stat.modified);
            sibling.stat.node == before.node || packed_from(before.modified)
        });
        // What was not read yet is read through the old file, and has to be in the new one.
        let holds_the_rest =
            before.is_drained() || before.file().is_some_and(|old| is_prefix_of(old, file));
        if rotated || !holds_the_rest {
            return None;
        }
        let agreement = before.compare(file, stat.size).ok()?;
        let restored = stat.modified == before.modified && stat.size == before.size;
        let same = before.is_whole_in(agreement, stat.size) && (agreement.tells() || restored);
        same.then(|| (before.size, before.sums.clone()))
    }

    /// The path leads to a file that is followed already: it was moved here, or this is a second name of it.
    fn attach_followed(
        &mut self,
        index: usize,
        path: &Path,
        id: GenerationId,
        stat: Stat,
        now: Duration,
    ) -> bool {
        let Some(generation) = self.generations.get(&id) else {
            self.by_node.remove(&stat.node);
            return false;
        };
        let (state, home) = (generation.state, generation.slot);
        match state {
            State::Final => return false,
            State::Live if home == index => return false,
            State::Live => {
                let other = self.slots[home].as_ref();
                let still_there = other
                    .and_then(|slot| Stat::at(&slot.path).ok())
                    .is_some_and(|there| there.node == stat.node);
                // Rotation is most likely to make copies of the name that others stood at before, or that the other one is a link to.
                let this = self.slots[index].as_ref();
                let stays = match (other, this) {
                    (Some(other), Some(this)) => {
                        let is_first = this.has_history() && !other.has_history();
                        !is_first && !leads_to(&other.path, &this.path)
                    }
                    _ => true,
                };
                if still_there && stays {
                    if let Some(Some(slot)) = self.slots.get_mut(index) {
                        slot.alias = true;
                        slot.last = None;
                    }
                    self.clear(path);
                    return true;
                }
            }
            State::Detached { .. } => {}
        }
        let other = match generation.born_ns {
            Some(born_ns) if !generation.is_open() => {
                source::born_ns_at(path).is_some_and(|now| now != born_ns)
            }
            _ => false,
        };
        if other || stat.size < generation.size || self.still_stands_at(id, path) == Some(false) {
            // The inode was used again for another file while nobody held it.
            self.by_node.remove(&stat.node);
            self.gone(id, now);
            return false;
        }
        if let Some(Some(slot)) = self.slots.get_mut(home) {
            slot.detached.retain(|&other| other != id);
            if slot.current == Some(id) {
                slot.current = None;
                slot.last = None;
            }
        }
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.current = Some(id);
            slot.alias = false;
            slot.last = None;
        }
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.slot = index;
            generation.state = State::Live;
        }
        self.aside.remove(&id);
        self.moved(id, path);
        self.observe(index, id, stat, now);
        true
    }

    /// As `still_stands`, for a generation that may have to be opened under a new path.
    fn still_stands_at(&mut self, id: GenerationId, path: &Path) -> Option<bool> {
        if let Some(generation) = self.generations.get_mut(&id)
            && !generation.is_open()
        {
            generation.path = path.to_path_buf();
        }
        self.still_stands(id)
    }

    /// A new generation, and its sight.
    pub(super) fn adopt(
        &mut self,
        index: usize,
        path: &Path,
        source: Source,
        state: State,
        identity: Identity,
        begin: Begin,
    ) -> GenerationId {
        let id = GenerationId(self.next_id);
        self.next_id += 1;
        self.take_in(id, index, path, source, state, identity, begin, None);
        id
    }

    /// One that the ledger knows.
    pub(super) fn adopt_known(
        &mut self,
        known: &Known,
        index: usize,
        path: &Path,
        source: Source,
        state: State,
        identity: Identity,
    ) {
        let begin = Begin::After(known.settled_to);
        let (id, print) = (known.id, Some(&known.print));
        self.take_in(id, index, path, source, state, identity, begin, print);
    }

    #[expect(clippy::too_many_arguments, reason = "all that makes a generation")]
    fn take_in(
        &mut self,
        id: GenerationId,
        index: usize,
        path: &Path,
        source: Source,
        state: State,
        identity: Identity,
        begin: Begin,
        print: Option<&Print>,
    ) {
        let (from, resumed) = match begin {
            Begin::At(from) => (from, false),
            Begin::After(from) => (from, true),
        };
        let set = self.slots[index].as_ref().map_or(0, |slot| slot.set);
        let node = (identity.device, identity.inode);
        let sums = print.map_or_else(
            || Checksums::from(from),
            |print| Checksums::remembered(print, from),
        );
        let modified = print.and_then(|print| print.modified_ns).unwrap_or(0);
        let generation = Generation {
            id,
            set,
            slot: index,
            path: path.to_path_buf(),
            identity,
            born_ns: print.and_then(|print| print.born_ns),
            copy_born_ns: None,
            sums,
            short: Vec::new(),
            unprinted: print.is_none(),
            checked_head: std::cell::Cell::new(None),
            node,
            source,
            state,
            size: from,
            consumed: from,
            modified: (
                modified.div_euclid(1_000_000_000),
                modified.rem_euclid(1_000_000_000),
            ),
            rewritten: Rewritten::No,
            anchor: Anchor::default(),
            grew_at: Duration::ZERO,
            looked_at: Duration::ZERO,
            asked_at: Duration::ZERO,
            ended: false,
            deleted: false,
            kept: false,
            suspect: false,
            hole_to: 0,
        };
        if generation.is_open() {
            self.note_open(id);
        }
        if !matches!(generation.source, Source::Gone) {
            self.by_node.insert(node, id);
        }
        self.sights.push(Sight::Found {
            id,
            set: generation.set,
            path: path.to_path_buf(),
            identity,
            from,
            resumed,
        });
        self.generations.insert(id, Box::new(generation));
    }

    /// There is more of it.
    pub(super) fn grow(&mut self, id: GenerationId, size: u64, now: Duration) {
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        if size > generation.size {
            generation.size = size;
            generation.grew_at = now;
            generation.ended = false;
            let slot = generation.slot;
            self.sights.push(Sight::Grew { id, size });
            self.note_growth(slot, now);
        }
    }

    /// It has another path.
    pub(super) fn moved(&mut self, id: GenerationId, path: &Path) {
        if let Some(generation) = self.generations.get_mut(&id)
            && generation.path != path
        {
            generation.path = path.to_path_buf();
            self.sights.push(Sight::Moved {
                id,
                path: path.to_path_buf(),
            });
        }
    }
}

/// Whether a path is a symbolic link to this other path.
fn leads_to(link: &Path, path: &Path) -> bool {
    let target = std::fs::read_link(link);
    target.is_ok_and(|target| {
        link.parent()
            .is_some_and(|folder| folder.join(target) == path)
    })
}

/// Where to begin to read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begin {
    /// Here. What is before was there before the agent was to begin.
    At(u64),
    /// Behind what is accounted for.
    After(u64),
}

impl Begin {
    fn from(self) -> u64 {
        match self {
            Begin::At(from) | Begin::After(from) => from,
        }
    }
}

/// Whether a file was written anew although it has the size that it had.
enum Rewriting {
    No,
    /// It looks so. The next look tells.
    Perhaps,
    Yes,
}

/// What to do about a file that was not opened.
pub(super) fn unopened(error: &std::io::Error) -> String {
    match refusal(error) {
        Some(refused) => refused.to_string(),
        None => unreadable(error),
    }
}

/// What to do about a file that can't be opened.
pub(super) fn unreadable(error: &std::io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => {
            "it can't be read (permission denied): add the agent's user to the file's group (`usermod -aG adm baker-agent` \
             for the logs of the system), and let the group pass its directories"
                .to_owned()
        }
        Some(error @ (Errno::EMFILE | Errno::ENFILE)) => format!(
            "it can't be opened ({}): raise LimitNOFILE of the service, or lower limits.open_files",
            error.desc()
        ),
        Some(error) => format!("it can't be read ({}): it is tried again every second", error.desc()),
        None if error.kind() == ErrorKind::Unsupported => format!("it is not followed: {error}"),
        None => format!("it can't be read ({error}): it is tried again every second"),
    }
}
