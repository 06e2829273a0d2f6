//! The account of one generation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::{Fate, GenerationId, Identity, Print, Span, Whereabouts};
use crate::ledger::intervals::Intervals;
use crate::ledger::{Carried, Totals};
use crate::target::Target;

use super::{Contradiction, Known};

/// Bytes that have no fate and are in no batch in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub start: u64,
    /// One past the last; `None` when nothing behind `start` has a fate or is in flight.
    pub end: Option<u64>,
}

/// A generation that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    pub(super) identity: Identity,
    pub(super) print: Print,
    set: Arc<str>,
    whereabouts: Whereabouts,
    pub(super) target: Arc<Target>,
    /// Bytes at the beginning that are in an earlier generation's account: settled here, and in no sum.
    base: u64,
    /// One past the last byte that is known.
    extent: u64,
    ended: bool,
    settled: Intervals,
    in_flight: Intervals,
    totals: Totals,
    last_ms: i64,
}

impl Generation {
    pub(super) fn new(
        identity: Identity,
        set: Arc<str>,
        path: PathBuf,
        target: Arc<Target>,
    ) -> Self {
        Generation {
            identity,
            print: Print::default(),
            set,
            whereabouts: Whereabouts::found(path),
            target,
            base: 0,
            extent: 0,
            ended: false,
            settled: Intervals::default(),
            in_flight: Intervals::default(),
            totals: Totals::default(),
            last_ms: i64::MIN,
        }
    }

    /// What tells it from other files.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What was read of it, and the times of its file.
    #[must_use]
    pub fn print(&self) -> &Print {
        &self.print
    }

    /// The stable name of the set it belongs to.
    #[must_use]
    pub fn set(&self) -> &Arc<str> {
        &self.set
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.whereabouts.path()
    }

    /// Where it was before it left the folder that it was found in, if it did.
    #[must_use]
    pub fn left(&self) -> Option<&Path> {
        self.whereabouts.left()
    }

    pub(super) fn move_to(&mut self, path: &Path) {
        self.whereabouts.move_to(path);
    }

    /// Where its events go.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// The bytes it is known to have, without those that are in an earlier generation's account.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.extent.saturating_sub(self.base)
    }

    /// One past the last byte that it is known to have.
    #[must_use]
    pub fn extent(&self) -> u64 {
        self.extent
    }

    /// The first byte whose fate is not known.
    #[must_use]
    pub fn settled_to(&self) -> u64 {
        self.settled.first_missing()
    }

    /// The bytes without a fate, those in flight included.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.seen().saturating_sub(self.totals.sum())
    }

    /// The bytes in batches that are not answered yet.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.bytes()
    }

    /// The bytes by fate.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Its size, if no byte will be added to it.
    #[must_use]
    pub fn ended(&self) -> Option<u64> {
        self.ended.then_some(self.extent)
    }

    /// When it was found, or some of it landed last, Unix milliseconds.
    #[must_use]
    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }

    pub(super) fn next_gap(&self, at: u64) -> Gap {
        let mut start = at;
        while let Some(end) = self
            .settled
            .run_end(start)
            .or_else(|| self.in_flight.run_end(start))
        {
            start = end;
        }
        let ends = [
            self.settled.next_start(start),
            self.in_flight.next_start(start),
        ];
        Gap {
            start,
            end: ends.into_iter().flatten().min(),
        }
    }

    pub(super) fn known(&self, id: GenerationId) -> Known {
        Known {
            id,
            identity: self.identity,
            print: self.print.clone(),
            set: Arc::clone(&self.set),
            whereabouts: self.whereabouts.clone(),
            target: Arc::clone(&self.target),
            settled_to: self.settled_to(),
            seen: self.extent,
            ended: self.ended(),
            last_ms: self.last_ms,
        }
    }

    pub(super) fn see(&mut self, size: u64) {
        if size > self.extent {
            self.extent = size;
            self.ended = false;
        }
    }

    /// Leaves the bytes before `from` to an earlier generation's account. To be called before anything is settled.
    pub(super) fn leave_out(&mut self, from: u64) -> Result<(), Contradiction> {
        self.see(from);
        self.base = from;
        self.settled
            .insert(0, from)
            .map_err(|_| Contradiction::LeftOutTwice(from))
    }

    pub(super) fn end(&mut self, size: u64) {
        self.see(size);
        self.ended = true;
    }

    /// Whether these bytes have neither a fate nor a batch.
    pub(super) fn check_free(&self, span: Span) -> Result<(), Contradiction> {
        if span.start >= span.end {
            return Err(Contradiction::EmptySpan(span));
        }
        if self.settled.overlaps(span.start, span.end) {
            return Err(Contradiction::SettledTwice(span));
        }
        if self.in_flight.overlaps(span.start, span.end) {
            return Err(Contradiction::InFlightTwice(span));
        }
        Ok(())
    }

    pub(super) fn send(&mut self, span: Span) -> Result<(), Contradiction> {
        self.in_flight
            .insert(span.start, span.end)
            .map_err(|_| Contradiction::InFlightTwice(span))
    }

    /// The batch that these bytes were in is not in flight any more.
    pub(super) fn answered(&mut self, span: Span) {
        self.in_flight.remove(span.start, span.end);
    }

    /// Gives the bytes of a span their fates: those of `not_shipped`, and for the rest that they are shipped.
    pub(super) fn settle(
        &mut self,
        span: Span,
        not_shipped: &[(Fate, u64)],
    ) -> Result<(), Contradiction> {
        self.settled
            .insert(span.start, span.end)
            .map_err(|_| Contradiction::SettledTwice(span))?;
        let mut shipped = span.bytes();
        for (fate, bytes) in not_shipped {
            self.totals.count(*fate, *bytes);
            shipped = shipped.saturating_sub(*bytes);
        }
        self.totals.count(Fate::Shipped, shipped);
        Ok(())
    }

    pub(super) fn touch(&mut self, ms: i64) {
        self.last_ms = self.last_ms.max(ms);
    }

    pub(super) fn carried(&self, id: GenerationId) -> Carried {
        Carried {
            generation: id,
            identity: self.identity,
            set: Arc::clone(&self.set),
            path: self.left().unwrap_or(self.path()).to_path_buf(),
            target: Arc::clone(&self.target),
            base: self.base,
            seen: self.extent,
            ended: self.ended,
            settled: self.settled.runs().to_vec(),
            totals: self.totals,
            last_ms: self.last_ms,
        }
    }

    pub(super) fn carry(carried: &Carried) -> Result<Self, Contradiction> {
        let mut generation = Generation::new(
            carried.identity,
            Arc::clone(&carried.set),
            carried.path.clone(),
            Arc::clone(&carried.target),
        );
        generation.base = carried.base;
        generation.extent = carried.seen;
        generation.ended = carried.ended;
        generation.totals = carried.totals;
        generation.last_ms = carried.last_ms;
        for (start, end) in &carried.settled {
            let span = Span {
                generation: carried.generation,
                start: *start,
                end: *end,
            };
            generation.check_free(span)?;
            generation
                .settled
                .insert(*start, *end)
                .map_err(|_| Contradiction::SettledTwice(span))?;
        }
        generation.check(0).map_err(|what| Contradiction::Broken {
            generation: carried.generation,
            what,
        })?;
        Ok(generation)
    }

    /// Verifies that the account adds up; `in_flight` is what the batches in flight say of it.
    pub(super) fn check(&self, in_flight: u64) -> Result<(), &'static str> {
        let mut gaps = 0_u64;
        let mut at = 0;
        while at < self.extent {
            let gap = self.next_gap(at);
            let end = gap.end.unwrap_or(self.extent).min(self.extent);
            gaps += end.saturating_sub(gap.start);
            at = gap.end.unwrap_or(self.extent);
        }
        let both = |(start, end): &(u64, u64)| self.settled.overlaps(*start, *end);
        let wrong = [
            (
                !self.settled.is_sound() || !self.in_flight.is_sound(),
                "its runs of bytes are out of order",
            ),
            (
                self.settled.bytes().checked_sub(self.base) != Some(self.totals.sum()),
                "the settled bytes are not the sum of the fates",
            ),
            (
                self.settled.end().max(self.in_flight.end()) > self.extent,
                "bytes are settled or in flight that nobody has seen",
            ),
            (
                self.in_flight.runs().iter().any(both),
                "settled bytes are in flight",
            ),
            (
                self.in_flight.bytes() != in_flight,
                "the bytes in flight are not those of the batches",
            ),
            (
                u128::from(self.base)
                    + u128::from(self.totals.sum())
                    + u128::from(self.in_flight.bytes())
                    + u128::from(gaps)
                    != u128::from(self.extent),
                "the bytes seen are not those settled, in flight and waiting",
            ),
        ];
        wrong
            .into_iter()
            .find(|(is_wrong, _)| *is_wrong)
            .map_or(Ok(()), |(_, what)| Err(what))
    }
}
