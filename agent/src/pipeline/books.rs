//! The engine's books: its own state of the ledger, and the records that are still to be written down.

use std::sync::Arc;

use crate::account::{Fate, GenerationId, Span};
use crate::batch::Batcher;
use crate::ledger::{Contradiction, Gap, Record, State};
use crate::target::Target;

use super::losses::Losses;

/// State and outgoing records, always changed together.
pub(super) struct Books {
    pub(super) state: State,
    records: Vec<Record>,
    /// What is to be told of bytes that are lost.
    pub(super) losses: Losses,
    /// The host's time, in milliseconds since 1970.
    pub(super) at_ms: i64,
    /// The span that is settled without a batch and may still grow.
    open: Option<(Span, Fate)>,
}

impl Books {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            records: Vec::new(),
            losses: Losses::default(),
            at_ms: 0,
            open: None,
        }
    }

    /// Applies a record to the state, and keeps it for the ledger.
    pub(super) fn record(&mut self, record: Record) {
        self.close();
        self.apply(record);
    }

    /// A generation is at least this long. Kept in memory only: after a restart, the file tells it again.
    pub(super) fn see(&mut self, generation: GenerationId, size: u64) {
        self.close();
        let seen = Record::Seen { generation, size };
        if let Err(error) = self.state.apply(&seen) {
            self.refused(&seen, &error);
        }
    }

    /// The first bytes at or behind `at` that have no fate and are in no batch that was sent.
    pub(super) fn gap(&mut self, generation: GenerationId, at: u64) -> Option<Gap> {
        self.close();
        self.state.next_gap(generation, at)
    }

    /// Settles a span without a batch. Runs of the same fate become one record.
    pub(super) fn settle(&mut self, span: Span, fate: Fate) {
        if let Some((open, same)) = &mut self.open
            && open.generation == span.generation
            && open.end == span.start
            && *same == fate
        {
            open.end = span.end;
            return;
        }
        self.close();
        self.open = Some((span, fate));
    }

    /// Settles a span that was framed: with the open batch it adjoins, or by itself.
    pub(super) fn skip(
        &mut self,
        batcher: &mut Batcher,
        target: &Arc<Target>,
        span: Span,
        fate: Fate,
    ) {
        if !batcher.skip(target, span, fate) {
            self.settle(span, fate);
        }
    }

    /// What is to be written down, in order.
    pub(super) fn take(&mut self) -> Vec<Record> {
        self.close();
        std::mem::take(&mut self.records)
    }

    fn close(&mut self) {
        if let Some((span, fate)) = self.open.take() {
            self.apply(Record::Settled { span, fate });
        }
    }

    fn apply(&mut self, record: Record) {
        match self.state.apply(&record) {
            Ok(()) => {
                self.losses.note(&record, &self.state);
                self.records.push(record);
            }
            Err(error) => self.refused(&record, &error),
        }
    }

    /// A record can't be true of the account. Where it says nothing of any byte, the account holds without it; otherwise that it does not
    /// hold is from now on a part of it.
    fn refused(&mut self, record: &Record, error: &Contradiction) {
        if is_over(record, error, &self.state) {
            return;
        }
        let refused = Record::Refused {
            count: 1,
            what: error.to_string(),
            at_ms: self.at_ms,
        };
        // It is never refused itself.
        let _ = self.state.apply(&refused);
        match self.records.last_mut() {
            // A flood of them is one record a step.
            Some(Record::Refused { count, .. }) => *count = count.saturating_add(1),
            _ => self.records.push(refused),
        }
    }
}

/// Whether a record is about what a generation is called or looks like that is settled and forgotten: then nobody has to know.
fn is_over(record: &Record, error: &Contradiction, state: &State) -> bool {
    let forgotten =
        matches!(error, Contradiction::UnknownGeneration(id) if id.0 < state.next_generation());
    let nameless = matches!(
        record,
        Record::Identified { .. }
            | Record::Moved { .. }
            | Record::Aimed { .. }
            | Record::Forgotten { .. }
    );
    forgotten && nameless
}
