//! What instances of the baked images tell CloudWatch: every line of every log, once, under their own name, and every interval's metrics;
//! whatever befalls them.
//!
//! Delays and counts are printed: `cargo test -p baker --test shipping -- --nocapture`. What takes long by its nature is rehearsed by
//! `make rehearse`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/bakery.rs"]
mod bakery;
#[path = "../support/guest.rs"]
mod guest;

// CloudWatch, what was written, and what the host says.
mod cloud;
mod lines;
mod load;
mod measures;

// What befalls instances.
mod faults;
mod lives;
mod outage;

use std::path::Path;
use std::time::Duration;

use bakery::{Bakery, run, text, until};
use faults::{SOON, now_s};
use guest::Guest;
use lines::{Delays, Logs, counted};
use load::Load;

/// Of `provision/app`.
const APP: Logs = Logs {
    group: "cname.domain.com",
    files: &[
        ("syslog", "/var/log/syslog"),
        ("nginx-access", "/var/log/nginx/access.log"),
        ("nginx-error", "/var/log/nginx/error.log"),
        ("gunicorn-access", "/var/log/gunicorn/access.log"),
        ("gunicorn-error", "/var/log/gunicorn/error.log"),
        ("app", "/var/log/gunicorn/app.log"),
    ],
};
const APP_LOAD: Load = Load { path: "/hello/" };
/// Of `provision/jenkins`.
const JENKINS: Logs = Logs {
    group: "jenkins.domain.com",
    files: &[
        ("syslog", "/var/log/syslog"),
        ("nginx-access", "/var/log/nginx/access.log"),
        ("jenkins", "/var/log/jenkins/jenkins.log"),
    ],
};
const JENKINS_LOAD: Load = Load { path: "/job/" };
/// Rounds of a burst.
const ROUNDS: usize = 200;

/// How long the network is gone in each run of the tests, and in a rehearsal unless `REHEARSE_SECONDS` says otherwise.
const OUTAGE_S: usize = 30;
const LONG_OUTAGE_S: usize = 30 * 60;

#[tokio::test(flavor = "multi_thread")]
async fn every_line_and_every_interval_of_an_application_host_arrives_once_whatever_goes_wrong() {
    let bakery = Bakery::with_agent();
    let image = bake_app(&bakery);
    let mut guest = Guest::boot_as(&bakery, &image, Some(cloud::PROFILE)).await;
    APP_LOAD.steady(&guest, "quiet", 8).await;
    let streams = APP.all_arrived(&bakery, &guest, SOON).await;
    only_of(&guest, &streams);
    Delays::of(&streams, &guest.id, "quiet").hold_in_quiet("nothing goes wrong");

    measures::agree_with_the_host(&bakery, &guest).await;
    measures::settle_soon(&guest).await;
    faults::of_the_service(&bakery, &guest, APP, APP_LOAD).await;
    outage::endure(&bakery, &mut guest, APP, APP_LOAD, OUTAGE_S).await;
    faults::rotation(&bakery, &guest, APP, APP_LOAD).await;
    // From here on the agent begins anew, and counters need two looks.
    faults::kill(&bakery, &guest, APP, APP_LOAD).await;
    faults::full_disk(&bakery, &guest, APP, APP_LOAD).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_their_hosts_own_through_reboot_copy_and_termination() {
    let bakery = Bakery::with_agent();
    let image = bake_app(&bakery);
    let mut guest = Guest::boot_as(&bakery, &image, Some(cloud::PROFILE)).await;
    lives::reboot(&bakery, &mut guest, APP, APP_LOAD).await;
    let clones = lives::clones(&bakery, &guest, APP, APP_LOAD).await;
    for guest in clones.into_iter().chain([guest]) {
        lives::termination(&bakery, guest, APP, APP_LOAD).await;
    }
}

/// The spool, the credentials and the clients outlast it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes more than half an hour: make rehearse"]
async fn half_an_hour_without_a_network_leaves_no_gap() {
    let bakery = Bakery::with_agent();
    let image = bake_app(&bakery);
    let seconds = std::env::var("REHEARSE_SECONDS").map_or(LONG_OUTAGE_S, |it| it.parse().unwrap());
    let lifetime = Duration::from_secs(900 + 2 * seconds as u64);
    let mut guest = Guest::boot_for(&bakery, &image, Some(cloud::PROFILE), lifetime).await;
    APP_LOAD.steady(&guest, "quiet", 8).await;
    outage::endure(&bakery, &mut guest, APP, APP_LOAD, seconds).await;
}

/// Jenkins' own repository is out of reach of tests: `tests/jenkins/stand-in` is a package that logs like it. The recipe is the one that
/// users have, but for what its base is.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_jenkins_host_arrives_once_through_copytruncate() {
    let bakery = Bakery::with_agent();
    let image = bake_jenkins(&bakery);
    let guest = Guest::boot_as(&bakery, &image, Some(cloud::PROFILE)).await;
    until("Jenkins to answer", || async {
        let asked = guest.ask("python3 -c \"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1/').status)\" || true").await;
        asked.ends_with("200").then_some(())
    })
    .await;
    JENKINS_LOAD.burst(&guest, "before", ROUNDS).await;
    guest
        .ask("sudo logrotate --force /etc/logrotate.conf")
        .await;
    JENKINS_LOAD.burst(&guest, "after", ROUNDS).await;
    let streams = JENKINS.all_arrived(&bakery, &guest, SOON).await;
    Delays::of(&streams, &guest.id, "after").hold_in_quiet("Jenkins, nothing goes wrong");
    // A stack trace is part of its event, and a two-line event is one.
    let events = &streams[&format!("{}/jenkins", guest.id)];
    let builds: Vec<_> = events
        .iter()
        .filter(|event| event.message.contains("INFO: build /job/"))
        .collect();
    assert_eq!(builds.len(), 2 * ROUNDS);
    for event in builds {
        let traced = event.message.contains("java.io.IOException");
        assert_eq!(event.message.lines().count(), if traced { 4 } else { 2 });
    }

    let begun_s = now_s();
    // Under load, what Jenkins writes between copy and truncation may be gone before anybody has seen it; nothing else may.
    faults::rotation(&bakery, &guest, JENKINS, JENKINS_LOAD).await;
    let disk = JENKINS.on_disk(&guest).await;
    let streams = cloud::events(&bakery, JENKINS.group);
    let asked = guest
        .ask("sudo cat /var/log/nginx/access.log.2.gz /var/log/nginx/access.log.1 /var/log/nginx/access.log | zcat -f | grep -c /job/rotation- || true")
        .await;
    let builds = |lines: &lines::Counted| {
        let told = lines
            .iter()
            .filter(|(line, _)| line.contains("INFO: build /job/rotation-"));
        told.map(|(_, times)| *times).sum::<usize>()
    };
    let on_disk = disk.into_iter().find(|(stream, _)| *stream == "jenkins");
    println!(
        "{asked} builds while Jenkins' log was copied and truncated twice: {} on the disk, {} in CloudWatch",
        builds(&counted(on_disk.unwrap().1)),
        builds(&lines::arrived(&streams, &guest.id, "jenkins")),
    );
    let told = measures::without_a_gap(&bakery, &guest, (begun_s, now_s() - 1)).await;
    println!(
        "{} metrics of the Jenkins host, one value in each interval",
        told.len()
    );
}

/// Bakes `provision/app`. While it is baked it ships nothing, though it has a role with which it could.
fn bake_app(bakery: &Bakery) -> String {
    cloud::make_profile(bakery);
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../provision/app");
    bakery.kitchen.write(
        "app/recipe.toml",
        &format!(
            "[image]\nname = \"shipping\"\nfrom = {:?}\n[build]\ninstance_profile = \"{}\"\n",
            text(&recipe),
            cloud::PROFILE
        ),
    );
    let image = bake(bakery, &["build", "app", "--output", "json"]);
    assert!(
        cloud::events(bakery, APP.group).is_empty(),
        "the build host has shipped its lines"
    );
    image
}

/// Bakes `provision/jenkins` on the stand-in.
fn bake_jenkins(bakery: &Bakery) -> String {
    cloud::make_profile(bakery);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (from, to) in [
        ("../provision/base", "base"),
        ("../provision/jenkins", "jenkins"),
        ("tests/jenkins/stand-in", "stand-in"),
    ] {
        copy(&here.join(from), &bakery.kitchen.path(to));
    }
    let recipe = bakery.kitchen.path("jenkins/recipe.toml");
    let said = std::fs::read_to_string(&recipe).unwrap();
    let said = said.replace("from = \"../base\"", "from = \"../stand-in\"");
    std::fs::write(&recipe, said).unwrap();
    bake(
        bakery,
        &[
            "build",
            "jenkins",
            "--output",
            "json",
            "--var",
            "repository=file:/opt/stand-in ./",
            "--var",
            "java=procps",
        ],
    )
}

/// The id of the image.
fn bake(bakery: &Bakery, arguments: &[&str]) -> String {
    let mut baker = bakery.baker(arguments);
    for variable in ["APP_METRICS_INTERVAL", "JENKINS_METRICS_INTERVAL"] {
        baker.env(variable, measures::INTERVAL);
    }
    let ended = run(&mut baker);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let manifest: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    manifest["image"]["id"].as_str().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Asserts that all streams bear this instance's name.
fn only_of(guest: &Guest, streams: &cloud::Streams) {
    let own = format!("{}/", guest.id);
    let others: Vec<&String> = streams
        .keys()
        .filter(|stream| !stream.starts_with(&own))
        .collect();
    assert!(others.is_empty(), "lines under another name: {others:?}");
}
