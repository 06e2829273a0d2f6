//! A CloudWatch dashboard of a group of hosts, or of one: what is measured of them, what goes wrong in their logs, and how late the agent is.
//!
//! [`compose`] is pure: the agent's own configuration says which metrics there are and which dimensions they have, so nothing is drawn that is
//! not sent. Lines are found by searching, so that hosts come and go without the dashboard being written anew.
//!
//! Sources: "Dashboard Body Structure and Syntax" (CloudWatch API reference); "Search expression syntax", "Using dynamic labels" (CloudWatch user
//! guide); "Logs Insights query syntax" (CloudWatch Logs user guide).

use serde_json::{Value as Json, json};

use crate::config::Settings;

mod ask;
mod graphs;
mod grid;
mod logs;
mod series;

pub use self::ask::{Ask, AskError, Outcome, fulfil};
use self::grid::Grid;
use self::series::{Sent, Series};

/// Whom a dashboard shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The hosts of an Auto Scaling group, by its name.
    Group(String),
    /// One host, by its instance id.
    Instance(String),
}

impl Subject {
    /// The group's name or the instance's id.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Group(name) | Self::Instance(name) => name,
        }
    }
}

/// A dashboard, and what is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// The body, as PutDashboard takes it.
    pub body: Json,
    /// What is not on it although somebody may look for it, and what would bring it there.
    pub notes: Vec<String>,
}

/// There is no such dashboard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DashboardError {
    /// The metrics of that subject can't be told from those of others.
    #[error(
        "metrics can't be found by {dimension}: `dimensions` in [metrics] does not have it; add it there and wait for new data, or ask for {other}"
    )]
    Anonymous {
        /// The dimension that is missing.
        dimension: &'static str,
        /// What can be asked for instead.
        other: &'static str,
    },
    /// A search has no way to write this.
    #[error(
        "{what} {text:?} can't be searched for: it holds {character:?}, which CloudWatch's search expressions take for their own"
    )]
    Unsearchable {
        /// What it is.
        what: &'static str,
        /// It.
        text: String,
        /// Where it breaks.
        character: char,
    },
    /// No metrics are sent, and no log group's name is known.
    #[error(
        "there is nothing to show: the configuration has no [metrics], and no log group whose name is known from here; add [metrics], or run this on the host"
    )]
    Empty,
    /// PutDashboard takes no such name.
    #[error(
        "{0:?} can't be a dashboard's name: 1 to 255 letters, digits, - and _ (PutDashboard, API reference)"
    )]
    Name(String),
}

/// A dashboard's name has at most so many characters. Source: PutDashboard, API reference.
const MAX_NAME: usize = 255;

/// Whether PutDashboard takes the name.
///
/// # Errors
/// If it does not.
pub fn check_name(name: &str) -> Result<(), DashboardError> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match (1..=MAX_NAME).contains(&name.len()) && name.chars().all(known) {
        true => Ok(()),
        false => Err(DashboardError::Name(name.to_owned())),
    }
}

/// How far back a dashboard looks when it is opened.
const START: &str = "-PT3H";

/// The dashboard of `subject` in `region`, of hosts that are configured by `settings`.
///
/// # Errors
/// If its metrics can't be told from others', or there are none, and no logs.
pub fn compose(
    settings: &Settings,
    subject: &Subject,
    region: &str,
) -> Result<Dashboard, DashboardError> {
    let mut notes = Vec::new();
    let mut grid = Grid::new(region);
    grid.headline(&headline(settings, subject));
    match &settings.metrics {
        Some(metrics) => {
            let series = Series::new(Sent::of(metrics), subject)?;
            graphs::draw(&series, &mut grid, &mut notes);
        }
        None => notes.push(
            "no metrics: the configuration has no [metrics]; `[metrics]` alone sends a lean set"
                .into(),
        ),
    }
    logs::draw(&settings.files, subject, &mut grid, &mut notes);
    if grid.is_empty() {
        return Err(DashboardError::Empty);
    }
    let body = json!({
        "start": START,
        // Values are told by the second, by means of each graph's own period: it has to stay.
        "periodOverride": "inherit",
        "widgets": grid.into_widgets(),
    });
    Ok(Dashboard { body, notes })
}

fn headline(settings: &Settings, subject: &Subject) -> String {
    let (what, name) = match subject {
        Subject::Group(name) => ("Auto Scaling group", name),
        Subject::Instance(name) => ("Instance", name),
    };
    let of = settings.metrics.as_ref().map(|metrics| {
        format!(
            " · namespace {} · every {}",
            metrics.namespace,
            humantime::format_duration(metrics.interval)
        )
    });
    format!("## {what} {name}\nbaker-agent{}", of.unwrap_or_default())
}

#[cfg(test)]
mod tests;
