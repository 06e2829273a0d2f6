//! Against a service that takes, loses, throttles, refuses, shows late and forgets to answer, and an agent that crashes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::testing::{batch_for, events, target};
use super::*;
use crate::account::{Fate, Rejected};

const SETTLE_MS: u64 = 5000;
/// The service takes no request with this line.
const POISON: &str = "poison";
/// Steps after which a run counts as endless.
const STEPS_MAX: usize = 100_000;

type Event = (i64, String);

/// What happens to one call.
#[derive(Debug, Clone, Copy)]
enum Fault {
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
struct Service {
    group: bool,
    retention: bool,
    /// By stream: when visible, and the event.
    streams: HashMap<String, Vec<(u64, Event)>>,
}

impl Service {
    fn failure(kind: FailureKind) -> Failure {
        Failure {
            kind,
            code: None,
            message: "made up".into(),
            retry_after: None,
        }
    }

    fn perform(&mut self, what: &What, fault: Fault, start_ms: u64, end_ms: u64) -> Answer {
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

    fn take(
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
struct Plan {
    stream: usize,
    offered_ms: u64,
    events: Vec<Event>,
}

struct World {
    shipping: Shipping,
    service: Service,
    targets: Vec<Arc<Target>>,
    plans: Vec<Plan>,
    /// Batches whose intent is durable.
    announced: Vec<bool>,
    settled: Vec<Option<Vec<Part>>>,
    offered: Vec<bool>,
    /// Answers on their way: when, to which call.
    answers: BTreeMap<(u64, CallId), Answer>,
    now_ms: u64,
    requests: usize,
}

impl World {
    fn new(plans: Vec<Plan>) -> Self {
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

    fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_millis(self.now_ms),
            unix_ms: 0,
        }
    }

    fn batch(&self, index: usize) -> Batch {
        let plan = &self.plans[index];
        let events: Vec<(i64, &str)> = plan
            .events
            .iter()
            .map(|(unix_ms, message)| (*unix_ms, &**message))
            .collect();
        batch_for(&self.targets[plan.stream], index as u64, &events)
    }

    /// All that is known is what is durable; what is under way may still land, and nobody hears of it.
    fn crash(&mut self) {
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
    fn recall(&self, stream: &Target, first_ms: i64, last_ms: i64) -> Vec<Event> {
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
    fn run(&mut self, faults: Vec<(Fault, u64)>, crashes: &[usize]) {
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
    fn turn(&mut self, faults: &mut impl Iterator<Item = (Fault, u64)>, crashes: &[usize]) -> bool {
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

    fn perform(&mut self, call: Call, faults: &mut impl Iterator<Item = (Fault, u64)>) {
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

    fn assert_all_at_rest_once(&self) {
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

fn plan(stream: usize, offered_ms: u64, events: &[(i64, &str)]) -> Plan {
    Plan {
        stream,
        offered_ms,
        events: events
            .iter()
            .map(|(unix_ms, message)| (*unix_ms, (*message).to_owned()))
            .collect(),
    }
}

fn run(plans: Vec<Plan>, faults: Vec<(Fault, u64)>) -> World {
    let mut world = World::new(plans);
    world.run(faults, &[]);
    world.assert_all_at_rest_once();
    world
}

/// The stream is there already: one successful batch, with which the tests that follow begin.
fn settled_in() -> (Plan, Vec<(Fault, u64)>) {
    (plan(0, 0, &[(0, "hello")]), vec![(Fault::None, 10); 6])
}

#[test]
fn group_retention_and_stream_are_made_on_first_need_and_once() {
    let plans = (0..3)
        .flat_map(|stream| [plan(stream, 0, &[(1, "a")]), plan(stream, 0, &[(2, "b")])])
        .collect();
    let world = run(plans, Vec::new());
    assert!(world.service.group && world.service.retention);
    // A put for each batch that found nothing, three streams that lacked the group, group, retention, three streams, six puts.
    assert!(world.requests <= 6 + 3 + 2 + 3 + 6, "{}", world.requests);
}

#[test]
fn what_landed_without_an_answer_is_not_sent_again() {
    let (first, mut faults) = settled_in();
    faults.push((
        Fault::LostAfter {
            visible_ms: SETTLE_MS - 1,
        },
        10,
    ));
    let world = run(
        vec![first, plan(0, 1000, &[(5, "a"), (5, "a"), (6, "b")])],
        faults,
    );
    assert_eq!(world.shipping.counters().found_events, 3);
    assert_eq!(world.shipping.counters().resent_events, 0);
}

#[test]
fn an_equal_line_of_an_earlier_batch_is_not_taken_for_this_one() {
    let (first, mut faults) = settled_in();
    faults.extend([(Fault::None, 10), (Fault::LostBefore, 10)]);
    let world = run(
        vec![
            first,
            plan(0, 1000, &[(5, "a")]),
            plan(0, 2000, &[(5, "a"), (6, "b")]),
        ],
        faults,
    );
    assert_eq!(world.shipping.counters().resent_events, 2);
}

#[test]
fn an_equal_line_that_is_under_way_is_awaited_before_anything_is_counted() {
    for lost in [Fault::LostBefore, Fault::LostAfter { visible_ms: 4000 }] {
        for other in [
            Fault::None,
            Fault::LostBefore,
            Fault::LostAfter { visible_ms: 4999 },
        ] {
            let (first, mut faults) = settled_in();
            // The third one goes well and shows that the service is there: the stream could be read.
            faults.extend([(lost, 10), (other, 7000), (Fault::None, 20)]);
            let plans = ["a", "a", "b"].map(|line| plan(0, 1000, &[(5, line)]));
            run(std::iter::once(first).chain(plans).collect(), faults);
        }
    }
}

#[test]
fn what_becomes_visible_piece_by_piece_is_awaited() {
    let (first, mut faults) = settled_in();
    // The second of the lines is visible just before the stream is read back, the first just after.
    faults.push((
        Fault::LostAfter {
            visible_ms: SETTLE_MS + 3,
        },
        10,
    ));
    let world = run(vec![first, plan(0, 1000, &[(5, "a"), (6, "b")])], faults);
    assert_eq!(world.shipping.counters().found_events, 2);
}

#[test]
fn other_batches_of_the_stream_go_on_while_one_is_doubtful() {
    let (first, mut faults) = settled_in();
    faults.push((Fault::LostBefore, 10));
    let mut world = World::new(vec![
        first,
        plan(0, 1000, &[(5, "a")]),
        plan(0, 1500, &[(5, "b")]),
    ]);
    let mut faults = faults.into_iter();
    while world.settled[2].is_none() {
        world.turn(&mut faults, &[]);
    }
    assert!(
        world.now_ms < 1000 + SETTLE_MS && world.settled[1].is_none(),
        "{}",
        world.now_ms
    );
}

#[test]
fn one_bad_line_is_found_and_the_others_are_sent() {
    let lines: Vec<(i64, String)> = (0..1000)
        .map(|at| {
            (
                at,
                if at == 777 {
                    POISON.to_owned()
                } else {
                    at.to_string()
                },
            )
        })
        .collect();
    let refs: Vec<(i64, &str)> = lines
        .iter()
        .map(|(unix_ms, line)| (*unix_ms, &**line))
        .collect();
    let (first, faults) = settled_in();
    let mut world = run(vec![first, plan(0, 1000, &refs)], faults);
    assert!(world.requests < 5 + 2 * 11 + 1, "{}", world.requests);
    assert!(
        world
            .shipping
            .complaints()
            .iter()
            .any(|complaint| complaint.message.contains(POISON))
    );
}

#[test]
fn a_first_line_that_is_refused_is_kept_until_another_one_proves_that_it_is_the_line() {
    let world = run(
        vec![plan(0, 0, &[(1, POISON)]), plan(0, 600_000, &[(2, "good")])],
        Vec::new(),
    );
    assert!(world.now_ms >= 600_000);
}

#[test]
fn after_an_outage_catching_up_begins_within_two_seconds() {
    let (first, mut faults) = settled_in();
    let outage = vec![(Fault::NotSent, 1); 60];
    faults.extend(outage);
    let plans: Vec<Plan> = std::iter::once(first)
        .chain((0..20).map(|n| plan(0, 1000, &[(n, "x")])))
        .collect();
    let mut world = World::new(plans);
    let mut faults = faults.into_iter();
    let mut last_ms = 0;
    while world.settled.iter().any(Option::is_none) {
        let before = world.requests;
        world.turn(&mut faults, &[]);
        if world.requests > before {
            assert!(
                last_ms == 0 || world.now_ms - last_ms <= 1010,
                "a probe at least each second"
            );
            last_ms = world.now_ms;
        }
    }
    world.assert_all_at_rest_once();
    let complaints = world.shipping.complaints();
    assert_eq!(
        complaints
            .iter()
            .map(|complaint| complaint.cleared)
            .collect::<Vec<_>>(),
        [false, true],
        "{complaints:?}"
    );
}

#[test]
fn a_target_that_refuses_is_tried_rarely_and_complained_about_once() {
    let (first, mut faults) = settled_in();
    faults.extend(vec![(Fault::Denied, 10); 20]);
    let plans = std::iter::once(first)
        .chain((0..5).map(|n| plan(0, 1000, &[(n, "x")])))
        .collect();
    let mut world = World::new(plans);
    let mut faults = faults.into_iter();
    while world.now_ms < 100_000 {
        assert!(world.settled[1].is_none());
        world.turn(&mut faults, &[]);
        if world.shipping.outstanding() == 5 && world.now_ms > 2000 {
            assert!(
                !world.shipping.takes(&world.targets[0])
                    && world.shipping.takes(&world.targets[1])
                    && world.shipping.room()
            );
        }
    }
    assert_eq!(world.shipping.complaints().len(), 1);
    assert!(world.requests < 25, "{}", world.requests);
    while world.turn(&mut faults, &[]) {}
    world.assert_all_at_rest_once();
    assert!(world.shipping.takes(&world.targets[0]));
}

#[test]
fn credentials_that_are_refused_are_one_complaint_however_many_targets_there_are() {
    let (mut shipping, targets): (_, Vec<_>) = (
        Shipping::new(Limits::default(), 1),
        (0..5).map(|n| target(&n.to_string())).collect(),
    );
    for (id, target) in targets.iter().enumerate() {
        shipping.offer(batch_for(target, id as u64, &[(1, "a")]));
    }
    let now = |ms| Now {
        monotonic: Duration::from_millis(ms),
        unix_ms: 0,
    };
    let refuse = |shipping: &mut Shipping, code: &str, at| {
        let calls = shipping.due(now(at));
        assert_eq!(calls.len(), targets.len());
        for call in calls {
            let failure = Failure {
                code: Some(code.into()),
                ..Service::failure(FailureKind::Denied)
            };
            shipping.answer(call.id, Answer::Put(Err(failure)), now(at));
        }
        shipping.complaints()
    };
    let complaints = refuse(&mut shipping, "ExpiredTokenException", 0);
    assert_eq!(complaints.len(), 1);
    assert_eq!(complaints[0].about, Subject::Service);
    let complaints = refuse(&mut shipping, "AccessDeniedException", 60_000);
    let of_service = complaints
        .iter()
        .filter(|complaint| complaint.about == Subject::Service);
    assert!(of_service.map(|complaint| complaint.cleared).eq([true]));
    assert_eq!(
        complaints.len(),
        1 + targets.len(),
        "now it is each target's own matter"
    );
}

#[test]
fn a_stream_that_can_not_be_read_back_is_not_read_on_for_and_the_others_are() {
    let (first, mut faults) = settled_in();
    faults.push((Fault::LostAfter { visible_ms: 0 }, 10));
    faults.extend(vec![(Fault::Denied, 10); 3]);
    let mut world = World::new(vec![first, plan(0, 1000, &[(5, "a")])]);
    let mut faults = faults.into_iter();
    let mut refused = 0;
    while world.turn(&mut faults, &[]) {
        if !world.shipping.takes(&world.targets[0]) {
            refused += 1;
            assert!(world.shipping.takes(&world.targets[1]));
        }
    }
    assert!(refused > 0 && world.shipping.takes(&world.targets[0]));
    world.assert_all_at_rest_once();
}

#[test]
fn an_account_with_too_many_streams_holds_only_what_needs_a_new_one() {
    let mut shipping = Shipping::new(Limits::default(), 1);
    let now = Now {
        monotonic: Duration::ZERO,
        unix_ms: 0,
    };
    let targets = [target("new"), target("there")];
    shipping.offer(batch_for(&targets[0], 0, &[(1, "a")]));
    let call = shipping.due(now).remove(0);
    shipping.answer(
        call.id,
        Answer::Put(Err(Service::failure(FailureKind::NotFound))),
        now,
    );
    let call = shipping.due(now).remove(0);
    assert!(matches!(call.what, What::CreateStream(_)));
    let failure = Failure {
        code: Some("LimitExceededException".into()),
        ..Service::failure(FailureKind::Throttled)
    };
    shipping.answer(call.id, Answer::Made(Err(failure)), now);
    assert!(!shipping.takes(&targets[0]));
    shipping.offer(batch_for(&targets[1], 1, &[(1, "a")]));
    assert_eq!(shipping.due(now).len(), 1, "the other one leaves at once");
}

fn fault() -> impl Strategy<Value = (Fault, u64)> {
    let visible = 0..SETTLE_MS;
    let fault = prop_oneof![
        4 => Just(Fault::None),
        4 => visible.clone().prop_map(|visible_ms| Fault::Late { visible_ms }),
        2 => Just(Fault::NotSent),
        3 => Just(Fault::LostBefore),
        4 => visible.clone().prop_map(|visible_ms| Fault::LostAfter { visible_ms }),
        2 => visible.prop_map(|visible_ms| Fault::Half { visible_ms }),
        1 => Just(Fault::Service),
        1 => (0..3000_u64).prop_map(|retry_after_ms| Fault::Throttled { retry_after_ms }),
        1 => Just(Fault::Aborted),
        1 => Just(Fault::Denied),
        1 => Just(Fault::Other),
    ];
    (fault, prop_oneof![3 => 1..100_u64, 1 => 1..10_000_u64])
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    // Few times and few words, so that equal events are everywhere.
    let message =
        prop_oneof![20 => "[ab\"]{1,2}".prop_map(String::from), 1 => Just(POISON.to_owned())];
    let events =
        prop::collection::vec((0..6_i64, message), 1..8).prop_map(|mut events: Vec<Event>| {
            events.sort_by_key(|event| event.0);
            events
        });
    let plan = (0..2_usize, 0..20_000_u64, events).prop_map(|(stream, offered_ms, events)| Plan {
        stream,
        offered_ms,
        events,
    });
    prop::collection::vec(plan, 1..14).prop_map(|mut plans| {
        // Something good goes to each stream, so that a poisoned line is found out in the end.
        plans.extend((0..2).map(|stream| Plan {
            stream,
            offered_ms: 1_000_000,
            events: vec![(3, "good".into())],
        }));
        plans
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the service does to each call, and whenever the agent crashes: every event is at rest once, and accounted for.
    #[test]
    fn every_event_is_at_rest_exactly_once(
        plans in plans(),
        faults in prop::collection::vec(fault(), 0..60),
        crashes in prop::collection::vec(1..80_usize, 0..4),
    ) {
        let mut world = World::new(plans);
        world.run(faults, &crashes);
        world.assert_all_at_rest_once();
    }
}
