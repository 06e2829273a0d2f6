//! The end of the agent: a last look, and everything is sent; what can't be is sent by the next start.

use super::service::Weather;
use super::world::{BEGIN_MS, LATENCY_MS, MINUTE_MS, World, settings};

const LIMIT_MS: i64 = 20_000;

#[test]
fn the_end_looks_once_more_and_sends_everything_at_once() {
    let mut world = World::new(settings(60, 60), 1);
    world.run(5 * MINUTE_MS + 40_000);
    let (before_ms, requests) = (world.now_ms, world.service.requests.len());
    assert!(world.drain(LIMIT_MS));
    assert!(world.now_ms - before_ms <= 2 * LATENCY_MS + 20);
    assert_eq!(world.service.requests.len(), requests + 1);
    // The last minute has the reading of its beginning, and that of the end.
    let own = world.service.own("swap_used");
    let (values, samples) = &own[&(BEGIN_MS + 5 * MINUTE_MS)];
    assert_eq!((values.last(), *samples), (Some(&(before_ms as f64)), 2.0));
    world.assert_nothing_waits();
}

#[test]
fn the_start_after_it_leaves_no_gap_and_measures_nothing_twice() {
    let mut world = World::new(settings(60, 60), 1);
    world.run(5 * MINUTE_MS + 40_000);
    assert!(world.drain(LIMIT_MS));
    world.kill(3_000);
    world.run(5 * MINUTE_MS);
    world.assert_each_interval(0, 2.0);
    let samples = world.service.own("swap_used").into_values();
    let twice = samples.filter(|(_, samples)| *samples > 1.0).count();
    assert_eq!(twice, 1, "the minute of the end, measured twice");
}

#[test]
fn a_throttle_is_waited_out_within_the_limit() {
    let mut world = World::new(settings(60, 60), 1);
    world.run(3 * MINUTE_MS + 40_000);
    world.service.weather.throttled = 0.6;
    assert!(world.drain(LIMIT_MS));
    world.assert_nothing_waits();
}

#[test]
fn what_can_not_be_sent_is_left_to_the_next_start() {
    let gone = Weather {
        not_sent: 1.0,
        ..Weather::default()
    };
    let lost = Weather {
        lost_taken: 1.0,
        ..Weather::default()
    };
    let denied = Weather {
        denied: 1.0,
        ..Weather::default()
    };
    for (weather, ends) in [(gone, false), (lost, true), (denied, true)] {
        let mut world = World::new(settings(60, 60), 1);
        world.run(3 * MINUTE_MS + 40_000);
        world.service.weather = weather.clone();
        assert_eq!(world.drain(LIMIT_MS), ends, "{weather:?}");
        assert!(world.line.status().spooled_points > 0, "{weather:?}");
        world.service.weather = Weather::default();
        world.kill(3_000);
        world.run(10 * MINUTE_MS);
        world.assert_each_interval(4_000, 2.0);
        world.assert_nothing_waits();
    }
}
