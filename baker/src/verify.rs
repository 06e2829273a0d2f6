//! The recipe's checks: what must hold on the host before it is sealed.
//!
//! A look is one command whose answer is one line of JSON; what the answer means is decided here, by
//! a pure function. Conditions that come true by themselves are looked at until they do or their
//! time is over. Every check is made, and everything that does not hold is told at once.

mod judge;

use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, Instant};

use self::judge::{Mismatch, Seen};
use crate::events::{Event, Events, Outcome};
use crate::plan::Plan;
use crate::provision::shell::Root;
use crate::recipe::{Check, Condition};
use crate::remote::{self, Command, Host, HostError, Stdin};
use crate::wait::{self, Observation, WaitError};

/// A look at a path, a unit, a port or a URL takes at most this long; the script's own limits are shorter.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);

const OBSERVE: &str = include_str!("verify/observe.py");

/// A check that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the recipe that the check stands in.
    pub recipe: String,
    /// What was looked at.
    pub subject: String,
    /// Each thing about it that is not as it should be.
    pub mismatches: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        let lines: Vec<String> = self
            .mismatches
            .iter()
            .map(|mismatch| format!("{subject}: {mismatch}"))
            .collect();
        f.write_str(&lines.join("\n  "))
    }
}

/// Why the host is not what the recipe says.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Checks do not hold.
    #[error("{} of {of} checks failed; no image was made of the host{}", .findings.len(), listed(.findings))]
    Failed {
        /// Those that do not hold.
        findings: Vec<Finding>,
        /// How many checks there are.
        of: usize,
    },
    /// The whole bake's time was over.
    #[error(
        "the time of the whole bake ([build].timeout) was over before check {number} of {of} ({subject})"
    )]
    BakeTimedOut {
        /// The check's number, from 1.
        number: usize,
        /// How many checks there are.
        of: usize,
        /// What it looks at.
        subject: String,
    },
    /// The host could not be asked.
    #[error("the check of {subject} could not be made")]
    Host {
        /// What it looks at.
        subject: String,
        /// Why.
        #[source]
        source: HostError,
    },
}

fn listed(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| format!("\n  {finding}"))
        .collect()
}

/// Makes every check of the plan.
///
/// # Errors
/// All checks that do not hold; or that the host could not be asked.
pub async fn verify(
    plan: &Plan,
    host: &impl Host,
    deadline: Instant,
    events: &Events,
) -> Result<(), VerifyError> {
    let root = Root::of(&plan.login.user);
    let of = plan.checks.len();
    let mut findings = Vec::new();
    for (index, check) in plan.checks.iter().enumerate() {
        let subject = check.condition.to_string();
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(VerifyError::BakeTimedOut {
                number: index + 1,
                of,
                subject,
            });
        }
        events.emit(Event::StepStarted {
            name: subject.clone(),
            layer: String::new(),
            number: index + 1,
            of,
        });
        let mismatches = one(root, host, check, left, events).await;
        events.emit(Event::StepFinished {
            outcome: match &mismatches {
                Ok(none) if none.is_empty() => Outcome::Ok,
                _ => Outcome::Failed,
            },
        });
        let mismatches = mismatches.map_err(|source| VerifyError::Host {
            subject: subject.clone(),
            source,
        })?;
        if !mismatches.is_empty() {
            findings.push(Finding {
                recipe: check.recipe.clone(),
                subject: shown(check),
                mismatches: mismatches.iter().map(Mismatch::to_string).collect(),
            });
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(VerifyError::Failed { findings, of })
    }
}

/// How messages name what a check looks at.
fn shown(check: &Check) -> String {
    match &check.condition {
        Condition::Path { path, .. } => path.clone(),
        Condition::Service { name, .. } => name.clone(),
        Condition::Http { url, .. } => url.clone(),
        other => other.to_string(),
    }
}

/// Makes one check; what it gives does not hold, in the end.
async fn one(
    root: Root,
    host: &impl Host,
    check: &Check,
    left: Duration,
    events: &Events,
) -> Result<Vec<Mismatch>, HostError> {
    let timeout = check.timeout.min(left);
    let condition = &check.condition;
    let started = Instant::now();
    // One look is always finished, however short the time.
    let first_timeout = match condition {
        Condition::Command { .. } => timeout,
        _ => LOOK_TIMEOUT,
    };
    let seen = look(root, host, condition, first_timeout).await?;
    let first = judge::judge(condition, &seen);
    if first.is_empty() || !comes_true_by_itself(condition) {
        return Ok(first);
    }
    let last = RefCell::new(first);
    let rest = timeout.saturating_sub(started.elapsed());
    let ended = wait::until(
        &condition.to_string(),
        wait::Pace::HOST,
        rest,
        events,
        async || match look(root, host, condition, LOOK_TIMEOUT).await {
            Err(error) => Observation::Failed(error),
            Ok(seen) => observation(&last, judge::judge(condition, &seen)),
        },
    )
    .await;
    match ended {
        Ok(()) => Ok(Vec::new()),
        Err(WaitError::TimedOut { .. }) => Ok(last.into_inner()),
        Err(WaitError::Failed(error)) => Err(error),
    }
}

/// What a look means for a wait; what it found is kept for the message.
fn observation(
    last: &RefCell<Vec<Mismatch>>,
    mismatches: Vec<Mismatch>,
) -> Observation<(), HostError> {
    if mismatches.is_empty() {
        return Observation::Ready(());
    }
    let detail: Vec<String> = mismatches.iter().map(Mismatch::to_string).collect();
    last.replace(mismatches);
    Observation::NotYet(detail.join(", "))
}

/// Daemons take a moment to come up; files and commands do not change by waiting.
fn comes_true_by_itself(condition: &Condition) -> bool {
    match condition {
        Condition::Service { .. } | Condition::Port(_) | Condition::Http { .. } => true,
        Condition::Path { .. } | Condition::Command { .. } => false,
    }
}

/// Looks once.
async fn look(
    root: Root,
    host: &impl Host,
    condition: &Condition,
    timeout: Duration,
) -> Result<Seen, HostError> {
    let ended = remote::capture(
        host,
        Command {
            line: line(root, condition),
            stdin: Stdin::Empty,
            timeout,
        },
    )
    .await;
    match ended {
        Ok(captured) => Ok(judge::read(condition, captured)),
        Err(HostError::TimedOut { after }) => Ok(Seen::Nothing(after)),
        Err(error) => Err(error),
    }
}

/// The command that looks.
fn line(root: Root, condition: &Condition) -> String {
    let (port_text, mut arguments);
    match condition {
        Condition::Path { path, .. } => arguments = vec!["path", path],
        Condition::Service { name, .. } => arguments = vec!["service", name],
        Condition::Port(number) => {
            port_text = number.to_string();
            arguments = vec!["port", &port_text];
        }
        Condition::Http { url, contains, .. } => {
            arguments = vec!["http", url];
            arguments.extend(contains.as_deref());
        }
        Condition::Command { command, user } => {
            let text = "user=$1\nset -- bash -euo pipefail -c \"$2\"\n\
                        [ \"$user\" = \"$(id -un)\" ] || set -- runuser -u \"$user\" -- \"$@\"\n\
                        cd / && exec \"$@\" </dev/null";
            return root.sh(text, &[user, command]);
        }
    }
    arguments.insert(0, OBSERVE);
    root.sh("exec python3 -c \"$@\"", &arguments)
}

#[cfg(test)]
mod tests;
