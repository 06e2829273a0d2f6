//! Which paths are followed: what the patterns mean just now.

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Start;
use super::files::Files;
use super::rotation::{self, Rank};
use super::slot::Slot;
use crate::discover::Patterns;
use crate::discover::directories::name_of;
use crate::discover::patterns::directory_of;
use crate::discover::stat::{Stat, c_path};

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
        for slot in self.slots.iter_mut().flatten() {
            slot.meant = false;
        }
        for (set, path) in found {
            let index = match self.by_path.get(&path) {
                Some(&index) => index,
                None => self.new_slot(set, path, now),
            };
            if let Some(slot) = &mut self.slots[index] {
                slot.meant = true;
                if first && self.sets[set].fresh && self.sets[set].start == Start::End {
                    slot.start_at = Stat::of(&slot.c_path).ok().map(|stat| stat.size);
                }
            }
        }
        let kept = self
            .walked
            .iter()
            .copied()
            .chain(self.members.keys().copied())
            .collect();
        self.directories.retain(&kept);
    }

    /// A slot for a path, due at once.
    pub(super) fn new_slot(&mut self, set: usize, path: PathBuf, now: Duration) -> usize {
        let directory = self.directories.track(&directory_of(&path));
        let any_free = self.by_path.len() < self.slots.len();
        let free = any_free.then(|| self.slots.iter().position(Option::is_none));
        let index = match free.flatten() {
            Some(free) => free,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        self.by_path.insert(path.clone(), index);
        self.slots[index] = Some(Slot {
            set,
            c_path: c_path(&path).unwrap_or_default(),
            path,
            directory,
            meant: false,
            last: None,
            current: None,
            detached: Vec::new(),
            past: VecDeque::new(),
            baseline: HashMap::new(),
            judged: HashSet::new(),
            start_at: None,
            alias: false,
            copying: None,
            copied: None,
            grew_at: Duration::ZERO,
            begun: (Duration::ZERO, 0),
            waits: None,
        });
        let members = self.members.entry(directory).or_default();
        members.slots.push(index);
        if members.slots.len() == 1 {
            self.refresh(directory, now);
        }
        self.set_baseline(index);
        self.due.push(index);
        index
    }

    /// Drops the slots that nothing is left of. One whose rotated copies are still there is kept: without it, they would
    /// be taken for files of their own.
    pub(super) fn retire(&mut self) {
        for index in 0..self.slots.len() {
            let over = self.slots[index]
                .as_ref()
                .is_some_and(|slot| !slot.meant && slot.is_idle() && !self.has_siblings(slot));
            if over {
                self.remove_slot(index);
            }
        }
    }

    /// Drops a slot, and not what stands there.
    pub(super) fn remove_slot(&mut self, index: usize) {
        let Some(slot) = self.slots[index].take() else {
            return;
        };
        self.by_path.remove(&slot.path);
        if let Some(members) = self.members.get_mut(&slot.directory) {
            members.slots.retain(|&other| other != index);
            if members.slots.is_empty() {
                self.members.remove(&slot.directory);
            }
        }
        self.copying.remove(&index);
        self.doubted.remove(&index);
        self.forget_unpacked(index);
        self.clear(&slot.path);
    }
}
