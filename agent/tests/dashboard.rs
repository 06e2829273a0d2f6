//! `baker-agent dashboard`: what it writes, word for word, and that CloudWatch, with its rules of a dashboard's body, takes it.
//!
//! Each directory in `tests/dashboards` is a case. To accept new words: `BAKER_AGENT_ACCEPT=1 cargo test -p baker-agent --test dashboard`, then read the
//! diff.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lab::endpoint::{Config, Endpoint, Kind, Rule, Script, When};
use serde_json::{Value as Json, json};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboards")
}

/// The command, with credentials of its own and nothing else from this machine.
fn dashboard(arguments: &[&str], endpoint: Option<&Endpoint>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baker-agent"));
    command
        .args(["dashboard", "--config", "app/baker-agent.toml"])
        .args(arguments)
        .current_dir(cases())
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    if let Some(endpoint) = endpoint {
        command.env("AWS_ENDPOINT_URL", endpoint.url());
    }
    command.output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn golden(file: &str, found: &str) {
    let path = cases().join(file);
    if std::env::var_os("BAKER_AGENT_ACCEPT").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} says something else now.\n--- expected\n{expected}\n--- found\n{found}"
    );
}

#[test]
fn a_groups_dashboard_is_what_it_was() {
    let output = dashboard(&["--group", "web"], None);
    let said = text(output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    golden("app/group.json", &text(output.stdout));
    golden("app/group.notes", &said);
}

#[test]
fn an_instances_dashboard_is_what_it_was() {
    let output = dashboard(
        &["--instance", "i-0123456789abcdef0", "--output", "json"],
        None,
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(output.stderr), "");
    golden("app/instance.json", &text(output.stdout));
}

#[test]
fn cloudwatch_takes_the_dashboard_as_it_is_written_and_finds_nothing_to_say() {
    let endpoint = Endpoint::start(Config::default()).unwrap();
    let written = dashboard(&["--group", "web"], None);
    let written: Json = serde_json::from_slice(&written.stdout).unwrap();
    let arguments = ["--group", "web", "--put", "web-1", "--output", "json"];
    // Twice: the second time it is replaced.
    for _ in 0..2 {
        let output = dashboard(&arguments, Some(&endpoint));
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let outcome: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(outcome["remarks"], json!([]));
        assert_eq!(
            (&outcome["put"], &outcome["group"]),
            (&json!("web-1"), &json!("web"))
        );
        let kept: Json = serde_json::from_str(&endpoint.dashboard("web-1").unwrap()).unwrap();
        assert_eq!(kept, written);
    }
    let output = dashboard(&["--instance", "i-1", "--put", "one"], Some(&endpoint));
    assert!(text(output.stdout).starts_with("put the dashboard one ("));
    assert!(
        endpoint
            .dashboard("one")
            .unwrap()
            .contains("InstanceId=\\\"i-1\\\"")
    );
}

#[test]
fn what_cloudwatch_refuses_is_told_with_what_to_do() {
    let endpoint = Endpoint::start(Config::default()).unwrap();
    endpoint.set_faults(Script {
        seed: 1,
        rules: vec![Rule {
            operation: None,
            when: When::Always,
            kind: Kind::AccessDenied,
        }],
    });
    let output = dashboard(&["--group", "web", "--put", "web"], Some(&endpoint));
    let said = text(output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(
        said.contains("allow cloudwatch:PutDashboard on web"),
        "{said}"
    );
    assert_eq!(text(output.stdout), "");
    assert_eq!(endpoint.dashboard("web"), None);
}

#[test]
fn what_can_not_be_asked_for_is_refused_before_anything_is_sent() {
    for (arguments, why) in [
        (
            &["--group", "web", "--put", "a b"][..],
            "can't be a dashboard's name",
        ),
        (&["--group", "a'b"], "can't be searched for"),
        (
            &["--group", "a", "--instance", "i-1"],
            "cannot be used with",
        ),
    ] {
        let output = dashboard(arguments, None);
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
