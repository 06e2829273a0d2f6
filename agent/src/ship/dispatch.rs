//! What can leave now: the next step of each batch, the oldest first, as far as the gate lets calls through.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Phase, Stage, Step};
use super::{Call, CallId, Purpose, Shipping, UnderWay, What};
use crate::account::BatchId;
use crate::clock::Now;

/// What a batch can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Ask the engine; takes no call.
    Ask(Duration),
    /// Make a call, not earlier than that.
    Call(Duration),
    /// Nothing before an answer comes to something that is under way.
    Wait,
}

impl Shipping {
    /// The calls that can be made now. To be asked after each offer and answer, and at [`Shipping::next_due`].
    pub fn due(&mut self, now: Now) -> Vec<Call> {
        self.asked = now.monotonic;
        let mut calls = Vec::new();
        let mut next = self.jobs.first_key_value().map(|(id, _)| *id);
        while let Some(id) = next {
            match self.next(id) {
                Next::Ask(at) if at <= now.monotonic => calls.extend(self.ask(id)),
                Next::Call(at)
                    if at.max(self.gate.opens()) <= now.monotonic
                        && self.in_flight < self.window() =>
                {
                    calls.extend(self.call(id));
                }
                Next::Ask(_) | Next::Call(_) | Next::Wait => {}
            }
            next = self
                .jobs
                .range(BatchId(id.0 + 1)..)
                .next()
                .map(|(id, _)| *id);
        }
        calls
    }

    /// When [`Shipping::due`] has something next (monotonic); `None`: not before an answer or an offer comes.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let free = self.in_flight < self.window();
        let times = self.jobs.keys().filter_map(|id| match self.next(*id) {
            Next::Ask(at) => Some(at),
            Next::Call(at) if free => Some(at.max(self.gate.opens())),
            Next::Call(_) | Next::Wait => None,
        });
        times.min()
    }

    /// What this batch can do next, and when.
    fn next(&self, id: BatchId) -> Next {
        let Some(job) = self.jobs.get(&id) else {
            return Next::Wait;
        };
        let Some(lane) = self.lanes.get(&job.batch.target) else {
            return Next::Wait;
        };
        match &job.phase {
            Phase::Sending => Next::Wait,
            Phase::Doubt(doubt) => match doubt.step {
                Step::Ask(_) => Next::Ask(job.not_before),
                Step::Reading | Step::Asked(_) => Next::Wait,
                Step::Settle if self.is_stirred(id, job) => Next::Wait,
                Step::Settle => Next::Call(job.not_before),
            },
            Phase::Ready => {
                if lane.stage != Stage::There {
                    let busy = lane.making
                        || (lane.stage != Stage::Stream
                            && self.is_group_in_making(&job.batch.target.group));
                    return if busy {
                        Next::Wait
                    } else {
                        Next::Call(lane.not_before)
                    };
                }
                // While a target refuses, one batch at a time tries.
                if self.waits(id, job) || (lane.holds > 0 && lane.sending > 0) {
                    return Next::Wait;
                }
                Next::Call(job.not_before.max(lane.not_before))
            }
        }
    }

    fn is_group_in_making(&self, group: &str) -> bool {
        self.calls.values().any(|call| match &call.purpose {
            Purpose::Group(target) | Purpose::Retention(target) => target.group == group,
            _ => false,
        })
    }

    /// Makes the next call for this batch.
    fn call(&mut self, id: BatchId) -> Option<Call> {
        let job = self.jobs.get_mut(&id)?;
        let target = Arc::clone(&job.batch.target);
        let lane = self.lanes.get_mut(&target)?;
        let (what, purpose) = match &mut job.phase {
            Phase::Doubt(doubt) => {
                doubt.step = Step::Reading;
                let (first_ms, last_ms) = job.piece_window();
                let what = What::ReadBack {
                    target,
                    first_ms,
                    last_ms,
                };
                (what, Purpose::ReadBack(id))
            }
            _ if lane.stage != Stage::There => {
                lane.making = true;
                match lane.stage {
                    Stage::Group => (
                        What::CreateGroup(Arc::clone(&target)),
                        Purpose::Group(target),
                    ),
                    Stage::Retention => (
                        What::SetRetention(Arc::clone(&target)),
                        Purpose::Retention(target),
                    ),
                    Stage::Stream | Stage::There => (
                        What::CreateStream(Arc::clone(&target)),
                        Purpose::Stream(target),
                    ),
                }
            }
            _ => {
                let body = job.piece_body();
                job.phase = Phase::Sending;
                job.held = false;
                lane.sending += 1;
                self.counters.puts += 1;
                self.counters.put_bytes += body.len() as u64;
                let what = What::Put {
                    target,
                    batch: id,
                    body,
                    first: !std::mem::replace(&mut job.announced, true),
                };
                (what, Purpose::Put(id))
            }
        };
        self.counters.requests += 1;
        self.in_flight += 1;
        Some(self.under_way(what, purpose))
    }

    /// Asks the engine what it knows of this batch's window.
    fn ask(&mut self, id: BatchId) -> Option<Call> {
        let job = self.jobs.get_mut(&id)?;
        let (first_ms, last_ms) = job.piece_window();
        let target = Arc::clone(&job.batch.target);
        if let Phase::Doubt(doubt) = &mut job.phase
            && let Step::Ask(found) = &mut doubt.step
        {
            doubt.step = Step::Asked(std::mem::take(found));
        }
        let what = What::Recall {
            target,
            first_ms,
            last_ms,
        };
        Some(self.under_way(what, Purpose::Recall(id)))
    }

    fn under_way(&mut self, what: What, purpose: Purpose) -> Call {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let epoch = self.gate.epoch();
        self.calls.insert(
            id,
            UnderWay {
                epoch,
                left: self.asked,
                purpose,
            },
        );
        Call { id, what }
    }
}
