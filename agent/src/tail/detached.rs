//! Generations that do not stand at their path any more: rotated away or deleted, and perhaps still written to.

use std::path::Path;
use std::time::Duration;

use super::Sight;
use super::files::{ACTIVE, Files};
use super::generation::{Source, State};
use super::identity::HEAD_BYTES_MAX;
use super::source;
use crate::account::GenerationId;
use crate::discover::stat::Stat;

/// A file that was rotated away is looked at after this part of the time for which it has been quiet, ...
const QUIET_LOOKS: u32 = 60;
/// ... and at least so often, where nothing rings.
const QUIET_LOOK_MAX: Duration = Duration::from_secs(60);

impl Files {
    /// The generation does not stand at its slot's path any more. Its writer may go on.
    pub(super) fn detach(&mut self, id: GenerationId, now: Duration) {
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        generation.state = State::Detached { deleted: false };
        let index = generation.slot;
        let new_path = generation.file().and_then(source::path_of);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.current = None;
            slot.last = None;
            slot.copying = None;
            slot.copied = None;
            slot.detached.push(id);
            let directory = slot.directory;
            self.refresh(directory, now);
        }
        self.aside.insert(id);
        if let Some(path) = new_path {
            self.moved(id, &path);
        }
        self.look_at_one_detached(id, now);
    }

    /// Looks at what was rotated away or deleted and may still grow.
    pub(super) fn look_at_detached(&mut self, everything: bool, now: Duration) {
        for id in self.detached_ids() {
            let due = self.generations.get(&id).is_some_and(|generation| {
                let quiet = now.saturating_sub(generation.grew_at);
                let pause = (quiet / QUIET_LOOKS).min(QUIET_LOOK_MAX);
                generation.suspect
                    || !generation.is_drained()
                    || quiet < ACTIVE
                    || self.written.contains(&generation.path)
                    || (everything && now >= generation.looked_at + pause)
            });
            if due {
                self.look_at_one_detached(id, now);
            }
        }
    }

    pub(super) fn look_at_one_detached(&mut self, id: GenerationId, now: Duration) {
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        let suspect = std::mem::take(&mut generation.suspect);
        generation.looked_at = now;
        let node = generation.node;
        let held = generation.is_open();
        let stat = match generation.file() {
            Some(file) => Stat::of_open(file).ok(),
            None => Stat::at(&generation.path)
                .ok()
                .filter(|stat| stat.node == node),
        };
        let Some(stat) = stat.or_else(|| self.relocate(id)) else {
            self.gone(id, now);
            return;
        };
        let Some(generation) = self.generations.get_mut(&id) else {
            return;
        };
        if !held && other_file(generation.born_ns, &generation.path) {
            // Nobody held the inode, and it was given to another file.
            self.gone(id, now);
            return;
        }
        let deleted = stat.links == 0;
        if deleted != (generation.state == State::Detached { deleted: true }) {
            generation.state = State::Detached { deleted };
            generation.grew_at = generation.grew_at.max(now);
        }
        let grown = stat.size > generation.size;
        let size = generation.size;
        let short_head = (generation.identity.head.bytes as usize) < HEAD_BYTES_MAX;
        let stands = if stat.size < size {
            Some(false)
        } else if suspect || grown {
            self.still_stands(id)
        } else {
            Some(true)
        };
        let stands = if stands == Some(true) && grown && short_head {
            self.grow_head(id)
        } else {
            stands
        };
        if stands.is_none() {
            return;
        }
        if stands == Some(false) {
            if held {
                self.detached_truncated(id, now);
            } else {
                // Nobody held the inode, and it was given to another file.
                self.gone(id, now);
            }
            return;
        }
        let seen = self.seen_bytes(id, stat);
        self.grow(id, seen, now);
        if let Some(generation) = self.generations.get_mut(&id)
            && generation.modified != stat.modified
        {
            generation.modified = stat.modified;
            generation.unprinted = true;
            if generation.is_drained()
                && let Some(print) = self.print(id)
            {
                self.sights.push(Sight::Printed { id, print });
            }
        }
    }

    /// A detached file was truncated: its writer still held it. What was written since is one more generation.
    fn detached_truncated(&mut self, id: GenerationId, now: Duration) {
        let Some(generation) = self.generations.get(&id) else {
            return;
        };
        let (index, state, path) = (generation.slot, generation.state, generation.path.clone());
        let stat = generation.file().and_then(|file| Stat::of_open(file).ok());
        let kept = stat.and_then(|stat| self.kept(id, stat));
        let file = self.close(id, Source::Gone);
        self.gone(id, now);
        let Some(file) = file else {
            return;
        };
        let Some(new) = self.begin_anew(index, &path, file, state, kept, now) else {
            return;
        };
        self.aside.insert(new);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.detached.push(new);
        }
    }

    /// A closed, detached generation is not where it was: look for its inode among the rotated copies.
    fn relocate(&mut self, id: GenerationId) -> Option<Stat> {
        let generation = self.generations.get(&id)?;
        if generation.is_open() {
            return None;
        }
        let slot = self.slots[generation.slot].as_ref()?;
        let siblings = match generation.path.parent() {
            Some(folder) if Some(folder) != slot.path.parent() => self.copies_in(folder, slot),
            _ => self.siblings(slot),
        };
        let (path, stat) = siblings
            .into_iter()
            .find(|sibling| sibling.stat.node == generation.node)
            .map(|sibling| (sibling.path, sibling.stat))?;
        self.moved(id, &path);
        Some(stat)
    }
}

/// Whether the file at the path was made at another time than the one that stood there.
fn other_file(born_ns: Option<i64>, path: &Path) -> bool {
    born_ns.is_some_and(|then| source::born_ns_at(path).is_some_and(|now| now != then))
}
