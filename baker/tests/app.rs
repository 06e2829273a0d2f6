//! The recipe `provision/app`, baked and booted: what somebody gets who launches the image.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/bakery.rs"]
mod bakery;
#[path = "support/guest.rs"]
mod guest;

use std::path::Path;
use std::time::Duration;

use bakery::{Bakery, run, text, until};
use guest::Guest;

/// Shown by the page and by /health.
const RELEASE: &str = "4f1c0de";

/// The log files that the image promises, with the owner, group and mode of each.
const LOGS: [(&str, &str); 5] = [
    ("/var/log/nginx/access.log", "www-data adm 640"),
    ("/var/log/nginx/error.log", "www-data adm 640"),
    ("/var/log/gunicorn/access.log", "app adm 640"),
    ("/var/log/gunicorn/error.log", "app adm 640"),
    ("/var/log/gunicorn/app.log", "app adm 640"),
];

/// The logs that get a line for each greeting.
const GREETED: [&str; 3] = [
    "/var/log/nginx/access.log",
    "/var/log/gunicorn/access.log",
    "/var/log/gunicorn/app.log",
];

// One bake serves all that is asked of the image: it upgrades a whole distribution, which takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_application_serves_and_logs_through_rotation_and_restart() {
    let bakery = Bakery::with_agent();
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../provision/app");
    let mut baker = bakery.baker(&["build", text(&recipe), "--output", "json"]);
    let ended = run(baker.env("GIT_COMMIT", RELEASE));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let manifest: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();

    let guest = Guest::boot(&bakery, manifest["image"]["id"].as_str().unwrap()).await;
    until("the application to answer", || async {
        (fetch(&guest, "/health").await?.0 == 200).then_some(())
    })
    .await;

    it_answers_as_the_release_that_was_baked(&guest).await;
    its_health_fails_when_it_cannot_write_its_log(&guest).await;
    a_request_can_be_followed_by_its_id(&guest).await;
    lines_keep_arriving_after_rotation(&guest).await;
    syslog_keeps_arriving_after_rotation(&guest).await;
    no_request_fails_while_gunicorn_restarts(&guest).await;
}

async fn it_answers_as_the_release_that_was_baked(guest: &Guest) {
    let (status, page) = get(guest, "/").await;
    assert_eq!(status, 200);
    assert!(page.contains(&format!("release {RELEASE}")), "{page}");

    let (status, health) = get(guest, "/health").await;
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, &health["status"]), (200, &"ok".into()));
    assert_eq!(health["release"], RELEASE);
    assert!(health["uptime_s"].is_f64(), "{health}");

    let (status, page) = get(guest, "/hello/%3Cb%3EZ%C3%BCrich").await;
    assert_eq!(status, 200);
    assert!(page.contains("Hello, &lt;b&gt;Zürich!"), "{page}");
    assert_eq!(get(guest, "/nowhere").await.0, 404);
}

async fn its_health_fails_when_it_cannot_write_its_log(guest: &Guest) {
    // Not by a mode, which an administrator of the host could overrule: a directory can't be written to.
    guest
        // A worker that has just answered may make it anew in between.
        .ask("cd /var/log/gunicorn && sudo mv app.log aside && until sudo mkdir app.log 2>/dev/null; do sudo rm -f app.log; done")
        .await;
    let (status, health) = get(guest, "/health").await;
    assert_eq!(status, 503, "{health}");
    assert!(health.contains("Is a directory"), "{health}");
    guest
        .ask("cd /var/log/gunicorn && sudo rmdir app.log && sudo mv aside app.log")
        .await;
    assert_eq!(get(guest, "/health").await.0, 200);
}

async fn a_request_can_be_followed_by_its_id(guest: &Guest) {
    greet(guest, "tracer").await;
    let id = guest
        .ask("sudo sed -n 's|.*/hello/tracer .* req=\\([0-9a-f]*\\).*|\\1|p' /var/log/nginx/access.log")
        .await;
    assert_eq!(id.len(), 32, "{id:?}");
    for log in GREETED {
        let lines = guest.ask(&format!("sudo grep -c {id} {log}")).await;
        assert_eq!(lines, "1", "{log}");
    }
}

async fn lines_keep_arriving_after_rotation(guest: &Guest) {
    greet(guest, "before-rotation").await;
    // Makes sure that every log has a line: an empty one is not rotated.
    guest
        .ask("for log in /var/log/nginx/error.log /var/log/gunicorn/error.log; do echo line | sudo tee -a $log; done")
        .await;
    guest
        .ask("sudo logrotate --force /etc/logrotate.conf")
        .await;
    for (log, access) in LOGS {
        let seen = guest.ask(&format!("sudo stat -c '%U %G %a' {log}")).await;
        assert_eq!(seen, access, "{log} after rotation");
        guest.ask(&format!("sudo test -s {log}.1")).await;
    }
    // The signal to reopen is not answered: both files together must hold each line once, whichever it came to.
    greet(guest, "during-rotation").await;
    for log in GREETED {
        for name in ["before-rotation", "during-rotation"] {
            let lines = guest
                .ask(&format!("sudo cat {log}.1 {log} | grep -c {name}"))
                .await;
            assert_eq!(lines, "1", "{name} in {log} and {log}.1");
        }
    }
    // Then every worker writes to the new file: one that kept the old one would show within so many requests.
    // The agent reads them for as long as it has not shipped them, and here it has no role to ship with.
    until("all writers to let go of the rotated files", || async {
        let held = guest
            .ask("sudo find /proc/[0-9]*/fd -lname '/var/log/*.log.1' -perm -200 2>/dev/null | wc -l")
            .await;
        (held == "0").then_some(())
    })
    .await;
    for _ in 0..20 {
        greet(guest, "after-rotation").await;
    }
    for log in GREETED {
        let lines = guest
            .ask(&format!("sudo grep -c after-rotation {log}"))
            .await;
        assert_eq!(lines, "20", "{log}");
    }
}

async fn syslog_keeps_arriving_after_rotation(guest: &Guest) {
    let arrives = async |line: &str| {
        guest.ask(&format!("logger --tag test {line}")).await;
        until(line, || async {
            let lines = guest
                .ask(&format!(
                    "sudo grep -c 'test.*: {line}' /var/log/syslog || true"
                ))
                .await;
            (lines == "1").then_some(())
        })
        .await;
    };
    arrives("syslog-before").await;
    guest
        .ask("sudo logrotate --force /etc/logrotate.conf")
        .await;
    guest
        .ask("sudo grep -q syslog-before /var/log/syslog.1")
        .await;
    arrives("syslog-after").await;
}

async fn no_request_fails_while_gunicorn_restarts(guest: &Guest) {
    let uptime = async || {
        let (_, health) = get(guest, "/health").await;
        let health: serde_json::Value = serde_json::from_str(&health).unwrap();
        health["uptime_s"].as_f64().unwrap()
    };
    let before = uptime().await;
    let restart = guest.ask("sudo systemctl restart gunicorn");
    let mut answers = Vec::new();
    tokio::pin!(restart);
    loop {
        tokio::select! {
            biased;
            _ = &mut restart => break,
            (status, _) = get(guest, "/") => answers.push(status),
        }
    }
    assert!(!answers.is_empty());
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert!(uptime().await < before, "gunicorn did not restart");
}

/// Asks for a page that leaves a line in each of [`GREETED`].
async fn greet(guest: &Guest, name: &str) {
    assert_eq!(get(guest, &format!("/hello/{name}")).await.0, 200);
}

/// Status and body; an answer must come.
async fn get(guest: &Guest, path: &str) -> (u16, String) {
    let answer = fetch(guest, path).await;
    answer.unwrap_or_else(|| panic!("{path}: no answer"))
}

/// Status and body, or nothing while nobody answers.
async fn fetch(guest: &Guest, path: &str) -> Option<(u16, String)> {
    let url = format!("http://{}{path}", guest.address);
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        let mut answer = agent.get(&url).call().ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        Some((answer.status().as_u16(), body))
    })
    .await
    .unwrap()
}
