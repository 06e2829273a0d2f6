//! PutMetricData: read and checked as a whole, so that all of its data is taken or none. Every datum that breaks a rule is named.

use serde_json::Value as Json;

use super::ask::{Ask, combination, element, invalid};
use super::limits::{
    DATA, DIMENSION_NAME_CHARS, DIMENSION_VALUE_CHARS, DIMENSIONS, LARGEST_VALUE_EXPONENT,
    NAME_CHARS, NAMESPACE_CHARS, NEWEST_MS, OLDEST_MS, UNITS, VALUES,
};
use super::store::{Datum, Put, Sampled, StatisticSet};
use crate::endpoint::AwsError;

/// Reads a PutMetricData that arrives at `now_us`.
pub(crate) fn read_put(request: &Json, now_us: i64) -> Result<Put, AwsError> {
    let ask = Ask::of(request)?;
    let namespace = namespace(&ask)?.to_owned();
    let entities = ask.list("EntityMetricData")?;
    let mut lists = vec![("MetricData", ask.list("MetricData")?)];
    for entity in entities {
        // Which entity the data is of is not kept.
        let data = entity.get("MetricData").and_then(Json::as_array);
        lists.push((
            "EntityMetricData.MetricData",
            data.map_or(&[], Vec::as_slice),
        ));
    }
    let count: usize = lists.iter().map(|(_, data)| data.len()).sum();
    if count == 0 {
        return Err(ask.missing("MetricData"));
    }
    if count > DATA {
        return Err(too_many("MetricData", DATA));
    }
    let mut data = Vec::with_capacity(count);
    let mut refused: Vec<AwsError> = Vec::new();
    for (list, values) in lists {
        for (index, value) in values.iter().enumerate() {
            let place = ask.element(list, index);
            match element(value, &place).and_then(|ask| datum(&ask, now_us / 1000)) {
                Ok(datum) => data.push(datum),
                Err(error) => refused.push(error),
            }
        }
    }
    match refused.first() {
        None => Ok(Put { namespace, data }),
        // As the service does: the messages of all data that have this fault, a line each.
        Some(first) => {
            let same = refused.iter().filter(|error| error.code == first.code);
            let messages: Vec<&str> = same.map(|error| &*error.message).collect();
            Err(AwsError::client(first.code, messages.join("\n")))
        }
    }
}

fn namespace<'a>(ask: &Ask<'a>) -> Result<&'a str, AwsError> {
    let namespace = ask.required_text("Namespace")?;
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c);
    if namespace.trim().is_empty() || namespace.starts_with(':') || !namespace.chars().all(known) {
        return Err(ask.invalid("Namespace", namespace));
    }
    if namespace.starts_with("AWS/") {
        return Err(ask.invalid("Namespace", "AWS/"));
    }
    short(ask, "Namespace", namespace, NAMESPACE_CHARS)?;
    Ok(namespace)
}

fn datum(ask: &Ask<'_>, now_ms: i64) -> Result<Datum, AwsError> {
    let name = named(ask, "MetricName", NAME_CHARS)?.to_owned();
    let dimensions = dimensions(ask)?;
    let unix_ms = ask.time_ms("Timestamp")?.unwrap_or(now_ms);
    let place = || ask.place("Timestamp");
    if unix_ms < now_ms - OLDEST_MS {
        return Err(invalid(format!(
            "The parameter {} must specify a time within the past two weeks.",
            place()
        )));
    }
    if unix_ms > now_ms + NEWEST_MS {
        return Err(invalid(format!(
            "The parameter {} must specify a time no more than two hours in the future.",
            place()
        )));
    }
    let resolution = ask.integer("StorageResolution")?.unwrap_or(60);
    if resolution != 1 && resolution != 60 {
        return Err(ask.invalid("StorageResolution", resolution));
    }
    let unit = match ask.text("Unit")? {
        None => "None",
        Some(unit) => *UNITS.iter().find(|known| **known == unit).ok_or_else(|| {
            invalid(format!(
                "The parameter {} must be a value in the set [ {} ].",
                ask.place("Unit"),
                UNITS.join(", ")
            ))
        })?,
    };
    Ok(Datum {
        name,
        dimensions,
        unit,
        unix_ms,
        high_resolution: resolution == 1,
        sampled: sampled(ask)?,
    })
}

/// The dimensions of a metric, sorted by name: a metric is the set of them. Also those of a question for one metric.
pub(super) fn dimensions(ask: &Ask<'_>) -> Result<Vec<(String, String)>, AwsError> {
    let values = ask.list("Dimensions")?;
    if values.len() > DIMENSIONS {
        return Err(too_many(&ask.place("Dimensions"), DIMENSIONS));
    }
    let mut dimensions = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let place = ask.element("Dimensions", index);
        let dimension = element(value, &place)?;
        let name = named(&dimension, "Name", DIMENSION_NAME_CHARS)?;
        let value = named(&dimension, "Value", DIMENSION_VALUE_CHARS)?;
        if name.starts_with(':') {
            return Err(dimension.invalid("Name", name));
        }
        dimensions.push((name.to_owned(), value.to_owned()));
    }
    dimensions.sort_unstable();
    match dimensions.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(dimensions),
        Some(pair) => Err(invalid(format!(
            "The parameter {} names the dimension {} more than once.",
            ask.place("Dimensions"),
            pair[0].0
        ))),
    }
}

fn sampled(ask: &Ask<'_>) -> Result<Sampled, AwsError> {
    let forms = ["Value", "Values", "StatisticValues"];
    let given: Vec<&str> = forms.into_iter().filter(|form| ask.has(form)).collect();
    match given[..] {
        [] => Err(AwsError::client(
            "MissingParameter",
            format!(
                "At least one of the parameters {} must be specified.",
                forms.map(|form| ask.place(form)).join(", ")
            ),
        )),
        ["Value"] => Ok(Sampled::One(finite(ask, "Value")?)),
        ["Values"] => values(ask),
        [_] => statistics(ask),
        [one, other, ..] => Err(combination(format!(
            "The parameters {} and {} are mutually exclusive and you have specified both.",
            ask.place(one),
            ask.place(other)
        ))),
    }
}

fn values(ask: &Ask<'_>) -> Result<Sampled, AwsError> {
    let values = ask.numbers("Values")?.unwrap_or_default();
    if values.is_empty() {
        return Err(ask.missing("Values"));
    }
    if values.len() > VALUES {
        return Err(too_many(&ask.place("Values"), VALUES));
    }
    let counts = ask.numbers("Counts")?;
    let counts = counts.unwrap_or_else(|| vec![1.0; values.len()]);
    if counts.len() != values.len() {
        return Err(invalid(format!(
            "The parameters {} and {} must be of the same size.",
            ask.place("Values"),
            ask.place("Counts")
        )));
    }
    if let Some(value) = values.iter().find(|value| !storable(**value)) {
        return Err(ask.invalid("Values", value));
    }
    if let Some(count) = counts
        .iter()
        .find(|count| !storable(**count) || **count < 0.0)
    {
        return Err(ask.invalid("Counts", count));
    }
    Ok(Sampled::Values(values.into_iter().zip(counts).collect()))
}

fn statistics(ask: &Ask<'_>) -> Result<Sampled, AwsError> {
    let place = ask.inner("StatisticValues");
    let Some(set) = ask.structure("StatisticValues", &place)? else {
        return Err(ask.missing("StatisticValues"));
    };
    let statistics = StatisticSet {
        sample_count: finite(&set, "SampleCount")?,
        sum: finite(&set, "Sum")?,
        minimum: finite(&set, "Minimum")?,
        maximum: finite(&set, "Maximum")?,
    };
    if statistics.sample_count < 0.0 {
        return Err(set.invalid("SampleCount", statistics.sample_count));
    }
    if statistics.minimum > statistics.maximum {
        return Err(set.invalid("Minimum", statistics.minimum));
    }
    Ok(Sampled::Set(statistics))
}

fn finite(ask: &Ask<'_>, member: &str) -> Result<f64, AwsError> {
    let value = ask.number(member)?.ok_or_else(|| ask.missing(member))?;
    if storable(value) {
        Ok(value)
    } else {
        Err(ask.invalid(member, value))
    }
}

/// Whether the service keeps such a value: it "rejects values that are either too small or too large".
fn storable(value: f64) -> bool {
    let largest = 2_f64.powi(LARGEST_VALUE_EXPONENT);
    value == 0.0 || (1.0 / largest..=largest).contains(&value.abs())
}

/// A name or a value of a dimension: ASCII that shows something.
fn named<'a>(ask: &Ask<'a>, member: &str, most: usize) -> Result<&'a str, AwsError> {
    let text = ask.required_text(member)?;
    if text.is_empty() {
        return Err(ask.missing(member));
    }
    short(ask, member, text, most)?;
    let shows = text.bytes().any(|byte| byte.is_ascii_graphic());
    if !shows || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(ask.invalid(member, text));
    }
    Ok(text)
}

fn short(ask: &Ask<'_>, member: &str, text: &str, most: usize) -> Result<(), AwsError> {
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(invalid(format!(
        "The parameter {} must be shorter than {} characters.",
        ask.place(member),
        most + 1
    )))
}

fn too_many(place: &str, most: usize) -> AwsError {
    invalid(format!(
        "The collection {place} must not have a size greater than {most}."
    ))
}

#[cfg(test)]
mod tests;
