//! Forms of the Query protocol as JSON: `MetricData.member.1.Value=2` is `{"MetricData": [{"Value": 2.0}]}`.

use serde_json::{Map, Value as Json};

use crate::endpoint::AwsError;
use crate::front_door::percent_decode;

/// Lists are no longer than any list of a request may be, times the largest list within it.
const LIST_LENGTH: usize = 10_000;
/// Structures lie no deeper in one another.
const DEPTH: usize = 8;

/// Reads a form.
pub(super) fn read(form: &[u8]) -> Result<Json, AwsError> {
    let mut root = Json::Object(Map::new());
    for pair in form
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let mut half = || percent_decode(halves.next().unwrap_or_default());
        let (key, value) = (half(), half());
        if key == "Action" || key == "Version" {
            continue;
        }
        let parts: Vec<&str> = key.split('.').collect();
        if parts.len() > 3 * DEPTH {
            return Err(malformed(&key));
        }
        insert(&mut root, &parts, &key, value)?;
    }
    Ok(root)
}

fn insert(node: &mut Json, parts: &[&str], key: &str, text: String) -> Result<(), AwsError> {
    let (Some((first, rest)), Some(members)) = (parts.split_first(), node.as_object_mut()) else {
        return Err(malformed(key));
    };
    match rest {
        [] => {
            let value = match *first {
                // The form's keys come in any order, so the key tells whose it is.
                "Value" if !key.contains("Dimensions.") => scalar("Values", text)?,
                first => scalar(first, text)?,
            };
            members.insert((*first).to_owned(), value);
            Ok(())
        }
        ["member", index, rest @ ..] => {
            let index: usize = index.parse().map_err(|_| malformed(key))?;
            let list = members
                .entry((*first).to_owned())
                .or_insert_with(|| Json::Array(Vec::new()));
            let list = list.as_array_mut().ok_or_else(|| malformed(key))?;
            if index == 0 || index > LIST_LENGTH {
                return Err(malformed(key));
            }
            if list.len() < index {
                list.resize_with(index, || Json::Object(Map::new()));
            }
            let slot = &mut list[index - 1];
            if rest.is_empty() {
                *slot = scalar(first, text)?;
                return Ok(());
            }
            insert(slot, rest, key, text)
        }
        _ => {
            let inner = members
                .entry((*first).to_owned())
                .or_insert_with(|| Json::Object(Map::new()));
            insert(inner, rest, key, text)
        }
    }
}

/// A form holds texts; what they stand for depends on the member. In requests a name has one type wherever it stands, but `Value`: a number of
/// a datum, a text of a dimension.
fn scalar(member: &str, text: String) -> Result<Json, AwsError> {
    let number = |text: &str| {
        let value: f64 = text.parse().ok()?;
        let spelt = || {
            if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }
        };
        Some(serde_json::Number::from_f64(value).map_or_else(|| spelt().into(), Json::Number))
    };
    let read = match member {
        "Values" | "Counts" | "SampleCount" | "Sum" | "Minimum" | "Maximum" => number(&text),
        "StorageResolution" | "Period" | "MaxDatapoints" => {
            text.parse::<i64>().ok().map(Json::from)
        }
        "Timestamp" | "StartTime" | "EndTime" => time(&text),
        "ReturnData" | "StrictEntityValidation" | "IncludeLinkedAccounts" => {
            text.parse::<bool>().ok().map(Json::from)
        }
        _ => return Ok(Json::String(text)),
    };
    read.ok_or_else(|| match member {
        "Timestamp" | "StartTime" | "EndTime" => {
            AwsError::serialization("timestamp must follow ISO8601")
        }
        _ => malformed(member),
    })
}

fn time(text: &str) -> Option<Json> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Json::from(time.as_millisecond() as f64 / 1000.0))
}

fn malformed(key: &str) -> AwsError {
    AwsError::serialization(format!("the parameter '{key}' is malformed"))
}
