//! Batches to the service: what to send when, what each answer means, and what to do next. Pure: calls go out as values, answers come
//! in as values, and time is handed in.
//!
//! **Exactly once.** A put that fails in a way that leaves open whether it landed (time-out, reset, 5xx, crash) makes its batch
//! *doubtful*. A doubtful batch is never sent again before its stream was read back: after [`Limits::settle`], because
//! CloudWatch Logs shows events with a delay, over the batch's own window of time. What of it stands there, and is not known to be of other
//! batches, has landed ([`resolve`]); only what is missing is sent. Other batches go on meanwhile, except those with an event
//! that could be taken for one of the doubtful batch (same time, same message): these wait, so that nothing moves
//! while it is counted.
//!
//! **Nothing is given up** because of an outage, a missing permission or a wrong name: the batch waits, a [`Complaint`] says so, and the
//! file is the buffer. Only an event that is refused alone, by a target that takes others, is rejected.
//!
//! **Pressure.** One [`backoff::Gate`] for all targets: halves on throttles, and probes with one call while nobody answers.

mod answers;
mod backoff;
mod complaints;
mod decide;
mod job;
mod resolve;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use self::complaints::{Complaint, Subject};
pub use self::resolve::Match;

use self::backoff::{Gate, Random};
use self::complaints::Complaints;
use self::job::{Job, Lane, Phase, Stage, Step};
use crate::account::{BatchId, Part};
use crate::aws::{Failure, FailureKind, RejectedInfo};
use crate::batch::Batch;
use crate::clock::Now;
use crate::target::Target;

/// By default, calls under way at a time: with 50 ms a call, 120 full batches a second.
pub const IN_FLIGHT_DEFAULT: usize = 6;
/// By default, how long what was taken needs to be visible. The service gives no bound ("eventually consistent"); seconds are usual.
pub const SETTLE_DEFAULT: Duration = Duration::from_secs(5);

/// What shipping may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls under way at a time, over all targets.
    pub in_flight: usize,
    /// How long after a doubtful request its stream is read back.
    pub settle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            in_flight: IN_FLIGHT_DEFAULT,
            settle: SETTLE_DEFAULT,
        }
    }
}

/// One call, for as long as the agent runs. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A call to be made. Each gets exactly one answer.
#[derive(Debug, Clone)]
pub struct Call {
    /// To be named with the answer.
    pub id: CallId,
    /// What to do.
    pub what: What,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum What {
    /// PutLogEvents; answered by [`Answer::Put`].
    Put {
        /// Where to.
        target: Arc<Target>,
        /// Whose events; several requests may be of one batch.
        batch: BatchId,
        /// The finished JSON.
        body: Bytes,
        /// The first try of the whole batch: its intent has to be durable before it leaves.
        first: bool,
    },
    /// Make the group; answered by [`Answer::Made`].
    CreateGroup(Arc<Target>),
    /// Set the retention of the group that was just made; answered by [`Answer::Made`].
    SetRetention(Arc<Target>),
    /// Make the stream; answered by [`Answer::Made`].
    CreateStream(Arc<Target>),
    /// All events of a window of time, both ends included, that stand in the stream; answered by [`Answer::Events`].
    ReadBack {
        /// Which stream.
        target: Arc<Target>,
        /// Milliseconds since 1970.
        first_ms: i64,
        /// Milliseconds since 1970.
        last_ms: i64,
    },
    /// No call to the service, but a question to the engine; answered by [`Answer::Events`]: which events in the window, both ends
    /// included, are known to have landed from batches that are settled.
    Recall {
        /// Which stream.
        target: Arc<Target>,
        /// Milliseconds since 1970.
        first_ms: i64,
        /// Milliseconds since 1970.
        last_ms: i64,
    },
}

/// What came of a call.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of [`What::Put`].
    Put(Result<RejectedInfo, Failure>),
    /// Of [`What::CreateGroup`], [`What::SetRetention`] and [`What::CreateStream`].
    Made(Result<(), Failure>),
    /// Of [`What::ReadBack`] and [`What::Recall`]: time in milliseconds since 1970, and message.
    Events(Result<Vec<(i64, String)>, Failure>),
}

/// A batch of which every event is at rest or rejected. Its memory goes back to the batcher.
#[derive(Debug)]
pub struct Settled {
    /// As it was offered.
    pub batch: Batch,
    /// The batch's parts, with what the service rejected.
    pub parts: Vec<Part>,
}

/// A batch of an earlier run whose intent is in the ledger and whose end is not.
#[derive(Debug)]
pub struct Restored {
    /// Written anew from the files.
    pub batch: Batch,
    /// The intent's first event, in milliseconds since 1970.
    pub first_ms: i64,
    /// The intent's last event, in milliseconds since 1970.
    pub last_ms: i64,
    /// [`Match::Exact`] if the body has the hash that the intent names; [`Match::Message`] if not, because some of its lines bear no time
    /// and were stamped with that of their reading.
    pub by: Match,
}

/// What has been done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls to the service, of every kind.
    pub requests: u64,
    /// PutLogEvents among them.
    pub puts: u64,
    /// Bytes of their bodies.
    pub put_bytes: u64,
    /// Calls that failed, by kind.
    pub failures: HashMap<FailureKind, u64>,
    /// Requests that were doubtful.
    pub doubts: u64,
    /// Events of doubtful requests that were found to be missing, and sent again.
    pub resent_events: u64,
    /// Events of doubtful requests that were found to have landed.
    pub found_events: u64,
    /// Events at rest.
    pub shipped_events: u64,
    /// Events that the service did not take.
    pub rejected_events: u64,
}

/// The state of all batches that are sealed and not settled.
#[derive(Debug)]
pub struct Shipping {
    limits: Limits,
    gate: Gate,
    random: Random,
    jobs: BTreeMap<BatchId, Job>,
    lanes: HashMap<Arc<Target>, Lane>,
    calls: HashMap<CallId, UnderWay>,
    /// Calls under way to the service.
    in_flight: usize,
    next_call: u64,
    complaints: Complaints,
    counters: Counters,
}

/// A call that has no answer yet.
#[derive(Debug)]
struct UnderWay {
    epoch: u64,
    purpose: Purpose,
}

#[derive(Debug)]
enum Purpose {
    Put(BatchId),
    Group(Arc<Target>),
    Retention(Arc<Target>),
    Stream(Arc<Target>),
    ReadBack(BatchId),
    Recall(BatchId),
}

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
    /// Nothing to ship yet. The seed spreads retries.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Shipping {
            limits,
            gate: Gate::new(limits.in_flight),
            random: Random::new(seed),
            jobs: BTreeMap::new(),
            lanes: HashMap::new(),
            calls: HashMap::new(),
            in_flight: 0,
            next_call: 0,
            complaints: Complaints::default(),
            counters: Counters::default(),
        }
    }

    /// Takes a batch to be shipped.
    pub fn offer(&mut self, batch: Batch) {
        self.insert(Job::new(batch));
    }

    /// Takes a batch of an earlier run. It is doubtful: its stream is read back before anything of it is sent.
    pub fn restore(&mut self, restored: Restored, now: Now) {
        let mut job = Job::new(restored.batch);
        (job.first_ms, job.last_ms, job.by) = (restored.first_ms, restored.last_ms, restored.by);
        job.announced = true;
        let id = job.batch.id;
        self.insert(job);
        self.doubt(id, now.monotonic);
    }

    /// Whether another batch could leave soon. If not, lines are better left to gather in open batches.
    #[must_use]
    pub fn room(&self) -> bool {
        let waiting = self.jobs.values().filter(|job| {
            matches!(job.phase, Phase::Ready) && !job.held && !self.is_held(&job.batch.target)
        });
        waiting.count() < self.limits.in_flight
    }

    /// Whether it makes sense to read on for this target. Not while it refuses what it has, or can't be read back where it has to be:
    /// its lines would take memory from the others.
    #[must_use]
    pub fn takes(&self, target: &Target) -> bool {
        self.lanes
            .get(target)
            .is_none_or(|lane| lane.holds == 0 && !lane.blind)
    }

    /// Batches that are not settled.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.jobs.len()
    }

    /// A batch that is not settled.
    #[must_use]
    pub fn batch(&self, id: BatchId) -> Option<&Batch> {
        self.jobs.get(&id).map(|job| &job.batch)
    }

    /// Calls to the service under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What is not settled: since when (monotonic), and whose bytes.
    pub fn held(&self) -> impl Iterator<Item = (Duration, &[Part])> {
        let batches = self.jobs.values().map(|job| &job.batch);
        batches.map(|batch| (batch.oldest, batch.parts.as_slice()))
    }

    /// What has been done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What people should know since this was last asked.
    pub fn complaints(&mut self) -> Vec<Complaint> {
        self.complaints.take()
    }

    /// What is wrong at this moment.
    pub fn troubles(&self) -> impl Iterator<Item = (&Subject, &str)> {
        self.complaints.standing()
    }

    /// The end is near: no wait for a better moment any more, except for what has to become visible first.
    pub fn drain(&mut self, now: Now) {
        self.gate.open();
        for lane in self.lanes.values_mut() {
            lane.not_before = lane.not_before.min(now.monotonic);
        }
        for job in self.jobs.values_mut().filter(|job| !job.is_doubtful()) {
            job.not_before = job.not_before.min(now.monotonic);
        }
    }

    /// The calls that can be made now. To be asked after each offer and answer, and at [`Shipping::next_due`].
    pub fn due(&mut self, now: Now) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut next = self.jobs.first_key_value().map(|(id, _)| *id);
        while let Some(id) = next {
            match self.next(id) {
                Next::Ask(at) if at <= now.monotonic => calls.extend(self.ask(id)),
                Next::Call(at)
                    if at.max(self.gate.opens()) <= now.monotonic
                        && self.in_flight < self.gate.window() =>
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
        let free = self.in_flight < self.gate.window();
        let times = self.jobs.keys().filter_map(|id| match self.next(*id) {
            Next::Ask(at) => Some(at),
            Next::Call(at) if free => Some(at.max(self.gate.opens())),
            Next::Call(_) | Next::Wait => None,
        });
        times.min()
    }

    fn insert(&mut self, job: Job) {
        let id = job.batch.id;
        self.lanes
            .entry(Arc::clone(&job.batch.target))
            .or_default()
            .jobs += 1;
        let target = Arc::clone(&job.batch.target);
        self.jobs.insert(id, job);
        let doubtful: Vec<BatchId> = self
            .jobs
            .iter()
            .filter(|(_, other)| other.is_doubtful() && other.batch.target == target)
            .map(|(id, _)| *id)
            .collect();
        for other in doubtful {
            self.find_rivalry(id, other);
        }
    }

    /// What was sent of this batch may have landed.
    fn doubt(&mut self, id: BatchId, now: Duration) {
        let not_before = now + self.limits.settle;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.enter_doubt(not_before);
        let target = Arc::clone(&job.batch.target);
        let others: Vec<BatchId> = self
            .jobs
            .iter()
            .filter(|(other, job)| **other != id && job.batch.target == target)
            .map(|(id, _)| *id)
            .collect();
        for other in others {
            self.find_rivalry(id, other);
        }
    }

    /// Notes it if the two have events that could be taken for each other.
    fn find_rivalry(&mut self, one: BatchId, other: BatchId) {
        let (Some(a), Some(b)) = (self.jobs.get(&one), self.jobs.get(&other)) else {
            return;
        };
        let apart = a.last_ms < b.first_ms || b.last_ms < a.first_ms;
        if one == other || a.rivals.contains(&other) || apart {
            return;
        }
        let by = if a.by == Match::Exact { b.by } else { a.by };
        if resolve::share_events(&a.batch, &b.batch, by) {
            self.jobs
                .entry(one)
                .and_modify(|job| _ = job.rivals.insert(other));
            self.jobs
                .entry(other)
                .and_modify(|job| _ = job.rivals.insert(one));
        }
    }

    fn is_held(&self, target: &Target) -> bool {
        self.lanes.get(target).is_some_and(|lane| lane.holds > 0)
    }

    /// What this batch can do next, and when.
    fn next(&self, id: BatchId) -> Next {
        let Some(job) = self.jobs.get(&id) else {
            return Next::Wait;
        };
        let Some(lane) = self.lanes.get(&job.batch.target) else {
            return Next::Wait;
        };
        let mut rivals = job
            .rivals
            .iter()
            .filter_map(|id| Some((*id, self.jobs.get(id)?)));
        match &job.phase {
            Phase::Sending => Next::Wait,
            Phase::Doubt(doubt) => match doubt.step {
                Step::Ask(_) => Next::Ask(job.not_before),
                Step::Reading | Step::Asked(_) => Next::Wait,
                // Nothing that could be taken for ours may move while it is counted; of two doubtful ones the older goes first.
                Step::Settle
                    if rivals.any(|(other, rival)| {
                        rival.is_sending() || (rival.is_doubtful() && other < id)
                    }) =>
                {
                    Next::Wait
                }
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
                if rivals.any(|(_, rival)| rival.is_doubtful())
                    || (lane.holds > 0 && lane.sending > 0)
                {
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
        self.calls.insert(id, UnderWay { epoch, purpose });
        Call { id, what }
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests;
