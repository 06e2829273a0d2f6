//! `[metrics]`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::rules;
use super::table::{Key, Table, key};
use crate::config::Settings;
use crate::config::diagnostics::{closest, listed};
use crate::derive::{self, Rules, Wanted};
use crate::metering::{self, DIMENSIONS, limits};

pub(super) const METRICS: &[Key] = &[
    key("interval", "\"60s\""),
    key("resolution", "\"60s\""),
    key("namespace", "\"CWAgent\""),
    key("collect", "[\"cpu\", \"mem_used_percent\"]"),
    key("per_core", "true"),
    key("dimensions", "[\"InstanceId\"]"),
    key("rollups", "[[\"AutoScalingGroupName\"]]"),
    key("spool", "\"16MiB\""),
    key("settle", "\"3m\""),
    key(
        "endpoint_url",
        "\"https://monitoring.eu-west-1.amazonaws.com\"",
    ),
];

const MINUTE: Duration = Duration::from_secs(60);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const MIN_SETTLE: Duration = Duration::from_millis(100);
const MAX_SETTLE: Duration = Duration::from_secs(3600);
const MIN_SPOOL_BYTES: u64 = 1 << 20;
const MAX_SPOOL_BYTES: u64 = 1 << 30;

pub(super) fn read(top: &Table<'_>, settings: &mut Settings) {
    let Some(table) = top.table("metrics", "[metrics]", METRICS) else {
        return;
    };
    let mut metrics = metering::Settings::default();
    if let Some(interval) = table.parsed("interval", interval) {
        metrics.interval = interval;
        metrics.resolution_s = if interval < MINUTE { 1 } else { 60 };
    }
    if let Some(resolution) = table.one_of("resolution", &[("1s", 1), ("60s", 60)]) {
        metrics.resolution_s = resolution;
    }
    if let Some(namespace) = table.parsed("namespace", namespace) {
        metrics.namespace = namespace;
    }
    read_collect(&table, &mut metrics);
    if let Some(dimensions) = table.strings("dimensions") {
        let known = |name: &str| match DIMENSIONS.contains(&name) {
            true => Ok(name.to_owned()),
            false => Err(format!("must be {}", listed(DIMENSIONS.into_iter(), "or"))),
        };
        let names = dimensions.iter();
        metrics.dimensions = names
            .filter_map(|name| table.ruled("dimensions", name, known))
            .collect();
    }
    read_rollups(&table, &mut metrics);
    if let Some(bytes) = table.parsed("spool", rules::bytes(MIN_SPOOL_BYTES..=MAX_SPOOL_BYTES)) {
        metrics.spool_bytes = bytes;
    }
    let settle = rules::duration(MIN_SETTLE..=MAX_SETTLE);
    if let Some(settle) = table.parsed("settle", settle) {
        metrics.settle = settle;
    }
    metrics.endpoint_url = table.parsed("endpoint_url", rules::url);
    settings.metrics = Some(metrics);
}

fn read_collect(table: &Table<'_>, metrics: &mut metering::Settings) {
    if let Some(words) = table.strings("collect") {
        let known = |word: &str| Wanted::of([word]).map_err(|unknown| unknown.to_string());
        let good = words
            .iter()
            .filter(|word| table.ruled("collect", word, known).is_some());
        if let Ok(wanted) = Wanted::of(good.map(|word| *word.get_ref())) {
            metrics.collect.families = wanted.families();
            metrics.rules = Rules { wanted };
        }
    }
    if let Some(value) = table.value("per_core") {
        match value.get_ref().as_bool() {
            Some(per_core) => metrics.collect.per_core = per_core,
            None => table.wrong_type("per_core", value, "true or false"),
        }
    }
}

fn read_rollups(table: &Table<'_>, metrics: &mut metering::Settings) {
    let Some(value) = table.value("rollups") else {
        return;
    };
    let sets = value.get_ref().as_array().and_then(|sets| {
        let names = |set: &toml::Spanned<toml::de::DeValue<'_>>| {
            let names = set.get_ref().as_array()?.iter();
            names
                .map(|name| name.get_ref().as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        };
        sets.iter().map(names).collect::<Option<Vec<_>>>()
    });
    match sets {
        None => table.wrong_type("rollups", value, "a list of lists of dimensions"),
        Some(sets) if sets.iter().any(|set| set.len() > limits::MAX_DIMENSIONS) => {
            let most = limits::MAX_DIMENSIONS;
            table.breach(
                "rollups",
                value.span(),
                format!("must have at most {most} dimensions each"),
            );
        }
        Some(sets) => match sets.iter().flatten().find(|name| !is_dimension(name)) {
            // No metric would ever be rolled up by it.
            Some(unknown) => {
                let known = || DIMENSIONS.into_iter().chain(labels());
                let span = table
                    .file
                    .span_inside(unknown, 0..unknown.len(), &value.span());
                let problem = table.broken("rollups", span, "no metric has this dimension");
                table.file.report(match closest(unknown, known()) {
                    Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                    None => problem.help(format!("there are {}", listed(known(), "and"))),
                });
            }
            None => metrics.rollups = sets,
        },
    }
}

fn is_dimension(name: &str) -> bool {
    DIMENSIONS.contains(&name) || labels().any(|label| label == name)
}

/// Dimensions that metrics have of themselves, each once.
fn labels() -> impl Iterator<Item = &'static str> {
    let all: BTreeSet<&str> = derive::metrics()
        .flat_map(|metric| metric.labels.iter().copied())
        .collect();
    all.into_iter()
}

/// Intervals begin with minutes: so they divide one, or are several.
fn interval(text: &str) -> Result<Duration, super::table::Expected> {
    let interval = rules::duration(Duration::from_secs(1)..=MAX_INTERVAL)(text)?;
    let ms = interval.as_millis();
    let fits = ms.is_multiple_of(1_000) && (60_000 % ms == 0 || ms.is_multiple_of(60_000));
    match fits {
        true => Ok(interval),
        false => Err("must divide a minute (1s, 5s, 10s, 30s …) or be whole minutes".into()),
    }
}

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Namespace>
fn namespace(name: &str) -> Result<String, &'static str> {
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c);
    let fits = (1..=limits::MAX_NAME).contains(&name.len())
        && !name.starts_with([':', ' '])
        && !name.starts_with("AWS/")
        && name.chars().all(known);
    match fits {
        true => Ok(name.to_owned()),
        false => Err(
            "must be up to 255 letters, digits, blanks and . - _ / # :, and begin neither with `:` nor with `AWS/`, which is Amazon's",
        ),
    }
}
