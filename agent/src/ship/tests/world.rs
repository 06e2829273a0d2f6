//! A service in the way of CloudWatch Logs with all its faults, and an agent that crashes.

use std::collections::BTreeMap;

use crate::account::{Fate, Rejected};
use crate::aws::{Failure, RejectedInfo};
use crate::ship::testing::{batch_for, events, target};
use crate::ship::*;

pub(super) const SETTLE_MS: u64 = 5000;
/// The service takes no request with this line.
pub(super) const POISON: &str = "poison";
/// Steps after which a run counts as endless.
pub(super) const STEPS_MAX: usize = 100_000;

pub(super) type Event = (i64, String);

/// What happens to one call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    None,
    /// It goes well, but what it put is visible only this long after.
    Late {
        visible_ms: u64,
    },
    NotSent,
    /// It has not arrived, and nobody knows.
    LostBefore,
    /// It has arrived, and nobody knows. What it put is visible this long after.
    LostAfter {
        visible_ms: u64,
    },
    /// The service has taken every second event, and fails.
    Half {
        visible_ms: u64,
    },
    Service,
    Throttled {
        retry_after_ms: u64,
    },
    Aborted,
    Denied,
    Other,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) group: bool,
    pub(super) retention: bool,
    /// By stream: when visible, and the event.
    pub(super) streams: HashMap<String, Vec<(u64, Event)>>,
}

impl Service {
    pub(super) fn failure(kind: FailureKind) -> Failure {
        Failure {
            kind,
            code: None,
            message: "made up".into(),
            retry_after: None,
        }
    }

    pub(super) fn perform(
        &mut self,
        what: &What,
        fault: Fault,
        start_ms: u64,
        end_ms: u64,
    ) -> Answer {
        let fail = |failure| match what {
            What::Put { .. } => Answer::Put(Err(failure)),
            What::ReadBack { .. } | What::Recall { .. } => Answer::Events(Err(failure)),
            _ => Answer::Made(Err(failure)),
        };
        let (kind, then) = match fault {
            Fault::None => (None, Some(0)),
            Fault::Late { visible_ms } => (None, Some(visible_ms)),
            Fault::NotSent => (Some(FailureKind::NotSent), None),
            Fault::LostBefore => (Some(FailureKind::Unknown), None),
            Fault::LostAfter { visible_ms } | Fault::Half { visible_ms } => {
                (Some(FailureKind::Unknown), Some(visible_ms))
            }
            Fault::Service => (Some(FailureKind::Service), None),
            Fault::Throttled { retry_after_ms } => {
                let mut failure = Self::failure(FailureKind::Throttled);
                failure.retry_after = Some(Duration::from_millis(retry_after_ms));
                return fail(failure);
            }
            Fault::Aborted => (Some(FailureKind::Aborted), None),
            Fault::Denied => (Some(FailureKind::Denied), None),
            Fault::Other => (Some(FailureKind::Other), None),
        };
        // What goes well is done at once, however long the answer takes.
        let now_ms = if matches!(fault, Fault::None) {
            start_ms
        } else {
            end_ms
        };
        let half = matches!(fault, Fault::Half { .. });
        let done = then.map(|visible_ms| self.take(what, now_ms, now_ms + visible_ms, half));
        match (kind, done) {
            (Some(kind), _) => fail(Self::failure(kind)),
            (None, Some(Ok(answer))) => answer,
            (None, Some(Err(kind))) => fail(Self::failure(kind)),
            (None, None) => unreachable!("no fault, no loss"),
        }
    }

    pub(super) fn take(
        &mut self,
        what: &What,
        now_ms: u64,
        visible_ms: u64,
        half: bool,
    ) -> Result<Answer, FailureKind> {
        match what {
            What::Put { target, body, .. } => {
                let stream = self
                    .streams
                    .get_mut(&target.stream)
                    .ok_or(FailureKind::NotFound)?;
                let events = events(body);
                assert!(events.is_sorted_by_key(|(unix_ms, _)| *unix_ms));
                if events.iter().any(|(_, message)| message == POISON) {
                    return Err(FailureKind::Invalid);
                }
                let every = if half { 2 } else { 1 };
                // Each event is visible at a moment of its own.
                let late = |at: usize| visible_ms.saturating_sub(at as u64 * 7).max(now_ms);
                stream.extend(
                    events
                        .into_iter()
                        .enumerate()
                        .filter(|(at, _)| at % every == 0)
                        .map(|(at, event)| (late(at), event)),
                );
                Ok(Answer::Put(Ok(RejectedInfo::default())))
            }
            What::CreateGroup(_) if self.group => Err(FailureKind::AlreadyExists),
            What::CreateGroup(_) => {
                self.group = true;
                Ok(Answer::Made(Ok(())))
            }
            What::SetRetention(_) => {
                self.retention = true;
                Ok(Answer::Made(Ok(())))
            }
            What::CreateStream(_) if !self.group => Err(FailureKind::NotFound),
            What::CreateStream(target) if self.streams.contains_key(&target.stream) => {
                Err(FailureKind::AlreadyExists)
            }
            What::CreateStream(target) => {
                self.streams.insert(target.stream.clone(), Vec::new());
                Ok(Answer::Made(Ok(())))
            }
            What::ReadBack {
                target,
                first_ms,
                last_ms,
            } => {
                let stream = self
                    .streams
                    .get(&target.stream)
                    .ok_or(FailureKind::NotFound)?;
                let shown = stream.iter().filter(|(visible, (unix_ms, _))| {
                    *visible <= now_ms && (*first_ms..=*last_ms).contains(unix_ms)
                });
                Ok(Answer::Events(Ok(shown
                    .map(|(_, event)| event.clone())
                    .collect())))
            }
            What::Recall { .. } => unreachable!("the engine answers that"),
        }
    }
}

/// A batch that is to be shipped: stream, when it is offered, events.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) stream: usize,
    pub(super) offered_ms: u64,
    pub(super) events: Vec<Event>,
}

pub(super) struct World {
    pub(super) shipping: Shipping,
    pub(super) service: Service,
    pub(super) targets: Vec<Arc<Target>>,
    pub(super) plans: Vec<Plan>,
    /// Batches whose intent is durable.
    pub(super) announced: Vec<bool>,
    pub(super) settled: Vec<Option<Vec<Part>>>,
    pub(super) offered: Vec<bool>,
    /// Answers on their way: when, to which call.
    pub(super) answers: BTreeMap<(u64, CallId), Answer>,
    pub(super) now_ms: u64,
    pub(super) requests: usize,
}

impl World {
    pub(super) fn new(plans: Vec<Plan>) -> Self {
        World {
            shipping: Shipping::new(Limits::default(), 1),
            service: Service {
                group: false,
                retention: false,
                streams: HashMap::new(),
            },
            targets: (0..3).map(|n| target(&n.to_string())).collect(),
            announced: vec![false; plans.len()],
            settled: plans.iter().map(|_| None).collect(),
            offered: vec![false; plans.len()],
            plans,
            answers: BTreeMap::new(),
            now_ms: 0,
            requests: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_millis(self.now_ms),
            unix_ms: 0,
        }
    }

    pub(super) fn batch(&self, index: usize) -> Batch {
        let plan = &self.plans[index];
        let events: Vec<(i64, &str)> = plan
            .events
            .iter()
            .map(|(unix_ms, message)| (*unix_ms, &**message))
            .collect();
        batch_for(&self.targets[plan.stream], index as u64, &events)
    }

    /// All that is known is what is durable; what is under way may still land, and nobody hears of it.
    pub(super) fn crash(&mut self) {
        self.answers.clear();
        for (visible, _) in self.service.streams.values_mut().flatten() {
            *visible = (*visible).min(self.now_ms + SETTLE_MS - 1);
        }
        self.shipping = Shipping::new(Limits::default(), 1);
        for index in 0..self.plans.len() {
            if self.settled[index].is_some() || !self.offered[index] {
                continue;
            }
            let batch = self.batch(index);
            if self.announced[index] {
                let (first_ms, last_ms) = (batch.first_ms, batch.last_ms);
                let by = Match::Exact;
                self.shipping.restore(
                    Restored {
                        batch,
                        first_ms,
                        last_ms,
                        by,
                    },
                    self.now(),
                );
            } else {
                self.shipping.offer(batch);
            }
        }
    }

    /// What the ledger knows to have landed.
    pub(super) fn recall(&self, stream: &Target, first_ms: i64, last_ms: i64) -> Vec<Event> {
        let settled = self
            .plans
            .iter()
            .zip(&self.settled)
            .filter(|(plan, settled)| settled.is_some() && *self.targets[plan.stream] == *stream);
        let events = settled.flat_map(|(plan, _)| plan.events.iter().cloned());
        events
            .filter(|(unix_ms, message)| {
                (first_ms..=last_ms).contains(unix_ms) && message != POISON
            })
            .collect()
    }

    /// Runs to the end. Each call meets the next fault; when there are no more, all goes well.
    pub(super) fn run(&mut self, faults: Vec<(Fault, u64)>, crashes: &[usize]) {
        let mut faults = faults.into_iter();
        for _ in 0..STEPS_MAX {
            if !self.turn(&mut faults, crashes) {
                return;
            }
        }
        panic!("no end in sight at {} ms: {:?}", self.now_ms, self.shipping);
    }

    /// Makes the calls that are due, goes on to the next moment at which something happens, and takes the answers of that moment.
    /// False if nothing is left to happen.
    pub(super) fn turn(
        &mut self,
        faults: &mut impl Iterator<Item = (Fault, u64)>,
        crashes: &[usize],
    ) -> bool {
        for index in 0..self.plans.len() {
            if !self.offered[index] && self.plans[index].offered_ms <= self.now_ms {
                self.offered[index] = true;
                self.shipping.offer(self.batch(index));
            }
        }
        let wanted = self.shipping.next_due();
        let calls = self.shipping.due(self.now());
        assert_eq!(
            wanted.is_some_and(|due| due <= self.now().monotonic),
            !calls.is_empty(),
            "it says when it has something to do"
        );
        for call in calls {
            self.perform(call, faults);
            if crashes.contains(&self.requests) {
                self.requests += 1;
                self.crash();
                break;
            }
        }
        let asked = self
            .answers
            .values()
            .filter(|answer| matches!(answer, Answer::Events(_)))
            .count();
        assert!(self.answers.len() - asked <= IN_FLIGHT_DEFAULT);
        let offers = self
            .plans
            .iter()
            .zip(&self.offered)
            .filter(|(_, offered)| !**offered)
            .map(|(plan, _)| plan.offered_ms)
            .min();
        let answer = self.answers.first_key_value().map(|((at, _), _)| *at);
        let due = self
            .shipping
            .next_due()
            .map(|due| due.as_nanos().div_ceil(1_000_000) as u64);
        let Some(next) = [offers, answer, due].into_iter().flatten().min() else {
            assert_eq!(
                self.shipping.outstanding(),
                0,
                "nothing to wait for, and not done"
            );
            return false;
        };
        self.now_ms = self.now_ms.max(next);
        while let Some(entry) = self.answers.first_entry()
            && entry.key().0 <= self.now_ms
        {
            let ((_, id), answer) = entry.remove_entry();
            for settled in self.shipping.answer(id, answer, self.now()) {
                let index = settled.batch.id.0 as usize;
                assert!(
                    self.settled[index].replace(settled.parts).is_none(),
                    "settled twice"
                );
            }
        }
        true
    }

    pub(super) fn perform(&mut self, call: Call, faults: &mut impl Iterator<Item = (Fault, u64)>) {
        if let What::Recall {
            target,
            first_ms,
            last_ms,
        } = &call.what
        {
            let known = self.recall(target, *first_ms, *last_ms);
            self.answers
                .insert((self.now_ms, call.id), Answer::Events(Ok(known)));
            return;
        }
        self.requests += 1;
        if let What::Put { batch, first, .. } = &call.what {
            let announced = &mut self.announced[batch.0 as usize];
            assert_eq!(*first, !*announced, "announced once, before it leaves");
            *announced = true;
        }
        let (fault, took_ms) = faults.next().unwrap_or((Fault::None, 10));
        let end_ms = self.now_ms + took_ms;
        let answer = self.service.perform(&call.what, fault, self.now_ms, end_ms);
        self.answers.insert((end_ms, call.id), answer);
    }

    pub(super) fn assert_all_at_rest_once(&self) {
        for (index, target) in self.targets.iter().enumerate() {
            let mut expected: Vec<&Event> = self
                .plans
                .iter()
                .filter(|plan| plan.stream == index)
                .flat_map(|plan| &plan.events)
                .collect();
            expected.retain(|(_, message)| message != POISON);
            expected.sort();
            let mut arrived: Vec<&Event> = self
                .service
                .streams
                .get(&target.stream)
                .into_iter()
                .flatten()
                .map(|(_, event)| event)
                .collect();
            arrived.sort();
            assert_eq!(arrived, expected, "stream {index}");
        }
        for (plan, parts) in self.plans.iter().zip(&self.settled) {
            let not_shipped: Vec<_> = parts
                .as_ref()
                .unwrap()
                .iter()
                .flat_map(|part| part.not_shipped.clone())
                .collect();
            let poisoned = plan
                .events
                .iter()
                .filter(|(_, message)| message == POISON)
                .count() as u64;
            let expected = if poisoned > 0 {
                vec![(
                    Fate::Rejected(Rejected::Invalid),
                    poisoned * (POISON.len() as u64 + 1),
                )]
            } else {
                vec![]
            };
            assert_eq!(not_shipped, expected);
        }
    }
}
