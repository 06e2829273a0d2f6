//! One generation on its way through the stages: where it is, and what its next bytes mean.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{GenerationId, Span};
use crate::frame::{End, Framer, Rules};
use crate::ledger::State;
use crate::stamp::Stamper;
use crate::target::Target;

/// A generation that is being read.
pub(super) struct Source {
    /// The file setting it belongs to, by index.
    pub(super) set: usize,
    pub(super) path: PathBuf,
    pub(super) target: Arc<Target>,
    pub(super) framer: Framer,
    pub(super) stamper: Stamper,
    /// Bytes before this one are framed: settled, in a batch, or on their way there.
    pub(super) at: u64,
    /// How large the generation is known to be.
    pub(super) size: u64,
    /// No byte will be added.
    pub(super) ended: bool,
    /// When it last grew, on the monotonic clock.
    pub(super) grown: Duration,
    /// Spans ahead of `at` that were settled, or put into a batch, by the agent's last life. In order, apart from each other.
    pub(super) done: Vec<Span>,
    /// It was seen to have bytes, and what stood at its path before was looked at since.
    pub(super) begun: bool,
    /// Whether it waits in the queue of generations to be read.
    pub(super) queued: bool,
}

impl Source {
    /// The last byte that may be read now: done spans are never framed again.
    pub(super) fn limit(&self) -> Option<u64> {
        self.done.first().map(|span| span.start)
    }

    /// Steps over what was done before, if that is what comes next. Tells whether it did.
    pub(super) fn step_over(&mut self) -> bool {
        let mut stepped = false;
        while self.done.first().is_some_and(|span| span.start <= self.at) {
            self.at = self.at.max(self.done.remove(0).end);
            stepped = true;
        }
        stepped
    }

    /// What the end of the bytes that were read means.
    ///
    /// `to` is where they end, `at_end` whether the file ends there.
    pub(super) fn end(&self, to: u64, at_end: bool, now: Duration, rules: &Rules) -> End {
        if self.limit() == Some(to) || (self.ended && at_end) {
            End::Final
        } else if at_end && now >= self.grown + rules.hold {
            End::Quiet
        } else {
            End::More
        }
    }
}

/// The runs behind `from` that have a fate or are in a batch, by the account.
pub(super) fn done_after(state: &State, id: GenerationId, from: u64) -> Vec<Span> {
    let mut done = Vec::new();
    let mut at = from;
    while let Some(gap) = state.next_gap(id, at) {
        if gap.start > at {
            done.push(Span {
                generation: id,
                start: at,
                end: gap.start,
            });
        }
        let Some(end) = gap.end else { break };
        at = end;
    }
    done
}
