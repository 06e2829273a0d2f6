//! Doubtful batches: what the stream and the ledger tell of them.

use std::sync::Arc;
use std::time::Duration;

use super::answers::{AGAIN_MAX, HOLD_MIN};
use super::complaints::Subject;
use super::decide::{Action, Tried, decide};
use super::job::{Phase, Step};
use super::resolve;
use super::{Settled, Shipping};
use crate::account::BatchId;
use crate::aws::Failure;
use crate::target::GroupClass;

/// What reading back has to be allowed.
fn permissions(class: GroupClass) -> &'static str {
    match class {
        // The group may have been made by somebody else, with the other class.
        GroupClass::Standard => {
            "logs:GetLogEvents; if the group is of class INFREQUENT_ACCESS, logs:StartQuery and logs:GetQueryResults"
        }
        GroupClass::Essentials => "logs:GetLogEvents, logs:StartQuery and logs:GetQueryResults",
        GroupClass::InfrequentAccess => "logs:StartQuery and logs:GetQueryResults",
    }
}

impl Shipping {
    /// What was sent of this batch may have landed.
    pub(super) fn doubt(&mut self, id: BatchId, now: Duration) {
        let not_before = now + self.limits.settle;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.enter_doubt(not_before);
    }

    pub(super) fn read_back(
        &mut self,
        id: BatchId,
        result: Result<Vec<(i64, String)>, Failure>,
        now: Duration,
    ) -> Option<Settled> {
        let job = self.jobs.get_mut(&id)?;
        let Phase::Doubt(doubt) = &mut job.phase else {
            return None;
        };
        doubt.step = Step::Settle;
        let target = Arc::clone(&job.batch.target);
        let stream = match result {
            Ok(stream) => stream,
            Err(failure) => match decide(Tried::ReadBack, failure.kind) {
                Action::Done => Vec::new(),
                Action::Hold => {
                    job.not_before = now + self.random.about(HOLD_MIN);
                    let what = format!(
                        "an answer was lost and it has to be looked up what arrived; until then these lines wait \
                         (needed: {})",
                        permissions(target.class)
                    );
                    if let Some(lane) = self.lanes.get_mut(&target) {
                        lane.blind = true;
                    }
                    self.complaints
                        .raise(&Subject::ReadBack(target), &failure, &what);
                    return None;
                }
                Action::Again => {
                    job.not_before = now + self.random.backoff(job.attempts, AGAIN_MAX);
                    job.attempts = job.attempts.saturating_add(1);
                    return None;
                }
                // The gate waits for all.
                _ => return None,
            },
        };
        if let Some(lane) = self.lanes.get_mut(&target) {
            lane.blind = false;
        }
        self.complaints.clear(&Subject::ReadBack(target));
        let piece = job.piece();
        let found = piece.len() - resolve::missing(&job.batch, &piece, job.by, &stream, []).len();
        let Phase::Doubt(doubt) = &mut job.phase else {
            return None;
        };
        if found == 0 && !piece.is_empty() {
            job.phase = Phase::Ready;
            job.not_before = now;
            self.counters.resent_events += piece.len() as u64;
            return None;
        }
        // A request lands whole or not at all. If some of it is there, the rest may only not be visible yet: look until it stays so.
        if found < piece.len() && doubt.seen != Some(found) {
            doubt.seen = Some(found);
            job.not_before = now + self.limits.settle;
            return None;
        }
        doubt.step = Step::Ask(stream);
        job.not_before = now;
        None
    }

    pub(super) fn recalled(
        &mut self,
        id: BatchId,
        result: Result<Vec<(i64, String)>, Failure>,
        now: Duration,
    ) -> Option<Settled> {
        let job = self.jobs.get_mut(&id)?;
        let Phase::Doubt(doubt) = &mut job.phase else {
            return None;
        };
        let Step::Asked(stream) = &mut doubt.step else {
            return None;
        };
        let stream = std::mem::take(stream);
        let known = match result {
            Ok(known) => known,
            Err(failure) => {
                doubt.step = Step::Ask(stream);
                job.not_before = now + self.random.backoff(job.attempts, AGAIN_MAX);
                job.attempts = job.attempts.saturating_add(1);
                self.complaints.raise(
                    &Subject::ReadBack(job.batch.target.clone()),
                    &failure,
                    "tried again",
                );
                return None;
            }
        };
        let job = self.jobs.get(&id)?;
        // What the ledger does not know yet: landed pieces of batches that are not settled as a whole, this one among them.
        let unsettled = job
            .neighbours
            .iter()
            .filter_map(|neighbour| self.jobs.get(neighbour))
            .chain([job]);
        let landed: Vec<(i64, String)> = unsettled
            .flat_map(|job| {
                job.landed_so_far()
                    .into_iter()
                    .map(|index| resolve::event(&job.batch, index))
            })
            .collect();
        let known = known
            .iter()
            .chain(&landed)
            .map(|(unix_ms, message)| (*unix_ms, message.as_str()));
        let missing = resolve::missing(&job.batch, &job.piece(), job.by, &stream, known);
        let job = self.jobs.get_mut(&id)?;
        self.counters.resent_events += missing.len() as u64;
        self.counters.found_events += (job.piece_len() - missing.len()) as u64;
        self.complaints
            .clear(&Subject::ReadBack(job.batch.target.clone()));
        job.reduce(missing);
        job.phase = Phase::Ready;
        job.not_before = now;
        job.attempts = 0;
        self.settle(id)
    }
}
