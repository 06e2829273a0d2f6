//! How often is measured, how fine it is stored, and what a new configuration changes.

use super::world::{BEGIN_MS, MINUTE_MS, World, settings, settings_of};

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

#[test]
fn after_a_restart_no_interval_is_without_what_counters_grew_by() {
    for (interval_s, down_ms) in [(60, 2_000), (60, 30_000), (1, 300)] {
        let names = ["swap_used", "cpu_usage_active"];
        let mut world = World::new(settings_of(names, interval_s, 1), 1);
        let step_ms = interval_s as i64 * 1_000;
        for _ in 0..5 {
            // The next interval begins while it is down, or just did.
            world.run(3 * step_ms - down_ms / 2);
            world.kill(down_ms);
        }
        world.run(3 * step_ms);
        world.drain(20_000);
        let own = world.service.own("cpu_usage_active");
        // The first reading of a host has nothing to be compared with.
        let mut at_ms = BEGIN_MS + step_ms;
        while at_ms < world.now_ms - step_ms {
            let found = own
                .get(&at_ms)
                .map(|(values, samples)| (values[0], *samples));
            let found = found.unwrap_or_else(|| panic!("{} ms is missing", at_ms - BEGIN_MS));
            assert_eq!(found, (25.0, 1.0), "{} ms", at_ms - BEGIN_MS);
            at_ms += step_ms;
        }
    }
}
