//! Against a service that takes, loses, throttles, refuses, shows late and forgets to answer, and an agent that crashes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::testing::{batch_for, target};
use super::*;
use crate::aws::{Failure, RejectedInfo};

mod world;

use world::{Event, Fault, POISON, Plan, SETTLE_MS, Service, World};

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
fn what_shares_a_time_with_a_doubtful_batch_waits_until_it_is_settled() {
    for lost in [Fault::LostBefore, Fault::LostAfter { visible_ms: 4999 }] {
        let (first, mut faults) = settled_in();
        faults.push((lost, 10));
        // Equal lines, so that they could be taken for each other, and others; a window that only touches the doubtful one's.
        let plans = [[(5, "a")], [(5, "a")], [(5, "b")], [(6, "c")]];
        let plans = plans.map(|events| plan(0, 1000, &events));
        let mut world = World::new(std::iter::once(first).chain(plans).collect());
        let mut faults = faults.into_iter();
        while world.settled[1].is_none() {
            world.turn(&mut faults, &[]);
            assert!(world.settled[2].is_none() && world.settled[3].is_none());
        }
        assert!(world.settled[4].is_some(), "nobody waits without need");
        world.run(faults.collect(), &[]);
        world.assert_all_at_rest_once();
        world.assert_in_order();
    }
}

#[test]
fn of_two_batches_that_share_a_time_the_second_waits_for_the_firsts_answer() {
    let (first, mut faults) = settled_in();
    // The first one travels for long, and the others would overtake it.
    faults.push((Fault::None, 800));
    let plans = vec![
        first,
        plan(0, 1000, &[(4, "a"), (5, "a")]),
        plan(0, 1000, &[(5, "b"), (6, "b")]),
        plan(0, 1000, &[(6, "c")]),
        plan(0, 1000, &[(7, "d")]),
        plan(1, 1000, &[(5, "e")]),
    ];
    let mut world = World::new(plans);
    let mut faults = faults.into_iter();
    while world.settled[1].is_none() {
        world.turn(&mut faults, &[]);
        assert!(world.settled[2].is_none() && world.settled[3].is_none());
    }
    assert!(world.settled[4].is_some() && world.settled[5].is_some());
    world.run(faults.collect(), &[]);
    world.assert_all_at_rest_once();
    world.assert_in_order();
}

#[test]
fn a_stream_that_waits_for_its_turn_takes_no_room_from_others_and_little_memory() {
    let target = target("a");
    let now = Now {
        monotonic: Duration::ZERO,
        unix_ms: 0,
    };
    let mut shipping = Shipping::new(Limits::default(), 1);
    let line = "x".repeat(100_000);
    let full: Vec<(i64, &str)> = (0..10).map(|_| (5, &*line)).collect();
    let mut offered = 0;
    while shipping.takes(&target) {
        assert!(
            shipping.room(),
            "what waits for its turn can't leave anyhow"
        );
        shipping.offer(batch_for(&target, offered, &full));
        shipping.due(now);
        offered += 1;
    }
    assert_eq!(shipping.in_flight(), 1);
    assert!((3..=4).contains(&offered), "{offered}");
    assert!(!shipping.is_free(&target, 0, 5) && !shipping.is_free(&target, 5, 9));
    assert!(shipping.is_free(&target, 6, 9) && shipping.is_free(&target, 0, 4));
    assert!(shipping.is_free(&testing::target("b"), 5, 5));
}

#[test]
fn halves_go_in_order_and_what_follows_waits_for_all_of_them() {
    let lines = ["1", "2", POISON, "3", "4", "5"].map(|line| (5, line));
    let (first, mut faults) = settled_in();
    // The whole, its halves, and so on, one of which is lost on its way, and one taken in part.
    faults.extend([
        (Fault::None, 10),
        (Fault::None, 300),
        (Fault::LostBefore, 10),
        (Fault::None, 10),
        (
            Fault::Prefix {
                events: 1,
                visible_ms: 100,
            },
            10,
        ),
    ]);
    let plans = vec![first, plan(0, 1000, &lines), plan(0, 1000, &[(5, "6")])];
    let world = run(plans, faults);
    world.assert_in_order();
}

#[test]
fn a_first_line_that_is_refused_is_told_from_the_others_by_its_own_batch() {
    let lines = [POISON, "1", "2"].map(|line| (5, line));
    let world = run(
        vec![plan(0, 0, &lines), plan(0, 0, &[(5, "3")])],
        Vec::new(),
    );
    world.assert_in_order();
    assert!(
        world.now_ms < 1000,
        "nothing had to be waited for: {}",
        world.now_ms
    );
}

#[test]
fn a_batch_of_nothing_but_refused_lines_does_not_hold_back_what_shows_that_it_is_they() {
    let lines = [(5, POISON); 3];
    let world = run(
        vec![plan(0, 0, &lines), plan(0, 0, &[(5, "1")])],
        Vec::new(),
    );
    assert!(world.now_ms < 20_000, "{}", world.now_ms);
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
        plan(0, 1500, &[(6, "a")]),
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
    let now = |ms| Now {
        monotonic: Duration::from_millis(ms),
        unix_ms: 0,
    };
    // Answers take so long that a call for each target is worth having under way: all of them are refused together.
    const ANSWER_MS: u64 = 200;
    shipping.offer(batch_for(&target("first"), 0, &[(1, "a")]));
    let call = shipping.due(now(0)).remove(0);
    let taken = Answer::Put(Ok(RejectedInfo::default()));
    assert_eq!(shipping.answer(call.id, taken, now(ANSWER_MS)).len(), 1);
    for (id, target) in (1..).zip(&targets) {
        shipping.offer(batch_for(target, id, &[(1, "a")]));
    }
    let refuse = |shipping: &mut Shipping, code: &str, at| {
        let calls = shipping.due(now(at));
        assert_eq!(calls.len(), targets.len());
        for call in calls {
            let failure = Failure {
                code: Some(code.into()),
                ..Service::failure(FailureKind::Denied)
            };
            shipping.answer(call.id, Answer::Put(Err(failure)), now(at + ANSWER_MS));
        }
        shipping.complaints()
    };
    let complaints = refuse(&mut shipping, "ExpiredTokenException", 1_000);
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
    let complaints = world.shipping.complaints();
    let about = Subject::ReadBack(world.targets[0].clone());
    let raised = complaints.iter().find(|each| each.about == about).unwrap();
    for action in ["GetLogEvents", "StartQuery", "GetQueryResults"] {
        assert!(raised.message.contains(action), "{raised:?}");
    }
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

/// Faults as the service may have them. Of a request that fails it has taken all, nothing, or the beginning.
fn fault() -> impl Strategy<Value = (Fault, u64)> {
    let visible = 0..SETTLE_MS;
    let fault = prop_oneof![
        4 => Just(Fault::None),
        4 => visible.clone().prop_map(|visible_ms| Fault::Late { visible_ms }),
        2 => Just(Fault::NotSent),
        3 => Just(Fault::LostBefore),
        4 => visible.clone().prop_map(|visible_ms| Fault::LostAfter { visible_ms }),
        2 => (0..6_usize, visible).prop_map(|(events, visible_ms)| Fault::Prefix { events, visible_ms }),
        1 => Just(Fault::Service),
        1 => (0..3000_u64).prop_map(|retry_after_ms| Fault::Throttled { retry_after_ms }),
        1 => Just(Fault::Aborted),
        1 => Just(Fault::Denied),
        1 => Just(Fault::Other),
    ];
    (fault, prop_oneof![3 => 1..100_u64, 1 => 1..10_000_u64])
}

/// These, and requests of which every second event is taken.
fn any_fault() -> impl Strategy<Value = (Fault, u64)> {
    let half = (0..SETTLE_MS, 1..100_u64)
        .prop_map(|(visible_ms, took_ms)| (Fault::Half { visible_ms }, took_ms));
    prop_oneof![12 => fault(), 1 => half]
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
        plans.sort_by_key(|plan: &Plan| plan.offered_ms);
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
        faults in prop::collection::vec(any_fault(), 0..60),
        crashes in prop::collection::vec(1..80_usize, 0..4),
    ) {
        let mut world = World::new(plans);
        world.run(faults, &crashes);
        world.assert_all_at_rest_once();
    }

    /// Whatever the service does, however calls overtake each other, and whenever the agent crashes: events of one time arrive in the
    /// order in which they were offered.
    #[test]
    fn events_of_one_time_arrive_in_order(
        plans in plans(),
        faults in prop::collection::vec(fault(), 0..60),
        crashes in prop::collection::vec(1..80_usize, 0..4),
    ) {
        let mut world = World::new(plans);
        world.run(faults, &crashes);
        world.assert_all_at_rest_once();
        world.assert_in_order();
    }
}
