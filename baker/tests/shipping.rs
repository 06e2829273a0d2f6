//! What instances of the baked images ship: every line of every log, once, under their own name.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/bakery.rs"]
mod bakery;
#[path = "support/cloud.rs"]
mod cloud;
#[path = "support/guest.rs"]
mod guest;

use std::collections::BTreeMap;
use std::path::Path;

use bakery::{Bakery, run, text, until};
use guest::Guest;

/// The log group of `provision/app`'s hosts.
const GROUP: &str = "cname.domain.com";
/// That of `provision/jenkins`'s.
const JENKINS_GROUP: &str = "jenkins.domain.com";
/// A line is in CloudWatch well within a minute.
const DELAY_MS_MAX: i64 = 60_000;
/// Requests and syslog lines before a rotation, and as many after it.
const LINES: usize = 200;

/// Stream, without the instance's id, and file.
const LOGS: [(&str, &str); 6] = [
    ("syslog", "/var/log/syslog"),
    ("nginx-access", "/var/log/nginx/access.log"),
    ("nginx-error", "/var/log/nginx/error.log"),
    ("gunicorn-access", "/var/log/gunicorn/access.log"),
    ("gunicorn-error", "/var/log/gunicorn/error.log"),
    ("app", "/var/log/gunicorn/app.log"),
];

// One bake serves all: it upgrades a whole distribution, which takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_an_application_host_arrives_once_under_its_own_name() {
    let bakery = Bakery::with_agent();
    cloud::make_profile(&bakery);
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../provision/app");
    // With a role, so that only the agent itself can keep the build host silent.
    bakery.kitchen.write(
        "app/recipe.toml",
        &format!(
            "[image]\nname = \"shipping\"\nfrom = {:?}\n[build]\ninstance_profile = \"{}\"\n",
            text(&recipe),
            cloud::PROFILE
        ),
    );
    let ended = run(&mut bakery.baker(&["build", "app", "--output", "json"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let manifest: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(
        cloud::events(&bakery, GROUP).is_empty(),
        "the build host has shipped its lines"
    );

    let guest = Guest::boot_as(
        &bakery,
        manifest["image"]["id"].as_str().unwrap(),
        Some(cloud::PROFILE),
    )
    .await;
    work(&guest, "before").await;
    guest
        .ask("sudo logrotate --force /etc/logrotate.conf")
        .await;
    work(&guest, "after").await;
    let streams = all_arrived(&bakery, GROUP, &LOGS, &guest).await;

    let own: Vec<&String> = streams
        .keys()
        .filter(|stream| !stream.starts_with(&format!("{}/", guest.id)))
        .collect();
    assert!(own.is_empty(), "lines under another name: {own:?}");
    tell_delays(&streams[&format!("{}/syslog", guest.id)]);
}

/// Jenkins' own repository is out of reach of tests: `tests/jenkins/stand-in` is a package that logs like it. The recipe is the one that
/// users have, but for what its base is.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_jenkins_host_arrives_once_through_copytruncate() {
    let bakery = Bakery::with_agent();
    cloud::make_profile(&bakery);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(
        &here.join("../provision/base"),
        &bakery.kitchen.path("base"),
    );
    copy(
        &here.join("../provision/jenkins"),
        &bakery.kitchen.path("jenkins"),
    );
    copy(
        &here.join("tests/jenkins/stand-in"),
        &bakery.kitchen.path("stand-in"),
    );
    let recipe = bakery.kitchen.path("jenkins/recipe.toml");
    let said = std::fs::read_to_string(&recipe).unwrap();
    std::fs::write(
        &recipe,
        said.replace("from = \"../base\"", "from = \"../stand-in\""),
    )
    .unwrap();
    let ended = run(&mut bakery.baker(&[
        "build",
        "jenkins",
        "--output",
        "json",
        "--var",
        "repository=file:/opt/stand-in ./",
        "--var",
        "java=procps",
    ]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let manifest: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let image = manifest["image"]["id"].as_str().unwrap();
    let guest = Guest::boot_as(&bakery, image, Some(cloud::PROFILE)).await;
    let build = async |name: &str| {
        let script = format!(
            "import urllib.request\nfor n in range({LINES}): urllib.request.urlopen('http://127.0.0.1/job/{name}-%d' % n).read()"
        );
        guest.ask(&format!("python3 -c \"{script}\"")).await;
    };
    until("Jenkins to answer", || async {
        let asked = guest.ask("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/ || python3 -c \"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1/').status)\" || true").await;
        asked.ends_with("200").then_some(())
    })
    .await;
    build("before").await;
    guest
        .ask("sudo logrotate --force /etc/logrotate.conf")
        .await;
    build("after").await;
    let logs = [
        ("syslog", "/var/log/syslog"),
        ("nginx-access", "/var/log/nginx/access.log"),
        ("jenkins", "/var/log/jenkins/jenkins.log"),
    ];
    let streams = all_arrived(&bakery, JENKINS_GROUP, &logs, &guest).await;
    // A stack trace is part of its event, and a two-line event is one.
    let events = &streams[&format!("{}/jenkins", guest.id)];
    let builds: Vec<_> = events
        .iter()
        .filter(|event| event.message.contains("INFO: build /job/"))
        .collect();
    assert_eq!(builds.len(), 2 * LINES);
    for event in builds {
        let traced = event.message.contains("java.io.IOException");
        assert_eq!(event.message.lines().count(), if traced { 4 } else { 2 });
    }
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Requests through both servers, and lines through syslog.
async fn work(guest: &Guest, name: &str) {
    guest
        .ask(&format!(
            "python3 - <<'PYTHON'\nimport syslog, urllib.request\nfor n in range({LINES}):\n    \
             syslog.syslog('{name} %d' % n)\n    urllib.request.urlopen('http://127.0.0.1/hello/{name}-%d' % n).read()\nPYTHON"
        ))
        .await;
}

/// Awaits that each line which is on the host's disk now is in its stream, as often as on the disk.
async fn all_arrived(
    bakery: &Bakery,
    group: &str,
    logs: &[(&str, &str)],
    guest: &Guest,
) -> BTreeMap<String, Vec<cloud::Event>> {
    let mut written = Vec::new();
    for (stream, file) in logs {
        let lines = guest
            .ask(&format!("sudo cat {file}.1 {file} 2>/dev/null || true"))
            .await;
        written.push((*stream, counted(lines.lines())));
    }
    let total: usize = written.iter().flat_map(|(_, lines)| lines.values()).sum();
    assert!(total >= 4 * LINES, "only {total} lines were written");
    let streams = until("every line", || async {
        let streams = cloud::events(bakery, group);
        written
            .iter()
            .all(|(stream, lines)| {
                let arrived = arrived(&streams, &guest.id, stream);
                lines.keys().all(|line| arrived.contains_key(line))
            })
            .then_some(streams)
    })
    .await;
    for (stream, lines) in &written {
        let arrived = arrived(&streams, &guest.id, stream);
        let wrong: Vec<_> = lines
            .iter()
            .filter(|(line, times)| arrived.get(*line) != Some(times))
            .take(5)
            .collect();
        assert!(
            wrong.is_empty(),
            "{stream}: not as often as written: {wrong:?}"
        );
    }
    println!("{total} lines on the disk, each in CloudWatch as often");
    streams
}

fn arrived(
    streams: &BTreeMap<String, Vec<cloud::Event>>,
    instance: &str,
    stream: &str,
) -> BTreeMap<String, usize> {
    let events = streams.get(&format!("{instance}/{stream}"));
    let events = events.map(Vec::as_slice).unwrap_or_default();
    counted(events.iter().flat_map(|event| event.message.lines()))
}

fn counted<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for line in lines {
        *counted.entry(line.to_owned()).or_default() += 1;
    }
    counted
}

/// From a line's own time to CloudWatch, for the lines of [`work`]; those of the boot wait for the agent.
fn tell_delays(events: &[cloud::Event]) {
    let mut delays: Vec<i64> = events
        .iter()
        .filter(|event| event.message.contains("before ") || event.message.contains("after "))
        .map(|event| event.delay_ms)
        .collect();
    delays.sort_unstable();
    let at = |part: usize| delays[(delays.len() - 1) * part / 100];
    println!(
        "syslog line to CloudWatch: p50 {} ms, p99 {} ms, max {} ms of {}",
        at(50),
        at(99),
        at(100),
        delays.len()
    );
    assert!(at(100) < DELAY_MS_MAX, "{} ms", at(100));
}
