//! Whether the service can be reached and lets this host in, asked in ways that change nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::Finding;
use super::files::SetReport;
use crate::aws::{Failure, FailureKind, Logs};
use crate::target::{GroupClass, Target};

/// A stream's name has at most so many characters.
/// Source: CreateLogStream, API reference.
const MAX_STREAM_CHARACTERS: usize = 512;

/// Signatures are taken for five minutes, and an answer's date has no fractions of a second.
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// The service.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceReport {
    /// Its region, if one is known.
    pub region: Option<String>,
    /// The groups that it was asked about.
    pub groups: Vec<String>,
    /// What was found out.
    pub findings: Vec<Finding>,
}

impl ServiceReport {
    pub(super) fn unreachable(why: String) -> Self {
        Self {
            region: None,
            groups: Vec::new(),
            findings: vec![Finding::problem(why)],
        }
    }
}

/// Asks about every group that files go to now.
pub(super) async fn look(logs: &Logs, sets: &[SetReport], now_ms: i64) -> ServiceReport {
    let mut groups: BTreeMap<&str, (&str, GroupClass)> = BTreeMap::new();
    for (set, file) in sets
        .iter()
        .flat_map(|set| set.files.iter().map(move |file| (set, file)))
    {
        if let (Some(group), Some(stream)) = (&file.group, &file.stream) {
            groups.entry(group).or_insert((stream, set.class));
        }
    }
    let mut report = ServiceReport {
        region: Some(logs.region().to_owned()),
        groups: Vec::new(),
        findings: Vec::new(),
    };
    if groups.is_empty() {
        report.findings.push(Finding::note(
            "not asked: no file matches whose group and stream are known",
        ));
    }
    for (group, (stream, class)) in groups {
        report.groups.push(group.to_owned());
        let target = Target {
            group: group.to_owned(),
            stream: absent(stream, now_ms),
            retention_days: None,
            class,
        };
        if let Err(finding) = ask(logs, &target, now_ms).await {
            let unreachable = finding.problem && report.groups.len() == 1;
            report.findings.push(finding);
            if unreachable {
                // What fails for the first group for lack of a connection would take as long for each of the others.
                break;
            }
        }
    }
    report.findings.extend(judge_clock(logs.clock_ahead_ms()));
    report
}

/// Whether this host's clock is off, as far as an answer told.
fn judge_clock(ahead_ms: Option<i64>) -> Option<Finding> {
    let ahead_ms = ahead_ms.filter(|ms| ms.unsigned_abs() > CLOCK_TOLERANCE_MS)?;
    let off = Duration::from_secs(ahead_ms.unsigned_abs() / 1_000);
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    Some(Finding::problem(format!(
        "this host's clock is {} {side} the service's: set it (chrony, timedatectl)",
        humantime::format_duration(off)
    )))
}

/// Asks for reading and writing a stream that does not exist: whoever is allowed to is told so, and nothing comes of it.
async fn ask(logs: &Logs, target: &Target, now_ms: i64) -> Result<(), Finding> {
    let read = logs.read_back(target, now_ms, now_ms).await.map(drop);
    judge(read)?;
    let body = json!({
        "logGroupName": target.group,
        "logStreamName": target.stream,
        "logEvents": [{ "timestamp": now_ms, "message": "baker-agent check" }],
    });
    let written = logs.put(target, Bytes::from(body.to_string()), None).await;
    judge(written.map(drop))
}

/// A name next to the real one, so that policies that name streams by their beginning say the same of both.
fn absent(stream: &str, now_ms: i64) -> String {
    let suffix = format!(".check-{}-{now_ms}", std::process::id());
    let room = MAX_STREAM_CHARACTERS - suffix.len();
    let stem: String = stream.chars().take(room).collect();
    stem + &suffix
}

fn judge(answer: Result<(), Failure>) -> Result<(), Finding> {
    match answer {
        Ok(()) => Ok(()),
        Err(failure) => match failure.kind {
            // Neither the stream nor, perhaps, the group is there: the agent makes both on first need.
            FailureKind::NotFound => Ok(()),
            FailureKind::Invalid | FailureKind::Throttled => Err(Finding::note(failure.message)),
            _ => Err(Finding::problem(failure.message)),
        },
    }
}
