//! What was asked and what was answered: counts, and a journal of the last requests.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// Requests that the journal keeps; older ones are forgotten.
const JOURNAL_REQUESTS: usize = 65_536;

/// Counts since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that are open now.
    pub open_connections: u64,
    /// Requests, whatever became of them.
    pub requests: u64,
    /// Bytes of their bodies, as they came.
    pub body_bytes: u64,
    /// Log events that were taken.
    pub events: u64,
    /// Bytes of their messages and 26 for each, of the batches that were taken in part or in full.
    pub batch_bytes: u64,
    /// Events that were rejected one by one, as too old, expired or too new.
    pub rejected_events: u64,
    /// Metric data (PutMetricData) that were taken.
    pub metric_data: u64,
    /// Requests of each operation.
    pub operations: BTreeMap<String, u64>,
    /// Errors that were answered, by code.
    pub errors: BTreeMap<String, u64>,
    /// Faults that were played, by kind.
    pub faults: BTreeMap<String, u64>,
}

/// One request, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// When it was answered, in microseconds since the epoch.
    pub at_us: i64,
    /// Its operation.
    pub operation: String,
    /// Bytes of its body, as they came.
    pub body_bytes: usize,
    /// Events that it held (PutLogEvents), or metric data (PutMetricData).
    pub events: usize,
    /// Those that were taken.
    pub taken: usize,
    /// Code of the error that the operation itself ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Fault that was played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) stats: Stats,
    notes: VecDeque<Note>,
}

impl Journal {
    pub(crate) fn record(&mut self, note: Note) {
        let stats = &mut self.stats;
        stats.requests += 1;
        stats.body_bytes += note.body_bytes as u64;
        count(&mut stats.operations, &note.operation);
        if let Some(error) = &note.error {
            count(&mut stats.errors, error);
        }
        if let Some(fault) = &note.fault {
            count(&mut stats.faults, fault);
        }
        if self.notes.len() == JOURNAL_REQUESTS {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }

    pub(crate) fn notes(&self) -> Vec<Note> {
        self.notes.iter().cloned().collect()
    }

    /// Begins to count anew; what is open stays open.
    pub(crate) fn reset(&mut self) {
        self.notes.clear();
        self.stats = Stats {
            open_connections: self.stats.open_connections,
            ..Stats::default()
        };
    }
}

pub(crate) fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else {
        counts.insert(name.to_owned(), 1);
    }
}
