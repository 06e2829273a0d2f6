//! Which paths are looked at now: what rang, and the turns of busy directories.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::files::{ACTIVE, Files};
use super::rotation;
use super::turns::Turn;
use crate::discover::directories::DirectoryId;
use crate::discover::watch::Rung;

/// How many files of a busy directory are looked at in a second, between the polls of all: half of them for those that grew
/// lately, the others in turns. A look at a file that grew costs a read of it, so more would be paid for by many files
/// whose streams send far more seldom.
const LOOKS_PER_SECOND: u32 = 2000;
/// Under this path troubles with inotify are told: they belong to no file.
const INOTIFY: &str = "/proc/sys/fs/inotify";

/// The slots of a directory, and where the rounds through them stand.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) slots: Vec<usize>,
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

impl Files {
    pub(super) fn look_at_directories(
        &mut self,
        rung: &Rung,
        turn: &Turn,
        first: bool,
        now: Duration,
    ) {
        for path in &rung.paths {
            if let Some(&slot) = self.by_path.get(path) {
                self.due.push(slot);
                self.heard.insert(slot);
                self.unheard.remove(&slot);
            }
        }
        self.heard_all = rung.everything;
        if rung.everything {
            self.unheard.clear();
        }
        let mut rung_directories: BTreeSet<DirectoryId> = BTreeSet::new();
        for path in &rung.paths {
            let within = path
                .parent()
                .and_then(|parent| self.directories.find(parent));
            rung_directories.extend(within.into_iter().chain(self.directories.find(path)));
        }
        for &id in &rung_directories {
            if self.directories.rang(id, now) {
                // Looked at in turns until it is watched again, and all of it in each poll.
                self.hasten_members(id, now);
            }
        }
        let mut due = rung_directories;
        due.extend(&turn.directories);
        due.extend(&turn.hot);
        due.extend(&turn.cooled);
        let mut relisted = first;
        for id in due {
            relisted |= self.refresh(id, now) && self.walked.contains(&id);
        }
        for &id in &turn.hot {
            self.busy_slots(id, now);
        }
        for &id in &turn.cooled {
            // It is watched again: what happened before that did not ring.
            self.due_members(id);
            self.directories.cool(id);
        }
        if relisted {
            self.follow(first, now);
        }
    }

    /// Lists a directory if it changed, and notes the names to look at. True if the listing differs.
    pub(super) fn refresh(&mut self, id: DirectoryId, now: Duration) -> bool {
        let told = self.directories.tells(id, now);
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
        if refreshed.moved {
            for below in self.directories.below(&path) {
                self.directory_looks.plan(below, now);
                self.due_members(below);
            }
        }
        if refreshed.moved || refreshed.rewatched {
            self.due_members(id);
        }
        if told && !self.directories.tells(id, now) {
            self.hasten_members(id, now);
        }
        self.plan_directory(id, now);
        for name in refreshed.fresh.iter().chain(&refreshed.gone) {
            // Another directory may stand there now.
            if let Some(below) = self.directories.find(&path.join(name)) {
                self.directory_looks.plan(below, now);
            }
        }
        for name in refreshed.gone {
            if let Some(&slot) = self.by_path.get(&path.join(&name)) {
                self.due.push(slot);
            }
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
