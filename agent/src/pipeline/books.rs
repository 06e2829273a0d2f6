//! The engine's books: its own state of the ledger, and the records that are still to be written down.

use std::sync::Arc;

use crate::account::{Fate, GenerationId, Span};
use crate::batch::Batcher;
use crate::ledger::{Gap, Record, State};
use crate::target::Target;

/// State and outgoing records, always changed together.
pub(super) struct Books {
    pub(super) state: State,
    records: Vec<Record>,
    /// A record the state refused: a defect of the agent, told rather than hidden.
    pub(super) defects: Vec<String>,
    /// The span that is settled without a batch and may still grow.
    open: Option<(Span, Fate)>,
}

impl Books {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            records: Vec::new(),
            defects: Vec::new(),
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
        if let Err(error) = self.state.apply(&Record::Seen { generation, size }) {
            self.defects.push(error.to_string());
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
            Ok(()) => self.records.push(record),
            Err(error) => self.defects.push(error.to_string()),
        }
    }
}
