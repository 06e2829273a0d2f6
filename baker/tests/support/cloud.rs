//! The services that the baker itself does not use, asked by curl, which signs requests, too.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use super::bakery::Bakery;

/// The role and the instance profile of the test's hosts.
pub(crate) const PROFILE: &str = "app";

/// A log event as it lies in its stream.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) message: String,
    /// From the line to the moment at which CloudWatch had it, in milliseconds.
    pub(crate) delay_ms: i64,
}

/// Makes a role that hosts can have.
pub(crate) fn make_profile(bakery: &Bakery) {
    let actions: [&[(&str, &str)]; 3] = [
        &[
            ("Action", "CreateRole"),
            ("RoleName", PROFILE),
            ("AssumeRolePolicyDocument", "{}"),
        ],
        &[
            ("Action", "CreateInstanceProfile"),
            ("InstanceProfileName", PROFILE),
        ],
        &[
            ("Action", "AddRoleToInstanceProfile"),
            ("InstanceProfileName", PROFILE),
            ("RoleName", PROFILE),
        ],
    ];
    for parameters in actions {
        let mut arguments = vec!["--data-urlencode".to_owned(), "Version=2010-05-08".into()];
        for (name, value) in parameters {
            arguments.push("--data-urlencode".into());
            arguments.push(format!("{name}={value}"));
        }
        let (ok, answer) = ask(bakery, "iam", &arguments);
        assert!(ok, "{answer}");
    }
}

/// The events of all streams of a group, by the stream's name; none while there is no such group.
pub(crate) fn events(bakery: &Bakery, group: &str) -> BTreeMap<String, Vec<Event>> {
    let mut streams = BTreeMap::new();
    let Some(described) = logs(
        bakery,
        "DescribeLogStreams",
        &json!({ "logGroupName": group }),
    ) else {
        return streams;
    };
    for stream in described["logStreams"].as_array().unwrap() {
        let name = stream["logStreamName"].as_str().unwrap();
        let mut events = Vec::new();
        let mut token = Value::Null;
        loop {
            let mut asked =
                json!({ "logGroupName": group, "logStreamName": name, "startFromHead": true });
            if !token.is_null() {
                asked["nextToken"] = token.clone();
            }
            let page = logs(bakery, "GetLogEvents", &asked).unwrap();
            events.extend(
                page["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|event| Event {
                        message: event["message"].as_str().unwrap().to_owned(),
                        delay_ms: event["ingestionTime"].as_i64().unwrap()
                            - event["timestamp"].as_i64().unwrap(),
                    }),
            );
            // The end is where the token stays the same.
            if page["nextForwardToken"] == token {
                break;
            }
            token = page["nextForwardToken"].clone();
        }
        streams.insert(name.to_owned(), events);
    }
    streams
}

fn logs(bakery: &Bakery, operation: &str, body: &Value) -> Option<Value> {
    let (ok, answer) = ask(
        bakery,
        "logs",
        &[
            "--header".into(),
            format!("X-Amz-Target: Logs_20140328.{operation}"),
            "--header".into(),
            "Content-Type: application/x-amz-json-1.1".into(),
            "--data".into(),
            body.to_string(),
        ],
    );
    if ok {
        return Some(serde_json::from_str(&answer).unwrap());
    }
    assert!(answer.contains("ResourceNotFoundException"), "{answer}");
    None
}

/// Whether it was granted, and the answer.
fn ask(bakery: &Bakery, service: &str, arguments: &[String]) -> (bool, String) {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--noproxy",
            "*",
        ])
        .args([
            "--aws-sigv4",
            &format!("aws:amz:{}:{service}", bakery.lab.up().region),
        ])
        .args(["--user", "lab:lab"])
        .args(arguments)
        .arg(format!("{}/", bakery.lab.endpoint()))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        format!("{}{}", text(&output.stdout), text(&output.stderr)),
    )
}
