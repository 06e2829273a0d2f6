//! What each answer means for its batch, for its target, and for all.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Trouble;
use super::complaints::Subject;
use super::decide::{Action, Tried, decide};
use super::job::{Phase, Stage};
use super::{Answer, CallId, Purpose, Settled, Shipping, resolve};
use crate::account::{BatchId, Rejected};
use crate::aws::{Failure, FailureKind, RejectedInfo};
use crate::clock::Now;
use crate::target::Target;

/// What a person has to look at is tried again this often at first…
pub(super) const HOLD_MIN: Duration = Duration::from_secs(5);
/// … and about this often later: permissions that were granted take effect within a minute.
const HOLD_MAX: Duration = Duration::from_secs(15);
/// The longest wait before what passes by itself is tried again.
pub(super) const AGAIN_MAX: Duration = Duration::from_secs(5);
/// The service as a whole is complained about when it has failed this often in a row: one reset is none of people's business.
const COMPLAIN_AFTER: u32 = 3;
/// The longest piece of a line that is shown in a complaint, in characters.
const SHOWN_CHARS: usize = 100;

impl Shipping {
    /// Takes the answer to a call. What is settled now goes to the ledger; then [`Shipping::due`] may have more.
    pub fn answer(&mut self, id: CallId, answer: Answer, now: Now) -> Vec<Settled> {
        let Some(call) = self.calls.remove(&id) else {
            return Vec::new();
        };
        let now = now.monotonic;
        if !matches!(call.purpose, Purpose::Recall(_)) {
            self.in_flight -= 1;
            if let (Purpose::Put(_), Answer::Put(Ok(_))) = (&call.purpose, &answer) {
                self.depth.took(now.saturating_sub(call.left));
            }
            self.note(failure_of(&answer), call.epoch, now);
        }
        let settled = match (call.purpose, answer) {
            (Purpose::Put(id), Answer::Put(result)) => self.put_answered(id, result, now),
            (Purpose::Put(id), answer) => self.put_answered(id, Err(misfit(answer)), now),
            (Purpose::ReadBack(id), Answer::Events(result)) => self.read_back(id, result, now),
            (Purpose::ReadBack(id), answer) => self.read_back(id, Err(misfit(answer)), now),
            (Purpose::Recall(id), Answer::Events(result)) => self.recalled(id, result, now),
            (Purpose::Recall(id), answer) => self.recalled(id, Err(misfit(answer)), now),
            (Purpose::Group(target), answer) => self.made(&target, Tried::Group, answer, now),
            (Purpose::Retention(target), answer) => {
                self.made(&target, Tried::Retention, answer, now)
            }
            (Purpose::Stream(target), answer) => self.made(&target, Tried::Stream, answer, now),
        };
        settled.into_iter().collect()
    }

    /// What the answer tells of the service as a whole.
    fn note(&mut self, failure: Option<&Failure>, epoch: u64, now: Duration) {
        if let Some(failure) = failure {
            *self.counters.failures.entry(failure.kind).or_default() += 1;
        }
        if let Some(failure) = failure.filter(|failure| concerns_caller(failure)) {
            self.gate.answered();
            let what = "lines wait in their files; it is tried again every few seconds";
            self.complaints.raise(&Subject::Service, failure, what);
            return;
        }
        let trouble = failure
            .filter(|failure| !is_quota(failure))
            .and_then(|failure| {
                trouble(failure.kind).map(|(trouble, what)| (failure, trouble, what))
            });
        let Some((failure, trouble, what)) = trouble else {
            self.gate.answered();
            self.complaints.clear(&Subject::Service);
            return;
        };
        self.gate
            .trouble(trouble, epoch, failure.retry_after, now, &mut self.random);
        if self.gate.attempts() >= COMPLAIN_AFTER {
            self.complaints.raise(&Subject::Service, failure, what);
        }
    }

    fn put_answered(
        &mut self,
        id: BatchId,
        result: Result<RejectedInfo, Failure>,
        now: Duration,
    ) -> Option<Settled> {
        let job = self.jobs.get_mut(&id)?;
        let target = Arc::clone(&job.batch.target);
        let lane = self.lanes.get_mut(&target)?;
        lane.sending -= 1;
        job.phase = Phase::Ready;
        // What a doubtful batch is looked for must be visible then, and so must be what could be taken for it.
        let visible = now + self.limits.settle;
        let neighbours: Vec<BatchId> = job.neighbours.iter().copied().collect();
        let tried = Tried::Put {
            single: job.piece_len() == 1,
            proven: lane.proven,
        };
        match result {
            Ok(info) => {
                lane.proven = true;
                lane.misses = 0;
                job.landed(info);
                self.release(&target, id);
                self.tell_of_rejections(&target, info);
            }
            Err(failure) => match decide(tried, failure.kind) {
                Action::AgainWhenReachable | Action::AgainSlower => {}
                Action::Doubt => {
                    self.counters.doubts += 1;
                    self.doubt(id, now);
                }
                Action::MakeStream => {
                    if lane.stage == Stage::There {
                        lane.stage = Stage::Stream;
                        // Right after it was made it may not be visible yet.
                        let wait = if lane.misses == 0 {
                            Duration::ZERO
                        } else {
                            self.random.backoff(lane.misses, AGAIN_MAX)
                        };
                        lane.not_before = lane.not_before.max(now + wait);
                        lane.misses = lane.misses.saturating_add(1);
                    }
                }
                Action::Split => job.split(),
                Action::Reject => {
                    let line: String = resolve::event(&job.batch, job.piece()[0])
                        .1
                        .chars()
                        .take(SHOWN_CHARS)
                        .collect();
                    job.reject(Rejected::Invalid);
                    let message = format!(
                        "log stream {} of group {} does not take one line and takes others; it is counted as rejected ({}): {line:?}",
                        target.stream, target.group, failure.message
                    );
                    self.complaints
                        .tell(Subject::Events(Arc::clone(&target)), message);
                }
                Action::Done => job.landed(RejectedInfo::default()),
                // Others of this target may go well, and then it is this event.
                Action::Hold if failure.kind == FailureKind::Invalid && job.postpone() => {}
                Action::Hold if failure.kind == FailureKind::Invalid => {
                    job.held = true;
                    job.not_before = now + self.random.about(HOLD_MIN);
                    self.complaints.raise(
                        &Subject::Target(target.clone()),
                        &failure,
                        "its names or this line are not what the service takes; the line is kept and tried again",
                    );
                }
                Action::Hold => self.hold(&target, &failure, now),
                Action::Again | Action::MakeGroup | Action::GoOn => {
                    job.attempts = job.attempts.saturating_add(1);
                    job.not_before = now + self.random.backoff(job.attempts, AGAIN_MAX);
                }
            },
        }
        for neighbour in neighbours {
            if let Some(neighbour) = self
                .jobs
                .get_mut(&neighbour)
                .filter(|neighbour| neighbour.is_doubtful())
            {
                neighbour.not_before = neighbour.not_before.max(visible);
            }
        }
        self.settle(id)
    }

    fn made(
        &mut self,
        target: &Arc<Target>,
        tried: Tried,
        answer: Answer,
        now: Duration,
    ) -> Option<Settled> {
        let lane = self.lanes.get_mut(target)?;
        lane.making = false;
        let result = match answer {
            Answer::Made(result) => result,
            other => Err(misfit(other)),
        };
        let made_here = result.is_ok();
        let action = match &result {
            Ok(()) => Action::Done,
            Err(failure) if is_quota(failure) => Action::Hold,
            Err(failure) => decide(tried, failure.kind),
        };
        match (tried, action) {
            (Tried::Group, Action::Done) => {
                lane.stage = if made_here && target.retention_days.is_some() {
                    Stage::Retention
                } else {
                    Stage::Stream
                };
                // Who waited for the same group finds it made.
                for (_, lane) in self
                    .lanes
                    .iter_mut()
                    .filter(|(other, _)| other.group == target.group && *other != target)
                {
                    if lane.stage == Stage::Group {
                        lane.stage = Stage::Stream;
                    }
                }
            }
            (Tried::Stream, Action::MakeGroup) => lane.stage = Stage::Group,
            (Tried::Stream, Action::Done) => lane.stage = Stage::There,
            (Tried::Retention, Action::Done) => lane.stage = Stage::Stream,
            (Tried::Retention, Action::GoOn) => {
                lane.stage = Stage::Stream;
                if let Err(failure) = result {
                    let message = format!(
                        "log group {} was made, but its retention could not be set ({}): it keeps events for ever until you set it",
                        target.group, failure.message
                    );
                    self.complaints
                        .tell(Subject::Target(Arc::clone(target)), message);
                }
            }
            (_, Action::Again) => {
                lane.misses = lane.misses.saturating_add(1);
                lane.not_before = now + self.random.backoff(lane.misses, AGAIN_MAX);
            }
            (_, Action::Hold) => {
                if let Err(failure) = result {
                    self.hold(target, &failure, now);
                }
            }
            _ => {}
        }
        None
    }

    /// The batch leaves if nothing of it is left to do.
    pub(super) fn settle(&mut self, id: BatchId) -> Option<Settled> {
        if !self.jobs.get(&id)?.work.is_empty() {
            return None;
        }
        let job = self.jobs.remove(&id)?;
        for neighbour in &job.neighbours {
            if let Some(neighbour) = self.jobs.get_mut(neighbour) {
                neighbour.neighbours.remove(&id);
            }
        }
        let rejected = job.rejected_events();
        self.counters.rejected_events += rejected as u64;
        self.counters.shipped_events += (job.batch.events.len() - rejected) as u64;
        if let Some(lane) = self.lanes.get_mut(&job.batch.target) {
            lane.jobs.remove(&id);
            // A lane without batches has nothing to tell, and targets come and go with files.
            if lane.jobs.is_empty() {
                self.lanes.remove(&job.batch.target);
            }
        }
        let parts = job.settled_parts();
        Some(Settled {
            batch: job.batch,
            parts,
        })
    }

    /// Nothing goes to this target for a while but one try at a time.
    fn hold(&mut self, target: &Arc<Target>, failure: &Failure, now: Duration) {
        let Some(lane) = self.lanes.get_mut(target) else {
            return;
        };
        let wait = if lane.holds == 0 {
            HOLD_MIN
        } else {
            self.random.about(HOLD_MAX)
        };
        lane.holds = lane.holds.saturating_add(1);
        lane.not_before = now + wait.max(failure.retry_after.unwrap_or_default().min(HOLD_MAX));
        if !concerns_caller(failure) {
            let what = "its lines wait in their files, and it is tried again every half minute";
            self.complaints
                .raise(&Subject::Target(Arc::clone(target)), failure, what);
        }
    }

    /// The target has taken something.
    fn release(&mut self, target: &Arc<Target>, id: BatchId) {
        if let Some(lane) = self.lanes.get_mut(target) {
            lane.holds = 0;
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.attempts = 0;
            job.held = false;
        }
        self.complaints.clear(&Subject::Target(Arc::clone(target)));
    }

    /// The batcher sends nothing that is out of bounds by this host's clock.
    fn tell_of_rejections(&mut self, target: &Arc<Target>, info: RejectedInfo) {
        let what = match info {
            RejectedInfo {
                too_old_end: Some(_),
                ..
            }
            | RejectedInfo {
                too_new_start: Some(_),
                ..
            } => {
                "some lines as older than 14 days or more than two hours ahead, which by this host's clock they are not: \
                 compare the clock (timedatectl)"
            }
            RejectedInfo {
                expired_end: Some(_),
                ..
            } => {
                "some lines as older than the group's retention: set retention_days as the group has it"
            }
            _ => return,
        };
        let message = format!(
            "log stream {} of group {} refused {what}",
            target.stream, target.group
        );
        self.complaints
            .tell(Subject::Events(Arc::clone(target)), message);
    }
}

/// What a failure says of the service as a whole, if anything, and what it means for the lines.
fn trouble(kind: FailureKind) -> Option<(Trouble, &'static str)> {
    match kind {
        FailureKind::NotSent | FailureKind::Unknown => Some((
            Trouble::Unreachable,
            "lines wait in their files; it is tried again about every second",
        )),
        FailureKind::Service => Some((
            Trouble::Failing,
            "lines wait in their files; it is tried again every few seconds",
        )),
        FailureKind::Throttled => Some((
            Trouble::Throttled,
            "lines wait in their files; if it lasts, raise the account's quota for PutLogEvents",
        )),
        _ => None,
    }
}

/// Whether a refusal is about who asks (credentials, signature, clock), and so about every target alike.
fn concerns_caller(failure: &Failure) -> bool {
    const OF_ONE_RESOURCE: [&str; 4] = [
        "AccessDenied",
        "AccessDeniedException",
        "NotAuthorized",
        "UnauthorizedOperation",
    ];
    failure.kind == FailureKind::Denied
        && !failure
            .code
            .as_deref()
            .is_some_and(|code| OF_ONE_RESOURCE.contains(&code))
}

/// Whether the account has too many groups or streams: slower calls don't help, and others' lines can go on.
fn is_quota(failure: &Failure) -> bool {
    failure.code.as_deref() == Some("LimitExceededException")
}

fn failure_of(answer: &Answer) -> Option<&Failure> {
    match answer {
        Answer::Put(Err(failure)) | Answer::Made(Err(failure)) | Answer::Events(Err(failure)) => {
            Some(failure)
        }
        Answer::Put(Ok(_)) | Answer::Made(Ok(())) | Answer::Events(Ok(_)) => None,
    }
}

/// An answer to another question tells only that nothing is known.
fn misfit(answer: Answer) -> Failure {
    Failure {
        kind: FailureKind::Unknown,
        code: None,
        message: format!("an answer to another question: {answer:?}"),
        retry_after: None,
    }
}
