//! On a disk that is a copy of another host's: what that host has written is not this one's to ship.
//!
//! The other host's ledger tells what it had read. What it wrote after that, up to the instant at which the image was made, only the files
//! tell: by how long they were before anything of this host wrote to them.

use crate::account::{Fate, Filtered, GenerationId, Span};
use crate::clock::Now;
use crate::ledger::{Record, State};
use crate::tail::Survey;

use super::Engine;

const THEIRS: Fate = Fate::Filtered(Filtered::OtherInstance);

/// What says that everything another instance has seen is that instance's.
#[must_use]
pub fn seen_by_another(theirs: &State) -> Vec<Record> {
    let mut records = Vec::new();
    for (generation, known) in theirs.generations() {
        records.push(Record::Found {
            generation,
            identity: known.identity(),
            set: known.set().clone(),
            path: known.path().to_owned(),
            target: known.target().clone(),
            from: 0,
            at_ms: known.last_ms(),
        });
        records.push(Record::Printed {
            generation,
            print: Box::new(known.print().clone()),
        });
        if known.extent() > 0 {
            let span = Span {
                generation,
                start: 0,
                end: known.extent(),
            };
            records.push(Record::Settled { span, fate: THEIRS });
        }
    }
    records
}

impl Engine {
    /// Takes what was in the files when `survey` was made for another host's, also in files that its ledger does not know. To be called
    /// before the first step. Returns what has to be durable before this host's ledger counts as one.
    #[must_use]
    pub fn disown(&mut self, survey: &Survey, now: Now) -> Vec<Record> {
        let now = self.at(now);
        loop {
            for sight in self.files.look_everywhere(now) {
                self.see(sight, now);
            }
            if !self.files.is_searching() {
                break;
            }
        }
        let mut ids: Vec<GenerationId> = self.sources.keys().copied().collect();
        ids.extend(self.unnamed.ids());
        ids.sort_unstable();
        for generation in ids {
            let end = self.files.written_before(generation, survey);
            if end > 0 {
                let span = Span {
                    generation,
                    start: 0,
                    end,
                };
                self.pass(span, THEIRS);
            }
        }
        self.books.take()
    }
}
