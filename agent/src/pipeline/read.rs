//! tail, frame, stamp: the bytes that are there become events in batches. The hot path of the agent.

use std::sync::Arc;

use crate::account::{Fate, GenerationId, Span};
use crate::batch::{Added, When};
use crate::clock::Now;
use crate::frame::Next;
use crate::stamp::{Origin, Stamp};
use crate::target::Target;

use super::Engine;
use super::reread::framer_at;

/// What one read takes from a file at most: it stays in the processor's cache on its way into the body.
pub(super) const READ_BYTES: usize = 256 * 1024;
/// What one step takes from all files at most, so that a backlog keeps neither answers nor rotations waiting.
const STEP_BYTES: usize = 1024 * 1024;

/// An event that was framed but found no room: offered again before anything else is read.
pub(super) struct Stash {
    target: Arc<Target>,
    span: Span,
    when: When,
    /// Bytes that follow it are to be in another part.
    open: bool,
    message: String,
}

impl Stash {
    /// Whose bytes it holds.
    pub(super) fn generation(&self) -> GenerationId {
        self.span.generation
    }

    /// The bytes that it holds.
    pub(super) fn span(&self) -> Span {
        self.span
    }
}

/// Where a turn ended.
enum Turn {
    /// There may be more at once.
    More(usize),
    /// All that is there was read.
    Drained(usize),
    /// No memory is left for events: an answer has to come first.
    Full,
}

impl Engine {
    /// Gives every generation that has bytes its turns. Tells whether some are left over.
    pub(super) fn read(&mut self, now: Now) -> bool {
        self.batch(now);
        if self.batcher.has_sealed() || !self.has_time() {
            return false;
        }
        let mut taken = 0;
        while taken < STEP_BYTES {
            if !self.unstash(now) {
                return false;
            }
            let Some(id) = self.ready.pop_front() else {
                return false;
            };
            if let Some(source) = self.sources.get_mut(&id) {
                source.queued = false;
            }
            if self.is_behind(id) {
                self.queue(id);
                continue;
            }
            match self.turn(id, now) {
                Turn::More(bytes) => {
                    taken += bytes;
                    self.queue(id);
                }
                Turn::Drained(bytes) => taken += bytes,
                Turn::Full => self.queue(id),
            }
            self.batch(now);
            if self.batcher.has_sealed() {
                // What can't leave soon is better left in its file. An answer makes room, and wakes the engine.
                return false;
            }
        }
        true
    }

    /// Whether there are bytes to read of what stood at the same path before: they were written earlier.
    fn is_behind(&self, id: GenerationId) -> bool {
        let mut older = self.files.older(id).iter();
        older.any(|older| self.sources.get(older).is_some_and(|older| older.queued))
    }

    /// Offers the event that found no room. Tells whether none is left waiting.
    fn unstash(&mut self, now: Now) -> bool {
        let Some(stash) = self.stash.take() else {
            return true;
        };
        match self
            .batcher
            .add(&stash.target, stash.span, stash.when, &stash.message, now)
        {
            Added::Full => {
                self.stash = Some(stash);
                false
            }
            Added::Taken => {
                if stash.open {
                    self.batcher.end_part(&stash.target);
                }
                true
            }
            Added::Rejected(why) => {
                self.books.skip(
                    &mut self.batcher,
                    &stash.target,
                    stash.span,
                    Fate::Rejected(why),
                );
                true
            }
        }
    }

    /// One read of one generation, and all events in it.
    fn turn(&mut self, id: GenerationId, now: Now) -> Turn {
        let Some(source) = self.sources.get_mut(&id) else {
            return Turn::Drained(0);
        };
        if !self.shipping.takes(&source.target) {
            self.parked.push(id);
            return Turn::Drained(0);
        }
        let plan = &self.plans[source.set];
        if source.step_over() {
            source.framer = framer_at(&mut self.files, plan, id, source.at);
        }
        let from = source.at;
        let want = source.limit().map_or(self.buffer.len(), |limit| {
            usize::try_from(limit - from)
                .map_or(self.buffer.len(), |left| left.min(self.buffer.len()))
        });
        // What became of a file that can't be read, the next look finds out.
        let Ok(read) = self.files.read(id, from, &mut self.buffer[..want]) else {
            return Turn::Drained(0);
        };
        if read.bytes == 0 && !read.at_end {
            // A compressed copy is decompressed up to there, a piece at a time.
            return Turn::More(STEP_BYTES);
        }
        if !source.begun && read.bytes > 0 {
            // A writer that has come here writes no more to the file that was rotated away. What it wrote there last
            // goes first: one more look finds all of it.
            source.begun = true;
            if self.files.have_older_grown(id) {
                return Turn::More(STEP_BYTES);
            }
        }
        let end = source.end(
            from + read.bytes as u64,
            read.at_end,
            now.monotonic,
            &plan.rules,
        );
        source.stamper.set_ahead(self.clock.ahead_ms(self.now));
        let bytes = &self.buffer[..read.bytes];
        let mut position = 0;
        let mut full = false;
        let mut sent = false;
        while position < bytes.len() {
            let start = from + position as u64;
            let next = source.framer.next(&bytes[position..], end);
            let span = |bytes: usize| Span {
                generation: id,
                start,
                end: start + bytes as u64,
            };
            match next {
                Next::Event(event) => {
                    position += event.bytes;
                    let span = span(event.bytes);
                    let stamp = match event.continues {
                        false => source.stamper.stamp(&event.message, now.unix_ms),
                        true => source.stamper.follow(now.unix_ms),
                    };
                    self.counts.framed(event.replaced, stamp.origin);
                    match self
                        .batcher
                        .add(&source.target, span, when(stamp), &event.message, now)
                    {
                        Added::Taken => {
                            sent = true;
                            if event.open {
                                self.batcher.end_part(&source.target);
                            }
                        }
                        Added::Rejected(why) => {
                            self.books.skip(
                                &mut self.batcher,
                                &source.target,
                                span,
                                Fate::Rejected(why),
                            );
                        }
                        Added::Full => {
                            let target = Arc::clone(&source.target);
                            let message = event.message.into_owned();
                            self.stash = Some(Stash {
                                target,
                                span,
                                when: when(stamp),
                                open: event.open,
                                message,
                            });
                            full = true;
                            break;
                        }
                    }
                }
                Next::Filtered { bytes, why } => {
                    position += bytes;
                    self.books.skip(
                        &mut self.batcher,
                        &source.target,
                        span(bytes),
                        Fate::Filtered(why),
                    );
                }
                Next::Need => break,
            }
        }
        source.at = from + position as u64;
        let read_to = from + read.bytes as u64;
        if read_to > source.size {
            // What a read finds before a look does is seen, too: else the generation would seem settled while bytes of it are on their way.
            source.size = read_to;
            self.books.see(id, read_to);
        }
        self.files.consumed(id, source.at);
        let held_until = source.grown + plan.rules.hold;
        if !sent && position > 0 {
            // No batch will write down what was read.
            self.remember(id);
        }
        let unread = position < read.bytes;
        if unread && position == 0 && read.bytes == self.buffer.len() {
            // An event longer than the buffer. The framer's limit on events bounds how far this goes.
            self.buffer.resize(self.buffer.len() * 2, 0);
            return Turn::More(0);
        }
        if read.at_end && unread && !full {
            self.held.insert((held_until, id));
        }
        match (full, read.at_end) {
            (true, _) => Turn::Full,
            (false, true) => Turn::Drained(position),
            (false, false) => Turn::More(position),
        }
    }
}

/// A line without a time gets that of its reading from the batch that it goes into.
fn when(stamp: Stamp) -> When {
    match stamp.origin {
        Origin::Own | Origin::Previous => When::At(stamp.unix_ms),
        Origin::Read => When::Reading,
    }
}
