//! All followed files: what is due at a look, in which order, and when to look next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::generation::{Generation, Source, State};
use super::rotation::{self, Rank};
use super::slot::{Past, Slot};
use super::{FileSet, Known, Limits, OpenError, Sight, Start};
use crate::account::GenerationId;
use crate::clock::Now;
use crate::discover::Patterns;
use crate::discover::directories::{Directories, DirectoryId, name_of};
use crate::discover::patterns::directory_of;
use crate::discover::stat::{Node, c_path};
use crate::discover::watch::{Doorbell, Rung};

/// How many files of a busy directory are looked at in a second, between the polls of all: half of them for those that grew
/// lately, the others in turns. A look at a file that grew costs a read of it, so more would be paid for by many files
/// whose streams send far more seldom.
const LOOKS_PER_SECOND: u32 = 2000;
/// A file that grew within this is looked at each tick.
pub(super) const ACTIVE: Duration = Duration::from_secs(1);
/// Under this path troubles with inotify are told: they belong to no file.
const INOTIFY: &str = "/proc/sys/fs/inotify";

/// One set, compiled.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) patterns: Patterns,
    pub(super) start: Start,
    /// Nothing was known of it when the agent started.
    pub(super) fresh: bool,
}

/// The slots of a directory, and where the rounds through them stand.
#[derive(Debug, Default)]
struct Members {
    slots: Vec<usize>,
    /// Through those that grew lately, and through the others.
    rounds: [Round; 2],
}

/// Where a round through some of a directory's slots stands.
#[derive(Debug, Default)]
struct Round {
    cursor: usize,
}

impl Round {
    /// The next few that are meant.
    fn next(&mut self, slots: &[usize], most: usize, meant: impl Fn(usize) -> bool) -> Vec<usize> {
        let count = slots.len();
        let mut found = Vec::new();
        for _ in 0..count {
            if found.len() == most {
                break;
            }
            let index = slots[self.cursor % count];
            self.cursor = (self.cursor + 1) % count;
            if meant(index) {
                found.push(index);
            }
        }
        found
    }
}

/// All files that are followed.
pub struct Files {
    pub(super) sets: Vec<Set>,
    pub(super) limits: Limits,
    pub(super) directories: Directories,
    walked: HashSet<DirectoryId>,
    pub(super) slots: Vec<Option<Slot>>,
    pub(super) by_path: HashMap<PathBuf, usize>,
    members: HashMap<DirectoryId, Members>,
    pub(super) generations: HashMap<GenerationId, Generation>,
    pub(super) by_node: HashMap<Node, GenerationId>,
    pub(super) next_id: u64,
    known: Option<Vec<Known>>,
    pub(super) sights: Vec<Sight>,
    troubles: BTreeMap<PathBuf, String>,
    refused: HashSet<DirectoryId>,
    pub(super) fresh: Vec<(DirectoryId, OsString)>,
    pub(super) due: Vec<usize>,
    /// Generations that do not stand at their path.
    pub(super) aside: BTreeSet<GenerationId>,
    /// Slots whose file is being copied.
    pub(super) copying: BTreeSet<usize>,
    pub(super) backlog_trouble: Option<PathBuf>,
    pub(super) opened: VecDeque<GenerationId>,
    pub(super) open_files: usize,
    rang: bool,
    next_poll: Duration,
    /// When busy directories are looked at again.
    next_tick: Duration,
    last_look: Duration,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("slots", &self.by_path.len())
            .field("generations", &self.generations.len())
            .field("open_files", &self.open_files)
            .finish_non_exhaustive()
    }
}

/// The paths that a set means just now, without following any.
///
/// # Errors
/// [`OpenError`] as [`Files::open`].
pub fn matching(set: &FileSet) -> Result<Vec<PathBuf>, OpenError> {
    let mut files = Files::open(
        vec![set.clone()],
        Vec::new(),
        0,
        Limits::default(),
        Arc::new(|| {}),
    )?;
    let mut found = files.expand(Duration::ZERO);
    found.retain(|(_, path)| path.exists());
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

impl Files {
    /// Descriptors that are held on followed files.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.open_files
    }

    /// Begins to follow the sets. `known` is what the ledger remembers, `next_id` the first id that was never used. The
    /// `bell` is called from another thread when a look is worth while before [`Files::next_look`]; it must not block.
    /// Nothing is opened before the first look.
    ///
    /// # Errors
    /// [`OpenError`] when a pattern can't be used.
    pub fn open(
        sets: Vec<FileSet>,
        known: Vec<Known>,
        next_id: u64,
        limits: Limits,
        bell: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Files, OpenError> {
        let sets = sets
            .into_iter()
            .map(|set| {
                let name = set.patterns.first().ok_or(OpenError::Empty)?.clone();
                Ok(Set {
                    fresh: !known.iter().any(|known| known.set == name),
                    patterns: Patterns::compile(&set.patterns, &set.exclude)?,
                    start: set.start,
                    name,
                })
            })
            .collect::<Result<Vec<_>, OpenError>>()?;
        Ok(Files {
            sets,
            limits,
            directories: Directories::new(Doorbell::new(bell)),
            walked: HashSet::new(),
            slots: Vec::new(),
            by_path: HashMap::new(),
            members: HashMap::new(),
            generations: HashMap::new(),
            by_node: HashMap::new(),
            next_id,
            known: Some(known),
            sights: Vec::new(),
            troubles: BTreeMap::new(),
            refused: HashSet::new(),
            fresh: Vec::new(),
            due: Vec::new(),
            aside: BTreeSet::new(),
            copying: BTreeSet::new(),
            backlog_trouble: None,
            opened: VecDeque::new(),
            open_files: 0,
            rang: false,
            next_poll: Duration::ZERO,
            next_tick: Duration::ZERO,
            last_look: Duration::ZERO,
        })
    }

    /// Looks at what is due and tells what happened, in an order in which it can be acted upon: older generations of a
    /// path first. Cheap when nothing is due.
    pub fn look(&mut self, now: Now) -> Vec<Sight> {
        let now = now.monotonic;
        let known = self.known.take();
        let rung = self.directories.bell.take();
        self.rang = !rung.paths.is_empty();
        let everything = known.is_some() || rung.everything || now >= self.next_poll;
        if everything {
            self.next_poll = now + self.limits.poll;
        }
        self.last_look = now;
        let tick = everything || now >= self.next_tick;
        if tick {
            self.next_tick = now + self.limits.tick;
        }
        self.look_at_directories(&rung, everything, tick, known.is_some(), now);
        if let Some(known) = known {
            self.resume(known, now);
        }
        let mut due = std::mem::take(&mut self.due);
        due.extend(&self.copying);
        // What rang several times is looked at once.
        due.sort_unstable();
        due.dedup();
        if everything {
            due.clear();
            due.extend((0..self.slots.len()).filter(|&index| self.is_followed(index)));
        }
        for &index in &due {
            self.look_at(index, now);
        }
        due.clear();
        self.due = due;
        self.look_at_fresh_names(now);
        self.look_at_detached(everything, now);
        self.look_at_copying(now);
        self.end_what_is_over(now);
        self.bound_backlog();
        if everything {
            self.retire();
        }
        std::mem::take(&mut self.sights)
    }

    /// The monotonic instant at which [`Files::look`] wants to be called, if the bell does not ring before.
    #[must_use]
    pub fn next_look(&self) -> Duration {
        let left_over = !self.sights.is_empty() || !self.due.is_empty() || !self.fresh.is_empty();
        if self.known.is_some() || left_over {
            return Duration::ZERO;
        }
        let copying = self.copying_look(self.last_look);
        let copying = copying.map_or(Duration::MAX, |pause| self.last_look + pause);
        let busy = if self.directories.any_hot(self.last_look) {
            self.next_tick
        } else {
            Duration::MAX
        };
        self.next_poll.min(copying).min(busy)
    }

    /// How far the generation's bytes are dealt with. What is drained may be closed, and does not count as backlog.
    pub fn consumed(&mut self, id: GenerationId, to: u64) {
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.consumed = to;
        }
    }

    /// Drops a generation that has ended and whose bytes are all settled. False if it has to be remembered longer, in the
    /// ledger too: it is the newest rotated copy of its path, which tells after a restart what is newer. When a further
    /// rotation supersedes it, another `Ended` asks to forget it again.
    pub fn forget(&mut self, id: GenerationId) -> bool {
        if self.is_newest_rotated(id) {
            if self
                .generations
                .get(&id)
                .is_some_and(|g| g.state == State::Final)
            {
                self.close(id, Source::Gone);
            }
            if let Some(generation) = self.generations.get_mut(&id) {
                generation.kept = true;
            }
            return false;
        }
        let Some(generation) = self.generations.remove(&id) else {
            return true;
        };
        self.aside.remove(&id);
        if generation.is_open() {
            self.open_files = self.open_files.saturating_sub(1);
        }
        if self.by_node.get(&generation.node) == Some(&id) {
            self.by_node.remove(&generation.node);
        }
        if let Some(Some(slot)) = self.slots.get_mut(generation.slot) {
            slot.detached.retain(|&other| other != id);
            if slot.current == Some(id) {
                slot.current = None;
                slot.last = None;
            }
            slot.remember(Past {
                node: generation.node,
                head: generation.identity.head,
                size: generation.size,
            });
        }
        true
    }

    /// Whether it is the last that was rotated away from its path; later ones that were deleted say nothing.
    pub(super) fn is_newest_rotated(&self, id: GenerationId) -> bool {
        let deleted = State::Detached { deleted: true };
        self.generations
            .get(&id)
            .and_then(|generation| self.slots[generation.slot].as_ref())
            .and_then(|slot| {
                let at = slot.detached.iter().position(|&other| other == id)?;
                Some(&slot.detached[at + 1..])
            })
            .is_some_and(|later| {
                later
                    .iter()
                    .filter_map(|id| self.generations.get(id))
                    .all(|generation| generation.state == deleted)
            })
    }

    fn look_at_directories(
        &mut self,
        rung: &Rung,
        everything: bool,
        tick: bool,
        first: bool,
        now: Duration,
    ) {
        for path in &rung.paths {
            if let Some(&slot) = self.by_path.get(path) {
                self.due.push(slot);
            }
        }
        let mut rung_directories: HashSet<DirectoryId> = HashSet::new();
        for path in &rung.paths {
            let within = path
                .parent()
                .and_then(|parent| self.directories.find(parent));
            rung_directories.extend(within.into_iter().chain(self.directories.find(path)));
        }
        let mut relisted = first;
        for id in self.directories.ids() {
            let rang = rung_directories.contains(&id);
            let hot = tick && self.directories.is_hot(id, now);
            let unattended = self.directories.is_unattended(id, now);
            if rang {
                self.directories.rang(id, now);
            }
            if everything || rang || hot || unattended {
                relisted |= self.refresh(id, now) && self.walked.contains(&id);
            }
            if unattended {
                // It is watched again: what happened before that did not ring.
                self.due
                    .extend(self.members.get(&id).into_iter().flat_map(|m| &m.slots));
            } else if hot && !everything {
                self.busy_slots(id, now);
            }
        }
        if relisted {
            self.follow(first, now);
        }
    }

    /// Lists a directory if it changed, and notes the names to look at. True if the listing differs.
    pub(super) fn refresh(&mut self, id: DirectoryId, now: Duration) -> bool {
        let refreshed = self.directories.refresh(id, now);
        let Some(directory) = self.directories.get(id) else {
            return false;
        };
        let path = directory.path.clone();
        let (watched, exists) = (directory.is_watched(), directory.exists());
        if let Some(message) = refreshed.refused {
            self.refused.insert(id);
            self.trouble(Path::new(INOTIFY), message);
        } else if (watched || !exists) && self.refused.remove(&id) && self.refused.is_empty() {
            self.clear(Path::new(INOTIFY));
        }
        match refreshed.unlisted {
            Some(message) => self.trouble(&path, message),
            None => self.clear(&path),
        }
        for name in refreshed.fresh {
            for reading in rotation::readings(name.as_bytes()) {
                let base = path.join(std::ffi::OsStr::from_bytes(&reading.base));
                if let Some(&slot) = self.by_path.get(&base) {
                    self.due.push(slot);
                }
            }
            if let Some(&slot) = self.by_path.get(&path.join(&name)) {
                self.due.push(slot);
            }
            self.fresh.push((id, name));
        }
        refreshed.changed
    }

    /// The active files of a busy directory and its quiet ones, each kind in turns where they are many.
    fn busy_slots(&mut self, id: DirectoryId, now: Duration) {
        let Some(members) = self.members.get_mut(&id) else {
            return;
        };
        let looks = (LOOKS_PER_SECOND as f64 * self.limits.tick.as_secs_f64()) as usize;
        if members.slots.len() <= looks {
            self.due.extend(&members.slots);
            return;
        }
        let slots = &self.slots;
        let is_active = |index: usize| {
            slots[index]
                .as_ref()
                .is_some_and(|slot| now < slot.grew_at + ACTIVE)
        };
        let share = (looks / 2).max(1);
        for (round, active) in members.rounds.iter_mut().zip([true, false]) {
            let found = round.next(&members.slots, share, |index| is_active(index) == active);
            self.due.extend(found);
        }
    }

    /// The paths that all sets mean, each with the first set that means it; rotated copies of other files are left out.
    fn expand(&mut self, now: Duration) -> Vec<(usize, PathBuf)> {
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
    fn follow(&mut self, first: bool, now: Duration) {
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
                    slot.start_at = crate::discover::stat::Stat::of(&slot.c_path)
                        .ok()
                        .map(|stat| stat.size);
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
            baseline: HashSet::new(),
            judged: HashSet::new(),
            start_at: None,
            alias: false,
            copying: None,
            copied: None,
            grew_at: Duration::ZERO,
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
    fn retire(&mut self) {
        for index in 0..self.slots.len() {
            let over = self.slots[index]
                .as_ref()
                .is_some_and(|slot| !slot.meant && slot.is_idle() && !self.has_siblings(slot));
            if over && let Some(slot) = self.slots[index].take() {
                self.by_path.remove(&slot.path);
                if let Some(members) = self.members.get_mut(&slot.directory) {
                    members.slots.retain(|&other| other != index);
                    if members.slots.is_empty() {
                        self.members.remove(&slot.directory);
                    }
                }
                self.clear(&slot.path);
            }
        }
    }

    fn is_followed(&self, index: usize) -> bool {
        self.slots[index]
            .as_ref()
            .is_some_and(|slot| slot.meant || slot.current.is_some())
    }

    /// The generations in a state where their writer may still add to them although they are not at their path.
    pub(super) fn detached_ids(&self) -> Vec<GenerationId> {
        self.aside
            .iter()
            .copied()
            .filter(|id| {
                self.generations
                    .get(id)
                    .is_some_and(|g| matches!(g.state, State::Detached { .. }))
            })
            .collect()
    }

    /// Tells a trouble, unless it was told already.
    pub(super) fn trouble(&mut self, path: &Path, message: String) {
        if self.troubles.get(path) != Some(&message) {
            self.troubles.insert(path.to_path_buf(), message.clone());
            self.sights.push(Sight::Trouble {
                path: path.to_path_buf(),
                message,
            });
        }
    }

    /// The trouble with a path, if there was one, is over.
    pub(super) fn clear(&mut self, path: &Path) {
        if !self.troubles.is_empty() && self.troubles.remove(path).is_some() {
            self.sights.push(Sight::Cleared {
                path: path.to_path_buf(),
            });
        }
    }

    /// A generation of the slot grew: its directory may have to be looked at each tick.
    pub(super) fn note_growth(&mut self, index: usize, now: Duration) {
        if let Some(slot) = &mut self.slots[index] {
            slot.grew_at = now;
            self.directories.grew(slot.directory, self.rang, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Round;

    #[test]
    fn a_round_comes_to_all_that_are_meant_and_to_none_twice_before() {
        let slots: Vec<usize> = (10..30).collect();
        let mut round = Round::default();
        let mut found = Vec::new();
        for _ in 0..4 {
            let few = round.next(&slots, 3, |slot| slot % 2 == 0);
            assert!(few.len() <= 3);
            found.extend(few);
        }
        found.truncate(10);
        found.sort_unstable();
        assert_eq!(found, (10..30).step_by(2).collect::<Vec<_>>());
        assert!(round.next(&slots, 3, |_| false).is_empty());
    }
}
