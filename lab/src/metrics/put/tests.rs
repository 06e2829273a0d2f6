#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::json;

use super::*;

const NOW_MS: i64 = 1_790_000_000_000;

fn datum_with(member: &str, value: Json) -> Json {
    let mut datum = json!({"MetricName": "m", "Value": 1.0});
    if value.is_null() {
        datum.as_object_mut().unwrap().remove(member);
    } else {
        datum[member] = value;
    }
    datum
}

fn put(data: Vec<Json>) -> Result<Put, AwsError> {
    read_put(
        &json!({"Namespace": "CWAgent", "MetricData": data}),
        NOW_MS * 1000,
    )
}

fn refusal(datum: Json) -> (&'static str, String) {
    let error = put(vec![datum]).unwrap_err();
    (error.code, error.message)
}

fn text(chars: usize) -> Json {
    Json::from("x".repeat(chars))
}

fn dimensions(count: usize) -> Json {
    let dimension = |n: usize| json!({"Name": format!("d{n}"), "Value": "v"});
    (0..count).map(dimension).collect()
}

#[test]
fn what_keeps_the_limits_exactly_is_taken() {
    let largest = 2_f64.powi(360);
    let values: Vec<f64> = (0..150).map(f64::from).collect();
    for datum in [
        datum_with("MetricName", text(255)),
        datum_with("Dimensions", dimensions(30)),
        datum_with(
            "Dimensions",
            json!([{"Name": text(255), "Value": text(1024)}]),
        ),
        datum_with("Timestamp", json!(NOW_MS / 1000 - 14 * 86_400)),
        datum_with("Timestamp", json!(NOW_MS / 1000 + 7200)),
        datum_with("StorageResolution", json!(1)),
        datum_with("Unit", json!("Bytes/Second")),
        datum_with("Value", json!(largest)),
        datum_with("Value", json!(-largest)),
        datum_with("Value", json!(0.0)),
        json!({"MetricName": "m", "Values": values, "Counts": values}),
        json!({"MetricName": "m", "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2}}),
    ] {
        let put = put(vec![datum.clone()]);
        assert!(put.is_ok(), "{datum}: {put:?}");
    }
    let data = vec![datum_with("Unit", json!("Count")); DATA];
    assert_eq!(put(data).unwrap().data.len(), 1000);
}

#[test]
fn what_is_beyond_a_limit_is_refused_with_its_place() {
    let values = |count: usize| json!({"MetricName": "m", "Values": vec![1.0; count]});
    for (datum, code, part) in [
        (
            datum_with("MetricName", Json::Null),
            "MissingParameter",
            "MetricData.member.1.MetricName is required",
        ),
        (
            datum_with("MetricName", json!("")),
            "MissingParameter",
            "MetricData.member.1.MetricName",
        ),
        (
            datum_with("MetricName", text(256)),
            "InvalidParameterValue",
            "MetricName must be shorter than 256",
        ),
        (
            datum_with("MetricName", json!("h\u{e9}")),
            "InvalidParameterValue",
            "MetricName is invalid",
        ),
        (
            datum_with("Dimensions", dimensions(31)),
            "InvalidParameterValue",
            "The collection MetricData.member.1.Dimensions must not have a size greater than 30.",
        ),
        (
            datum_with("Dimensions", json!([{"Name": "d", "Value": ""}])),
            "MissingParameter",
            "MetricData.member.1.Dimensions.member.1.Value is required",
        ),
        (
            datum_with("Dimensions", json!([{"Name": ":d", "Value": "v"}])),
            "InvalidParameterValue",
            "Dimensions.member.1.Name",
        ),
        (
            datum_with("Dimensions", json!([{"Name": "d", "Value": text(1025)}])),
            "InvalidParameterValue",
            "shorter than 1025",
        ),
        (
            datum_with(
                "Dimensions",
                json!([{"Name": "d", "Value": "1"}, {"Name": "d", "Value": "2"}]),
            ),
            "InvalidParameterValue",
            "more than once",
        ),
        (
            datum_with("Timestamp", json!(NOW_MS / 1000 - 14 * 86_400 - 1)),
            "InvalidParameterValue",
            "MetricData.member.1.Timestamp must specify a time within the past two weeks.",
        ),
        (
            datum_with("Timestamp", json!(NOW_MS / 1000 + 7201)),
            "InvalidParameterValue",
            "no more than two hours in the future.",
        ),
        (
            datum_with("Timestamp", json!("yesterday")),
            "SerializationException",
            "MetricData.member.1.Timestamp",
        ),
        (
            datum_with("StorageResolution", json!(30)),
            "InvalidParameterValue",
            "The value 30 for parameter MetricData.member.1.StorageResolution",
        ),
        (
            datum_with("Unit", json!("percent")),
            "InvalidParameterValue",
            "MetricData.member.1.Unit must be a value in the set",
        ),
        (
            datum_with("Value", json!("NaN")),
            "InvalidParameterValue",
            "The value NaN for parameter MetricData.member.1.Value is invalid.",
        ),
        (
            datum_with("Value", json!("-Infinity")),
            "InvalidParameterValue",
            "The value -inf",
        ),
        (
            datum_with("Value", json!(2_f64.powi(361))),
            "InvalidParameterValue",
            "Value is invalid",
        ),
        (
            datum_with("Value", json!(2_f64.powi(-361))),
            "InvalidParameterValue",
            "Value is invalid",
        ),
        (
            datum_with("Value", Json::Null),
            "MissingParameter",
            "At least one of the parameters",
        ),
        (
            datum_with("Values", json!([1.0])),
            "InvalidParameterCombination",
            "mutually exclusive",
        ),
        (values(0), "MissingParameter", "Values is required"),
        (
            values(151),
            "InvalidParameterValue",
            "must not have a size greater than 150.",
        ),
        (
            json!({"MetricName": "m", "Values": [1.0, 2.0], "Counts": [1.0]}),
            "InvalidParameterValue",
            "must be of the same size",
        ),
        (
            json!({"MetricName": "m", "Values": [1.0], "Counts": [-1.0]}),
            "InvalidParameterValue",
            "Counts is invalid",
        ),
        (
            json!({"MetricName": "m", "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 1}}),
            "MissingParameter",
            "MetricData.member.1.StatisticValues.Maximum is required",
        ),
        (
            json!({"MetricName": "m", "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 2, "Maximum": 1}}),
            "InvalidParameterValue",
            "StatisticValues.Minimum",
        ),
    ] {
        let (found, message) = refusal(datum.clone());
        assert_eq!(found, code, "{datum}: {message}");
        assert!(message.contains(part), "{datum}: {message}");
    }
    let many = vec![datum_with("Unit", json!("Count")); DATA + 1];
    assert!(
        put(many)
            .unwrap_err()
            .message
            .contains("must not have a size greater than 1000.")
    );
}

#[test]
fn a_namespace_has_rules_of_its_own() {
    let refused = |namespace: Json| {
        let request =
            json!({"Namespace": namespace, "MetricData": [datum_with("Unit", json!("Count"))]});
        read_put(&request, NOW_MS * 1000)
            .err()
            .map(|error| error.code)
    };
    for good in ["CWAgent", "a/b.c_d-e#f:g h", &"x".repeat(255)] {
        assert_eq!(refused(json!(good)), None, "{good}");
    }
    for bad in ["", " ", ":a", "AWS/EC2", "a\\b", &"x".repeat(256)] {
        assert_eq!(refused(json!(bad)), Some("InvalidParameterValue"), "{bad}");
    }
    assert_eq!(refused(Json::Null), Some("MissingParameter"));
}

#[test]
fn one_bad_datum_refuses_all_and_every_bad_one_is_named() {
    let good = datum_with("Unit", json!("Count"));
    let bad = datum_with("Value", json!("NaN"));
    let error = put(vec![good.clone(), bad.clone(), good, bad]).unwrap_err();
    let lines: Vec<&str> = error.message.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].contains("member.2.Value") && lines[1].contains("member.4.Value"));
}

#[test]
fn dimensions_are_a_set() {
    let one = put(vec![datum_with(
        "Dimensions",
        json!([{"Name": "b", "Value": "1"}, {"Name": "a", "Value": "2"}]),
    )]);
    let other = put(vec![datum_with(
        "Dimensions",
        json!([{"Name": "a", "Value": "2"}, {"Name": "b", "Value": "1"}]),
    )]);
    assert_eq!(one.unwrap(), other.unwrap());
}
