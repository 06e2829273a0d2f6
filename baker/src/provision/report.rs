//! How a failing step is told: where it stands, what it ran, how it ended, what it said last.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::Failure;
use crate::remote::{ExitStatus, HostError};

/// So much of a step's output stands in the error.
const LAST_LINES: usize = 20;
/// So much of its command.
const COMMAND_LINES: usize = 8;
/// Longer lines are cut in the error; the full text has streamed by.
const LINE_CHARACTERS: usize = 160;

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The recipe's name.
    pub recipe: String,
    /// The layer's name.
    pub layer: String,
    /// The step's number in its layer, from 1.
    pub number: usize,
    /// The step's title.
    pub title: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step {} of layer `{}` of recipe `{}` ({})",
            self.number, self.layer, self.recipe, self.title
        )
    }
}

/// What a failed step ran, and what it printed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    command: String,
    last_lines: Vec<String>,
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\n  it ran:")?;
        let lines: Vec<&str> = self.command.lines().collect();
        for line in lines.iter().take(COMMAND_LINES) {
            write!(f, "\n    {}", cut(line))?;
        }
        if lines.len() > COMMAND_LINES {
            write!(f, "\n    … {} more lines", lines.len() - COMMAND_LINES)?;
        }
        if self.last_lines.is_empty() {
            return f.write_str("\n  it printed nothing");
        }
        f.write_str("\n  it printed last:")?;
        for line in &self.last_lines {
            write!(f, "\n    {}", cut(line))?;
        }
        Ok(())
    }
}

/// Why the steps could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The host could not be made ready for the first step.
    #[error("the host could not be prepared for the first step")]
    Prepare(#[source] Box<ProvisionError>),
    /// A command ended with another status than 0.
    #[error("{place} failed: {status}{details}", place = at(.place), status = explained(.status))]
    Failed {
        /// Which step; none for the preparation.
        place: Option<Place>,
        /// How the command ended.
        status: ExitStatus,
        /// Command and output.
        details: Details,
    },
    /// The step took longer than its own `timeout`.
    #[error(
        "{place} took longer than its timeout, {}{details}",
        humantime::format_duration(*.limit),
        place = at(.place)
    )]
    StepTimedOut {
        /// Which step; none for the preparation.
        place: Option<Place>,
        /// The step's own timeout.
        limit: Duration,
        /// Command and output.
        details: Details,
    },
    /// The host was lost, or the step's input could not be read on this machine.
    #[error("{place} failed{details}", place = at(.place))]
    Unfinished {
        /// Which step; none for the preparation.
        place: Option<Place>,
        /// Command and output.
        details: Details,
        /// Why.
        #[source]
        source: HostError,
    },
    /// The whole bake's time was over.
    #[error(
        "{place} was cut off: the time of the whole bake ([build].timeout) is over{details}",
        place = at(.place)
    )]
    BakeTimedOut {
        /// Which step; none for the preparation.
        place: Option<Place>,
        /// Command and output.
        details: Details,
    },
}

impl ProvisionError {
    /// The connection to the host is gone: nothing can be said of the recipe.
    #[must_use]
    pub fn host_was_lost(&self) -> bool {
        match self {
            Self::Prepare(inner) => inner.host_was_lost(),
            Self::Unfinished { source, .. } => matches!(source, HostError::Lost(_)),
            Self::Failed { .. } | Self::StepTimedOut { .. } | Self::BakeTimedOut { .. } => false,
        }
    }
}

fn at(place: &Option<Place>) -> String {
    place
        .as_ref()
        .map_or_else(|| "the preparation".to_owned(), Place::to_string)
}

/// A shell tells a signal as 128 and its number.
fn explained(status: &ExitStatus) -> String {
    let meaning = match status {
        ExitStatus::Code(126) => "found, but could not be executed",
        ExitStatus::Code(127) => "command not found",
        ExitStatus::Code(137) => "killed by SIGKILL; perhaps the host ran out of memory",
        ExitStatus::Code(139) => "killed by SIGSEGV",
        ExitStatus::Code(143) => "killed by SIGTERM",
        _ => return status.to_string(),
    };
    format!("{status} ({meaning})")
}

fn cut(line: &str) -> String {
    let line: String = line
        .chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    match line.char_indices().nth(LINE_CHARACTERS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// How an operation ended that did not succeed.
pub(super) enum Ending {
    Status(ExitStatus),
    Host(HostError),
    StepTimedOut(Duration),
    BakeTimedOut,
}

impl Failure {
    pub(super) fn at(self, place: Place) -> ProvisionError {
        self.into_error(Some(place))
    }

    fn into_error(self, place: Option<Place>) -> ProvisionError {
        let details = Details {
            command: self.shown,
            last_lines: self.last_lines,
        };
        match self.ending {
            Ending::Status(status) => ProvisionError::Failed {
                place,
                status,
                details,
            },
            Ending::Host(source) => ProvisionError::Unfinished {
                place,
                details,
                source,
            },
            Ending::StepTimedOut(limit) => ProvisionError::StepTimedOut {
                place,
                limit,
                details,
            },
            Ending::BakeTimedOut => ProvisionError::BakeTimedOut { place, details },
        }
    }
}

impl From<Failure> for Box<ProvisionError> {
    fn from(failure: Failure) -> Self {
        Self::new(failure.into_error(None))
    }
}

/// The last lines of an output, whatever its length.
#[derive(Default)]
pub(super) struct LastLines(VecDeque<String>);

impl LastLines {
    pub(super) fn push(&mut self, line: &str) {
        if self.0.len() == LAST_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line.to_owned());
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.0.into()
    }
}
