//! What the endpoint does: every line once, whatever it answers or fails to answer.

use std::time::Duration;

use crate::support::endpoint::Fault;
use crate::support::ground::Ground;
use crate::support::writer::Plan;

const LOG: &str = "access.log";

/// Writes while the endpoint behaves so, then lets it recover.
#[track_caller]
fn every_line_arrives_once_through(name: &'static str, faults: &[(Fault, f64)]) {
    let mut ground = Ground::new(name, &[LOG]);
    ground.endpoint.faults(faults, 42);
    // Many requests, so that there is much to go wrong.
    ground.setup.flush = Some(Duration::from_millis(50));
    ground.start();
    let writer = Plan::new(ground.log(LOG), 0, 3000).lines(12_000).start();
    ground.until("lines", || writer.lines() > 9000);
    // A fault that never came has proven nothing.
    ground.until("faults", || ground.endpoint.faults_met() > 2);
    ground.endpoint.faults(&[], 42);
    let written = writer.finish();
    let verdict = ground.assert_exact(&[written]);
    let stats = ground.endpoint.stats();
    eprintln!("{name}: {verdict}; {stats:?}");
}

#[test]
fn resets_before_the_request_is_taken() {
    every_line_arrives_once_through("reset-before", &[(Fault::ResetBefore, 0.4)]);
}

#[test]
fn resets_after_the_request_was_taken() {
    every_line_arrives_once_through("reset-after", &[(Fault::ResetAfter, 0.4)]);
}

#[test]
fn errors_without_taking() {
    every_line_arrives_once_through("error-before", &[(Fault::ErrorBefore, 0.4)]);
}

#[test]
fn errors_although_it_has_taken() {
    every_line_arrives_once_through("error-after", &[(Fault::ErrorAfter, 0.4)]);
}

#[test]
fn half_accepted_requests() {
    every_line_arrives_once_through("half", &[(Fault::Half, 0.4)]);
}

#[test]
fn throttling() {
    every_line_arrives_once_through("throttled", &[(Fault::Throttle, 0.5)]);
}

#[test]
fn slow_answers() {
    every_line_arrives_once_through("slow", &[(Fault::Slow(Duration::from_millis(300)), 0.8)]);
}

#[test]
fn broken_answers() {
    every_line_arrives_once_through("broken", &[(Fault::Garbage, 0.4)]);
}

#[test]
fn all_of_them_together() {
    every_line_arrives_once_through(
        "together",
        &[
            (Fault::ResetBefore, 0.1),
            (Fault::ResetAfter, 0.1),
            (Fault::ErrorBefore, 0.1),
            (Fault::ErrorAfter, 0.1),
            (Fault::Half, 0.1),
            (Fault::Throttle, 0.1),
            (Fault::Slow(Duration::from_millis(100)), 0.1),
        ],
    );
}

#[test]
fn an_outage_delays_lines_and_changes_no_stamp() {
    let mut ground = Ground::started("outage", &[LOG]);
    let writer = Plan::new(ground.log(LOG), 0, 2000).lines(20_000).start();
    ground.until_arrived(2000);
    ground.endpoint.refuse(Duration::from_secs(4));
    let written = writer.finish();
    ground.assert_exact(&[written]);
}

#[test]
fn an_agent_that_is_killed_during_an_outage_forgets_nothing() {
    let mut ground = Ground::new("killed-in-outage", &[LOG]);
    ground.endpoint.faults(&[(Fault::ResetAfter, 0.5)], 1);
    ground.start();
    let writer = Plan::new(ground.log(LOG), 0, 3000).lines(12_000).start();
    for kill in 1..=4 {
        ground.until("lines", || writer.lines() > kill * 2000);
        ground.kill();
        ground.start();
    }
    ground.endpoint.faults(&[], 1);
    let written = writer.finish();
    ground.assert_exact(&[written]);
}
