//! The account as it stands: a pure fold of records.

mod contradiction;
mod generation;
mod refusals;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::{
    BatchId, Fate, Filtered, GenerationId, Identity, Part, Print, Span, Whereabouts,
};
use crate::target::Target;

use super::history::History;
use super::{Intent, Landing, Record, Totals};

pub use contradiction::Contradiction;
pub use generation::{Gap, Generation};
pub use refusals::Refusals;
pub use sums::SetTotals;

/// A generation that the ledger knows, as much of it as is needed to find it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub id: GenerationId,
    /// What tells it from other files.
    pub identity: Identity,
    /// What was read of it, and the times of its file.
    pub print: Print,
    /// The stable name of the set it belongs to.
    pub set: Arc<str>,
    /// Where it was.
    pub whereabouts: Whereabouts,
    /// Where its events go.
    pub target: Arc<Target>,
    /// The first byte whose fate is not known.
    pub settled_to: u64,
    /// The bytes it is known to have.
    pub seen: u64,
    /// Its size, if no byte will be added to it.
    pub ended: Option<u64>,
    /// When it was found, or some of it landed last, Unix milliseconds.
    pub last_ms: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Retired {
    generations: u64,
    totals: Totals,
}

/// The account of every byte of every generation.
///
/// For each generation, the bytes seen are those settled by fate plus those pending, no byte is settled twice, and none
/// is in two batches that are in flight; [`check`](State::check) verifies it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Apart, since a tree that is filled in order is half empty.
    generations: BTreeMap<GenerationId, Box<Generation>>,
    retired: BTreeMap<Arc<str>, Retired>,
    in_flight: BTreeMap<BatchId, Intent>,
    history: History,
    next_generation: u64,
    next_batch: u64,
    events: u64,
    refusals: Option<Refusals>,
}

impl State {
    /// Changes the account by one record.
    ///
    /// # Errors
    /// When the record contradicts the account; nothing is changed then.
    pub fn apply(&mut self, record: &Record) -> Result<(), Contradiction> {
        match record {
            Record::Found {
                generation,
                identity,
                set,
                path,
                target,
                from,
                at_ms,
            } => {
                let mut found =
                    Generation::new(*identity, Arc::clone(set), path.clone(), Arc::clone(target));
                found.touch(*at_ms);
                found.see(*from);
                found.settle(
                    Span {
                        generation: *generation,
                        start: 0,
                        end: *from,
                    },
                    &[(Fate::Filtered(Filtered::BeforeStart), *from)],
                )?;
                self.add_generation(*generation, found)
            }
            Record::Continued {
                generation,
                identity,
                set,
                path,
                target,
                from,
                at_ms,
            } => {
                let mut found =
                    Generation::new(*identity, Arc::clone(set), path.clone(), Arc::clone(target));
                found.touch(*at_ms);
                found.leave_out(*from)?;
                self.add_generation(*generation, found)
            }
            Record::Identified { generation, head } => {
                self.generation_mut(*generation)?.identity.head = *head;
                Ok(())
            }
            Record::Printed { generation, print } => {
                self.generation_mut(*generation)?.print.clone_from(print);
                Ok(())
            }
            Record::Moved { generation, path } => {
                self.generation_mut(*generation)?.move_to(path);
                Ok(())
            }
            Record::Aimed { generation, target } => {
                self.generation_mut(*generation)?.target = Arc::clone(target);
                Ok(())
            }
            Record::Seen { generation, size } => {
                self.generation_mut(*generation)?.see(*size);
                Ok(())
            }
            Record::Ended { generation, size } => {
                self.generation_mut(*generation)?.end(*size);
                Ok(())
            }
            Record::Forgotten { generation } => self.forget(*generation),
            Record::Intent(intent) => self.send(intent),
            Record::Landed(landing) => self.land(landing),
            Record::Withdrawn { batch } => self.withdraw(*batch),
            Record::Settled { span, fate } => self.settle(*span, *fate),
            Record::Refused { count, what, at_ms } => {
                self.refusals
                    .get_or_insert_with(|| Refusals::first(what, *at_ms))
                    .add(*count);
                Ok(())
            }
            Record::Counters {
                next_generation,
                next_batch,
                events,
            } => {
                self.next_generation = self.next_generation.max(*next_generation);
                self.next_batch = self.next_batch.max(*next_batch);
                self.events = self.events.saturating_add(*events);
                Ok(())
            }
            Record::Retired {
                set,
                generations,
                totals,
            } => {
                let retired = self.retired.entry(Arc::clone(set)).or_default();
                retired.generations = retired.generations.saturating_add(*generations);
                retired.totals.add(totals);
                Ok(())
            }
            Record::Carried(carried) => {
                let generation = Generation::carry(carried)?;
                self.add_generation(carried.generation, generation)
            }
            Record::Recent { target, batches } => {
                self.history.carry(target, batches);
                Ok(())
            }
        }
    }

    /// Records that make an equal account out of an empty one.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let mut records = vec![Record::Counters {
            next_generation: self.next_generation,
            next_batch: self.next_batch,
            events: self.events,
        }];
        records.extend(self.retired.iter().map(|(set, retired)| Record::Retired {
            set: Arc::clone(set),
            generations: retired.generations,
            totals: retired.totals,
        }));
        for (id, generation) in &self.generations {
            records.push(Record::Carried(Box::new(generation.carried(*id))));
            if generation.left().is_some() {
                records.push(Record::Moved {
                    generation: *id,
                    path: generation.path().to_path_buf(),
                });
            }
            if *generation.print() != Print::default() {
                records.push(Record::Printed {
                    generation: *id,
                    print: Box::new(generation.print().clone()),
                });
            }
        }
        records.extend(self.in_flight.values().cloned().map(Record::Intent));
        records.extend(self.history.snapshot());
        records.extend(self.refusals.as_ref().map(Refusals::snapshot));
        records
    }

    /// Verifies that the account adds up.
    ///
    /// # Errors
    /// [`Contradiction::Broken`], with the first generation that does not.
    pub fn check(&self) -> Result<(), Contradiction> {
        let mut in_flight: BTreeMap<GenerationId, u64> = BTreeMap::new();
        for part in self.in_flight.values().flat_map(|intent| &intent.parts) {
            *in_flight.entry(part.span.generation).or_default() += part.span.bytes();
        }
        for (id, generation) in &self.generations {
            generation
                .check(in_flight.remove(id).unwrap_or_default())
                .map_err(|what| Contradiction::Broken {
                    generation: *id,
                    what,
                })?;
        }
        match in_flight.into_keys().next() {
            None => Ok(()),
            Some(generation) => Err(Contradiction::Broken {
                generation,
                what: "it is in flight but not known",
            }),
        }
    }

    /// What was refused since the ledger began: from then on the account does not hold, whatever it adds up to.
    #[must_use]
    pub fn refusals(&self) -> Option<&Refusals> {
        self.refusals.as_ref()
    }

    /// Whether nothing was ever written down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == State::default()
    }

    /// The generations that are followed, as they are needed to find them again.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        self.generations
            .iter()
            .map(|(id, generation)| generation.known(*id))
            .collect()
    }

    /// One generation that is followed.
    #[must_use]
    pub fn generation(&self, id: GenerationId) -> Option<&Generation> {
        self.generations.get(&id).map(AsRef::as_ref)
    }

    /// The generations that are followed, in the order of their numbers.
    pub fn generations(&self) -> impl Iterator<Item = (GenerationId, &Generation)> {
        self.generations
            .iter()
            .map(|(id, generation)| (*id, generation.as_ref()))
    }

    /// The first run of bytes at or behind `at` that has no fate and is in no batch in flight: where reading goes on.
    /// After a restart there may be several, when batches landed out of order. `None` for an unknown generation.
    #[must_use]
    pub fn next_gap(&self, id: GenerationId, at: u64) -> Option<Gap> {
        self.generations
            .get(&id)
            .map(|generation| generation.next_gap(at))
    }

    /// The batches that were sent and not answered, in the order of their numbers. After a restart: those in doubt.
    pub fn unresolved(&self) -> impl Iterator<Item = &Intent> {
        self.in_flight.values()
    }

    /// One batch that was sent and not answered.
    #[must_use]
    pub fn intent(&self, batch: BatchId) -> Option<&Intent> {
        self.in_flight.get(&batch)
    }

    /// The spans that landed lately in this stream with any time stamp in `first_ms..=last_ms`. Of a stream's batches
    /// the last 128 are remembered (fewer with more than 64 streams), and those that meet a batch in flight.
    #[must_use]
    pub fn landed_spans(&self, target: &Arc<Target>, first_ms: i64, last_ms: i64) -> Vec<Span> {
        self.history.spans(target, first_ms, last_ms)
    }

    /// The number of the next generation to be found.
    #[must_use]
    pub fn next_generation(&self) -> u64 {
        self.next_generation
    }

    /// The number of the next batch.
    #[must_use]
    pub fn next_batch(&self) -> u64 {
        self.next_batch
    }

    /// All events shipped since the ledger began.
    #[must_use]
    pub fn events_shipped(&self) -> u64 {
        self.events
    }

    fn generation_mut(&mut self, id: GenerationId) -> Result<&mut Generation, Contradiction> {
        self.generations
            .get_mut(&id)
            .map(AsMut::as_mut)
            .ok_or(Contradiction::UnknownGeneration(id))
    }

    fn add_generation(
        &mut self,
        id: GenerationId,
        generation: Generation,
    ) -> Result<(), Contradiction> {
        if self.generations.contains_key(&id) {
            return Err(Contradiction::GenerationAgain(id));
        }
        self.generations.insert(id, Box::new(generation));
        self.next_generation = self.next_generation.max(id.0.saturating_add(1));
        Ok(())
    }

    fn forget(&mut self, id: GenerationId) -> Result<(), Contradiction> {
        let generation = self
            .generations
            .get(&id)
            .ok_or(Contradiction::UnknownGeneration(id))?;
        let pending_bytes = generation.pending();
        if pending_bytes > 0 {
            return Err(Contradiction::StillPending {
                generation: id,
                pending_bytes,
            });
        }
        let retired = self
            .retired
            .entry(Arc::clone(generation.set()))
            .or_default();
        retired.generations = retired.generations.saturating_add(1);
        retired.totals.add(generation.totals());
        self.generations.remove(&id);
        Ok(())
    }

    fn settle(&mut self, span: Span, fate: Fate) -> Result<(), Contradiction> {
        let generation = self.generation_mut(span.generation)?;
        generation.check_free(span)?;
        generation.see(span.end);
        generation.settle(span, &[(fate, span.bytes())])
    }

    fn send(&mut self, intent: &Intent) -> Result<(), Contradiction> {
        if self.in_flight.contains_key(&intent.batch) {
            return Err(Contradiction::BatchAgain(intent.batch));
        }
        let mut spans: Vec<Span> = Vec::with_capacity(intent.parts.len());
        for part in &intent.parts {
            check_part(part)?;
            self.generation_mut(part.span.generation)?
                .check_free(part.span)?;
            spans.push(part.span);
        }
        spans.sort_unstable();
        if let Some(pair) = spans
            .windows(2)
            .find(|pair| pair[0].generation == pair[1].generation && pair[1].start < pair[0].end)
        {
            return Err(Contradiction::InFlightTwice(pair[1]));
        }
        for span in spans {
            let generation = self.generation_mut(span.generation)?;
            generation.see(span.end);
            generation.send(span)?;
        }
        self.next_batch = self.next_batch.max(intent.batch.0.saturating_add(1));
        self.in_flight.insert(intent.batch, intent.clone());
        Ok(())
    }

    fn land(&mut self, landing: &Landing) -> Result<(), Contradiction> {
        let intent = self
            .in_flight
            .get(&landing.batch)
            .ok_or(Contradiction::UnknownBatch(landing.batch))?;
        let sent = intent.parts.iter().map(|part| part.span);
        if !sent.eq(landing.parts.iter().map(|part| part.span)) {
            return Err(Contradiction::OtherSpans(landing.batch));
        }
        for part in &landing.parts {
            check_part(part)?;
        }
        let Some(intent) = self.in_flight.remove(&landing.batch) else {
            return Err(Contradiction::UnknownBatch(landing.batch));
        };
        for part in &landing.parts {
            let generation = self.generation_mut(part.span.generation)?;
            generation.answered(part.span);
            generation.settle(part.span, &part.not_shipped)?;
            generation.touch(landing.at_ms);
        }
        self.events = self.events.saturating_add(landing.events);
        self.history.remember(&intent, self.in_flight.values());
        Ok(())
    }

    fn withdraw(&mut self, batch: BatchId) -> Result<(), Contradiction> {
        let intent = self
            .in_flight
            .remove(&batch)
            .ok_or(Contradiction::UnknownBatch(batch))?;
        for part in &intent.parts {
            self.generation_mut(part.span.generation)?
                .answered(part.span);
        }
        Ok(())
    }
}

fn check_part(part: &Part) -> Result<(), Contradiction> {
    if part.span.start >= part.span.end {
        return Err(Contradiction::EmptySpan(part.span));
    }
    part.not_shipped
        .iter()
        .try_fold(0_u64, |sum, (_, bytes)| sum.checked_add(*bytes))
        .filter(|sum| *sum <= part.span.bytes())
        .map(|_| ())
        .ok_or(Contradiction::MoreThanSpan(part.span))
}
