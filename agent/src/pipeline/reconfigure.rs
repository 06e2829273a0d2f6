//! Other settings while the agent runs: what is followed changes, and what is under way goes on.
//!
//! Nothing is stopped and nothing is read back. A batch knows which bytes of which generations it holds, and neither who
//! asked for them nor how they were framed, so it lands under any settings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{GenerationId, Span};
use crate::config::Settings;
use crate::ledger::Record;
use crate::stamp::Stamper;

use super::plan::Plan;
use super::source;
use super::unnamed::Waiting;
use super::{Engine, Limits, OpenError, known, reread};

impl Engine {
    /// Goes on with other files, limits and pace. Files that stay are read on from where they are, under their new rules.
    /// Those that are not meant any more are not read any further; what was framed of them is still sent, and
    /// the rest stays pending in the ledger. Those that are new, or back, begin as after a start.
    ///
    /// What [`Settings::fixed`] lists is left as it is.
    ///
    /// # Errors
    /// When a pattern can't be followed. Then nothing has changed.
    pub fn reconfigure(&mut self, settings: &Settings) -> Result<(), OpenError> {
        let limits = Limits::of(settings);
        let sets = settings.files.iter().map(|file| file.set.clone()).collect();
        let ledger = self.books.state.known().into_iter().map(known).collect();
        let (sources, unnamed) = (&self.sources, &self.unnamed);
        let is_read = |id| sources.contains_key(&id) || unnamed.contains(id);
        let sets = self
            .files
            .reconfigure(sets, ledger, limits.files, is_read)?;
        let followed = self.books.state.sets();
        self.files
            .were_followed(followed.keys().map(|name| &**name));
        self.batcher.set_limits(limits.batches);
        self.shipping.set_limits(limits.calls);
        let plans = settings.files.iter().map(Plan::new).collect();
        let before = std::mem::replace(&mut self.plans, plans);
        // Before others lose theirs.
        self.rename(&sets);
        self.reassign(&before, &sets);
        let stashed = self.stash.as_ref().map(|stash| stash.generation());
        if stashed.is_some_and(|id| !self.sources.contains_key(&id)) {
            self.stash = None;
        }
        // Batches of an earlier life may belong to files that are followed again.
        self.recover_at = Some(Duration::ZERO);
        self.unpark();
        Ok(())
    }

    /// Gives each generation the plan of its set, and stops reading those without one.
    fn reassign(&mut self, before: &[Plan], sets: &HashMap<GenerationId, usize>) {
        let mut ids: Vec<GenerationId> = self.sources.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(source) = self.sources.get(&id) else {
                continue;
            };
            let (old, at, path) = (source.set, source.at, source.path.clone());
            let Some(&set) = sets.get(&id) else {
                self.sources.remove(&id);
                continue;
            };
            let Some(target) = self.target(id, set, &path) else {
                self.unname(id);
                continue;
            };
            let plan = &self.plans[set];
            let as_before = before.get(old).is_some_and(|old| plan.reads_as(old));
            let reading = (!as_before).then(|| {
                let framer = reread::framer_at(&mut self.files, plan, id, at);
                (framer, Stamper::new(plan.format.clone(), plan.zone.clone()))
            });
            if let Some(source) = self.sources.get_mut(&id) {
                source.set = set;
                if let Some((framer, stamper)) = reading {
                    (source.framer, source.stamper) = (framer, stamper);
                }
                if source.target != target {
                    source.target = Arc::clone(&target);
                    self.books.record(Record::Aimed {
                        generation: id,
                        target,
                    });
                }
            }
            self.queue(id);
        }
    }

    /// Looks for names for those that have none, and forgets those that nobody means any more.
    fn rename(&mut self, sets: &HashMap<GenerationId, usize>) {
        let ids: Vec<GenerationId> = self.unnamed.ids().collect();
        for id in ids {
            match sets.get(&id) {
                Some(&set) => _ = self.name(id, set, self.now),
                None => _ = self.unnamed.remove(id),
            }
        }
    }

    /// Stops reading a generation whose stream has no name any more.
    fn unname(&mut self, id: GenerationId) {
        let Some(source) = self.sources.remove(&id) else {
            return;
        };
        let known = self.books.state.generation(id);
        let from = known.map_or(source.at, crate::ledger::Generation::settled_to);
        let mut waiting = Waiting::new(source.path, from);
        waiting.ended = source.ended;
        self.unnamed.keep(id, waiting);
    }

    /// The runs behind `from` that are never to be framed again: they have a fate, or are on their way to one.
    pub(super) fn done_after(&mut self, id: GenerationId, from: u64) -> Vec<Span> {
        let mut done = source::done_after(&self.books.state, id, from);
        done.extend(self.framed(id).into_iter().filter(|span| span.end > from));
        done.sort_unstable();
        done
    }

    /// What is framed of a generation and not settled, in order.
    pub(super) fn framed(&self, id: GenerationId) -> Vec<Span> {
        let held = self.batcher.held().chain(self.shipping.held());
        let parts = held.flat_map(|(_, parts)| parts);
        let stashed = self.stash.as_ref().map(|stash| stash.span());
        let mut spans: Vec<Span> = parts
            .map(|part| part.span)
            .chain(stashed)
            .filter(|span| span.generation == id)
            .collect();
        spans.sort_unstable();
        spans
    }
}
