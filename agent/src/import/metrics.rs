//! The section `metrics`: which, how often, and under which dimensions.

use super::draft::{Table, Toml};
use super::families::{Collected, read_collected};
use super::json::Value;
use super::names::url_of;
use super::section::{Section, shown};
use super::{Common, ENTITY, ROLE};
use crate::derive::metrics;
use crate::metering::DIMENSIONS;

const MINUTE_S: i64 = 60;
/// The longest interval there is.
const MAX_INTERVAL_S: i64 = 3600;

pub(super) fn read(section: &Section<'_>, common: &Common) -> Table {
    let notes = section.notes;
    let begun = notes.count();
    let mut table = Table::new("[metrics]", "");
    let mut collected = Collected::default();
    match section.section("metrics_collected") {
        Some(inner) => read_collected(&inner, common, &mut collected),
        None if !section.has("metrics_collected") => {
            notes.left_out(
                &section.at("metrics_collected"),
                "it is not there, so nothing is collected",
            );
        }
        None => {}
    }
    let mut said = Table::new("[metrics]", "");
    read_interval(section, &collected, &mut said);
    if let Some(namespace) = section.text("namespace").filter(|it| !it.is_empty()) {
        said.set(notes, &section.at("namespace"), "namespace", namespace);
    }
    said.set(
        notes,
        &section.at("metrics_collected"),
        "collect",
        &collected.names[..],
    );
    if collected.per_core {
        said.set(notes, &section.at("metrics_collected"), "per_core", true);
    }
    let dimensions = read_dimensions(section, common);
    said.set(
        notes,
        &section.at("append_dimensions"),
        "dimensions",
        &dimensions[..],
    );
    let rollups = read_rollups(section, &dimensions);
    said.set(
        notes,
        &section.at("aggregation_dimensions"),
        "rollups",
        &rollups[..],
    );
    if let Some(url) = section.text("endpoint_override") {
        said.set(
            notes,
            &section.at("endpoint_override"),
            "endpoint_url",
            &*url_of(url),
        );
    }
    section.differs(
        "force_flush_interval",
        "metrics are sent when they are measured, and held on the disk while CloudWatch can't be reached",
    );
    section.left_out("credentials", ROLE);
    if let Some(destinations) = section.section("metrics_destinations") {
        destinations.node("cloudwatch");
        destinations.left_out(
            "amp",
            "baker-agent sends to CloudWatch only, not to Managed Prometheus",
        );
        destinations.rest();
    }
    section.left_out("service.name", ENTITY);
    section.left_out("deployment.environment", ENTITY);
    section.rest();
    if !collected.names.is_empty() {
        table = said;
        table.remark("\"agent\" in `collect` adds the agent's own metrics, such as the age of the oldest line that has not been sent: docs/agent/metrics.md");
    } else {
        table.remark("No metrics: none of what was collected is there, and each one costs money.");
    }
    table.explain(notes.since(begun));
    table
}

fn read_interval(section: &Section<'_>, collected: &Collected, table: &mut Table) {
    let notes = section.notes;
    let Some(shortest) = collected
        .intervals
        .iter()
        .map(|(_, seconds)| *seconds)
        .min()
    else {
        return;
    };
    let interval = possible(shortest);
    for (at, (path, seconds)) in collected.intervals.iter().enumerate() {
        let told = collected.intervals[..at]
            .iter()
            .any(|(earlier, _)| earlier == path);
        if *seconds != interval && !told {
            let why = match *seconds == shortest {
                true => "intervals divide a minute, or are whole minutes up to an hour",
                false => "there is one interval for all metrics, and this is the shortest",
            };
            notes.differs(
                path,
                format!(
                    "measured every {} instead of {seconds}s: {why}",
                    spelled(interval)
                ),
            );
        }
    }
    table.set(
        notes,
        &section.at("metrics_collected"),
        "interval",
        &*spelled(interval),
    );
}

/// The longest interval there is that is no longer.
fn possible(seconds: i64) -> i64 {
    match seconds {
        ..MINUTE_S => (1..=seconds.max(1))
            .rev()
            .find(|it| MINUTE_S % it == 0)
            .unwrap_or(1),
        MINUTE_S..=MAX_INTERVAL_S => seconds / MINUTE_S * MINUTE_S,
        _ => MAX_INTERVAL_S,
    }
}

fn spelled(seconds: i64) -> String {
    match seconds > MINUTE_S && seconds % MINUTE_S == 0 {
        true => format!("{}m", seconds / MINUTE_S),
        false => format!("{seconds}s"),
    }
}

fn read_dimensions(section: &Section<'_>, common: &Common) -> Vec<&'static str> {
    let notes = section.notes;
    let Some(inner) = section.section("append_dimensions") else {
        // That agent says the host's name, unless others are asked for.
        return match common.omit_hostname {
            true => Vec::new(),
            false => vec!["host"],
        };
    };
    let mut dimensions = Vec::new();
    for name in inner.names() {
        let value = inner.node(name).map(|node| &node.value);
        let known = DIMENSIONS
            .into_iter()
            .find(|known| *known == name && *known != "host");
        match (known, value) {
            (Some(known), Some(Value::Text(text))) if *text == format!("${{aws:{name}}}") => {
                dimensions.push(known);
            }
            (_, value) => notes.left_out(
                &inner.at(name),
                format!(
                    "{} is no dimension of the instance; the CloudWatch agent leaves it out here, too",
                    value.map(shown).unwrap_or_default()
                ),
            ),
        }
    }
    dimensions
}

fn read_rollups(section: &Section<'_>, dimensions: &[&str]) -> Vec<Toml> {
    let labels: Vec<&str> = metrics()
        .flat_map(|metric| metric.labels.iter().copied())
        .collect();
    let path = section.at("aggregation_dimensions");
    let mut rollups = Vec::new();
    for (at, set) in section
        .sets("aggregation_dimensions")
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let unknown: Vec<&str> = set
            .iter()
            .copied()
            .filter(|name| !dimensions.contains(name) && !labels.contains(name))
            .collect();
        if unknown.is_empty() {
            rollups.push(Toml::from(&set[..]));
        } else {
            section.notes.left_out(
                &format!("{path}[{at}]"),
                format!("no metric has the dimension {}", unknown.join(", ")),
            );
        }
    }
    rollups
}
