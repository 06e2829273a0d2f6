//! Batches to the service: what to send when, what each answer means, and what to do next. Pure: calls go out as values, answers come
//! in as values, and time is handed in.
//!
//! **Exactly once.** A put that fails in a way that leaves open whether it landed (time-out, reset, 5xx, crash) makes its batch
//! *doubtful*. A doubtful batch is never sent again before its stream was read back: after [`Limits::settle`], because
//! CloudWatch Logs shows events with a delay, over the batch's own window of time. What of it stands there, and is not known to be of other
//! batches, has landed; only what is missing is sent. Other batches go on meanwhile, except those of the same stream that share a time
//! with it: these wait, so that nothing moves while it is counted.
//!
//! **In order.** Of batches of one stream whose windows of time meet, the later one waits until the earlier one is settled (see `order`).
//!
//! **Nothing is given up** because of an outage, a missing permission or a wrong name: the batch waits, a [`Complaint`] says so, and the
//! file is the buffer. Only an event that is refused alone, by a target that takes others, is rejected.
//!
//! **Pressure.** All targets share one window of calls: it halves on throttles, and is one call, a probe, while nobody answers.

mod answers;
pub(crate) mod backoff;
mod calls;
mod complaints;
mod decide;
mod depth;
mod dispatch;
mod doubts;
mod job;
mod order;
mod resolve;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub use self::calls::{Answer, Call, CallId, Restored, Settled, What};
pub use self::complaints::{Complaint, Subject};
pub use self::resolve::Match;

use self::backoff::{Gate, Random};
use self::complaints::Complaints;
use self::depth::Depth;
use self::job::{Job, Lane, Phase};
use crate::account::{BatchId, Part};
use crate::aws::FailureKind;
use crate::batch::Batch;
use crate::clock::Now;
use crate::target::Target;

/// By default, calls under way at a time at most: with 50 ms a call, 200 full batches a second. Fast answers need fewer.
pub const IN_FLIGHT_DEFAULT: usize = 10;
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
    depth: Depth,
    /// When calls were last asked for (monotonic).
    asked: Duration,
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
    left: Duration,
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

impl Shipping {
    /// Nothing to ship yet. The seed spreads retries.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Shipping {
            limits,
            gate: Gate::new(limits.in_flight),
            depth: Depth::default(),
            asked: Duration::ZERO,
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

    /// Other limits from now on. What is under way is not touched.
    pub fn set_limits(&mut self, limits: Limits) {
        self.gate.set_max(limits.in_flight);
        self.limits = limits;
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

    /// Whether another batch could leave soon. If not, lines are better left in their files, or to gather in open batches.
    #[must_use]
    pub fn room(&self) -> bool {
        let waiting = self.jobs.iter().filter(|(id, job)| {
            matches!(job.phase, Phase::Ready)
                && !job.held
                && !self.is_held(&job.batch.target)
                && !self.waits(**id, job)
        });
        waiting.count() + self.in_flight <= self.window()
    }

    /// How many calls may be under way: as many as the service bears, and as are of use.
    fn window(&self) -> usize {
        self.gate.window().min(self.depth.calls())
    }

    /// Whether it makes sense to read on for this target. Not while it refuses what it has, can't be read back where it has to be, or has
    /// much that waits its turn: its lines would take memory from the others.
    #[must_use]
    pub fn takes(&self, target: &Target) -> bool {
        let fine = |lane: &Lane| lane.holds == 0 && !lane.blind;
        self.lanes.get(target).is_none_or(fine) && !self.is_stuffed(target)
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

    fn is_held(&self, target: &Target) -> bool {
        self.lanes.get(target).is_some_and(|lane| lane.holds > 0)
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests;
