#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::json;

use super::super::put::read_put;
use super::super::store::Store;
use super::*;

/// A whole hour.
const NOW_S: i64 = 1_790_002_800;

struct Desk {
    store: Store,
    now_s: i64,
}

impl Desk {
    fn new() -> Self {
        Self {
            store: Store::default(),
            now_s: NOW_S,
        }
    }

    fn put(&mut self, datum: Json) {
        let now_us = self.now_s * 1_000_000;
        let request = json!({"Namespace": "N", "MetricData": [datum]});
        self.store.put(read_put(&request, now_us).unwrap(), now_us);
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            now_us: self.now_s * 1_000_000,
            visible_us: self.now_s * 1_000_000,
        }
    }

    fn data(&self, more: Json) -> Result<Json, AwsError> {
        let mut request = json!({"StartTime": NOW_S - 600, "EndTime": NOW_S});
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        get_metric_data(&request, &self.context())
    }
}

fn at(second: i64, value: f64) -> Json {
    json!({"MetricName": "m", "Timestamp": second, "Value": value})
}

fn query(id: &str, period: i64, stat: &str) -> Json {
    json!({"Id": id, "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "m"}, "Period": period, "Stat": stat}})
}

fn points(answer: &Json, index: usize) -> Vec<(i64, f64)> {
    let result = &answer["MetricDataResults"][index];
    let times = result["Timestamps"].as_array().unwrap().iter();
    let values = result["Values"].as_array().unwrap().iter();
    times
        .zip(values)
        .map(|(at, value)| (at.as_i64().unwrap(), value.as_f64().unwrap()))
        .collect()
}

#[test]
fn a_datum_counts_in_its_minute_and_a_point_that_came_twice_counts_twice() {
    let mut desk = Desk::new();
    for (second, value) in [(-119, 1.0), (-61, 3.0), (-60, 5.0), (-60, 5.0)] {
        desk.put(at(NOW_S + second, value));
    }
    let queries = json!({"MetricDataQueries": [query("a", 60, "Average"), query("n", 60, "SampleCount")], "ScanBy": "TimestampAscending"});
    let answer = desk.data(queries).unwrap();
    assert_eq!(points(&answer, 0), [(NOW_S - 120, 2.0), (NOW_S - 60, 5.0)]);
    assert_eq!(points(&answer, 1), [(NOW_S - 120, 2.0), (NOW_S - 60, 2.0)]);
}

#[test]
fn seconds_are_shown_of_high_resolution_data_for_three_hours() {
    let mut desk = Desk::new();
    for second in [-30, -29] {
        let mut fine = at(NOW_S + second, 1.0);
        fine["StorageResolution"] = json!(1);
        desk.put(fine);
        desk.put(at(NOW_S + second, 1.0));
    }
    let ask = json!({"MetricDataQueries": [query("n", 1, "SampleCount")], "ScanBy": "TimestampAscending"});
    let shown = points(&desk.data(ask.clone()).unwrap(), 0);
    assert_eq!(
        shown,
        [(NOW_S - 60, 2.0), (NOW_S - 30, 1.0), (NOW_S - 29, 1.0)]
    );
    desk.now_s += 3 * 3600 + 1;
    assert_eq!(points(&desk.data(ask).unwrap(), 0), [(NOW_S - 60, 4.0)]);
}

#[test]
fn a_page_ends_where_it_is_full_and_the_next_one_goes_on() {
    let mut desk = Desk::new();
    for minute in 1..=5 {
        desk.put(at(NOW_S - 60 * minute, minute as f64));
    }
    let ask = |token: &Json| {
        let two = [query("a", 60, "Sum"), query("b", 60, "Sum")];
        desk.data(json!({"MetricDataQueries": two, "MaxDatapoints": 4, "NextToken": token}))
            .unwrap()
    };
    let first = ask(&Json::Null);
    assert_eq!(first["MetricDataResults"][0]["StatusCode"], "PartialData");
    let second = ask(&first["NextToken"]);
    let third = ask(&second["NextToken"]);
    assert_eq!(third.get("NextToken"), None);
    let lengths = [
        (&first, 0),
        (&second, 0),
        (&second, 1),
        (&third, 0),
        (&third, 1),
    ];
    assert_eq!(
        lengths.map(|(page, index)| points(page, index).len()),
        [4, 1, 3, 0, 2]
    );
    assert!(
        desk.data(json!({"MetricDataQueries": [query("a", 60, "Sum")], "NextToken": "?"}))
            .is_err()
    );
}

#[test]
fn an_expression_searches_and_computes_with_what_others_find() {
    let mut desk = Desk::new();
    for (host, cpu, value) in [
        ("i-1", "cpu0", 1.0),
        ("i-2", "cpu0", 5.0),
        ("i-2", "cpu1", 9.0),
    ] {
        let dimensions = json!([{"Name": "Host", "Value": host}, {"Name": "cpu", "Value": cpu}]);
        let second = NOW_S - 60;
        desk.put(json!({"MetricName": "m", "Timestamp": second, "Value": value, "Dimensions": dimensions}));
    }
    desk.put(at(NOW_S - 60, 30.0));
    let mut hidden = query("m1", 60, "Sum");
    hidden["ReturnData"] = json!(false);
    let search = "100-SEARCH('{N,cpu,Host} MetricName=\"m\" cpu=\"cpu0\"', 'Maximum', 60)";
    let answer = desk
        .data(json!({"MetricDataQueries": [
            hidden,
            {"Id": "e1", "Expression": "m1/60"},
            {"Id": "e2", "Expression": search, "Label": "of ${PROP('Dim.Host')}"},
        ]}))
        .unwrap();
    let results = answer["MetricDataResults"].as_array().unwrap();
    let labels: Vec<&str> = results
        .iter()
        .map(|it| it["Label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["m", "of i-1", "of i-2"]);
    assert_eq!(points(&answer, 0), [(NOW_S - 60, 0.5)]);
    assert_eq!(points(&answer, 1), [(NOW_S - 60, 99.0)]);
    assert_eq!(points(&answer, 2), [(NOW_S - 60, 95.0)]);
    for (id, expression) in [
        ("a", "a/2"),
        ("a", "b"),
        ("a", "7"),
        ("a", "SEARCH('{N}', 'Sum')"),
    ] {
        let queries = json!({"MetricDataQueries": [{"Id": id, "Expression": expression}]});
        assert_eq!(
            desk.data(queries).unwrap_err().code,
            "ValidationError",
            "{expression}"
        );
    }
}

#[test]
fn questions_that_the_service_refuses_are_refused() {
    let desk = Desk::new();
    let code = |more: Json| desk.data(more).unwrap_err().code;
    let one = |query: Json| json!({"MetricDataQueries": [query]});
    assert_eq!(code(json!({})), "MissingParameter");
    assert_eq!(code(one(query("A", 60, "Sum"))), "InvalidParameterValue");
    assert_eq!(code(one(query("a", 61, "Sum"))), "InvalidParameterValue");
    assert_eq!(code(one(query("a", 60, "tm99"))), "InvalidParameterValue");
    assert_eq!(
        code(one(json!({"Id": "e", "Expression": "SUM(METRICS())"}))),
        "ValidationError"
    );
    let same = json!({"MetricDataQueries": [query("a", 60, "Sum"), query("a", 60, "Sum")]});
    assert_eq!(code(same), "ValidationError");
    let mut backwards = one(query("a", 60, "Sum"));
    backwards["StartTime"] = json!(NOW_S + 60);
    assert_eq!(code(backwards), "InvalidParameterValue");
    let many: Vec<Json> = (0..501)
        .map(|n| query(&format!("q{n}"), 60, "Sum"))
        .collect();
    assert_eq!(
        code(json!({"MetricDataQueries": many})),
        "InvalidParameterValue"
    );
}

#[test]
fn statistics_keep_units_apart_and_their_limit() {
    let mut desk = Desk::new();
    for unit in ["Percent", "Count"] {
        let mut datum = at(NOW_S - 60, 1.0);
        datum["Unit"] = json!(unit);
        desk.put(datum);
    }
    let ask = |more: &[(&str, Json)]| {
        let mut request = json!({"Namespace": "N", "MetricName": "m", "Period": 60, "StartTime": NOW_S - 600, "EndTime": NOW_S});
        for (name, value) in more {
            request[*name] = value.clone();
        }
        get_metric_statistics(&request, &desk.context())
    };
    let sum = ("Statistics", json!(["Sum"]));
    let all = ask(std::slice::from_ref(&sum)).unwrap();
    assert_eq!(all["Datapoints"].as_array().unwrap().len(), 2);
    let percent = ask(&[sum.clone(), ("Unit", json!("Percent"))]).unwrap();
    assert_eq!(
        percent["Datapoints"],
        json!([{"Timestamp": NOW_S - 60, "Unit": "Percent", "Sum": 1.0}])
    );
    let extended = ask(&[
        ("ExtendedStatistics", json!(["p50"])),
        ("Unit", json!("Count")),
    ])
    .unwrap();
    assert_eq!(
        extended["Datapoints"][0]["ExtendedStatistics"],
        json!({"p50": 1.0})
    );
    let code = |more: &[(&str, Json)]| ask(more).unwrap_err().code;
    assert_eq!(code(&[]), "MissingParameter");
    assert_eq!(
        code(&[sum.clone(), ("ExtendedStatistics", json!(["p50"]))]),
        "InvalidParameterCombination"
    );
    assert_eq!(
        code(&[sum, ("StartTime", json!(NOW_S - 86_460))]),
        "InvalidParameterCombination"
    );
}

#[test]
fn metrics_are_listed_by_any_of_their_parts_while_they_are_alive() {
    let mut desk = Desk::new();
    for host in ["a", "b"] {
        let mut datum = at(NOW_S, 1.0);
        datum["Dimensions"] = json!([{"Name": "Host", "Value": host}]);
        desk.put(datum);
    }
    desk.put(at(NOW_S, 1.0));
    let count = |desk: &Desk, request: Json| {
        let answer = list_metrics(&request, &desk.context()).unwrap();
        answer["Metrics"].as_array().unwrap().len()
    };
    assert_eq!(count(&desk, json!({})), 3);
    assert_eq!(count(&desk, json!({"Namespace": "other"})), 0);
    assert_eq!(count(&desk, json!({"Dimensions": [{"Name": "Host"}]})), 2);
    assert_eq!(
        count(
            &desk,
            json!({"Dimensions": [{"Name": "Host", "Value": "b"}]})
        ),
        1
    );
    desk.now_s += 4 * 3600;
    assert_eq!(count(&desk, json!({"RecentlyActive": "PT3H"})), 0);
    assert_eq!(count(&desk, json!({})), 3);
    desk.now_s += 14 * 86_400;
    assert_eq!(count(&desk, json!({})), 0);
}
