//! Metrics, as CloudWatch lists and tells them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::monitoring;
use crate::bakery::Bakery;

/// Where hosts file their metrics.
const NAMESPACE: &str = "CWAgent";
/// Metrics of one question: two of the 500 queries that the service takes are one, and a command line takes 128 KiB.
const METRICS: usize = 100;

/// A metric of one host.
#[derive(Debug, Clone)]
pub(crate) struct Metric {
    pub(crate) name: String,
    /// As CloudWatch lists them: what tells it from others.
    dimensions: Value,
}

/// What CloudWatch knows of one second of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// How many values arrived for it.
    pub(crate) count: f64,
    pub(crate) average: f64,
}

/// The metrics that CloudWatch lists for a host.
pub(crate) fn metrics(bakery: &Bakery, instance: &str) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut token = Value::Null;
    loop {
        let mut asked = json!({
            "Namespace": NAMESPACE,
            "Dimensions": [{"Name": "InstanceId", "Value": instance}],
        });
        if !token.is_null() {
            asked["NextToken"] = token;
        }
        let page = monitoring(bakery, "ListMetrics", &asked);
        let listed = page["Metrics"].as_array().unwrap();
        metrics.extend(listed.iter().map(|metric| Metric {
            name: metric["MetricName"].as_str().unwrap().to_owned(),
            dimensions: metric["Dimensions"].clone(),
        }));
        token = page["NextToken"].clone();
        if token.is_null() {
            return metrics;
        }
    }
}

/// What is known of each second from `from_s` until before `to_s`, metric by metric.
pub(crate) fn points(
    bakery: &Bakery,
    metrics: &[Metric],
    (from_s, to_s): (i64, i64),
) -> Vec<BTreeMap<i64, Point>> {
    let mut found = Vec::new();
    for metrics in metrics.chunks(METRICS) {
        let query = |(at, metric): (usize, &Metric)| {
            ["SampleCount", "Average"].map(|statistic| {
                json!({
                    "Id": format!("{}{at}", statistic.to_lowercase()),
                    "MetricStat": {
                        "Metric": {"Namespace": NAMESPACE, "MetricName": metric.name, "Dimensions": metric.dimensions},
                        "Period": 1,
                        "Stat": statistic,
                    },
                })
            })
        };
        let queries: Vec<Value> = metrics.iter().enumerate().flat_map(query).collect();
        let mut of: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
        let mut token = Value::Null;
        loop {
            let mut asked =
                json!({"StartTime": from_s, "EndTime": to_s, "MetricDataQueries": queries});
            if !token.is_null() {
                asked["NextToken"] = token;
            }
            let page = monitoring(bakery, "GetMetricData", &asked);
            for result in page["MetricDataResults"].as_array().unwrap() {
                let times = result["Timestamps"].as_array().unwrap();
                let values = result["Values"].as_array().unwrap();
                let values = times.iter().zip(values);
                of.entry(result["Id"].as_str().unwrap().to_owned())
                    .or_default()
                    .extend(values.map(|(at, value)| {
                        // The service writes times as numbers with a fraction.
                        (at.as_f64().unwrap() as i64, value.as_f64().unwrap())
                    }));
            }
            token = page["NextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        for at in 0..metrics.len() {
            let counts = of.remove(&format!("samplecount{at}")).unwrap_or_default();
            let averages = of.remove(&format!("average{at}")).unwrap_or_default();
            let point = |(at, count)| {
                let average = averages[&at];
                (at, Point { count, average })
            };
            found.push(counts.into_iter().map(point).collect());
        }
    }
    found
}

impl Metric {
    /// The value of a dimension.
    pub(crate) fn dimension(&self, name: &str) -> Option<&str> {
        let dimensions = self.dimensions.as_array()?.iter();
        let mut named = dimensions.filter(|dimension| dimension["Name"] == name);
        named.next()?["Value"].as_str()
    }
}
