//! Generations whose stream has no name yet: a tag that this host does not have, a name that is too long. They are in the account, and their
//! bytes wait in their files until another configuration names them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::account::GenerationId;
use crate::clock::Now;
use crate::ledger::Record;
use crate::target::{GroupClass, Target};

use super::Engine;
use super::sights::Begin;

/// A generation that waits for a name.
pub(super) struct Waiting {
    /// Where it was when it was found: that is what it is called by.
    pub(super) path: PathBuf,
    /// The first byte to read.
    from: u64,
    pub(super) ended: bool,
}

impl Waiting {
    pub(super) fn new(path: PathBuf, from: u64) -> Self {
        Self {
            path,
            from,
            ended: false,
        }
    }
}

/// All that wait for a name.
#[derive(Default)]
pub(super) struct Unnamed(BTreeMap<GenerationId, Waiting>);

impl Unnamed {
    pub(super) fn keep(&mut self, id: GenerationId, waiting: Waiting) {
        self.0.insert(id, waiting);
    }

    pub(super) fn remove(&mut self, id: GenerationId) -> Option<Waiting> {
        self.0.remove(&id)
    }

    pub(super) fn contains(&self, id: GenerationId) -> bool {
        self.0.contains_key(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = GenerationId> {
        self.0.keys().copied()
    }

    /// No byte will be added to it.
    pub(super) fn ended(&mut self, id: GenerationId) {
        self.set_ended(id, true);
    }

    /// There is more of it.
    pub(super) fn grew(&mut self, id: GenerationId) {
        self.set_ended(id, false);
    }

    /// Whether it waits here, and has ended.
    pub(super) fn is_over(&self, id: GenerationId) -> bool {
        self.0.get(&id).is_some_and(|waiting| waiting.ended)
    }

    fn set_ended(&mut self, id: GenerationId, ended: bool) {
        if let Some(waiting) = self.0.get_mut(&id) {
            waiting.ended = ended;
        }
    }
}

/// Stands in the account where there is no name.
pub(super) fn nameless() -> Arc<Target> {
    Arc::new(Target {
        group: String::new(),
        stream: String::new(),
        retention_days: None,
        class: GroupClass::Standard,
    })
}

impl Engine {
    /// Begins to read a generation that waits for a name, if its `set` has one for it now. Tells whether.
    pub(super) fn name(&mut self, id: GenerationId, set: usize, now: Now) -> bool {
        let Some(waiting) = self.unnamed.remove(id) else {
            return false;
        };
        let Some(target) = self.target(id, set, &waiting.path) else {
            self.unnamed.keep(id, waiting);
            return false;
        };
        self.books.record(Record::Aimed {
            generation: id,
            target: Arc::clone(&target),
        });
        let size = self
            .books
            .state
            .generation(id)
            .map_or(waiting.from, crate::ledger::Generation::extent);
        let (path, from) = (waiting.path, waiting.from);
        self.follow(
            Begin {
                id,
                set,
                path,
                target,
                from,
            },
            now,
        );
        if let Some(source) = self.sources.get_mut(&id) {
            source.size = source.size.max(size);
            source.ended = waiting.ended;
        }
        true
    }
}
