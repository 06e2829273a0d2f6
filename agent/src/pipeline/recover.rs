//! After a crash: the batches that were under way are made again from their bytes, and handed in as doubtful.
//!
//! Shipping reads the stream back, and sends only what is not there.

use sha2::{Digest as _, Sha256};

use crate::account::{Fate, Lost, Part};
use crate::batch::Batch;
use crate::clock::Now;
use crate::ledger::{Intent, Record};
use crate::ship::{Match, Restored};

use super::reread::reread;
use super::{Engine, done_after};

impl Engine {
    /// Makes every batch again whose intent is written down without an outcome. To be called after the first look, before
    /// anything is read.
    pub(super) fn recover(&mut self, now: Now) {
        let intents: Vec<Intent> = self.books.state.unresolved().cloned().collect();
        for intent in intents {
            let Some(batch) = self.remake(&intent, now) else {
                self.withdraw(&intent);
                continue;
            };
            if batch.events.is_empty() {
                // Not one byte of it is left to compare with what is there.
                let landing = super::landing(&batch, batch.parts.clone(), now);
                self.books.record(Record::Landed(landing));
                self.batcher.release(batch);
                continue;
            }
            let same = <[u8; 32]>::from(Sha256::digest(&batch.body)) == intent.sha256;
            let (first_ms, last_ms) = (intent.first_ms, intent.last_ms);
            // Lines without a time of their own were stamped with that of their reading, which is not known any more.
            let by = if same { Match::Exact } else { Match::Message };
            self.shipping.restore(
                Restored {
                    batch,
                    first_ms,
                    last_ms,
                    by,
                },
                now,
            );
        }
    }

    /// The batch of an intent; `None` if what its spans hold now does not fit into one.
    fn remake(&mut self, intent: &Intent, now: Now) -> Option<Batch> {
        let mut parts = intent.parts.clone();
        let mut draft = self.batcher.reopen(&intent.target, parts.clone(), now);
        let mut fits = true;
        for (index, part) in (0..).zip(&mut parts) {
            let generation = part.span.generation;
            let mut events_bytes = 0;
            let complete = self.sources.get(&generation).is_some_and(|source| {
                let plan = &self.plans[source.set];
                reread(&mut self.files, plan, part.span, intent.sent_ms, |again| {
                    let unix_ms = again.unix_ms.clamp(intent.first_ms, intent.last_ms);
                    let bytes = u32::try_from(again.span.bytes()).unwrap_or(u32::MAX);
                    fits &= self
                        .batcher
                        .readd(&mut draft, index, bytes, unix_ms, again.message);
                    events_bytes += again.span.bytes();
                })
            });
            if !complete {
                self.give_up(part, events_bytes);
            }
        }
        let mut batch = self.batcher.reseal(draft, intent.batch);
        batch.parts = parts;
        if fits {
            return Some(batch);
        }
        self.batcher.release(batch);
        None
    }

    /// Some bytes of a doubtful batch are gone: they may have landed, but nobody can tell any more. They count as lost.
    fn give_up(&mut self, part: &mut Part, readable: u64) {
        let fated: u64 = part.not_shipped.iter().map(|(_, bytes)| bytes).sum();
        let gone = part
            .span
            .bytes()
            .saturating_sub(fated)
            .saturating_sub(readable);
        if gone > 0 {
            part.not_shipped.push((Fate::Lost(Lost::Deleted), gone));
        }
        let generation = part.span.generation;
        let path = self
            .books
            .state
            .generation(generation)
            .map(|known| known.path().display().to_string());
        self.troubles.report(
            path.unwrap_or_default(),
            format!(
                "{gone} bytes that were being sent when the agent was stopped are gone from the disk: they may have arrived, \
                 but are counted as lost"
            ),
        );
    }

    /// Takes an intent back: its bytes are read anew, as if it had never been.
    fn withdraw(&mut self, intent: &Intent) {
        self.books.record(Record::Withdrawn {
            batch: intent.batch,
        });
        for part in &intent.parts {
            if let Some(source) = self.sources.get_mut(&part.span.generation) {
                source.at = source.at.min(part.span.start);
                source.done = done_after(&self.books.state, part.span.generation, source.at);
            }
        }
    }
}
