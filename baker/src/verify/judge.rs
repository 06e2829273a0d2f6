//! What was seen on the host, and whether it is what the recipe says. Pure.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::recipe::{Condition, PathKind};
use crate::remote::{Captured, ExitStatus};

/// So much of what a failing command printed stands in the message.
const LAST_LINES: usize = 5;

/// What one look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// The observer's answer.
    Answer(Answer),
    /// How a command ended, and what it printed last.
    Ended(ExitStatus, Vec<String>),
    /// The observer itself could not run.
    Broken(String),
    /// No answer within this time.
    Nothing(Duration),
}

/// What the observer says; which fields are there depends on what it looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    error: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    mode: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    active: Option<String>,
    enabled: Option<String>,
    open: Option<bool>,
    status: Option<u16>,
    contains: Option<bool>,
    body: Option<String>,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// A property has another value.
    Differs {
        what: &'static str,
        found: String,
        expected: String,
    },
    /// It can't be looked at.
    Absent(String),
    /// The body of an answer lacks a text.
    BodyLacks { wanted: String, body: String },
    /// A command failed.
    CommandFailed {
        status: ExitStatus,
        last: Vec<String>,
    },
    /// No answer in time.
    Unanswered(Duration),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs {
                what,
                found,
                expected,
            } => write!(f, "{what} is {found}, expected {expected}"),
            Self::Absent(why) => f.write_str(why),
            Self::BodyLacks { wanted, body } => {
                let first = body.lines().next().unwrap_or_default();
                write!(f, "the body lacks {wanted:?}; it begins {first:?}")
            }
            Self::CommandFailed { status, last } => {
                write!(f, "{status}")?;
                for line in last {
                    write!(f, "\n      {line}")?;
                }
                Ok(())
            }
            Self::Unanswered(after) => {
                write!(f, "no answer within {}", humantime::format_duration(*after))
            }
        }
    }
}

/// Makes sense of what the look printed.
pub(super) fn read(condition: &Condition, captured: Captured) -> Seen {
    let Captured {
        status,
        stdout,
        stderr,
    } = captured;
    if matches!(condition, Condition::Command { .. }) {
        let printed: Vec<String> = stdout.into_iter().chain(stderr).collect();
        let skipped = printed.len().saturating_sub(LAST_LINES);
        return Seen::Ended(status, printed.into_iter().skip(skipped).collect());
    }
    let answer = stdout.first().map(|line| serde_json::from_str(line));
    match answer {
        Some(Ok(answer)) if status.success() => Seen::Answer(answer),
        _ => Seen::Broken(stderr.last().cloned().unwrap_or_else(|| status.to_string())),
    }
}

/// What does not hold of a condition; nothing if it holds.
pub(super) fn judge(condition: &Condition, seen: &Seen) -> Vec<Mismatch> {
    let answer = match (condition, seen) {
        (_, Seen::Nothing(after)) => return vec![Mismatch::Unanswered(*after)],
        (_, Seen::Broken(why)) => {
            return vec![Mismatch::Absent(format!(
                "it could not be looked at (python3 is needed on the host): {why}"
            ))];
        }
        (_, Seen::Ended(status, _)) if status.success() => return Vec::new(),
        (_, Seen::Ended(status, last)) => {
            return vec![Mismatch::CommandFailed {
                status: status.clone(),
                last: last.clone(),
            }];
        }
        (_, Seen::Answer(answer)) => answer,
    };
    if let Some(error) = &answer.error {
        return vec![Mismatch::Absent(error.clone())];
    }
    match condition {
        Condition::Path {
            path: _,
            owner,
            group,
            mode,
            kind,
        } => {
            let kind = kind.map(|kind| match kind {
                PathKind::File => "file".to_owned(),
                PathKind::Directory => "directory".to_owned(),
            });
            let mode = mode.map(|mode| format!("{mode:04o}"));
            [
                differs("type", answer.kind.as_ref(), kind.as_ref()),
                differs("owner", answer.owner.as_ref(), owner.as_ref()),
                differs("group", answer.group.as_ref(), group.as_ref()),
                differs("mode", answer.mode.as_ref(), mode.as_ref()),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
        Condition::Service {
            name: _,
            active,
            enabled,
        } => {
            let state = answer.active.as_deref().unwrap_or("unknown");
            let boot = answer.enabled.as_deref().unwrap_or("unknown");
            let mut mismatches = Vec::new();
            if (state == "active") != *active {
                mismatches.push(Mismatch::Differs {
                    what: "state",
                    found: state.to_owned(),
                    expected: (if *active { "active" } else { "inactive" }).to_owned(),
                });
            }
            if starts_at_boot(boot) != *enabled {
                mismatches.push(Mismatch::Differs {
                    what: "start at boot",
                    found: boot.to_owned(),
                    expected: (if *enabled { "enabled" } else { "disabled" }).to_owned(),
                });
            }
            mismatches
        }
        Condition::Port(_) => match answer.open {
            Some(true) => Vec::new(),
            _ => vec![Mismatch::Absent("nothing listens".into())],
        },
        Condition::Http {
            url: _,
            status,
            contains,
        } => {
            let mut mismatches = Vec::new();
            if answer.status != Some(*status) {
                mismatches.push(Mismatch::Differs {
                    what: "status",
                    found: answer.status.unwrap_or_default().to_string(),
                    expected: status.to_string(),
                });
            }
            if let (Some(wanted), Some(false)) = (contains, answer.contains) {
                mismatches.push(Mismatch::BodyLacks {
                    wanted: wanted.clone(),
                    body: answer.body.clone().unwrap_or_default(),
                });
            }
            mismatches
        }
        // A command is judged by its end.
        Condition::Command { .. } => Vec::new(),
    }
}

/// A unit without an [Install] section is started by what pulls it in, so it counts.
fn starts_at_boot(said: &str) -> bool {
    matches!(
        said,
        "enabled" | "enabled-runtime" | "static" | "alias" | "generated" | "indirect"
    )
}

fn differs(
    what: &'static str,
    found: Option<&String>,
    expected: Option<&String>,
) -> Option<Mismatch> {
    let expected = expected?;
    (found != Some(expected)).then(|| Mismatch::Differs {
        what,
        found: found.cloned().unwrap_or_else(|| "unknown".into()),
        expected: expected.clone(),
    })
}
