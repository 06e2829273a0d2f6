//! What goes wrong while there is a network: every line arrives all the same, once, within a minute; and no interval is without its metrics.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::bakery::{Bakery, until};
use super::cloud;
use super::guest::Guest;
use super::lines::{Delays, Logs};
use super::load::Load;
use super::measures;

/// A line is in CloudWatch within a minute; so a wait for it need not be longer.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// How long there is load in each case.
const SECONDS: usize = 6;

/// The service at its worst: what it is called, and what goes wrong in the words of `lab faults set`.
fn cases() -> [(&'static str, Value); 5] {
    let of = |operation: &str, every: u64, kind: Value| json!({"operation": operation, "when": {"every": every}, "kind": kind});
    // Metrics are sent a few times a minute.
    let metrics =
        |kind: Value| json!({"operation": "PutMetricData", "when": {"first": 1}, "kind": kind});
    let fail = |status: u16, taken: bool| json!({"fail": {"status": status, "taken": taken}});
    let reset = |taken: bool| json!({"reset": {"taken": taken}});
    [
        (
            "throttled",
            json!([
                of("PutLogEvents", 2, json!("throttle")),
                metrics(json!("throttle"))
            ]),
        ),
        (
            "erring",
            json!([
                of("PutLogEvents", 3, fail(503, false)),
                of("PutLogEvents", 4, fail(500, true)),
                metrics(fail(500, true)),
            ]),
        ),
        (
            "resetting",
            json!([
                of("PutLogEvents", 3, reset(true)),
                of("PutLogEvents", 4, reset(false)),
                metrics(reset(true)),
            ]),
        ),
        (
            "garbling",
            json!([
                of("PutLogEvents", 3, json!("truncated")),
                of("PutLogEvents", 4, json!("garbage")),
                metrics(json!("garbage")),
            ]),
        ),
        (
            "slow",
            json!([
                of("PutLogEvents", 1, json!({"delay": {"ms": 1500}})),
                of(
                    "PutLogEvents",
                    5,
                    json!({"slow-body": {"bytes_per_second": 2000}})
                ),
                metrics(json!({"delay": {"ms": 5000}})),
            ]),
        ),
    ]
}

/// CloudWatch throttles, errs, resets, garbles and dawdles.
pub(crate) async fn of_the_service(bakery: &Bakery, guest: &Guest, logs: Logs, load: Load) {
    let begun_s = now_s();
    for (name, rules) in cases() {
        cloud::set_faults(bakery, &rules);
        load.steady(guest, name, SECONDS).await;
        let streams = logs.all_arrived(bakery, guest, SOON).await;
        let met = until("each fault to happen", || async {
            let met = cloud::met(bakery);
            met.iter().all(|met| *met > 0).then_some(met)
        })
        .await;
        cloud::clear_faults(bakery);
        Delays::of(&streams, &guest.id, name).hold(&format!("a service that is {name} ({met:?})"));
    }
    let told = measures::without_a_gap(bakery, guest, (begun_s, now_s() - 1)).await;
    println!(
        "{} metrics through all of it: one value in each interval",
        told.len()
    );
}

/// The real logrotate, twice, under load: renames, and the older ones are compressed.
pub(crate) async fn rotation(bakery: &Bakery, guest: &Guest, logs: Logs, load: Load) {
    load.begin(guest, "rotation", 600).await;
    for line in [50, 100] {
        guest
            .ask(&format!("until sudo grep -q 'rotation {line}\\.' /var/log/syslog; do sleep 0.05; done; sudo logrotate --force /etc/logrotate.conf"))
            .await;
    }
    guest
        .ask("until sudo grep -q 'rotation 150\\.' /var/log/syslog; do sleep 0.05; done")
        .await;
    load.end(guest, "rotation").await;
    let streams = logs.all_arrived(bakery, guest, SOON).await;
    Delays::of(&streams, &guest.id, "rotation").hold("two rotations");
}

/// SIGKILL, three times.
pub(crate) async fn kill(bakery: &Bakery, guest: &Guest, logs: Logs, load: Load) {
    load.begin(guest, "killed", 600).await;
    for _ in 0..3 {
        killed(guest).await;
    }
    load.end(guest, "killed").await;
    let streams = logs.all_arrived(bakery, guest, SOON).await;
    Delays::of(&streams, &guest.id, "killed").hold("three kill -9");
}

/// The disk that the agent keeps its state on is full, and it is killed meanwhile.
pub(crate) async fn full_disk(bakery: &Bakery, guest: &Guest, logs: Logs, load: Load) {
    // A small disk of its own takes the place of the state directory.
    guest
        .ask(
            "sudo sh -ec 'systemctl stop baker-agent; cd /var/lib; mv baker-agent baker-agent.disk; mkdir baker-agent; \
             mount -t tmpfs -o size=8m state baker-agent; chown --reference=baker-agent.disk baker-agent; \
             chmod --reference=baker-agent.disk baker-agent; cp -a baker-agent.disk/. baker-agent; systemctl start baker-agent'",
        )
        .await;
    load.burst(guest, "room", 20).await;
    logs.all_arrived(bakery, guest, SOON).await;
    let full = guest
        .ask("sudo sh -c 'dd if=/dev/zero of=/var/lib/baker-agent/fill bs=1k 2>&1; df --output=avail /var/lib/baker-agent | tail -n 1'")
        .await;
    assert!(full.contains("No space left"), "{full}");
    load.begin(guest, "full", 600).await;
    killed(guest).await;
    load.end(guest, "full").await;
    let streams = logs.all_arrived(bakery, guest, SOON).await;
    Delays::of(&streams, &guest.id, "full").hold("a full state disk, and kill -9 on it");
    guest
        .ask(
            "sudo sh -ec 'systemctl stop baker-agent; cd /var/lib; rm baker-agent/fill; cp -a baker-agent/. baker-agent.disk; \
             umount baker-agent; rmdir baker-agent; mv baker-agent.disk baker-agent; systemctl start baker-agent'",
        )
        .await;
}

/// Kills the agent and awaits the next one.
async fn killed(guest: &Guest) {
    let pid = || guest.ask("systemctl show --property=MainPID baker-agent");
    let before = pid().await;
    guest
        .ask("sudo systemctl kill --signal=KILL baker-agent")
        .await;
    until("systemd to start the agent again", || async {
        let now = pid().await;
        let state = guest.ask("systemctl is-active baker-agent || true").await;
        (now != before && state == "active").then_some(())
    })
    .await;
}

/// The time in seconds since 1970 UTC.
pub(crate) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
