//! ship, ledger: what is to be sent now, what is written down before, and what an answer settles.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::{BatchId, GenerationId, Part};
use crate::batch::Batch;
use crate::clock::Now;
use crate::ledger::{Intent, Landing, Record};
use crate::ship::{Answer, Call, CallId, What};

use super::Engine;

impl Engine {
    /// ship: what is to be sent now. What only the engine can answer is answered here.
    pub(super) fn ship(&mut self, now: Now) -> Vec<Call> {
        let mut outside = Vec::new();
        loop {
            let mut recalled = false;
            for call in self.shipping.due(now) {
                match &call.what {
                    What::Recall {
                        target,
                        first_ms,
                        last_ms,
                    } => {
                        let events = self.recall(target, *first_ms, *last_ms);
                        self.answer(call.id, Answer::Events(Ok(events)), now);
                        recalled = true;
                    }
                    What::Put {
                        batch, first: true, ..
                    } => {
                        self.intend(*batch, now);
                        outside.push(call);
                    }
                    _ => outside.push(call),
                }
            }
            if !recalled {
                return outside;
            }
        }
    }

    /// ledger: what is about to leave is written down before.
    fn intend(&mut self, id: BatchId, now: Now) {
        let parts = self.shipping.batch(id).map(|batch| &batch.parts);
        let generations: BTreeSet<GenerationId> = parts
            .into_iter()
            .flatten()
            .map(|part| part.span.generation)
            .collect();
        // Whatever becomes of the files, the next life has to know which bytes are in doubt.
        for generation in generations {
            self.remember(generation);
        }
        let Some(batch) = self.shipping.batch(id) else {
            return;
        };
        let intent = Intent {
            batch: id,
            target: Arc::clone(&batch.target),
            parts: batch.parts.clone(),
            first_ms: batch.first_ms,
            last_ms: batch.last_ms,
            // The keeper hashes the body, on its own thread.
            sha256: [0; 32],
            sent_ms: now.unix_ms,
        };
        self.books.record(Record::Intent(intent));
    }

    /// ledger: an answer of the service, and what it settles.
    pub fn answer(&mut self, id: CallId, answer: Answer, now: Now) {
        let now = self.at(now);
        self.unpark();
        for settled in self.shipping.answer(id, answer, now) {
            self.counts.shipped(&settled.batch);
            let landing = landing(&settled.batch, settled.parts, self.now);
            self.books.record(Record::Landed(landing));
            for part in &settled.batch.parts {
                self.release(part.span.generation);
            }
            self.batcher.release(settled.batch);
        }
    }
}

/// The outcome of a batch, for the ledger; `now` by the host's clock.
pub(super) fn landing(batch: &Batch, parts: Vec<Part>, now: Now) -> Landing {
    Landing {
        batch: batch.id,
        parts,
        events: batch.events.len() as u64,
        at_ms: now.unix_ms,
    }
}
