//! GetMetricData, GetMetricStatistics, ListMetrics.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

use super::Context;
use super::ask::{Ask, combination, element, invalid};
use super::limits::{
    DIMENSION_FILTERS, HIGH_RESOLUTION_MS, LISTED, LISTED_MS, STATISTICS_POINTS, UNITS,
};
use super::put::dimensions;
use super::statistics::Statistic;
use super::store::{Metric, Span};
use crate::endpoint::AwsError;

mod data;

pub(super) use data::get_metric_data;

/// Periods below a minute that can be asked for.
const SECONDS: [i64; 5] = [1, 5, 10, 20, 30];
const DAY_MS: i64 = 24 * 3_600_000;

pub(super) fn get_metric_statistics(
    request: &Json,
    context: &Context<'_>,
) -> Result<Json, AwsError> {
    let ask = Ask::of(request)?;
    let metric = read_metric(&ask)?;
    let (from_ms, to_ms) = window(&ask)?;
    let period_s = period(&ask)?;
    let plain = ask.texts("Statistics")?.unwrap_or_default();
    let extended = ask.texts("ExtendedStatistics")?.unwrap_or_default();
    if plain.is_empty() && extended.is_empty() {
        return Err(AwsError::client(
            "MissingParameter",
            "Must specify either Statistics or ExtendedStatistics",
        ));
    }
    if !plain.is_empty() && !extended.is_empty() {
        return Err(combination(
            "Statistics and ExtendedStatistics may not be set at the same time",
        ));
    }
    let unit = unit(&ask)?;
    let span = span(from_ms, to_ms, period_s, unit, context);
    let points = (span.to_ms - span.from_ms).div_euclid(period_s * 1000);
    if points > i64::try_from(STATISTICS_POINTS).unwrap_or(i64::MAX) {
        return Err(combination(format!(
            "You have requested up to {points} datapoints, which exceeds the limit of {STATISTICS_POINTS}. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )));
    }
    let mut datapoints = Vec::new();
    for ((start_s, unit), bucket) in context.store.buckets(&metric, &span) {
        let mut datapoint = json!({"Timestamp": start_s, "Unit": unit});
        for name in &plain {
            match Statistic::read(name) {
                Some(Statistic::Percentile(_)) | None => {
                    return Err(ask.invalid("Statistics", name));
                }
                Some(statistic) => datapoint[name] = json!(bucket.get(statistic)),
            }
        }
        for name in &extended {
            match Statistic::read(name) {
                Some(statistic @ Statistic::Percentile(_)) => {
                    datapoint["ExtendedStatistics"][name] = json!(bucket.get(statistic));
                }
                _ => return Err(ask.invalid("ExtendedStatistics", name)),
            }
        }
        datapoints.push(datapoint);
    }
    Ok(json!({"Label": metric.name, "Datapoints": datapoints}))
}

pub(super) fn list_metrics(request: &Json, context: &Context<'_>) -> Result<Json, AwsError> {
    let ask = Ask::of(request)?;
    let namespace = ask.text("Namespace")?;
    let name = ask.text("MetricName")?;
    let recent_us = match ask.text("RecentlyActive")? {
        None => LISTED_MS * 1000,
        Some("PT3H") => HIGH_RESOLUTION_MS * 1000,
        Some(other) => return Err(ask.invalid("RecentlyActive", other)),
    };
    let list = ask.list("Dimensions")?;
    if list.len() > DIMENSION_FILTERS {
        return Err(invalid(format!(
            "The collection Dimensions must not have a size greater than {DIMENSION_FILTERS}."
        )));
    }
    let mut filters = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let place = ask.element("Dimensions", index);
        let filter = element(value, &place)?;
        let value = filter.text("Value")?.map(str::to_owned);
        filters.push((filter.required_text("Name")?.to_owned(), value));
    }
    let skip: usize = match ask.text("NextToken")? {
        None => 0,
        Some(token) => read_token(token)?.parse().map_err(|_| bad_token())?,
    };
    let wanted = |metric: &Metric| {
        namespace.is_none_or(|namespace| metric.namespace == namespace)
            && name.is_none_or(|name| metric.name == name)
            && filters.iter().all(|(name, value)| {
                metric.dimensions.iter().any(|dimension| {
                    dimension.0 == *name && value.as_ref().is_none_or(|value| dimension.1 == *value)
                })
            })
    };
    let metrics = context.store.metrics();
    let found = metrics.filter(|(metric, last_us)| {
        *last_us >= context.now_us - recent_us && *last_us <= context.visible_us && wanted(metric)
    });
    let mut page: Vec<Json> = found
        .skip(skip)
        .take(LISTED + 1)
        .map(|(metric, _)| {
            let dimensions = metric.dimensions.iter();
            let dimensions = dimensions.map(|(name, value)| json!({"Name": name, "Value": value}));
            json!({
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": dimensions.collect::<Vec<_>>(),
            })
        })
        .collect();
    let more = page.len() > LISTED;
    page.truncate(LISTED);
    let mut answer = json!({"Metrics": page});
    if more {
        answer["NextToken"] = json!(token(&(skip + LISTED).to_string()));
    }
    Ok(answer)
}

fn read_metric(ask: &Ask<'_>) -> Result<Metric, AwsError> {
    Ok(Metric {
        namespace: ask.required_text("Namespace")?.to_owned(),
        name: ask.required_text("MetricName")?.to_owned(),
        dimensions: dimensions(ask)?,
    })
}

/// Start and end of a question, in milliseconds.
fn window(ask: &Ask<'_>) -> Result<(i64, i64), AwsError> {
    let from_ms = ask.required_time_ms("StartTime")?;
    let to_ms = ask.required_time_ms("EndTime")?;
    match from_ms.cmp(&to_ms) {
        std::cmp::Ordering::Less => Ok((from_ms, to_ms)),
        std::cmp::Ordering::Equal => Err(invalid(
            "The parameter StartTime must not equal parameter EndTime.",
        )),
        std::cmp::Ordering::Greater => Err(invalid(
            "The parameter StartTime must be less than the parameter EndTime.",
        )),
    }
}

fn period(ask: &Ask<'_>) -> Result<i64, AwsError> {
    let period_s = ask.integer("Period")?;
    let period_s = period_s.ok_or_else(|| ask.missing("Period"))?;
    match is_period(period_s) {
        true => Ok(period_s),
        false => Err(ask.invalid("Period", period_s)),
    }
}

fn is_period(period_s: i64) -> bool {
    SECONDS.contains(&period_s) || (period_s > 0 && period_s % 60 == 0)
}

fn unit<'a>(ask: &Ask<'a>) -> Result<Option<&'a str>, AwsError> {
    match ask.text("Unit")? {
        Some(unit) if !UNITS.contains(&unit) => Err(ask.invalid("Unit", unit)),
        unit => Ok(unit),
    }
}

/// The span of a question: its start is rounded down as the service does, the further the older it is (`GetMetricStatistics`, StartTime).
fn span<'s>(
    from_ms: i64,
    to_ms: i64,
    period_s: i64,
    unit: Option<&'s str>,
    context: &Context<'_>,
) -> Span<'s> {
    let now_ms = context.now_us / 1000;
    let age_ms = now_ms - from_ms;
    let grain_s = match age_ms / DAY_MS {
        ..15 if SECONDS.contains(&period_s) => period_s,
        ..15 => 60,
        15..63 => 300,
        _ => 3600,
    };
    Span {
        from_ms: from_ms.div_euclid(grain_s * 1000) * grain_s * 1000,
        to_ms,
        period_s,
        unit,
        visible_us: context.visible_us,
        seconds_since_ms: now_ms - HIGH_RESOLUTION_MS,
    }
}

/// Opaque to clients.
fn token(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn read_token(token: &str) -> Result<String, AwsError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad_token())?;
    String::from_utf8(bytes).map_err(|_| bad_token())
}

fn bad_token() -> AwsError {
    AwsError::client("InvalidNextToken", "The specified nextToken is invalid.")
}

#[cfg(test)]
mod tests;
