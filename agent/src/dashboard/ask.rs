//! `baker-agent dashboard`: whom, where, and whether it is put.

use serde::Serialize;
use serde_json::Value as Json;

use super::{Dashboard, DashboardError, Subject, check_name, compose};
use crate::aws::{ConnectError, Metrics, Options, PutFailure, Remark};
use crate::config::Settings;
use crate::exit::Exit;
use crate::host::{HostError, Search};

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Whom it shows; `None` is this host's group, or else this host.
    pub subject: Option<Subject>,
    /// Where its metrics and logs are; `None` is as for every other call.
    pub region: Option<String>,
    /// The name under which it is put; `None` only writes it.
    pub put: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The Auto Scaling group that it shows.
    pub group: Option<String>,
    /// The instance that it shows.
    pub instance: Option<String>,
    /// Where its metrics and logs are.
    pub region: String,
    /// The name under which it was put.
    pub put: Option<String>,
    /// What is not on it, and what would bring it there.
    pub notes: Vec<String>,
    /// What CloudWatch does not understand of it, and keeps.
    pub remarks: Vec<Remark>,
    /// The body.
    pub body: Json,
}

/// Nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no such dashboard.
    #[error(transparent)]
    Dashboard(#[from] DashboardError),
    /// It is not known who this host is.
    #[error("name a group or an instance (--group, --instance), because this host is not known")]
    Host(#[from] HostError),
    /// CloudWatch can't be used at all.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// CloudWatch did not take it.
    #[error("{}", .0.failure.message)]
    Put(PutFailure),
}

impl AskError {
    /// What CloudWatch says is wrong with the body, where that is why.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        match self {
            Self::Put(put) => &put.remarks,
            _ => &[],
        }
    }

    /// What the process returns for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Dashboard(_) | Self::Host(_) => Exit::Usage,
            Self::Connect(_) | Self::Put(_) => Exit::Service,
        }
    }
}

impl Outcome {
    /// The outcome as one JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists only: there is nothing that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// What a person wants of it: the body, or that it was put.
    #[must_use]
    pub fn human(&self) -> String {
        match &self.put {
            None => serde_json::to_string_pretty(&self.body).unwrap_or_default(),
            Some(name) => {
                let count = self.body["widgets"].as_array().map_or(0, Vec::len);
                format!(
                    "put the dashboard {name} ({count} widgets of {}): it is in the CloudWatch console under Dashboards",
                    self.region
                )
            }
        }
    }
}

/// Writes the dashboard, and puts it if that is asked for. Calls nothing unless it is put, or the host or the region is left to find out.
///
/// # Errors
/// See [`AskError`].
pub async fn fulfil(settings: &Settings, ask: &Ask) -> Result<Outcome, AskError> {
    if let Some(name) = &ask.put {
        check_name(name)?;
    }
    let subject = match &ask.subject {
        Some(subject) => subject.clone(),
        None => this_host(settings).await?,
    };
    let options = Options {
        region: ask.region.clone().or_else(|| settings.aws.region.clone()),
        ..settings.aws.clone()
    };
    let (region, service) = match (&options.region, &ask.put) {
        (Some(region), None) => (region.clone(), None),
        _ => {
            let endpoint = settings
                .metrics
                .as_ref()
                .and_then(|it| it.endpoint_url.as_deref());
            let service = Metrics::connect(&options, endpoint).await?;
            (service.region().to_owned(), Some(service))
        }
    };
    let Dashboard { body, notes } = compose(settings, &subject, &region)?;
    let mut remarks = Vec::new();
    if let (Some(name), Some(service)) = (&ask.put, service) {
        let put = service.put_dashboard(name, &body.to_string()).await;
        remarks = put.map_err(AskError::Put)?;
    }
    let (group, instance) = match subject {
        Subject::Group(name) => (Some(name), None),
        Subject::Instance(id) => (None, Some(id)),
    };
    Ok(Outcome {
        group,
        instance,
        region,
        put: ask.put.clone(),
        notes,
        remarks,
        body,
    })
}

/// This host's group, or else this host.
async fn this_host(settings: &Settings) -> Result<Subject, HostError> {
    let host = Search::from_environment(settings.instance_id.clone())
        .run()
        .await?;
    Ok(match host.asg() {
        Ok(group) => Subject::Group(group.to_owned()),
        Err(_) => Subject::Instance(host.instance_id),
    })
}
