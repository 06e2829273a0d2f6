//! Checks made on this machine, and what is said when they do not hold.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::recipe::PathKind;
use crate::remote::local::LocalHost;

async fn check(host: &LocalHost, timeout: Duration, condition: Condition) -> Vec<String> {
    let check = Check {
        recipe: "app".into(),
        timeout,
        condition,
    };
    let left = Duration::from_secs(60);
    one(Root::Already, host, &check, left, &Events::discard())
        .await
        .unwrap()
        .iter()
        .map(Mismatch::to_string)
        .collect()
}

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(30);

fn bench() -> (tempfile::TempDir, LocalHost) {
    let root = tempfile::tempdir().unwrap();
    let host = LocalHost::new(root.path());
    (root, host)
}

fn path(at: &std::path::Path) -> Condition {
    Condition::Path {
        path: at.to_str().unwrap().to_owned(),
        owner: None,
        group: None,
        mode: None,
        kind: None,
    }
}

#[tokio::test]
async fn every_property_of_a_path_that_differs_is_told() {
    let (root, host) = bench();
    let file = root.path().join("app.conf");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(check(&host, SHORT, path(&file)).await.is_empty());
    let strict = Condition::Path {
        path: file.to_str().unwrap().to_owned(),
        owner: Some("www-data".into()),
        group: None,
        mode: Some(0o600),
        kind: Some(PathKind::Directory),
    };
    let told = check(&host, SHORT, strict).await;
    assert_eq!(told[0], "type is file, expected directory");
    assert!(told[1].starts_with("owner is ") && told[1].ends_with(", expected www-data"));
    assert_eq!(told[2], "mode is 0640, expected 0600");
}

#[tokio::test]
async fn a_missing_path_is_told() {
    let (root, host) = bench();
    let told = check(&host, SHORT, path(&root.path().join("nope"))).await;
    assert_eq!(told, ["No such file or directory"]);
}

fn service(active: bool, enabled: bool) -> Condition {
    Condition::Service {
        name: "app.service".into(),
        active,
        enabled,
    }
}

#[tokio::test]
async fn a_service_must_run_and_start_at_boot() {
    let (_root, host) = bench();
    host.replace(
        "systemctl",
        "case $1 in is-active) echo failed; exit 3;; *) echo disabled; exit 1;; esac",
    );
    assert!(check(&host, SHORT, service(false, false)).await.is_empty());
    assert_eq!(
        check(&host, SHORT, service(true, true)).await,
        [
            "state is failed, expected active",
            "start at boot is disabled, expected enabled"
        ]
    );
}

#[tokio::test]
async fn a_service_that_comes_up_within_its_time_is_fine() {
    let (root, host) = bench();
    let mark = root.path().join("mark");
    let text = format!(
        "[ $1 = is-enabled ] && {{ echo enabled; exit; }}; \
         if [ -e {mark} ]; then echo active; else touch {mark}; echo activating; exit 3; fi",
        mark = mark.display()
    );
    host.replace("systemctl", &text);
    assert!(
        check(&host, Duration::from_secs(20), service(true, true))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_port_is_open_or_not() {
    let (_root, host) = bench();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(check(&host, SHORT, Condition::Port(port)).await.is_empty());
    drop(listener);
    let told = check(&host, SHORT, Condition::Port(port)).await;
    assert_eq!(told, ["Connection refused"]);
}

/// Answers every request the same, until the test ends.
fn serve(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

fn http(url: &str, status: u16, contains: Option<&str>) -> Condition {
    Condition::Http {
        url: url.into(),
        status,
        contains: contains.map(str::to_owned),
    }
}

#[tokio::test]
async fn an_answer_is_judged_by_status_and_body() {
    let (_root, host) = bench();
    let url = serve("HTTP/1.0 503 Busy\r\n\r\nworkers: 0\n");
    assert!(
        check(&host, SHORT, http(&url, 503, Some("workers")))
            .await
            .is_empty()
    );
    assert_eq!(
        check(&host, SHORT, http(&url, 200, Some("ok"))).await,
        [
            "status is 503, expected 200",
            "the body lacks \"ok\"; it begins \"workers: 0\""
        ]
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_of_its_own() {
    let (_root, host) = bench();
    let url = serve("HTTP/1.0 301 Moved\r\nLocation: http://127.0.0.1:9/\r\n\r\n");
    assert!(check(&host, SHORT, http(&url, 301, None)).await.is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let (_root, host) = bench();
    let told = check(&host, SHORT, http("http://127.0.0.1:9/", 200, None)).await;
    assert_eq!(told, ["Connection refused"]);
}

fn command(text: &str) -> Condition {
    let user = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    Condition::Command {
        command: text.into(),
        user: String::from_utf8(user.stdout).unwrap().trim().to_owned(),
    }
}

#[tokio::test]
async fn a_failing_command_shows_its_status_and_last_lines() {
    let (_root, host) = bench();
    assert!(check(&host, LONG, command("true")).await.is_empty());
    let told = check(&host, LONG, command("seq 9; exit 4")).await;
    let expected = "exit status 4\n      5\n      6\n      7\n      8\n      9";
    assert_eq!(told, [expected]);
    let told = check(&host, SHORT, command("sleep 9")).await;
    assert_eq!(told, ["no answer within 400ms"]);
}

#[test]
fn all_that_failed_is_listed_under_one_head() {
    let findings = vec![
        Finding {
            recipe: "app".into(),
            subject: "/srv/app".into(),
            mismatches: vec![
                "owner is root, expected www-data".into(),
                "mode is 0755, expected 0750".into(),
            ],
        },
        Finding {
            recipe: "app".into(),
            subject: "port 80".into(),
            mismatches: vec!["Connection refused".into()],
        },
    ];
    assert_eq!(
        VerifyError::Failed { findings, of: 5 }.to_string(),
        "2 of 5 checks failed; no image was made of the host\
         \n  /srv/app: owner is root, expected www-data\
         \n  /srv/app: mode is 0755, expected 0750\
         \n  port 80: Connection refused"
    );
}
