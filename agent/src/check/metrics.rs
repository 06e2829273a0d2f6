//! Whether metrics would be measured and sent, found out without sending any.

use super::files::View;
use super::{Finding, Subject};
use crate::aws::{FailureKind, Metrics};
use crate::clock::Now;
use crate::config::Settings;
use crate::log::chain;
use crate::metering;
use crate::sample::{Root, Sampler};

/// What is asked for when it is asked whether metrics may be read. There is no such metric.
const NO_METRIC: &str = "baker_agent_check";
/// The shortest period that every metric can be asked for, in seconds.
const PERIOD_S: u32 = 60;

/// Looks at the host once, and asks CloudWatch unless offline.
pub(super) async fn look(
    settings: &Settings,
    metrics: &metering::Settings,
    view: View<'_>,
) -> Subject {
    let mut findings = Vec::new();
    let now = Now {
        monotonic: std::time::Duration::ZERO,
        unix_ms: view.now_ms,
    };
    let (_, troubles) = Sampler::new(metrics.collect.clone(), Root::host()).sample(now);
    let trouble = |trouble: &crate::sample::Trouble| {
        Finding::problem(format!("{} {trouble}", trouble.path().display()))
    };
    findings.extend(troubles.iter().map(trouble));
    let dimensions = view.host.map(|host| metrics.scope(host).dimensions);
    let dimensions = dimensions.unwrap_or_default();
    let has = |name: &String| dimensions.iter().any(|(known, _)| known == name);
    let missing: Vec<&str> = metrics
        .dimensions
        .iter()
        .filter(|name| !has(name))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() && !view.offline {
        findings.push(Finding::note(format!(
            "this host has no {}: metrics are sent without it, and roll-ups that name it are not sent",
            missing.join(", ")
        )));
    }
    let mut answer = "";
    if !view.offline {
        match ask(settings, metrics, view.now_ms).await {
            Ok(()) => answer = ": reached; this host may put and read them",
            Err(finding) => findings.push(finding),
        }
    }
    let told = dimensions
        .iter()
        .map(|(name, value)| format!(", {name}={value}"));
    Subject {
        name: format!(
            "{} each {}{}{answer}",
            metrics.namespace,
            humantime::format_duration(metrics.interval),
            told.collect::<String>()
        ),
        findings,
    }
}

async fn ask(
    settings: &Settings,
    metrics: &metering::Settings,
    now_ms: i64,
) -> Result<(), Finding> {
    let client = Metrics::connect(&settings.aws, metrics.endpoint_url.as_deref()).await;
    let client = client.map_err(|error| Finding::problem(chain(&error)))?;
    let may_put = client.may_put(&metrics.namespace).await;
    let read = client.samples(&metrics.namespace, NO_METRIC, &[], now_ms, PERIOD_S);
    let answers = [may_put, read.await.map(drop)];
    match answers.into_iter().find_map(Result::err) {
        None => Ok(()),
        Some(failure) if failure.kind == FailureKind::Throttled => {
            Err(Finding::note(failure.message))
        }
        Some(failure) => Err(Finding::problem(failure.message)),
    }
}
