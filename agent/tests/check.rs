//! `baker-agent check` against a service that answers as it is told to.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::JoinHandle;

const NO_STREAM: &str = r#"{"__type":"ResourceNotFoundException","message":"The specified log stream does not exist."}"#;
const NO_PERMISSION: &str = r#"{"__type":"AccessDeniedException","message":"User is not authorized to perform: logs:PutLogEvents"}"#;

/// A service that gives each request the next of these answers (status, body, date); returns the operations that it was asked for.
fn service(answers: Vec<(u16, &'static str, &'static str)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (status, body, date) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let head = String::from_utf8(request).unwrap();
            let header = |name: &str| {
                let line = head
                    .lines()
                    .find(|line| line.to_lowercase().starts_with(name));
                line.and_then(|line| Some(line.split_once(": ")?.1.to_owned()))
            };
            let length = header("content-length").unwrap().parse().unwrap();
            let mut sent = vec![0; length];
            stream.read_exact(&mut sent).unwrap();
            let target = header("x-amz-target");
            let (kind, body) = match target {
                Some(_) => ("application/x-amz-json-1.1", body.as_bytes().to_vec()),
                None => (
                    "application/cbor\r\nsmithy-protocol: rpc-v2-cbor",
                    cbor(body),
                ),
            };
            let path = head.split(' ').nth(1).unwrap();
            asked.push(target.unwrap_or_else(|| path.rsplit('/').next().unwrap().to_owned()));
            write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\nconnection: close\r\ndate: {date}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            )
            .unwrap();
            stream.write_all(&body).unwrap();
        }
        asked
    });
    (url, thread)
}

/// An error of that name as CBOR has it, `{"__type": code}`; without a name, `{}`.
fn cbor(code: &str) -> Vec<u8> {
    match u8::try_from(code.len()).unwrap() {
        0 => vec![0xa0],
        length => [b"\xa1\x66__type\x78", &[length][..], code.as_bytes()].concat(),
    }
}

/// `check` on one readable file, with credentials of its own and nothing else from this machine.
fn check(endpoint_url: &str, arguments: &[&str]) -> Output {
    check_with(endpoint_url, "", arguments)
}

/// The same with more in its configuration.
fn check_with(endpoint_url: &str, more: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    let log = directory.path().join("a.log");
    fs::write(&log, "a line\n").unwrap();
    let config = directory.path().join("baker-agent.toml");
    let text = format!(
        "[agent]\nstate_dir = \"{at}\"\ninstance_id = \"i-1\"\nregion = \"eu-west-1\"\nendpoint_url = \"{endpoint_url}\"\n\
         [[file]]\npath = \"{at}/a.log\"\ngroup = \"jenkins.domain.com\"\n{more}"
    );
    fs::write(&config, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_baker-agent"))
        // Whoever else there is on this machine.
        .args(["check", "--user", "root", "--config"])
        .arg(&config)
        .args(arguments)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "example")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .output()
        .unwrap()
}

#[test]
fn whoever_may_read_and_write_is_told_so_and_nothing_is_made() {
    let (url, service) = service(vec![(400, NO_STREAM, ""), (400, NO_STREAM, "")]);
    let output = check(&url, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("this host may write and read"), "{said}");
    assert!(said.contains("a line"), "{said}");
    assert_eq!(
        service.join().unwrap(),
        ["Logs_20140328.GetLogEvents", "Logs_20140328.PutLogEvents"]
    );
}

#[test]
fn a_missing_permission_is_a_problem_with_its_name() {
    let (url, service) = service(vec![(400, NO_STREAM, ""), (400, NO_PERMISSION, "")]);
    let output = check(&url, &["--output", "json"]);
    assert_eq!(output.status.code(), Some(4));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = &report["service"]["findings"][0];
    assert_eq!(finding["problem"], true);
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("allow logs:PutLogEvents"), "{message}");
    service.join().unwrap();
}

#[test]
fn a_clock_that_is_off_is_a_problem() {
    let (url, service) = service(vec![
        (400, NO_STREAM, "Mon, 01 Jan 2001 00:00:00 GMT"),
        (400, NO_STREAM, "Mon, 01 Jan 2001 00:00:00 GMT"),
    ]);
    let output = check(&url, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("ahead of the service's: set it"), "{said}");
    service.join().unwrap();
}

#[test]
fn an_endpoint_that_nobody_listens_at_is_a_problem() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let output = check(&url, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("problem: GetLogEvents"), "{said}");
}

const METRICS: &str = "[metrics]\ncollect = [\"mem_used_percent\"]\nendpoint_url = \"URL\"\n";

#[test]
fn whoever_may_put_metrics_is_told_so_and_none_is_put() {
    let (url, service) = service(vec![
        (400, NO_STREAM, ""),
        (400, NO_STREAM, ""),
        (400, "MissingParameter", ""),
        (200, "", ""),
    ]);
    let output = check_with(&url, &METRICS.replace("URL", &url), &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let expected =
        "metrics        CWAgent each 1m, InstanceId=i-1: reached; this host may put and read them";
    assert!(said.contains(expected), "{said}");
    let missing = "this host has no ImageId, InstanceType, AutoScalingGroupName";
    assert!(said.contains(missing), "{said}");
    let asked = service.join().unwrap();
    assert_eq!(asked[2..], ["PutMetricData", "GetMetricStatistics"]);
}

#[test]
fn a_missing_permission_for_metrics_is_a_problem_with_its_name() {
    for (put, read, named) in [
        (
            "AccessDeniedException",
            "",
            "allow cloudwatch:PutMetricData on CWAgent",
        ),
        (
            "MissingParameter",
            "AccessDenied",
            "allow cloudwatch:GetMetricStatistics on CWAgent",
        ),
    ] {
        let status = if read.is_empty() { 200 } else { 403 };
        let (url, service) = service(vec![
            (400, NO_STREAM, ""),
            (400, NO_STREAM, ""),
            (400, put, ""),
            (status, read, ""),
        ]);
        let output = check_with(&url, &METRICS.replace("URL", &url), &[]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(named), "{said}");
        service.join().unwrap();
    }
}

#[test]
fn root_looks_as_the_user_that_it_names_and_others_as_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let allow =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let config = at.join("baker-agent.toml");
    fs::write(at.join("a.log"), "x\n").unwrap();
    let text = "[agent]\nstate_dir = \"AT/state/agent\"\ninstance_id = \"i-1\"\n[[file]]\npath = \"AT/a.log\"\n";
    fs::write(&config, text.replace("AT", at.to_str().unwrap())).unwrap();
    fs::create_dir(at.join("state")).unwrap();
    allow(at, 0o755);
    allow(&config, 0o644);
    allow(&at.join("a.log"), 0o000);
    allow(&at.join("state"), 0o555);
    let root = nix::unistd::geteuid().is_root();
    let said = |user: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_baker-agent"))
            .args(["check", "--offline", "--user", user, "--config"])
            .arg(&config)
            .env_clear()
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8(said).unwrap(), output.status.code())
    };
    let (nobody, status) = said("nobody");
    assert_eq!(status, Some(4), "{nobody}");
    assert!(nobody.contains("the group `adm` reads logs"), "{nobody}");
    let state = "is not there, and this user can't make it";
    assert!(nobody.contains(state), "{nobody}");
    assert!(nobody.contains("\n2 problems, "), "{nobody}");
    if root {
        assert!(
            nobody.contains("user           nobody (groups nogroup)\n"),
            "{nobody}"
        );
        // Root itself is stopped by neither.
        assert_eq!(said("root").1, Some(0));
        let (none, status) = said("no-such-user");
        assert_eq!(
            (none.as_str(), status),
            (
                "error: there is no user no-such-user: name another with --user\n",
                Some(2)
            )
        );
    } else {
        assert!(
            nobody.contains("look as root (sudo baker-agent check)"),
            "{nobody}"
        );
    }
}

#[test]
fn offline_asks_nobody() {
    let output = check("http://127.0.0.1:9", &["--offline"]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("not asked (--offline)"), "{said}");
}
