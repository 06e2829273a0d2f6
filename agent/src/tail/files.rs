//! All followed files: what is due at a look, in which order, and when to look next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::directories::Members;
use super::generation::{Generation, Source, State};
use super::schedule::Schedule;
use super::siblings::Version;
use super::slot::Slot;
use super::unpack::{Unpacked, Unpacking};
use super::{FileSet, Known, Limits, Links, OpenError, Sight, Start};
use crate::account::{GenerationId, Lost};
use crate::clock::Now;
use crate::discover::Patterns;
use crate::discover::directories::{Directories, DirectoryId};
use crate::discover::mounts::Mounts;
use crate::discover::stat::{Node, Stat};
use crate::discover::watch::Doorbell;

/// A file that grew within this is looked at each tick.
pub(super) const ACTIVE: Duration = Duration::from_secs(1);
/// A file that may have been written anew is looked at again after this.
const DOUBTED_LOOK: Duration = Duration::from_millis(100);

/// One set, compiled.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) patterns: Patterns,
    pub(super) start: Start,
    pub(super) links: Links,
    /// Nothing was known of it when the agent started.
    pub(super) fresh: bool,
}

impl Set {
    /// Makes sets ready. Those that `known` says nothing of are fresh.
    pub(super) fn compile_all(sets: Vec<FileSet>, known: &[Known]) -> Result<Vec<Set>, OpenError> {
        let compile = |set: FileSet| {
            let name = set.patterns.first().ok_or(OpenError::Empty)?.clone();
            Ok(Set {
                fresh: !known.iter().any(|known| known.set == name),
                patterns: Patterns::compile(&set.patterns, &set.exclude)?,
                start: set.start,
                links: set.links,
                name,
            })
        };
        sets.into_iter().map(compile).collect()
    }
}

/// All files that are followed.
pub struct Files {
    pub(super) sets: Vec<Set>,
    pub(super) limits: Limits,
    pub(super) directories: Directories,
    pub(super) walked: HashSet<DirectoryId>,
    /// Apart, since most of a table of them would be room to grow.
    pub(super) slots: Vec<Option<Box<Slot>>>,
    pub(super) free_slots: Vec<usize>,
    pub(super) by_path: HashMap<PathBuf, usize>,
    pub(super) members: HashMap<DirectoryId, Members>,
    pub(super) generations: HashMap<GenerationId, Box<Generation>>,
    pub(super) by_node: HashMap<Node, GenerationId>,
    pub(super) next_id: u64,
    /// What the next look is to take up: what the ledger remembers.
    pub(super) known: Option<Vec<Known>>,
    pub(super) sights: Vec<Sight>,
    troubles: BTreeMap<PathBuf, String>,
    pub(super) refused: HashSet<DirectoryId>,
    pub(super) fresh: Vec<(DirectoryId, OsString)>,
    pub(super) due: Vec<usize>,
    /// Generations that do not stand at their path.
    pub(super) aside: BTreeSet<GenerationId>,
    /// Slots whose file is being copied.
    pub(super) copying: BTreeSet<usize>,
    /// Slots whose file may have been written anew: the next look tells.
    pub(super) doubted: BTreeSet<usize>,
    /// Slots with a compressed copy that may still be written: the next poll tells.
    pub(super) unfinished: BTreeSet<usize>,
    /// Paths that inotify says were written since the last look.
    pub(super) written: BTreeSet<PathBuf>,
    /// What is in compressed copies, and the passes that find it out.
    pub(super) unpacked: HashMap<Version, (usize, Unpacked)>,
    pub(super) unpacking: BTreeMap<Version, (usize, Unpacking)>,
    /// Generations whose copy is not known before a compressed one is looked through.
    pub(super) searched: BTreeMap<GenerationId, Lost>,
    /// What the ledger remembers of slots of which the same holds.
    pub(super) resuming: BTreeMap<usize, Vec<Known>>,
    pub(super) backlog_trouble: Option<PathBuf>,
    pub(super) opened: VecDeque<GenerationId>,
    pub(super) open_files: usize,
    pub(super) rang: bool,
    /// When each directory and each slot is looked at again, whether or not it rings.
    pub(super) directory_looks: Schedule<DirectoryId>,
    pub(super) slot_looks: Schedule<usize>,
    /// How many files the patterns mean beyond those that may be followed, and what was last said of it.
    pub(super) left_out: usize,
    pub(super) left_out_told: usize,
    /// Slots that no pattern means any more.
    pub(super) leaving: BTreeSet<usize>,
    /// Slots that rang before this look.
    pub(super) heard: HashSet<usize>,
    /// More rang than could be remembered.
    pub(super) heard_all: bool,
    /// Slots that grew without a ring, and since when one is waited for.
    pub(super) unheard: BTreeMap<usize, Duration>,
    mounts: Mounts,
    /// The next look is to be at everything.
    forced: bool,
    next_poll: Duration,
    /// When busy directories are looked at again.
    pub(super) next_tick: Duration,
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
    /// Files that the patterns mean but that are not followed, because of [`Limits::files`].
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

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
        Ok(Files {
            sets: Set::compile_all(sets, &known)?,
            limits,
            directories: Directories::new(Doorbell::new(bell)),
            walked: HashSet::new(),
            slots: Vec::new(),
            free_slots: Vec::new(),
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
            doubted: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            written: BTreeSet::new(),
            unpacked: HashMap::new(),
            unpacking: BTreeMap::new(),
            searched: BTreeMap::new(),
            resuming: BTreeMap::new(),
            backlog_trouble: None,
            opened: VecDeque::new(),
            open_files: 0,
            rang: false,
            directory_looks: Schedule::default(),
            slot_looks: Schedule::default(),
            left_out: 0,
            left_out_told: 0,
            leaving: BTreeSet::new(),
            heard: HashSet::new(),
            heard_all: false,
            unheard: BTreeMap::new(),
            mounts: Mounts::new(),
            forced: false,
            next_poll: Duration::ZERO,
            next_tick: Duration::ZERO,
            last_look: Duration::ZERO,
        })
    }

    /// Hears what rings when it is asked, and by no thread of its own: for a simulated world, that is to be decided by what happens in it alone.
    /// To be called before the first look.
    ///
    /// # Errors
    /// Where the system has no inotify for it.
    pub fn ask_for_rings(&mut self) -> std::io::Result<()> {
        self.directories.bell.ask()
    }

    /// Whether a look is worth while although no thread rang the bell.
    pub(crate) fn listen(&self) -> bool {
        self.directories.bell.listen()
    }

    /// Looks at what is due and tells what happened, in an order in which it can be acted upon: older generations of a
    /// path first. Cheap when nothing is due.
    pub fn look(&mut self, now: Now) -> Vec<Sight> {
        let now = now.monotonic;
        let first = self.known.is_some();
        let rung = self.directories.bell.take();
        self.rang = !rung.paths.is_empty();
        self.written.clone_from(&rung.written);
        let forced = std::mem::take(&mut self.forced);
        let polls = first || rung.everything || forced || now >= self.next_poll;
        let everything = first || rung.everything || forced || (polls && self.mounts.changed());
        if polls {
            self.next_poll = now + self.limits.poll;
        }
        self.last_look = now;
        let tick = polls || now >= self.next_tick;
        if tick {
            self.next_tick = now + self.limits.tick;
        }
        let turn = self.turn(everything, polls, tick, now);
        self.look_at_directories(&rung, &turn, first, now);
        if let Some(known) = self.known.take() {
            self.resume(known, now);
        }
        if let Some(index) = self.unpack_on() {
            self.resume_on(index, now);
            self.find_copies_on(index, now);
            self.find_missed_on(index, now);
        }
        self.due.extend(std::mem::take(&mut self.doubted));
        let mut due = std::mem::take(&mut self.due);
        due.extend(&self.copying);
        let polled: Vec<usize> = match everything {
            true => (0..self.slots.len()).collect(),
            false => turn.slots,
        };
        due.extend(polled.iter().filter(|&&index| self.is_followed(index)));
        // What rang several times is looked at once.
        due.sort_unstable();
        due.dedup();
        for &index in &due {
            self.look_at(index, now);
        }
        due.clear();
        self.due = due;
        self.look_at_fresh_names(now);
        if polls {
            self.look_at_unfinished(now);
        }
        self.look_at_detached(polls, now);
        self.look_at_copying(now);
        self.end_what_is_over(now);
        self.bound_backlog();
        self.retire(&polled);
        if polls && self.left_out > 0 && self.by_path.len() < self.limits.files {
            self.follow(false, now);
        }
        for index in polled {
            self.plan_slot(index, now);
        }
        self.judge_the_unheard(now);
        self.heard.clear();
        std::mem::take(&mut self.sights)
    }

    /// The same at every file, whether or not it is due: before an end, what was written last counts, too.
    pub fn look_everywhere(&mut self, now: Now) -> Vec<Sight> {
        self.forced = true;
        self.look(now)
    }

    /// The monotonic instant at which [`Files::look`] wants to be called, if the bell does not ring before.
    #[must_use]
    pub fn next_look(&self) -> Duration {
        let left_over = !self.sights.is_empty() || !self.due.is_empty() || !self.fresh.is_empty();
        if self.known.is_some() || left_over || !self.unpacking.is_empty() {
            return Duration::ZERO;
        }
        let doubted = if self.doubted.is_empty() {
            Duration::MAX
        } else {
            self.last_look + DOUBTED_LOOK
        };
        let copying = self.copying_look(self.last_look);
        let copying = copying.map_or(Duration::MAX, |pause| self.last_look + pause);
        let busy = if self.directories.any_hot(self.last_look) {
            self.next_tick
        } else {
            Duration::MAX
        };
        self.next_turn().min(copying).min(busy).min(doubted)
    }

    /// When something is due although nothing rings: together, a poll after the last ones.
    fn next_turn(&self) -> Duration {
        // What was rotated away is looked at in each poll, and so is what is waited for.
        let always =
            !self.aside.is_empty() || !self.unheard.is_empty() || !self.unfinished.is_empty();
        let waits = [self.directory_looks.next(), self.slot_looks.next()];
        let next = waits.into_iter().flatten().min();
        let next = next.filter(|_| !always);
        let default = match always {
            true => self.next_poll,
            false => self.last_look + self.limits.sweep,
        };
        next.unwrap_or(default).max(self.next_poll)
    }

    /// How far the generation's bytes are dealt with. What is drained may be closed, and does not count as backlog.
    pub fn consumed(&mut self, id: GenerationId, to: u64) {
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.consumed = to;
        }
    }

    /// Whether a compressed copy is being looked through, so that not all is known yet.
    #[must_use]
    pub fn is_searching(&self) -> bool {
        !self.unpacking.is_empty() || !self.resuming.is_empty()
    }

    /// These sets were followed before, even if nothing is known of a file of theirs any more: what is there now was written
    /// since, and is read from its first byte.
    pub fn were_followed<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            for set in self.sets.iter_mut().filter(|set| set.name == name) {
                set.fresh = false;
            }
        }
    }

    /// The generations that stood at the same path before this one, oldest first.
    pub fn older(&self, id: GenerationId) -> &[GenerationId] {
        let generation = self.generations.get(&id);
        let slot = generation.and_then(|generation| self.slots.get(generation.slot)?.as_ref());
        slot.map_or(&[], |slot| {
            let before = slot.detached.iter().position(|&other| other == id);
            &slot.detached[..before.unwrap_or(slot.detached.len())]
        })
    }

    /// Whether there is more, since the last look, of what stood at the same path before this one. Then the next look is
    /// due at once, and tells what.
    pub fn have_older_grown(&mut self, id: GenerationId) -> bool {
        let grown: Vec<GenerationId> = self
            .older(id)
            .iter()
            .filter_map(|older| self.generations.get(older))
            .filter(|older| {
                let stat = match older.file() {
                    Some(file) => Stat::of_open(file).ok(),
                    None => Stat::at(&older.path).ok(),
                };
                matches!(older.state, State::Detached { .. })
                    && stat.is_some_and(|stat| stat.size != older.size)
            })
            .map(|older| older.id)
            .collect();
        for &id in &grown {
            if let Some(generation) = self.generations.get_mut(&id) {
                generation.suspect = true;
            }
            self.look_soon(id);
        }
        !grown.is_empty()
    }

    /// The path that a generation is followed under: of a rotated copy, that of its log. None if no pattern means it any more.
    #[must_use]
    pub fn followed_path(&self, id: GenerationId) -> Option<&Path> {
        let index = self.generations.get(&id)?.slot;
        let slot = self.slots.get(index)?.as_ref()?;
        self.is_meant(index).then_some(slot.path.as_path())
    }

    /// Drops a generation that has ended and whose bytes are all settled. False if it has to be remembered longer, in the
    /// ledger too: it is the newest rotated copy of its path, which tells after a restart what is newer. When a further
    /// rotation supersedes it, another `Ended` asks to forget it again.
    pub fn forget(&mut self, id: GenerationId) -> bool {
        let tells = self
            .generations
            .get(&id)
            .and_then(|generation| self.slots[generation.slot].as_ref())
            .is_some_and(|slot| slot.meant || self.has_siblings(slot));
        if tells && self.is_newest_rotated(id) {
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
        // Nothing may be left of its slot.
        self.slot_looks.hasten(generation.slot, self.last_look);
        if let Some(Some(slot)) = self.slots.get_mut(generation.slot) {
            let rotated = slot.detached.iter().position(|&other| other == id);
            if slot.current == Some(id) {
                slot.current = None;
                slot.last = None;
                slot.remember(generation.past());
            } else if let Some(at) = rotated {
                // What was given up is remembered since then.
                slot.detached.remove(at);
                slot.remember(generation.past());
            }
        }
        true
    }

    /// Which symbolic links are followed on the way to a slot's file and to its copies.
    pub(super) fn links_of(&self, index: usize) -> Links {
        let slot = self.slots.get(index).and_then(Option::as_ref);
        slot.map_or(Links::default(), |slot| self.sets[slot.set].links)
    }

    /// Whether it is the last that was rotated away from its path, or the last of those that were not deleted since.
    pub(super) fn is_newest_rotated(&self, id: GenerationId) -> bool {
        let later = self
            .generations
            .get(&id)
            .and_then(|generation| self.slots[generation.slot].as_ref())
            .and_then(|slot| {
                let at = slot.detached.iter().position(|&other| other == id)?;
                Some(&slot.detached[at + 1..])
            });
        let is_deleted =
            |id: &GenerationId| self.generations.get(id).is_none_or(|g| g.is_deleted());
        later.is_some_and(|later| {
            later.is_empty() || (!is_deleted(&id) && later.iter().all(is_deleted))
        })
    }

    /// Whether files at a slot's path are to be followed, and not only what is known of it still be read.
    pub(super) fn is_meant(&self, index: usize) -> bool {
        let slot = self.slots.get(index).and_then(Option::as_ref);
        slot.is_some_and(|slot| slot.meant || self.sets[slot.set].patterns.is_match(&slot.path))
    }

    pub(super) fn is_followed(&self, index: usize) -> bool {
        self.slots
            .get(index)
            .and_then(Option::as_ref)
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

    /// Whether something keeps the agent from a path just now.
    pub(super) fn is_troubled(&self, path: &Path) -> bool {
        self.troubles.contains_key(path)
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
            let directory = slot.directory;
            self.directories.grew(directory, self.rang, now);
            self.slot_looks.hasten(index, now + self.limits.poll);
            self.note_whether_it_rang(index, directory, now);
        }
    }
}
