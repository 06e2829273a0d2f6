//! Which batches of a stream may be under way side by side.
//!
//! The service shows events by time, and those of one time in the order of their arrival. So two batches whose windows of time meet are
//! never under way together: the later one waits until the earlier one is settled, with all its pieces, and however long that is in doubt.
//! Then every event of a time arrives after all earlier events of that time, and whatever else is under way has other times.
//!
//! The same keeps what is doubtful from being taken for something else: what could be mistaken for it has its time, so it waits as well.
//!
//! Nobody waits in a circle. What is ready waits for what is older, or doubtful; what is doubtful waits only for calls under way, and for what
//! is older and doubtful.

use super::Shipping;
use super::job::{Job, Phase};
use crate::account::BatchId;
use crate::batch::BODY_BYTES_MAX;
use crate::target::Target;

/// So much of a stream may wait its turn, and then no more is read for it: it would only take memory from the others. One full batch that takes
/// its turn at once, and another one behind it.
const WAITING_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;

impl Shipping {
    /// Whether a batch with this window of time could leave, as far as others of its stream are concerned.
    #[must_use]
    pub fn is_free(&self, target: &Target, first_ms: i64, last_ms: i64) -> bool {
        self.lanes.get(target).is_none_or(|lane| {
            let mut jobs = lane.jobs.iter().filter_map(|id| self.jobs.get(id));
            !jobs.any(|job| holds_back(job) && job.meets(first_ms, last_ms))
        })
    }

    /// Takes a batch in, and notes whom it meets.
    pub(super) fn insert(&mut self, mut job: Job) {
        let id = job.batch.id;
        let lane = self.lanes.entry(job.batch.target.clone()).or_default();
        for other in &lane.jobs {
            if let Some(neighbour) = self.jobs.get_mut(other)
                && neighbour.meets(job.first_ms, job.last_ms)
            {
                neighbour.neighbours.insert(id);
                job.neighbours.insert(*other);
            }
        }
        lane.jobs.insert(id);
        self.jobs.insert(id, job);
    }

    /// Whether a batch that is ready has to wait for another one of its stream.
    pub(super) fn waits(&self, id: BatchId, job: &Job) -> bool {
        let mut neighbours = job
            .neighbours
            .iter()
            .filter_map(|other| Some((*other, self.jobs.get(other)?)));
        neighbours.any(|(other, neighbour)| {
            neighbour.is_doubtful() || (other < id && holds_back(neighbour))
        })
    }

    /// Whether the doubt about a batch can't be looked into yet: nothing that could be taken for it may move while it is counted. Of two
    /// doubtful ones the older goes first.
    pub(super) fn is_stirred(&self, id: BatchId, job: &Job) -> bool {
        let mut neighbours = job
            .neighbours
            .iter()
            .filter_map(|other| Some((*other, self.jobs.get(other)?)));
        neighbours.any(|(other, neighbour)| {
            neighbour.is_sending() || (neighbour.is_doubtful() && other < id)
        })
    }

    /// Whether so much of this stream waits for others of it that more had better stay in its files.
    pub(super) fn is_stuffed(&self, target: &Target) -> bool {
        let Some(lane) = self.lanes.get(target) else {
            return false;
        };
        let waiting = lane
            .jobs
            .iter()
            .filter_map(|id| Some((*id, self.jobs.get(id)?)))
            .filter(|(id, job)| matches!(job.phase, Phase::Ready) && self.waits(*id, job));
        let bytes: usize = waiting.map(|(_, job)| job.batch.memory_bytes).sum();
        bytes >= WAITING_BYTES_MAX
    }
}

/// Whether others have to wait for it. Not for one that waits for a person, because the service refused a line of it and nobody knows yet whether
/// it refuses others, too: they have to show it.
fn holds_back(job: &Job) -> bool {
    !job.held
}
