//! The host's network is gone for a while: afterwards all lines are there, and each interval's metrics under the time of their measuring.

use std::process::Command;
use std::time::{Duration, Instant};

use super::bakery::{Bakery, until};
use super::cloud;
use super::faults::{SOON, now_s};
use super::guest::Guest;
use super::lines::{Delays, Logs};
use super::load::Load;
use super::measures;

/// There is load for so much longer than the outage.
const AROUND_S: usize = 5;
/// Nobody has this address.
const NOBODY: &str = "02:00:00:00:00:01";

/// Cuts the host off for so many seconds.
pub(crate) async fn endure(
    bakery: &Bakery,
    guest: &mut Guest,
    logs: Logs,
    load: Load,
    seconds: usize,
) {
    let begun_s = now_s();
    load.begin(guest, "cut-off", seconds + AROUND_S).await;
    let (began, outage) = (Instant::now(), Duration::from_secs(seconds as u64));
    let cut = Cut::off(bakery, guest);
    // Long enough for what is under way to arrive, and nothing arrives from then on.
    let arrived = || {
        let events = cloud::events(bakery, logs.group);
        events.values().map(Vec::len).sum::<usize>()
    };
    until("silence", || async {
        let before = arrived();
        tokio::time::sleep(Duration::from_secs(3)).await;
        (arrived() == before).then_some(())
    })
    .await;
    let silent = arrived();
    tokio::time::sleep(outage.saturating_sub(began.elapsed())).await;
    assert_eq!(arrived(), silent, "the host is not cut off");
    drop(cut);
    let (lasted, ended) = (began.elapsed(), Instant::now());
    let last = format!("cut-off {}.", load.rounds(seconds + AROUND_S) - 1);
    let stream = format!("{}/syslog", guest.id);
    until("the last line", || async {
        let streams = cloud::events(bakery, logs.group);
        let mut events = streams[&stream].iter();
        events
            .any(|event| event.message.contains(&last))
            .then_some(())
    })
    .await;
    println!(
        "{:.1} s without a network: {silent} lines had arrived before, {} in all {:.1} s after its end",
        lasted.as_secs_f64(),
        arrived(),
        ended.elapsed().as_secs_f64()
    );
    guest.reconnect().await;
    let streams = logs.all_arrived(bakery, guest, SOON).await;
    Delays::of(&streams, &guest.id, "cut-off").tell("through the outage");
    let told = measures::without_a_gap(bakery, guest, (begun_s, now_s() - 1)).await;
    println!(
        "{} metrics, each with one value in each interval of the outage, under its own time",
        told.len()
    );
}

/// The lab is the host's only neighbour; for a while the host believes that it is at an address that nobody has. What it sends goes
/// nowhere, and nothing says so: names, metadata, CloudWatch, and the answers to whoever is logged in.
struct Cut {
    namespace: String,
    lab: String,
}

impl Cut {
    fn off(bakery: &Bakery, guest: &Guest) -> Self {
        let namespaces = std::fs::read_dir("/run/netns").unwrap();
        let namespace = namespaces
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .find(|name| name.ends_with(&guest.id))
            .unwrap();
        let endpoint = bakery.lab.up().host_endpoint.clone();
        let lab = endpoint.strip_prefix("http://").unwrap();
        let lab = lab.split(':').next().unwrap().to_owned();
        let cut = Self { namespace, lab };
        cut.neighbour(&["replace", &cut.lab, "lladdr", NOBODY, "nud", "permanent"]);
        cut
    }

    fn neighbour(&self, what: &[&str]) {
        let status = Command::new("ip")
            .args(["-n", &self.namespace, "neigh"])
            .args(what)
            .args(["dev", "eth0"])
            .status()
            .unwrap();
        assert!(status.success(), "{what:?}");
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.neighbour(&["del", &self.lab]);
    }
}
