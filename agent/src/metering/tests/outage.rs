//! Half an hour without the service: what was measured meanwhile arrives afterwards, each point once, with its own time.

use super::service::Weather;
use super::world::{MINUTE_MS, World, settings};

/// Five minutes, half an hour of an outage, and what comes after it.
fn outage(weather: Weather, interval_s: u64, resolution_s: u32) -> World {
    let mut world = World::new(settings(interval_s, resolution_s), 1);
    world.run(5 * MINUTE_MS + 7_000);
    let before = world.service.requests.len();
    world.service.weather = weather;
    world.run(30 * MINUTE_MS);
    assert_eq!(world.service.requests.len(), before, "an outage is one");
    assert!(world.line.status().last_error.is_some());
    world.service.weather = Weather::default();
    world
}

#[test]
fn half_an_hour_without_a_connection_is_made_up_for_within_seconds() {
    let down = Weather {
        not_sent: 1.0,
        ..Weather::default()
    };
    let mut world = outage(down, 60, 60);
    let requests = world.service.requests.len();
    assert!(world.line.status().spooled_points >= 2 * 29);
    // The longest pause between two tries.
    world.run(11_000);
    assert!(world.line.status().spooled_points <= 2);
    assert!(
        world.service.requests.len() - requests <= 3,
        "in few requests"
    );
    world.run(3 * MINUTE_MS);
    world.assert_each_interval_once(0);
    world.assert_nothing_waits();
}

#[test]
fn half_an_hour_of_requests_that_vanish_is_made_up_for() {
    let down = Weather {
        lost: 1.0,
        ..Weather::default()
    };
    let mut world = outage(down, 60, 60);
    world.run(10 * MINUTE_MS);
    world.assert_each_interval_once(0);
    world.assert_nothing_waits();
}

#[test]
fn half_an_hour_of_failures_that_nobody_can_read_back_is_made_up_for() {
    let down = Weather {
        failed: 1.0,
        unreadable: true,
        ..Weather::default()
    };
    let mut world = outage(down, 60, 60);
    world.run(10 * MINUTE_MS);
    world.assert_each_interval_once(0);
    world.assert_nothing_waits();
}

#[test]
fn seconds_are_made_up_for_as_minutes_are() {
    let down = Weather {
        not_sent: 1.0,
        ..Weather::default()
    };
    let mut world = outage(down, 1, 1);
    world.run(2 * MINUTE_MS);
    world.assert_each_interval_once(0);
    assert!(world.service.requests.iter().all(|data| *data <= 1_000));
}

#[test]
fn an_agent_that_is_killed_in_an_outage_makes_up_for_what_was_measured_before() {
    let mut world = World::new(settings(60, 60), 1);
    world.run(MINUTE_MS);
    world.service.weather.not_sent = 1.0;
    for _ in 0..10 {
        world.run(3 * MINUTE_MS - 11_000);
        world.kill(11_000);
    }
    world.service.weather = Weather::default();
    world.run(5 * MINUTE_MS);
    world.assert_each_interval_once(MINUTE_MS);
    world.assert_nothing_waits();
}

#[test]
fn an_outage_that_outlasts_the_spool_costs_the_oldest_and_says_so() {
    const HOURS: i64 = 10;
    let mut settings = settings(1, 1);
    settings.spool_bytes = 1 << 20;
    let mut world = World::new(settings, 1);
    world.service.weather.denied = 1.0;
    world.run(HOURS * 60 * MINUTE_MS);
    let status = world.line.status();
    assert!(status.spool_bytes <= 1 << 20, "{status:?}");
    let (dropped, left) = (status.dropped["overflow"], status.spooled_points);
    assert_eq!(dropped + left, 2 * (HOURS as u64 * 3_600 + 1));
    world.service.weather = Weather::default();
    world.run(10 * MINUTE_MS);
    let own = world.service.own("swap_used");
    let (first, last) = (
        own.first_key_value().unwrap(),
        own.last_key_value().unwrap(),
    );
    assert_eq!((last.0 - first.0) / 1_000 + 1, own.len() as i64, "no hole");
    assert!(own.len() as u64 >= left / 2);
}
