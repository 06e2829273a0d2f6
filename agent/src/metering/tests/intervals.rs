//! How often is measured, how fine it is stored, and what a new configuration changes.

use super::world::{BEGIN_MS, MINUTE_MS, World, settings};

#[test]
fn a_minute_of_seconds_is_one_datum_with_sixty_samples() {
    let mut world = World::new(settings(1, 60), 1);
    world.run(10 * MINUTE_MS);
    let own = world.service.own("swap_used");
    for minute in 1..9 {
        let (values, samples) = &own[&(BEGIN_MS + minute * MINUTE_MS)];
        assert_eq!((values.len(), *samples), (60, 60.0), "minute {minute}");
    }
    // One at once for the host that has just booted, and then one a minute.
    assert!((9..=11).contains(&world.service.requests.len()));
}

#[test]
fn seconds_leave_in_few_requests() {
    let mut world = World::new(settings(1, 1), 1);
    world.run(10 * MINUTE_MS);
    world.assert_each_interval_once(0);
    assert!((58..=63).contains(&world.service.requests.len()));
}

#[test]
fn the_first_reading_leaves_at_once_and_the_others_at_the_host_s_own_turn() {
    let mut world = World::new(settings(60, 60), 1);
    world.run(1_000);
    assert_eq!(world.service.requests.len(), 1);
    world.run(MINUTE_MS + 30_000);
    assert_eq!(world.service.requests.len(), 2);
    world.assert_each_interval_once(0);
}

#[test]
fn a_new_configuration_holds_for_what_is_measured_from_then_on() {
    let mut world = World::new(settings(60, 60), 1);
    world.run(MINUTE_MS - 1);
    world.service.weather.not_sent = 1.0;
    world.run(3 * MINUTE_MS);
    let mut other = settings(1, 1);
    other.namespace = "Other".into();
    world.line.reconfigure(Some(other));
    world.run(MINUTE_MS);
    world.service.weather.not_sent = 0.0;
    world.run(MINUTE_MS);
    let of = |namespace: &str| {
        let keys = world.service.points.keys();
        let own = keys.filter(|key| key.0 == namespace && key.1 == "swap_used" && key.2.len() > 1);
        own.map(|key| key.3 - BEGIN_MS).collect::<Vec<_>>()
    };
    assert_eq!(of("CWAgent"), [0, MINUTE_MS, 2 * MINUTE_MS, 3 * MINUTE_MS]);
    let seconds = of("Other");
    assert!(seconds.len() >= 100 && seconds.windows(2).all(|pair| pair[1] - pair[0] == 1_000));
}

#[test]
fn without_metrics_in_the_configuration_what_was_measured_is_sent_and_nothing_more_is() {
    let mut world = World::new(settings(60, 60), 1);
    world.service.weather.not_sent = 1.0;
    world.run(3 * MINUTE_MS + 1_000);
    world.line.reconfigure(None);
    world.run(5 * MINUTE_MS);
    assert!(!world.line.status().measures);
    world.service.weather.not_sent = 0.0;
    world.run(MINUTE_MS);
    assert_eq!(world.service.own("swap_used").len(), 4);
    world.line.reconfigure(Some(settings(60, 60)));
    world.run(2 * MINUTE_MS);
    assert_eq!(world.service.own("swap_used").len(), 6);
}
