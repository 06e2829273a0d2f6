//! What `run` would do with a configuration on this host, found out without doing it.
//!
//! Nothing is written, no group or stream is made, no event is sent.

use std::path::PathBuf;

use serde::Serialize;

use crate::aws::Logs;
use crate::config::Settings;
use crate::host::{Host, IdFrom, Metadata, Search};
use crate::log::chain;

mod environment;
mod files;
mod identity;
mod judge;
mod metrics;
mod sample;
mod service;
mod state_dir;
mod text;

pub use self::files::{FileReport, SetReport};
pub use self::identity::{Assumed, IdentityError, assume};
pub use self::sample::Sample;
pub use self::service::ServiceReport;
pub use self::text::human;

/// Something that was found out, and whether it keeps lines from being sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Lines will not be sent, or not as the configuration means them.
    pub problem: bool,
    /// What it is, and what can be done.
    pub message: String,
}

impl Finding {
    fn problem(message: impl Into<String>) -> Self {
        Self {
            problem: true,
            message: message.into(),
        }
    }

    fn note(message: impl Into<String>) -> Self {
        Self {
            problem: false,
            message: message.into(),
        }
    }
}

/// All that was found out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The files that were read, the main one first.
    pub configuration: Vec<PathBuf>,
    /// The state directory.
    pub state_dir: Subject,
    /// As whom it was looked.
    pub user: Subject,
    /// This host.
    pub host: Subject,
    /// The service; `None` if it was not asked.
    pub service: Option<ServiceReport>,
    /// What is measured; `None` if nothing is.
    pub metrics: Option<Subject>,
    /// Each `[[file]]`.
    pub files: Vec<SetReport>,
}

/// One subject, and what was found out about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// What it is called.
    pub name: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Everything that was found, in the order of the report.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let service = self.service.iter().flat_map(|service| &service.findings);
        let files = self.files.iter().flat_map(|set| {
            let files = set.files.iter().flat_map(|file| &file.findings);
            set.findings.iter().chain(files)
        });
        let metrics = self.metrics.iter().flat_map(|metrics| &metrics.findings);
        self.state_dir
            .findings
            .iter()
            .chain(&self.user.findings)
            .chain(&self.host.findings)
            .chain(service)
            .chain(metrics)
            .chain(files)
    }

    /// How many problems there are.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.findings().filter(|finding| finding.problem).count()
    }

    /// The report as one JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists only: there is nothing that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Looks at files, state directory and host, and, unless `offline`, at the instance's metadata and the service.
/// `user` is as whom this process looks, `now_ms` the time of looking, in milliseconds since 1970 UTC.
pub async fn check(settings: &Settings, user: Subject, offline: bool, now_ms: i64) -> Report {
    let mut search = Search::from_environment(settings.instance_id.clone());
    if offline {
        search.metadata = Metadata::Off;
    }
    let found = search.run().await;
    let (host, subject) = match found {
        Ok(host) => {
            let subject = host_subject(&host, offline);
            (Some(host), subject)
        }
        Err(error) => (
            None,
            Subject {
                name: "unknown".into(),
                findings: vec![Finding::problem(chain(&error))],
            },
        ),
    };
    let view = files::View {
        host: host.as_ref(),
        offline,
        now_ms,
    };
    let mut owners = files::Owners::new();
    let files: Vec<SetReport> = settings
        .files
        .iter()
        .map(|file| files::look(file, view, &mut owners))
        .collect();
    let service = match offline {
        true => None,
        false => Some(match Logs::connect(&settings.aws).await {
            Ok(logs) => service::look(&logs, &files, now_ms).await,
            Err(error) => ServiceReport::unreachable(chain(&error)),
        }),
    };
    let metrics = match &settings.metrics {
        None => None,
        Some(metrics) => Some(metrics::look(settings, metrics, view).await),
    };
    Report {
        configuration: settings.sources.clone(),
        state_dir: state_dir::look(&settings.state_dir),
        user,
        host: subject,
        service,
        metrics,
        files,
    }
}

fn host_subject(host: &Host, offline: bool) -> Subject {
    let from = match host.id_from {
        IdFrom::Configuration => "as configured",
        IdFrom::Metadata => "from the instance's metadata",
        IdFrom::Firmware => "from the firmware",
        IdFrom::MachineId => "made of the machine id: this is no EC2 instance",
    };
    let mut findings = Vec::new();
    if offline && host.id_from != IdFrom::Configuration {
        findings.push(Finding::note(
            "--offline: the instance's metadata was not asked; names may become others",
        ));
    }
    Subject {
        name: format!("{} ({from})", host.instance_id),
        findings,
    }
}

#[cfg(test)]
mod tests;
