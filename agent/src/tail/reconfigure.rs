//! Other sets while the agent runs. What is followed before and after is not touched: no descriptor is closed, no look missed.

use std::collections::HashMap;
use std::path::Path;

use super::files::{Files, Set};
use super::generation::Source;
use super::{FileSet, Known, Limits, OpenError};
use crate::account::GenerationId;

impl Files {
    /// Follows these sets from the next look on. A set is known by its name, a file by its path: one that two sets
    /// mean in turn goes from the one to the other. `known` is what the ledger remembers, for files that are followed again;
    /// `is_read` tells the generations that are of use to anybody: the others are found anew.
    ///
    /// Returns the set of each generation that is still followed.
    ///
    /// # Errors
    /// [`OpenError`] when a pattern can't be used. Then nothing has changed.
    pub fn reconfigure(
        &mut self,
        sets: Vec<FileSet>,
        known: Vec<Known>,
        limits: Limits,
        is_read: impl Fn(GenerationId) -> bool,
    ) -> Result<HashMap<GenerationId, usize>, OpenError> {
        let mut sets = Set::compile_all(sets, &known)?;
        for set in &mut sets {
            // In a set that is followed already, what appears is new, and read from its first byte.
            set.fresh &= !self.sets.iter().any(|old| old.name == set.name);
        }
        for index in 0..self.slots.len() {
            let Some(slot) = &mut self.slots[index] else {
                continue;
            };
            match heir(&self.sets[slot.set], &sets, &slot.path) {
                Some(set) => slot.set = set,
                None => self.unfollow(index),
            }
        }
        self.sets = sets;
        self.limits = limits;
        let unread: Vec<GenerationId> = self
            .generations
            .keys()
            .copied()
            .filter(|&id| !is_read(id))
            .collect();
        for id in unread {
            self.let_go(id);
        }
        let mut followed = HashMap::new();
        for (id, generation) in &mut self.generations {
            if let Some(slot) = &self.slots[generation.slot] {
                generation.set = slot.set;
                followed.insert(*id, slot.set);
            }
        }
        let mut missing = known;
        missing.retain(|known| !followed.contains_key(&known.id));
        self.known = Some(missing);
        Ok(followed)
    }

    /// Stops following a path and all that stood there.
    fn unfollow(&mut self, index: usize) {
        let ids: Vec<GenerationId> = self
            .generations
            .values()
            .filter(|generation| generation.slot == index)
            .map(|generation| generation.id)
            .collect();
        for id in ids {
            self.let_go(id);
        }
        self.remove_slot(index);
    }

    /// Forgets a generation as if it had never been seen. The ledger does not.
    fn let_go(&mut self, id: GenerationId) {
        self.close(id, Source::Gone);
        let Some(generation) = self.generations.remove(&id) else {
            return;
        };
        self.aside.remove(&id);
        self.searched.remove(&id);
        if self.by_node.get(&generation.node) == Some(&id) {
            self.by_node.remove(&generation.node);
        }
        if let Some(slot) = &mut self.slots[generation.slot] {
            slot.detached.retain(|&other| other != id);
            if slot.current == Some(id) {
                slot.current = None;
                slot.last = None;
                slot.copying = None;
                slot.copied = None;
                self.copying.remove(&generation.slot);
            }
        }
    }
}

/// The set that a path belongs to now. One that its set did not mean itself, because it was only what had become of
/// a file of that set, stays with it.
fn heir(before: &Set, sets: &[Set], path: &Path) -> Option<usize> {
    if before.patterns.is_match(path) {
        sets.iter().position(|set| set.patterns.is_match(path))
    } else {
        sets.iter().position(|set| set.name == before.name)
    }
}
