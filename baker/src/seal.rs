//! Makes the host image-clean: nothing stays that belongs to this one host or to the bake.
//!
//! Removal and check are two scripts that share nothing, run as one command: the removal takes away
//! the keys and the rights that a second command would need. The session that runs it stays open
//! until it is done, because sshd looks at keys only when somebody logs in.

use std::time::{Duration, Instant};

use crate::events::{Event, Events};
use crate::plan::Plan;
use crate::provision::shell::Root;
use crate::remote::{self, Command, Host, HostError, Stdin};

const REMOVE: &str = include_str!("seal/remove.sh");
const CHECK: &str = include_str!("seal/check.sh");
/// The last line of a check that ran to its end.
const CHECKED: &str = "checked";
/// Sealing is a few removals; so long a time means that something hangs.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// So many findings stand in the message.
const SHOWN: usize = 12;

/// Something that the image must not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remnant {
    /// What it is.
    pub what: String,
    /// Its path on the host.
    pub path: String,
}

/// Why the host can't become an image.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Something could not be removed.
    #[error(
        "the host still holds what no image may hold, so none was made of it{}",
        listed(.0)
    )]
    Remnants(Vec<Remnant>),
    /// The script itself failed.
    #[error("sealing the host failed: {status}{}", said(.last_lines))]
    Failed {
        /// How it ended.
        status: String,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// The host could not be reached.
    #[error("the host could not be sealed")]
    Host(#[source] HostError),
}

fn listed(remnants: &[Remnant]) -> String {
    let mut lines: Vec<String> = remnants
        .iter()
        .take(SHOWN)
        .map(|remnant| format!("\n  {}: {}", remnant.what, remnant.path))
        .collect();
    if remnants.len() > SHOWN {
        lines.push(format!("\n  … and {} more", remnants.len() - SHOWN));
    }
    lines.concat()
}

fn said(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

/// Seals the host, then asserts that it is clean.
///
/// # Errors
/// What is still there; or why the host could not be sealed.
pub async fn seal(
    plan: &Plan,
    host: &impl Host,
    deadline: Instant,
    events: &Events,
) -> Result<(), SealError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let command = Command {
        line: line(Root::of(&plan.login.user), REMOVE, CHECK, ""),
        stdin: Stdin::Empty,
        timeout: TIMEOUT.min(left),
    };
    let captured = remote::capture(host, command)
        .await
        .map_err(SealError::Host)?;
    for line in &captured.stderr {
        events.emit(Event::Output {
            stream: remote::OutputStream::Stderr,
            line: line.clone(),
        });
    }
    let complete = captured.stdout.last().is_some_and(|line| line == CHECKED);
    if !captured.status.success() || !complete {
        let skipped = captured.stderr.len().saturating_sub(SHOWN);
        return Err(SealError::Failed {
            status: captured.status.to_string(),
            last_lines: captured.stderr.into_iter().skip(skipped).collect(),
        });
    }
    let remnants = remnants(&captured.stdout);
    if remnants.is_empty() {
        Ok(())
    } else {
        Err(SealError::Remnants(remnants))
    }
}

/// One command that removes and then checks, under a root directory that is empty but in tests.
fn line(root: Root, remove: &str, check: &str, directory: &str) -> String {
    let text =
        "bash -euo pipefail -c \"$1\" baker \"$3\" && bash -euo pipefail -c \"$2\" baker \"$3\"";
    root.bash(text, &[remove, check, directory])
}

/// What the check found.
fn remnants(lines: &[String]) -> Vec<Remnant> {
    lines
        .iter()
        .filter_map(|line| line.split_once('\t'))
        .map(|(what, path)| Remnant {
            what: what.to_owned(),
            path: path.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
