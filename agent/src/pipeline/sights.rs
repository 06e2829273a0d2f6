//! tail: what a look saw, and what it means for the reading and for the account.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{Fate, Filtered, GenerationId, Span};
use crate::clock::Now;
use crate::ledger::{Generation, Record};
use crate::stamp::Stamper;
use crate::tail::Sight;
use crate::target::Target;

use super::source::Source;
use super::{Engine, reread};

/// A generation that is to be read from now on.
struct Begin {
    id: GenerationId,
    set: usize,
    path: PathBuf,
    target: Arc<Target>,
    from: u64,
}

impl Engine {
    pub(super) fn see(&mut self, sight: Sight, now: Now) {
        match sight {
            Sight::Found {
                id,
                set,
                path,
                identity,
                from,
                resumed,
            } => {
                let Some(target) = self.target(set, &path) else {
                    return;
                };
                // Its names could not be resolved before, perhaps.
                self.troubles.clear(&path.display().to_string());
                if !resumed {
                    self.books.record(Record::Found {
                        generation: id,
                        identity,
                        set: Arc::clone(&self.plans[set].name),
                        path: path.clone(),
                        target: Arc::clone(&target),
                        from,
                        at_ms: now.unix_ms,
                    });
                } else if self
                    .books
                    .state
                    .generation(id)
                    .is_some_and(|known| *known.target() != target)
                {
                    self.books.record(Record::Aimed {
                        generation: id,
                        target: Arc::clone(&target),
                    });
                }
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
            }
            Sight::Grew { id, size } => {
                self.books.see(id, size);
                if let Some(source) = self.sources.get_mut(&id) {
                    source.size = size;
                    source.ended = false;
                    source.grown = now.monotonic;
                    self.queue(id);
                }
            }
            Sight::Identified { id, head } => self.books.record(Record::Identified {
                generation: id,
                head,
            }),
            Sight::Moved { id, path } => {
                if let Some(source) = self.sources.get_mut(&id) {
                    source.path.clone_from(&path);
                }
                self.books.record(Record::Moved {
                    generation: id,
                    path,
                });
            }
            Sight::Ended { id, size } => {
                self.books.see(id, size);
                if let Some(source) = self.sources.get_mut(&id) {
                    source.size = size;
                    source.ended = true;
                    self.queue(id);
                }
                self.books.record(Record::Ended {
                    generation: id,
                    size,
                });
                self.release(id);
            }
            Sight::Hole { span } => self.pass(span, Fate::Filtered(Filtered::Hole)),
            Sight::Lost { span, why } => self.pass(span, Fate::Lost(why)),
            Sight::Trouble { path, message } => {
                self.troubles.report(path.display().to_string(), message)
            }
            Sight::Cleared { path } => self.troubles.clear(&path.display().to_string()),
        }
    }

    /// The stream of a file, as its names are configured.
    pub(super) fn target(&mut self, set: usize, path: &Path) -> Option<Arc<Target>> {
        match self.plans[set].target(&self.host, path) {
            Ok(target) => {
                let shared = self
                    .targets
                    .entry(target.clone())
                    .or_insert_with(|| Arc::new(target));
                Some(Arc::clone(shared))
            }
            Err(message) => {
                self.troubles.report(path.display().to_string(), message);
                None
            }
        }
    }

    /// Begins to read a generation.
    fn follow(&mut self, begin: Begin, now: Now) {
        let Begin {
            id,
            set,
            path,
            target,
            from,
        } = begin;
        let done = self.done_after(id, from);
        let plan = &self.plans[set];
        let framer = reread::framer_at(&mut self.files, plan, id, from);
        let stamper = Stamper::new(plan.format.clone(), plan.zone.clone());
        let source = Source {
            set,
            path,
            target,
            framer,
            stamper,
            at: from,
            size: from,
            ended: false,
            grown: now.monotonic,
            done,
            queued: false,
        };
        self.sources.insert(id, Box::new(source));
        self.queue(id);
    }

    /// Settles bytes that are not there to be framed, and steps over them. Those of doubtful batches are left to
    /// [`Engine::recover`].
    pub(super) fn pass(&mut self, span: Span, fate: Fate) {
        let generation = span.generation;
        let framed = self.framed(generation);
        let mut at = span.start;
        while let Some(gap) = self
            .books
            .gap(generation, at)
            .filter(|gap| gap.start < span.end)
        {
            let mut end = gap.end.map_or(span.end, |end| end.min(span.end));
            // What is framed will be sent, whatever becomes of the file.
            if let Some(next) = framed
                .iter()
                .find(|framed| framed.end > gap.start && framed.start < end)
            {
                if next.start <= gap.start {
                    at = next.end;
                    continue;
                }
                end = next.start;
            }
            self.books.settle(
                Span {
                    generation,
                    start: gap.start,
                    end,
                },
                fate,
            );
            at = end;
        }
        if let Some(source) = self.sources.get_mut(&generation) {
            source.done.push(span);
            source.done.sort_unstable();
            if source.step_over() {
                self.files.consumed(generation, source.at);
            }
        }
        self.queue(generation);
    }

    /// Forgets a generation that is over and settled, unless it tells after a restart which copies are newer.
    pub(super) fn release(&mut self, id: GenerationId) {
        let Some(source) = self.sources.get(&id) else {
            return;
        };
        let over = source.ended && source.at >= source.size;
        let settled = |known: &Generation| known.pending() == 0;
        if over && self.books.state.generation(id).is_some_and(settled) && self.files.forget(id) {
            self.sources.remove(&id);
            self.books.record(Record::Forgotten { generation: id });
        }
    }
}
