//! Whose turn it is to be looked at although nothing rang.
//!
//! Where inotify tells of every change, a look is a safety net: the longer nothing changed, the longer until the next one. Where it may
//! not tell, each poll looks: directories that are not watched, file systems that others write to, files that have another
//! name elsewhere, and whatever was once found to have changed without a ring.

use std::time::Duration;

use super::files::Files;
use super::schedule::{by_age, spread};
use super::slot::Slot;
use crate::discover::directories::DirectoryId;
use crate::discover::stat::Stat;

/// A ring for a change that was seen comes within this, if it comes.
const RING_LATE: Duration = Duration::from_secs(2);

/// What is looked at in one look, but for what rang.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Directories that are due.
    pub(super) directories: Vec<DirectoryId>,
    /// Directories that are busy.
    pub(super) hot: Vec<DirectoryId>,
    /// Directories that are busy no more.
    pub(super) cooled: Vec<DirectoryId>,
    /// Slots that are due.
    pub(super) slots: Vec<usize>,
}

impl Files {
    /// What is due now.
    pub(super) fn turn(
        &mut self,
        everything: bool,
        polls: bool,
        tick: bool,
        now: Duration,
    ) -> Turn {
        let mut turn = Turn::default();
        if everything {
            turn.directories.extend(self.directories.ids());
        } else if polls {
            turn.directories = self.directory_looks.take_due(now);
            turn.slots = self.slot_looks.take_due(now);
        }
        for id in self.directories.hot() {
            match self.directories.is_hot(id, now) {
                true if tick && !everything => turn.hot.push(id),
                true => {}
                false => turn.cooled.push(id),
            }
        }
        turn
    }

    /// Says when a directory is looked at again.
    pub(super) fn plan_directory(&mut self, id: DirectoryId, now: Duration) {
        let poll = self.limits.poll;
        let mut wait = match self.directories.quiet(id, now) {
            None => poll,
            Some(quiet) => spread(by_age(quiet, 1, poll, self.limits.sweep), (id, now), poll),
        };
        if wait > poll && self.directories.is_linked(id) {
            wait = poll;
        }
        self.directory_looks.plan(id, now + wait);
    }

    /// Says when a slot is looked at again.
    pub(super) fn plan_slot(&mut self, index: usize, now: Duration) {
        let Some(Some(slot)) = self.slots.get(index) else {
            return;
        };
        let poll = self.limits.poll;
        let quiet = now.saturating_sub(slot.grew_at);
        let mut wait = spread(
            by_age(quiet, 1, poll, self.limits.sweep),
            (index, now),
            poll,
        );
        if wait > poll && !self.is_told_of(slot, now) {
            wait = poll;
        }
        self.slot_looks.plan(index, now + wait);
    }

    /// Whether each write to a slot's file rings, as far as anybody knows.
    fn is_told_of(&self, slot: &Slot, now: Duration) -> bool {
        let unsettled = slot.current.is_some() && slot.last.is_none();
        self.directories.tells(slot.directory, now)
            && !unsettled
            && !self.is_troubled(&slot.path)
            && !self.is_apart(slot)
    }

    /// Whether a slot's file may be written to without a ring in its directory: under another name, where a symbolic link leads, or
    /// on what is mounted there.
    fn is_apart(&self, slot: &Slot) -> bool {
        let Ok(there) = Stat::of_name(&slot.path) else {
            return false;
        };
        let directory = self.directories.get(slot.directory);
        let device = directory.and_then(|directory| directory.device());
        there.is_link() || there.links > 1 || device != Some(there.node.0)
    }

    /// A slot grew. If nothing rang for it where something should have, a ring is waited for.
    pub(super) fn note_whether_it_rang(
        &mut self,
        index: usize,
        directory: DirectoryId,
        now: Duration,
    ) {
        if self.heard_all || self.heard.contains(&index) {
            self.unheard.remove(&index);
        } else if self.directories.was_watched(directory, now)
            && self.directories.tells(directory, now)
        {
            self.unheard.entry(index).or_insert(now);
        }
    }

    /// Where no ring came for what grew, none is relied upon from now on.
    pub(super) fn judge_the_unheard(&mut self, now: Duration) {
        if self.unheard.is_empty() {
            return;
        }
        let (late, waiting) = std::mem::take(&mut self.unheard)
            .into_iter()
            .partition::<std::collections::BTreeMap<_, _>, _>(|(_, since)| {
            now >= *since + RING_LATE
        });
        self.unheard = waiting;
        for index in late.into_keys() {
            let Some(Some(slot)) = self.slots.get(index) else {
                continue;
            };
            // It has a reason of its own, which says nothing of the others.
            if !self.is_apart(slot) {
                let directory = slot.directory;
                self.directories.silent(directory, now);
                self.hasten_members(directory, now);
            }
        }
    }

    /// The files in a directory are looked at in this look, or at once.
    pub(super) fn due_members(&mut self, id: DirectoryId) {
        let members = self.members.get(&id);
        self.due
            .extend(members.into_iter().flat_map(|members| &members.slots));
    }

    /// The directory and the files in it are looked at with the next poll.
    pub(super) fn hasten_members(&mut self, id: DirectoryId, now: Duration) {
        let soon = now + self.limits.poll;
        self.directory_looks.hasten(id, soon);
        if let Some(members) = self.members.get(&id) {
            for &index in &members.slots {
                self.slot_looks.hasten(index, soon);
            }
        }
    }
}
