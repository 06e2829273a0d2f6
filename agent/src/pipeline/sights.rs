//! tail: what a look saw, and what it means for the reading and for the account.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{Fate, Filtered, GenerationId, Identity, Span};
use crate::clock::Now;
use crate::ledger::{Generation, Record};
use crate::stamp::Stamper;
use crate::tail::Sight;
use crate::target::Target;

use super::source::Source;
use super::unnamed::{Waiting, nameless};
use super::{Engine, reread};

/// A generation that is to be read from now on.
pub(super) struct Begin {
    pub(super) id: GenerationId,
    pub(super) set: usize,
    pub(super) path: PathBuf,
    pub(super) target: Arc<Target>,
    pub(super) from: u64,
}

/// A generation that was found, and that the account does not know.
struct Found {
    generation: GenerationId,
    set: usize,
    path: PathBuf,
    identity: Identity,
    target: Arc<Target>,
    from: u64,
    resumed: bool,
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
                let named = self.target(id, set, &path);
                let target = named.clone().unwrap_or_else(nameless);
                let known = self.books.state.generation(id);
                if known.is_some_and(|known| known.path() != path) {
                    self.books.record(Record::Moved {
                        generation: id,
                        path: path.clone(),
                    });
                }
                match self.books.state.generation(id).map(Generation::target) {
                    None => self.books.record(self.beginning(Found {
                        generation: id,
                        set,
                        path: path.clone(),
                        identity,
                        target,
                        from,
                        resumed,
                    })),
                    Some(known) if named.is_some() && *known != target => {
                        self.books.record(Record::Aimed {
                            generation: id,
                            target,
                        });
                    }
                    Some(_) => {}
                }
                if resumed {
                    // Batches of the last life that were left alone because its file was not found yet.
                    self.recover_at = self.recover_at.or(Some(now.monotonic));
                } else {
                    self.remember(id);
                }
                match named {
                    Some(target) => self.follow(
                        Begin {
                            id,
                            set,
                            path,
                            target,
                            from,
                        },
                        now,
                    ),
                    None => self.unnamed.keep(id, Waiting::new(path, from)),
                }
            }
            Sight::Grew { id, size } => {
                self.books.see(id, size);
                self.unnamed.grew(id);
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
            Sight::Printed { id, print } => {
                if self.sources.contains_key(&id) {
                    self.books.record(Record::Printed {
                        generation: id,
                        print: Box::new(print),
                    });
                }
            }
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
                self.unnamed.ended(id);
                if let Some(source) = self.sources.get_mut(&id) {
                    // A look may be older than the last read.
                    source.size = size.max(source.at);
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

    /// What the account is told of a generation that it does not know.
    fn beginning(&self, found: Found) -> Record {
        let Found {
            generation,
            set,
            path,
            identity,
            target,
            from,
            resumed,
        } = found;
        let (set, at_ms) = (Arc::clone(&self.plans[set].name), self.books.at_ms);
        match resumed {
            // What is before `from` stands in the account of the generation that the file was before.
            true => Record::Continued {
                generation,
                identity,
                set,
                path,
                target,
                from,
                at_ms,
            },
            false => Record::Found {
                generation,
                identity,
                set,
                path,
                target,
                from,
                at_ms,
            },
        }
    }

    /// The stream of a generation, as its names are configured. It is named after the log, wherever a rotation put the file; and
    /// keeps its name where no pattern means that log any more.
    pub(super) fn target(
        &mut self,
        id: GenerationId,
        set: usize,
        path: &Path,
    ) -> Option<Arc<Target>> {
        let followed = self.files.followed_path(id).map(Path::to_path_buf);
        if followed.is_none()
            && let Some(known) = self.books.state.generation(id)
            && *known.target() != nameless()
        {
            return Some(Arc::clone(known.target()));
        }
        let path = followed.as_deref().unwrap_or(path);
        match self.plans[set].target(&self.host, path) {
            Ok(target) => {
                // It could not be named before, perhaps.
                self.troubles.clear(&path.display().to_string());
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

    /// Writes down what is known of a generation's content and file, if the ledger does not know it yet.
    pub(super) fn remember(&mut self, generation: GenerationId) {
        if let Some(print) = self.files.print(generation) {
            self.books.record(Record::Printed {
                generation,
                print: Box::new(print),
            });
        }
    }

    /// Begins to read a generation.
    pub(super) fn follow(&mut self, begin: Begin, now: Now) {
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
            begun: false,
            queued: false,
        };
        self.sources.insert(id, Box::new(source));
        self.queue(id);
    }

    /// Settles bytes that are not there to be framed, and steps over them. Those of doubtful batches are left to
    /// [`Engine::recover`].
    pub(super) fn pass(&mut self, span: Span, fate: Fate) {
        let generation = span.generation;
        if self.books.state.generation(generation).is_none() {
            // The account says what it thinks of that.
            self.books.settle(span, fate);
            return;
        }
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
        let over = match self.sources.get(&id) {
            Some(source) => source.ended && source.at >= source.size,
            None => self.unnamed.is_over(id),
        };
        let settled = |known: &Generation| known.pending() == 0;
        if over
            && self.books.state.generation(id).is_some_and(settled)
            && self.framed(id).is_empty()
            && self.files.forget(id)
        {
            self.sources.remove(&id);
            self.unnamed.remove(id);
            self.books.record(Record::Forgotten { generation: id });
        }
    }
}
