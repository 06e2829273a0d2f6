//! Answers of the Query protocol.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::numbers_under;
use crate::cbor::Numbers;

const NAMESPACE: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";
/// The id that counts is in the header; this one is there because clients look for it.
const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// An answer: `<OperationResponse><OperationResult>…</OperationResult><ResponseMetadata>…`.
pub(super) fn answer(operation: &str, answer: Option<&Json>) -> String {
    let mut xml = format!("<{operation}Response xmlns=\"{NAMESPACE}\">");
    if let Some(answer) = answer {
        write_member(
            &mut xml,
            &format!("{operation}Result"),
            answer,
            Numbers::AsWritten,
        );
    }
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        xml,
        "<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{operation}Response>"
    );
    xml
}

/// An error.
pub(super) fn refusal(fault: &str, code: &str, message: &str, places: &[Json]) -> String {
    let mut xml = format!("<ErrorResponse xmlns=\"{NAMESPACE}\"><Error>");
    for (name, text) in [("Type", fault), ("Code", code), ("Message", message)] {
        write_member(&mut xml, name, &Json::from(text), Numbers::AsWritten);
    }
    if !places.is_empty() {
        let places = Json::from(places);
        write_member(
            &mut xml,
            "dashboardValidationMessages",
            &places,
            Numbers::AsWritten,
        );
    }
    let _ = write!(
        xml,
        "</Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    );
    xml
}

fn write_member(xml: &mut String, name: &str, value: &Json, numbers: Numbers) {
    if value.is_null() {
        return;
    }
    let numbers = numbers_under(name).unwrap_or(numbers);
    let _ = write!(xml, "<{name}>");
    match value {
        Json::Array(items) => {
            for item in items {
                write_member(xml, "member", item, numbers);
            }
        }
        // The one map of all answers; its keys are data.
        Json::Object(map) if name == "ExtendedStatistics" => {
            for (key, value) in map {
                xml.push_str("<entry>");
                write_member(xml, "key", &Json::from(key.as_str()), Numbers::AsWritten);
                write_member(xml, "value", value, numbers);
                xml.push_str("</entry>");
            }
        }
        Json::Object(members) => {
            for (name, value) in members {
                write_member(xml, name, value, numbers);
            }
        }
        Json::String(text) => escape(xml, text),
        Json::Number(number) if numbers == Numbers::Times => {
            let seconds = number.as_f64().unwrap_or_default();
            let time = jiff::Timestamp::from_millisecond((seconds * 1000.0).round() as i64);
            let _ = write!(xml, "{}", time.unwrap_or_default());
        }
        other => {
            let _ = write!(xml, "{other}");
        }
    }
    let _ = write!(xml, "</{name}>");
}

fn escape(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '&' => xml.push_str("&amp;"),
            '"' => xml.push_str("&quot;"),
            c => xml.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_shows_lists_maps_and_times_as_the_protocol_does() {
        let shown = json!({"Datapoints": [{"Timestamp": 1_790_000_000, "Average": 2.5, "ExtendedStatistics": {"p99": 3}, "Unit": "a<b"}]});
        let expected = "<Datapoints><member><Average>2.5</Average><ExtendedStatistics><entry><key>p99</key><value>3</value></entry></ExtendedStatistics>\
            <Timestamp>2026-09-21T14:13:20Z</Timestamp><Unit>a&lt;b</Unit></member></Datapoints>";
        let xml = answer("Op", Some(&shown));
        assert!(
            xml.contains(&format!("<OpResult>{expected}</OpResult>")),
            "{xml}"
        );
        assert!(answer("Op", None).contains("\"><ResponseMetadata>"));
    }
}
