//! Promise 6 on the real binary: what is read back stands in the order in which it was written, although requests overtake each other, fail,
//! or are taken without an answer.

mod support;

use std::time::Duration;

use support::check::Verdict;
use support::endpoint::Fault;
use support::ground::Ground;
use support::writer::{self, Plan, Turn, Written};

const LOG: &str = "access.log";
const FAR: (Fault, f64) = (Fault::Far(Duration::from_millis(200)), 1.0);

/// Not a test: this program again, as the endpoint of the others.
#[test]
fn endpoint_process() {
    support::endpoint::serve_if_asked();
}

#[track_caller]
fn assert_in_order(ground: &mut Ground, written: &[Written]) -> Verdict {
    let verdict = ground.assert_exact(written);
    assert_eq!(verdict.out_of_order, 0, "{verdict}");
    verdict
}

/// Several requests are worth having under way only where they take long.
fn far(name: &'static str, faults: &[(Fault, f64)]) -> Ground {
    let ground = Ground::new(name, &[LOG]);
    ground.endpoint.faults(&[&[FAR], faults].concat(), 7);
    ground
}

#[test]
fn a_catch_up_of_whole_seconds_arrives_in_order_although_requests_overtake_each_other() {
    let mut ground = far("catch-up", &[]);
    let ago = Duration::from_secs(60);
    let written = writer::fill(&ground.log(LOG), 0, 60_000, ago, 1000);
    ground.start();
    assert_in_order(&mut ground, &[written]);
}

#[test]
fn more_lines_of_one_second_than_a_request_takes_arrive_in_order() {
    let mut ground = far("one-second", &[]);
    let ago = Duration::from_secs(60);
    let written = writer::fill(&ground.log(LOG), 0, 30_000, ago, 10_000);
    ground.start();
    assert_in_order(&mut ground, &[written]);
}

#[test]
fn a_busy_log_arrives_in_order_whatever_becomes_of_requests() {
    let mut ground = far(
        "failures",
        &[
            (Fault::ResetBefore, 0.05),
            (Fault::ResetAfter, 0.05),
            (Fault::ErrorBefore, 0.05),
            (Fault::ErrorAfter, 0.05),
            (Fault::Half, 0.05),
            (Fault::Throttle, 0.05),
        ],
    );
    ground.setup.flush = Some(Duration::from_millis(50));
    ground.start();
    let writer = Plan::new(ground.log(LOG), 0, 3000).lines(15_000).start();
    ground.until("lines", || writer.lines() > 12_000);
    // A fault that never came has proven nothing.
    ground.until("faults", || ground.endpoint.faults_met() > 10);
    let written = writer.finish();
    assert_in_order(&mut ground, &[written]);
}

#[test]
fn kills_and_rotations_keep_the_order() {
    let mut ground = far("kills", &[(Fault::ResetAfter, 0.1)]);
    ground.setup.flush = Some(Duration::from_millis(50));
    ground.start();
    let writer = Plan::new(ground.log(LOG), 0, 5000)
        .lines(25_000)
        .rotations(vec![(6_000, Turn::Rename), (14_000, Turn::Rename)])
        .start();
    for kill in 1..=4 {
        ground.until("lines", || writer.lines() > kill * 5000);
        ground.kill();
        ground.start();
    }
    let written = writer.finish();
    assert_in_order(&mut ground, &[written]);
}
