//! The AWS SDK for Rust against CloudWatch's metrics by themselves, with its signatures checked. Needs no root and no lab.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudwatch::config::Credentials;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, Statistic};
use aws_sdk_cloudwatch::{Client, Config};
use lab::endpoint::{self, Endpoint, Kind, Rule, Script, When};

fn client(endpoint: &Endpoint, secret_key: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint.url())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", secret_key, None, None, "test"))
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

fn start() -> Endpoint {
    Endpoint::start(endpoint::Config::default()).unwrap()
}

/// A whole minute of an hour ago.
fn a_minute() -> i64 {
    jiff::Timestamp::now().as_second() / 60 * 60 - 3600
}

fn datum(second: i64, value: f64) -> MetricDatum {
    let cpu = Dimension::builder().name("cpu").value("cpu-total").build();
    MetricDatum::builder()
        .metric_name("cpu_usage_active")
        .dimensions(cpu)
        .timestamp(DateTime::from_millis(second * 1000 + 250))
        .unit(StandardUnit::Percent)
        .value(value)
        .build()
}

async fn put(client: &Client, data: Vec<MetricDatum>) -> Result<(), Option<String>> {
    let put = client.put_metric_data().namespace("CWAgent");
    let sent = put.set_metric_data(Some(data)).send().await;
    sent.map(drop)
        .map_err(|error| error.code().map(str::to_owned))
}

#[tokio::test]
async fn what_is_put_is_there_to_the_bit_packed_or_not() {
    let endpoint = start();
    let client = client(&endpoint, "test");
    let first = a_minute();
    put(&client, vec![datum(first, 0.1 + 0.2)]).await.unwrap();
    // From 10,240 bytes on the SDK packs the body.
    let many = (0..1000_i32)
        .map(|n| datum(first + i64::from(n), f64::from(n)))
        .collect();
    put(&client, many).await.unwrap();
    let data = endpoint.metric_data("CWAgent");
    assert_eq!((data.len(), endpoint.stats().metric_data), (1001, 1001));
    assert_eq!(data[0].values, [(0.1 + 0.2, 1.0)]);
    assert_eq!(data[0].unix_ms, first * 1000 + 250);
    assert_eq!(
        (data[0].unit, data[0].dimension("cpu")),
        ("Percent", Some("cpu-total"))
    );
    assert_eq!((data[1000].request, data[1000].sample_count()), (2, 1.0));
    assert!(
        endpoint.stats().body_bytes < 60_000,
        "the large body was packed"
    );
}

#[tokio::test]
async fn faults_take_a_request_or_do_not_and_a_repeated_one_counts_twice() {
    let endpoint = start();
    let client = client(&endpoint, "test");
    let kinds = [
        Kind::Throttle,
        Kind::Fail {
            status: 500,
            taken: false,
        },
        Kind::Reset { taken: false },
        Kind::Fail {
            status: 503,
            taken: true,
        },
        Kind::Reset { taken: true },
    ];
    let rules = (1..).zip(kinds).map(|(nth, kind)| Rule {
        operation: Some("PutMetricData".into()),
        when: When::Nth(nth),
        kind,
    });
    endpoint.set_faults(Script {
        seed: 0,
        rules: rules.collect(),
    });
    let minute = a_minute();
    let mut codes = Vec::new();
    for _ in 0..6 {
        codes.push(put(&client, vec![datum(minute, 5.0)]).await);
    }
    let code = |text: &str| Err(Some(text.to_owned()));
    let expected = [
        code("ThrottlingException"),
        code("InternalServiceError"),
        Err(None),
        code("ServiceUnavailableException"),
        Err(None),
        Ok(()),
    ];
    assert_eq!(codes, expected);
    assert_eq!(endpoint.metric_data("CWAgent").len(), 3);
    let asked = client
        .get_metric_statistics()
        .namespace("CWAgent")
        .metric_name("cpu_usage_active")
        .dimensions(Dimension::builder().name("cpu").value("cpu-total").build())
        .start_time(DateTime::from_secs(minute))
        .end_time(DateTime::from_secs(minute + 60))
        .period(60)
        .statistics(Statistic::SampleCount)
        .statistics(Statistic::Average);
    let answer = asked.send().await.unwrap();
    let [point] = answer.datapoints() else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (point.sample_count(), point.average()),
        (Some(3.0), Some(5.0))
    );
}

#[tokio::test]
async fn limits_and_signatures_are_held_to() {
    let endpoint = start();
    let code = |result: Result<(), Option<String>>| result.unwrap_err().unwrap_or_default();
    let known = client(&endpoint, "test");
    let minute = a_minute();
    let many = vec![datum(minute, 1.0); 1001];
    assert_eq!(code(put(&known, many).await), "InvalidParameterValue");
    let old = datum(minute - 14 * 86_400, 1.0);
    assert_eq!(
        code(put(&known, vec![old, datum(minute, 1.0)]).await),
        "InvalidParameterValue"
    );
    let stranger = client(&endpoint, "other");
    assert_eq!(
        code(put(&stranger, vec![datum(minute, 1.0)]).await),
        "InvalidSignatureException"
    );
    assert_eq!(endpoint.metric_data("CWAgent"), []);
}

#[tokio::test]
async fn a_dashboard_is_kept_or_refused_with_its_places() {
    let endpoint = start();
    let client = client(&endpoint, "test");
    let put = |body: &'static str| {
        let put = client
            .put_dashboard()
            .dashboard_name("app")
            .dashboard_body(body);
        put.send()
    };
    let refused = put(r#"{"widgets": [{"type": "log", "properties": {"region": "r"}}]}"#).await;
    let error = refused.unwrap_err().into_service_error();
    let aws_sdk_cloudwatch::operation::put_dashboard::PutDashboardError::DashboardInvalidInputError(
        error,
    ) = error
    else {
        panic!("{error:?}")
    };
    let places = error.dashboard_validation_messages();
    assert_eq!(places[0].data_path(), Some("/widgets/0/properties"));
    assert_eq!(endpoint.dashboard("app"), None);
    put(r#"{"widgets": []}"#).await.unwrap();
    assert_eq!(
        endpoint.dashboard("app").as_deref(),
        Some(r#"{"widgets": []}"#)
    );
}
