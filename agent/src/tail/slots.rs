//! Which paths are followed: what the patterns mean just now.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Start;
use super::files::Files;
use super::rotation::{self, Rank};
use super::siblings::SHIFTS_MAX;
use super::slot::Slot;
use crate::discover::Patterns;
use crate::discover::directories::{DirectoryId, name_of};
use crate::discover::patterns::directory_of;
use crate::discover::stat::Stat;

/// Under this name it is told that files are left out: it belongs to none of them.
const FILES: &str = "limits.files";

impl Files {
    /// The paths that all sets mean, each with the first set that means it; rotated copies of other files are left out.
    pub(super) fn expand(&mut self, now: Duration) -> Vec<(usize, PathBuf)> {
        let mut found: Vec<(usize, PathBuf)> = Vec::new();
        let mut seen: HashSet<PathBuf> = HashSet::new();
        let mut used = HashSet::new();
        for (index, set) in self.sets.iter().enumerate() {
            let (paths, directories) = self.directories.expand(&set.patterns, now);
            used.extend(directories);
            for path in paths {
                if seen.insert(path.clone()) {
                    found.push((index, path));
                }
            }
        }
        found.retain(|(set, path)| {
            let patterns = &self.sets[*set].patterns;
            patterns.is_literal(path) || !self.is_rotated_copy(path, patterns, &seen)
        });
        self.walked = used;
        found
    }

    /// A numbered or compressed name is a copy of what the patterns would mean; a dated one only if that is there, since
    /// many programs write dated files themselves.
    fn is_rotated_copy(&self, path: &Path, patterns: &Patterns, seen: &HashSet<PathBuf>) -> bool {
        let name = name_of(path).as_bytes();
        if rotation::packing(name).1.is_some() {
            return true;
        }
        let directory = directory_of(path);
        rotation::readings(name).iter().any(|reading| {
            let base = directory.join(std::ffi::OsStr::from_bytes(&reading.base));
            seen.contains(&base)
                || self.by_path.contains_key(&base)
                || (matches!(reading.rank, Rank::Number(_)) && patterns.is_match(&base))
        })
    }

    /// Makes slots for the paths that are meant now.
    pub(super) fn follow(&mut self, first: bool, now: Duration) {
        let found = self.expand(now);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = slot {
                slot.meant = false;
                self.leaving.insert(index);
            }
        }
        for (set, path) in self.admit(found) {
            let index = match self.by_path.get(&path) {
                Some(&index) => index,
                None => self.new_slot(set, path, now),
            };
            if let Some(slot) = &mut self.slots[index] {
                slot.meant = true;
                self.leaving.remove(&index);
                if first && self.sets[set].fresh && self.sets[set].start == Start::End {
                    slot.start_at = Stat::at(&slot.path).ok().map(|stat| stat.size);
                }
            }
        }
        let kept = self
            .walked
            .iter()
            .copied()
            .chain(self.members.keys().copied())
            .collect();
        for dropped in self.directories.retain(&kept) {
            self.directory_looks.remove(dropped);
        }
        let unplanned = |id: &DirectoryId| !self.directory_looks.contains(*id);
        let unplanned: Vec<DirectoryId> = self.walked.iter().copied().filter(unplanned).collect();
        for id in unplanned {
            self.plan_directory(id, now);
        }
    }

    /// Leaves out what is more than may be followed: never a file that is, or that the ledger knows, and of the others those whose
    /// names come last. When files go away, others are taken in.
    fn admit(&mut self, mut found: Vec<(usize, PathBuf)>) -> Vec<(usize, PathBuf)> {
        let most = self.limits.files;
        let known: HashSet<&Path> = match found.len() > most {
            true => self
                .known
                .iter()
                .flatten()
                .map(|known| known.whereabouts.path())
                .collect(),
            false => HashSet::new(),
        };
        let is_kept =
            |path: &PathBuf| self.by_path.contains_key(path) || known.contains(path.as_path());
        let meant = found.iter().filter(|(_, path)| is_kept(path)).count();
        // A slot that no pattern means any more takes its place, too, until it is gone.
        let taken = meant.max(self.by_path.len());
        let new = found.len() - meant;
        let room = most.saturating_sub(taken);
        self.left_out = new.saturating_sub(room);
        if self.left_out > 0 {
            let mut others: Vec<PathBuf> = found
                .iter()
                .filter(|(_, path)| !is_kept(path))
                .map(|(_, path)| path.clone())
                .collect();
            others.sort_unstable();
            let left_out: HashSet<PathBuf> = others.split_off(room).into_iter().collect();
            found.retain(|(_, path)| !left_out.contains(path));
        }
        self.say_what_is_left_out();
        found
    }

    /// Once, and again when it is twice as many, or half.
    fn say_what_is_left_out(&mut self) {
        let (now, told) = (self.left_out, self.left_out_told);
        if now == told || (told > 0 && now > told / 2 && now < told.saturating_mul(2)) {
            return;
        }
        self.left_out_told = now;
        if now == 0 {
            self.clear(Path::new(FILES));
            return;
        }
        let message = format!(
            "{now} files are not followed, because the patterns mean more than {} (those whose names come last; they are taken in when others go away): raise it, at some 4 KiB of memory for each file, or name fewer files",
            self.limits.files
        );
        self.trouble(Path::new(FILES), message);
    }

    /// A slot for a path, due at once.
    pub(super) fn new_slot(&mut self, set: usize, path: PathBuf, now: Duration) -> usize {
        let directory = self.directories.track(&directory_of(&path), now);
        let index = match self.free_slots.pop() {
            Some(free) => free,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        self.by_path.insert(path.clone(), index);
        self.slots[index] = Some(Box::new(Slot {
            set,
            path,
            directory,
            meant: false,
            last: None,
            current: None,
            detached: Vec::new(),
            past: VecDeque::new(),
            baseline: BTreeMap::new(),
            judged: BTreeSet::new(),
            start_at: None,
            alias: false,
            copying: None,
            copied: None,
            grew_at: now,
            begun: (Duration::ZERO, 0),
            waits: None,
            damaged: None,
        }));
        let members = self.members.entry(directory).or_default();
        members.slots.push(index);
        if members.slots.len() == 1 {
            self.refresh(directory, now);
        }
        for _ in 0..SHIFTS_MAX {
            if self.set_baseline(index) {
                break;
            }
            self.refresh(directory, now);
        }
        self.due.push(index);
        self.leaving.insert(index);
        self.slot_looks.plan(index, now + self.limits.poll);
        index
    }

    /// Drops those of the slots that nothing is left of. One whose rotated copies are still there is kept: without it, they
    /// would be taken for files of their own.
    pub(super) fn retire(&mut self, slots: &[usize]) {
        let over: Vec<usize> = slots
            .iter()
            .copied()
            .filter(|index| self.leaving.contains(index))
            .filter(|&index| {
                self.slots[index]
                    .as_ref()
                    .is_some_and(|slot| !slot.meant && slot.is_idle() && !self.has_siblings(slot))
            })
            .collect();
        let mut emptied = HashSet::new();
        for index in over {
            emptied.extend(self.take_slot(index));
        }
        // Once for each directory: there may be as many slots in it as there were files.
        for id in emptied {
            self.drop_members(id);
        }
    }

    /// Drops a slot, and not what stands there.
    pub(super) fn remove_slot(&mut self, index: usize) {
        if let Some(directory) = self.take_slot(index) {
            self.drop_members(directory);
        }
    }

    /// Takes a slot out, and tells the directory whose member it still is.
    fn take_slot(&mut self, index: usize) -> Option<DirectoryId> {
        let slot = self.slots[index].take()?;
        self.free_slots.push(index);
        self.by_path.remove(&slot.path);
        self.copying.remove(&index);
        self.leaving.remove(&index);
        self.unheard.remove(&index);
        self.doubted.remove(&index);
        self.unfinished.remove(&index);
        self.forget_unpacked(index);
        self.slot_looks.remove(index);
        self.clear(&slot.path);
        Some(slot.directory)
    }

    /// Drops the members of a directory that are slots no more.
    fn drop_members(&mut self, id: DirectoryId) {
        let Some(members) = self.members.get_mut(&id) else {
            return;
        };
        let slots = &self.slots;
        members.slots.retain(|&index| {
            let slot = slots.get(index).and_then(Option::as_ref);
            slot.is_some_and(|slot| slot.directory == id)
        });
        if members.slots.is_empty() {
            self.members.remove(&id);
        }
    }
}
