//! After a crash: the batches that were under way are made again from their bytes, and handed in as doubtful.
//!
//! Shipping reads the stream back, and sends only what is not there.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::account::{Fate, Lost, Part};
use crate::batch::Batch;
use crate::clock::Now;
use crate::ledger::{Intent, Record};
use crate::ship::{Match, Restored};

use super::Engine;
use super::reread::{Unread, reread};
use super::send::landing;

/// Files may be rotated between the look and the reading; they are not rotated this often in a row.
const LOOKS_MAX: u32 = 8;
/// Bytes that the system refuses to give are asked for again this often.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// What became of an intent's bytes.
enum Remade {
    /// The batch as it was sent, or what is left of it.
    Batch(Batch),
    /// What its spans hold now does not fit into one batch.
    Misfit,
}

impl Engine {
    /// Makes every batch again whose intent is written down without an outcome, and that is not under way. To be called
    /// after the first look, before anything is read; and again later, if files can't be read for now.
    pub(super) fn recover(&mut self, now: Now) {
        self.recover_at = None;
        let unresolved = self.books.state.unresolved();
        let intents: Vec<Intent> = unresolved
            .filter(|intent| self.shipping.batch(intent.batch).is_none())
            .cloned()
            .collect();
        for intent in intents {
            match self.remake_wherever(&intent, now) {
                Ok(Remade::Batch(batch)) => self.restore(&intent, batch, now),
                Ok(Remade::Misfit) => self.withdraw(&intent),
                Err(Unread::NotFollowed) => {}
                Err(_) => self.recover_at = Some(now.monotonic + REFUSED_PAUSE),
            }
        }
    }

    /// Hands a batch that may have landed to shipping.
    fn restore(&mut self, intent: &Intent, batch: Batch, now: Now) {
        if batch.events.is_empty() {
            // Not one byte of it is left to compare with what is there.
            let landing = landing(&batch, batch.parts.clone(), self.now);
            self.books.record(Record::Landed(landing));
            self.batcher.release(batch);
            return;
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

    /// Makes the batch of an intent again. A file that was truncated or replaced since the last look is looked at again:
    /// its bytes may be in a copy by now.
    fn remake_wherever(&mut self, intent: &Intent, now: Now) -> Result<Remade, Unread> {
        for _ in 0..LOOKS_MAX {
            match self.remake(intent, false, now) {
                Err(Unread::Moved) => {}
                made => return made,
            }
            let sights = self.files.look(now);
            if sights.is_empty() {
                break;
            }
            for sight in sights {
                self.see(sight, now);
            }
        }
        self.remake(intent, true, now)
    }

    /// The same from where its bytes are known to be. With `give_up`, without those that are nowhere.
    fn remake(&mut self, intent: &Intent, give_up: bool, now: Now) -> Result<Remade, Unread> {
        let mut parts = intent.parts.clone();
        let mut draft = self.batcher.reopen(&intent.target, parts.clone(), now);
        let (mut fits, mut unread) = (true, None);
        for (index, part) in (0..).zip(&mut parts) {
            let generation = part.span.generation;
            let mut events_bytes = 0;
            let source = self.sources.get(&generation).ok_or(Unread::NotFollowed);
            let read = source.and_then(|source| {
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
            match read {
                Ok(()) => {}
                Err(Unread::Moved) if give_up => self.give_up(part, events_bytes),
                Err(why) => {
                    unread = Some(why);
                    break;
                }
            }
        }
        let mut batch = self.batcher.reseal(draft, intent.batch);
        batch.parts = parts;
        if fits && unread.is_none() {
            return Ok(Remade::Batch(batch));
        }
        self.batcher.release(batch);
        unread.map_or(Ok(Remade::Misfit), Err)
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
            let generation = part.span.generation;
            let Some(at) = self.sources.get(&generation).map(|source| source.at) else {
                continue;
            };
            let at = at.min(part.span.start);
            let done = self.done_after(generation, at);
            if let Some(source) = self.sources.get_mut(&generation) {
                (source.at, source.done) = (at, done);
            }
        }
    }
}
