//! A service at its worst: lost answers, failures that are none, throttles, refusals; an agent that is killed; a disk that forgets.

use proptest::prelude::*;
use rand::Rng as _;

use super::service::Weather;
use super::world::{BEGIN_MS, MINUTE_MS, World, settings};

/// An hour of this weather, with kills and short outages, and half an hour in which it clears up.
fn an_hour_of(weather: &Weather, seed: u64, mut blow: impl FnMut(&mut World)) -> World {
    let mut world = World::new(settings(60, 60), seed);
    while world.now_ms < BEGIN_MS + 60 * MINUTE_MS {
        world.service.weather = weather.clone();
        if world.random.random_bool(0.2) {
            world.service.weather.not_sent = 1.0;
        }
        let time_ms = world.random.random_range(1..4 * MINUTE_MS);
        world.run(time_ms);
        blow(&mut world);
    }
    world.service.weather = Weather {
        refuses: weather.refuses,
        unreadable: weather.unreadable,
        ..Weather::default()
    };
    world.run(30 * MINUTE_MS);
    world
}

fn bad() -> Weather {
    Weather {
        not_sent: 0.1,
        lost_taken: 0.2,
        lost: 0.2,
        failed_taken: 0.1,
        failed: 0.1,
        throttled: 0.1,
        denied: 0.05,
        ..Weather::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn each_point_arrives_once_whatever_answers_are_lost_and_whenever_the_agent_is_killed(seed in any::<u64>()) {
        let world = an_hour_of(&bad(), seed, |world| {
            if world.random.random_bool(0.3) {
                let down_ms = world.random.random_range(1..20_000);
                world.kill(down_ms);
            }
        });
        world.assert_each_interval_once(MINUTE_MS + 20_000);
        world.assert_nothing_waits();
    }

    #[test]
    fn a_power_cut_costs_what_was_not_sent_yet_and_makes_nothing_come_twice(seed in any::<u64>()) {
        let world = an_hour_of(&bad(), seed, |world| {
            if world.random.random_bool(0.2) {
                let down_ms = world.random.random_range(1..20_000);
                world.power_cut(down_ms);
            }
        });
        for (at_ms, (values, samples)) in world.service.own("swap_used") {
            prop_assert!(samples == 1.0, "{} ms: {:?}", at_ms - BEGIN_MS, values);
        }
        world.assert_nothing_waits();
    }

    #[test]
    fn what_can_not_be_looked_for_comes_rather_twice_than_not_at_all(seed in any::<u64>()) {
        let weather = Weather { unreadable: true, ..bad() };
        let world = an_hour_of(&weather, seed, |_| {});
        world.assert_each_interval(0, f64::MAX);
        world.assert_nothing_waits();
        let points = world.service.points.values();
        let doubles: usize = points.map(|taken| taken.len() - 1).sum();
        prop_assert!(doubles <= world.service.lost_taken_data, "only what was in doubt is repeated");
        prop_assert!(world.service.lost_taken > 0);
    }

    #[test]
    fn a_datum_that_is_refused_costs_itself_alone(seed in any::<u64>(), named in any::<bool>()) {
        let weather = Weather { refuses: Some(("swap_free", named)), ..bad() };
        let world = an_hour_of(&weather, seed, |_| {});
        let own = world.service.own("swap_used");
        for minute in 0..80 {
            let found = own.get(&(BEGIN_MS + minute * MINUTE_MS)).map(|(_, samples)| *samples);
            prop_assert_eq!(found, Some(1.0), "minute {}", minute);
        }
        prop_assert!(world.service.own("swap_free").is_empty());
        // Itself, and its roll-up.
        let rejected = world.line.status().dropped["rejected"];
        prop_assert!(rejected >= 2 * 60, "{}", rejected);
    }
}

#[test]
fn a_permission_that_is_missing_is_told_and_nothing_is_lost_until_it_is_given() {
    let mut world = World::new(settings(60, 60), 3);
    world.service.weather.denied = 1.0;
    world.run(60 * MINUTE_MS);
    let status = world.line.status();
    assert!(
        status.last_error.is_some() && status.failed >= 30,
        "{status:?}"
    );
    // A question each minute or so, and no more.
    assert!(status.requests < 200, "{}", status.requests);
    world.service.weather.denied = 0.0;
    world.run(3 * MINUTE_MS);
    assert_eq!(world.line.status().last_error, None);
    world.run(2 * MINUTE_MS);
    world.assert_each_interval_once(0);
}

#[test]
fn where_everything_is_refused_little_is_risked() {
    let mut world = World::new(settings(60, 60), 3);
    world.service.weather.refuses = Some(("swap_free", false));
    world.run(10 * MINUTE_MS);
    let before = world.line.status();
    assert!(before.dropped["rejected"] <= 20);
    world.service.weather.refuses = Some(("swap_used", true));
    world.run(10 * MINUTE_MS);
    assert!(world.line.status().sent > before.sent);
}
