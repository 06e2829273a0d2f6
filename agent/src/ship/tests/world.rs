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
    /// It arrives, and nobody knows: half of that time later, when the agent has given up. What it put is visible this long after that.
    LostAfter {
        visible_ms: u64,
    },
    /// The same of every second event.
    Half {
        visible_ms: u64,
    },
    /// The same of the first so many events.
    Prefix {
        events: usize,
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
    /// By stream, in the order of arrival: when visible, and the event.
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

    /// The call is lost or refused on its way.
    pub(super) fn refuse(what: &What, failure: Failure) -> Answer {
        match what {
            What::Put { .. } => Answer::Put(Err(failure)),
            What::ReadBack { .. } | What::Recall { .. } => Answer::Events(Err(failure)),
            _ => Answer::Made(Err(failure)),
        }
    }

    pub(super) fn take(
        &mut self,
        what: &What,
        now_ms: u64,
        visible_ms: u64,
        takes: impl Fn(usize) -> bool,
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
                // Each event is visible at a moment of its own.
                let late = |at: usize| visible_ms.saturating_sub(at as u64 * 7).max(now_ms);
                stream.extend(
                    events
                        .into_iter()
                        .enumerate()
                        .filter(|(at, _)| takes(*at))
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

/// A call on its way to the service.
#[derive(Debug)]
pub(super) struct Travelling {
    what: What,
    fault: Fault,
    /// What it puts is visible then.
    visible_ms: u64,
    /// Whose answer is awaited, and when it comes.
    awaited: Option<(u64, CallId)>,
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
    /// Calls on their way: when they arrive, in which order they left.
    pub(super) travelling: BTreeMap<(u64, usize), Travelling>,
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
            travelling: BTreeMap::new(),
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
        let latest_ms = self.now_ms + SETTLE_MS - 1;
        for (visible, _) in self.service.streams.values_mut().flatten() {
            *visible = (*visible).min(latest_ms);
        }
        for ((at_ms, nth), mut call) in std::mem::take(&mut self.travelling) {
            call.awaited = None;
            call.visible_ms = call.visible_ms.min(latest_ms);
            self.travelling.insert((at_ms.min(latest_ms), nth), call);
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
        let arrival = self.travelling.first_key_value().map(|((at, _), _)| *at);
        let answer = self.answers.first_key_value().map(|((at, _), _)| *at);
        let due = self
            .shipping
            .next_due()
            .map(|due| due.as_nanos().div_ceil(1_000_000) as u64);
        let Some(next) = [offers, arrival, answer, due].into_iter().flatten().min() else {
            assert_eq!(
                self.shipping.outstanding(),
                0,
                "nothing to wait for, and not done"
            );
            return false;
        };
        self.now_ms = self.now_ms.max(next);
        while let Some(entry) = self.travelling.first_entry()
            && entry.key().0 <= self.now_ms
        {
            let call = entry.remove();
            self.arrive(call);
        }
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
        // Most of the time passes before it arrives: calls overtake each other.
        let arrives_ms = self.now_ms + took_ms / 8 * 7;
        let kind = match fault {
            Fault::None | Fault::Late { .. } => {
                let late_ms = match fault {
                    Fault::Late { visible_ms } => visible_ms,
                    _ => 0,
                };
                let awaited = Some((end_ms, call.id));
                self.travel(call.what, fault, arrives_ms, arrives_ms + late_ms, awaited);
                return;
            }
            Fault::LostAfter { visible_ms }
            | Fault::Half { visible_ms }
            | Fault::Prefix { visible_ms, .. } => {
                let (at_ms, visible_ms) = (end_ms + visible_ms / 2, end_ms + visible_ms);
                self.travel(call.what.clone(), fault, at_ms, visible_ms, None);
                FailureKind::Unknown
            }
            Fault::NotSent => FailureKind::NotSent,
            Fault::LostBefore => FailureKind::Unknown,
            Fault::Service => FailureKind::Service,
            Fault::Throttled { .. } => FailureKind::Throttled,
            Fault::Aborted => FailureKind::Aborted,
            Fault::Denied => FailureKind::Denied,
            Fault::Other => FailureKind::Other,
        };
        let mut failure = Service::failure(kind);
        if let Fault::Throttled { retry_after_ms } = fault {
            failure.retry_after = Some(Duration::from_millis(retry_after_ms));
        }
        let answer = Service::refuse(&call.what, failure);
        self.answers.insert((end_ms, call.id), answer);
    }

    fn travel(
        &mut self,
        what: What,
        fault: Fault,
        arrives_ms: u64,
        visible_ms: u64,
        awaited: Option<(u64, CallId)>,
    ) {
        let call = Travelling {
            what,
            fault,
            visible_ms,
            awaited,
        };
        self.travelling.insert((arrives_ms, self.requests), call);
    }

    fn arrive(&mut self, call: Travelling) {
        let takes = |at: usize| match call.fault {
            Fault::Half { .. } => at.is_multiple_of(2),
            Fault::Prefix { events, .. } => at < events,
            _ => true,
        };
        let visible_ms = call.visible_ms.max(self.now_ms);
        let done = self
            .service
            .take(&call.what, self.now_ms, visible_ms, takes);
        if let Some(key) = call.awaited {
            let refuse = |kind| Service::refuse(&call.what, Service::failure(kind));
            self.answers.insert(key, done.unwrap_or_else(refuse));
        }
    }

    /// The events of one time stand in each stream in the order in which they were offered.
    pub(super) fn assert_in_order(&self) {
        for (index, target) in self.targets.iter().enumerate() {
            let of_times = |events: &mut dyn Iterator<Item = &Event>| {
                let mut times: BTreeMap<i64, Vec<String>> = BTreeMap::new();
                for (unix_ms, message) in events.filter(|(_, message)| message != POISON) {
                    times.entry(*unix_ms).or_default().push(message.clone());
                }
                times
            };
            let plans = self.plans.iter().filter(|plan| plan.stream == index);
            let expected = of_times(&mut plans.flat_map(|plan| &plan.events));
            let stream = self.service.streams.get(&target.stream);
            let arrived = of_times(&mut stream.into_iter().flatten().map(|(_, event)| event));
            assert_eq!(arrived, expected, "stream {index}");
        }
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
