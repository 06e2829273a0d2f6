//! Instances come, go down, are copied and end: each line is its host's own, and arrives once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_ec2::types::{ImageState, InstanceStateName};
use serde_json::json;

use super::bakery::{Bakery, state, until};
use super::cloud;
use super::faults::SOON;
use super::guest::Guest;
use super::lines::{Delays, Logs, arrived, counted};
use super::load::Load;

/// Rounds that a host has not shipped yet when it is stopped, or copied.
const UNSENT: usize = 200;
/// Between two looks at a host that goes down.
const PAUSE: Duration = Duration::from_millis(100);

/// The host is rebooted under load.
pub(crate) async fn reboot(bakery: &Bakery, guest: &mut Guest, logs: Logs, load: Load) {
    guest.ask("sudo touch /run/before-the-reboot").await;
    load.begin(guest, "rebooted", 600).await;
    load.burst(guest, "last-before-reboot", UNSENT).await;
    bakery
        .ec2
        .reboot_instances()
        .instance_ids(&guest.id)
        .send()
        .await
        .unwrap();
    let asked = Instant::now();
    loop {
        guest.reconnect().await;
        // The connection may be to the host that goes down.
        let answer = guest
            .try_ask("[ -e /run/before-the-reboot ] || systemctl is-active gunicorn")
            .await;
        if answer.is_some_and(|answer| answer == "active") {
            break;
        }
        assert!(asked.elapsed() < SOON, "{}: no reboot", guest.id);
        tokio::time::sleep(PAUSE).await;
    }
    load.burst(guest, "first-after-reboot", UNSENT).await;
    let streams = logs.all_arrived(bakery, guest, SOON).await;
    Delays::of(&streams, &guest.id, "reboot").tell("around a reboot");
}

/// An image of the running host, taken while its agent has lines before it that it has not seen; and two instances of it.
pub(crate) async fn clones(bakery: &Bakery, guest: &Guest, logs: Logs, load: Load) -> Vec<Guest> {
    load.burst(guest, "shipped-before-image", UNSENT).await;
    logs.all_arrived(bakery, guest, SOON).await;
    let agent = async |signal: &str| {
        guest
            .ask(&format!(
                "sudo systemctl kill --kill-who=main --signal={signal} baker-agent"
            ))
            .await;
    };
    load.begin(guest, "imaged", 600).await;
    agent("STOP").await;
    load.burst(guest, "unseen-before-image", UNSENT).await;
    let image = image_of(bakery, guest).await;
    agent("CONT").await;
    load.end(guest, "imaged").await;

    let boot = || Guest::boot_as(bakery, &image, Some(cloud::PROFILE));
    let (one, two) = tokio::join!(boot(), boot());
    let clones = vec![one, two];
    for clone in &clones {
        load.burst(clone, "of-the-clone", UNSENT).await;
    }
    let originals = logs.all_arrived(bakery, guest, SOON).await;
    assert_eq!(
        arrived(&originals, &guest.id, "syslog")
            .keys()
            .filter(|line| line.contains("unseen-before-image"))
            .count(),
        UNSENT
    );
    let theirs: BTreeMap<_, _> = logs.on_disk(guest).await.into_iter().collect();
    for clone in &clones {
        let mut own = logs.on_disk(clone).await;
        for (stream, lines) in &mut own {
            // What the disk had on it when it was copied is the original's; what follows is the clone's.
            let inherited = lines.iter().zip(&theirs[stream]);
            let inherited = inherited.take_while(|(own, theirs)| own == theirs).count();
            lines.drain(..inherited);
        }
        let (streams, total) = logs.arrived_as(bakery, clone, own, SOON).await;
        for (stream, theirs) in &theirs {
            let theirs = counted(theirs.iter().cloned());
            let strangers: Vec<_> = arrived(&streams, &clone.id, stream)
                .into_keys()
                .filter(|line| theirs.contains_key(line))
                .take(5)
                .collect();
            assert!(
                strangers.is_empty(),
                "{}/{stream}: lines of {}: {strangers:?}",
                clone.id,
                guest.id
            );
        }
        println!(
            "{}, a clone: {total} lines of its own, each once, and none of {}",
            clone.id, guest.id
        );
    }
    clones
}

/// The instance is terminated with lines that have not been shipped, by way of a service that takes its time. What is on its disk is gone
/// afterwards, so it is what was written that counts.
pub(crate) async fn termination(bakery: &Bakery, guest: Guest, logs: Logs, load: Load) {
    cloud::set_faults(
        bakery,
        &json!([{"operation": "PutLogEvents", "kind": {"delay": {"ms": 500}}}]),
    );
    load.burst(&guest, "terminated", UNSENT).await;
    bakery
        .ec2
        .terminate_instances()
        .instance_ids(&guest.id)
        .send()
        .await
        .unwrap();
    until("the instance to be terminated", || async {
        let instances = bakery.instances().await;
        let found = instances
            .iter()
            .find(|instance| instance.instance_id() == Some(&guest.id))?;
        (state(found) == InstanceStateName::Terminated).then_some(())
    })
    .await;
    cloud::clear_faults(bakery);
    let streams = cloud::events(bakery, logs.group);
    for (stream, said) in [
        ("syslog", "terminated "),
        ("nginx-access", "/terminated-"),
        ("gunicorn-access", "/terminated-"),
        ("app", "'terminated-"),
    ] {
        let lines = arrived(&streams, &guest.id, stream);
        for round in 0..UNSENT {
            let said = format!("{said}{round}.");
            let times: usize = lines
                .iter()
                .filter(|(line, _)| line.contains(&said))
                .map(|(_, times)| times)
                .sum();
            assert_eq!(times, 1, "{}/{stream}: {said}", guest.id);
        }
    }
    Delays::of(&streams, &guest.id, "terminated").hold("an instance that is terminated");
}

/// An image of a host that goes on running; its id, once it can be used.
async fn image_of(bakery: &Bakery, guest: &Guest) -> String {
    let made = bakery
        .ec2
        .create_image()
        .instance_id(&guest.id)
        .name("of-a-running-host")
        .no_reboot(true)
        .send()
        .await
        .unwrap();
    let id = made.image_id().unwrap().to_owned();
    until("the image", || async {
        let images = bakery.images().await;
        let image = images.iter().find(|image| image.image_id() == Some(&id))?;
        (image.state() == Some(&ImageState::Available)).then_some(())
    })
    .await;
    id
}
