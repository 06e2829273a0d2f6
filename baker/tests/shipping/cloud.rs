//! CloudWatch as its users see it, and IAM: services that the baker itself does not use, asked by curl, which signs requests, too.

mod metrics;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use super::bakery::Bakery;

pub(crate) use metrics::{Metric, Point, metrics, points};

/// The role and the instance profile of the test's hosts.
pub(crate) const PROFILE: &str = "app";
/// A log event as it lies in its stream.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) message: String,
    /// From the line to the moment at which CloudWatch had it, in milliseconds.
    pub(crate) delay_ms: i64,
}

/// The events of a group, by the stream's name.
pub(crate) type Streams = BTreeMap<String, Vec<Event>>;

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
pub(crate) fn events(bakery: &Bakery, group: &str) -> Streams {
    let mut streams = Streams::new();
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

/// Sets what goes wrong from now on, in the words of `lab faults set`.
pub(crate) fn set_faults(bakery: &Bakery, rules: &Value) {
    let script = json!({"seed": 7, "rules": rules});
    control(bakery, "PUT", "faults", Some(&script.to_string()));
}

/// How many requests each rule of [`set_faults`] has met.
pub(crate) fn met(bakery: &Bakery) -> Vec<u64> {
    let answer: Value = serde_json::from_str(&control(bakery, "GET", "faults", None)).unwrap();
    let met = answer["met"].as_array().unwrap().iter();
    met.map(|met| met.as_u64().unwrap()).collect()
}

/// Ends what goes wrong.
pub(crate) fn clear_faults(bakery: &Bakery) {
    control(bakery, "DELETE", "faults", None);
}

fn control(bakery: &Bakery, method: &str, path: &str, body: Option<&str>) -> String {
    let url = format!("{}/_logs/{path}", bakery.lab.endpoint());
    let mut arguments = vec!["--request", method, &url];
    arguments.extend(body.iter().flat_map(|body| ["--data", body]));
    let (ok, answer) = curl(&arguments);
    assert!(ok, "{method} {url}: {answer}");
    answer
}

fn logs(bakery: &Bakery, operation: &str, body: &Value) -> Option<Value> {
    let target = format!("Logs_20140328.{operation}");
    let (ok, answer) = ask_json(bakery, "logs", &target, "1.1", body);
    if ok {
        return Some(serde_json::from_str(&answer).unwrap());
    }
    assert!(answer.contains("ResourceNotFoundException"), "{answer}");
    None
}

fn monitoring(bakery: &Bakery, operation: &str, body: &Value) -> Value {
    let target = format!("GraniteServiceVersion20100801.{operation}");
    let (ok, answer) = ask_json(bakery, "monitoring", &target, "1.0", body);
    assert!(ok, "{operation}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

fn ask_json(
    bakery: &Bakery,
    service: &str,
    target: &str,
    version: &str,
    body: &Value,
) -> (bool, String) {
    let arguments = [
        "--header".into(),
        format!("X-Amz-Target: {target}"),
        "--header".into(),
        format!("Content-Type: application/x-amz-json-{version}"),
        "--data".into(),
        body.to_string(),
    ];
    ask(bakery, service, &arguments)
}

/// Whether it was granted, and the answer.
fn ask(bakery: &Bakery, service: &str, arguments: &[String]) -> (bool, String) {
    let scope = format!("aws:amz:{}:{service}", bakery.lab.up().region);
    let url = format!("{}/", bakery.lab.endpoint());
    let mut all = vec!["--aws-sigv4", &*scope, "--user", "lab:lab"];
    all.extend(arguments.iter().map(String::as_str));
    all.push(&url);
    curl(&all)
}

/// Whether it succeeded, and what came.
fn curl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--noproxy",
            "*",
        ])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        format!("{}{}", text(&output.stdout), text(&output.stderr)),
    )
}
