//! CloudWatch through the front door: the Rust SDK speaks CBOR, moto does not; what either stores, the other reads.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod endpoint;
mod python_clients;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDatum, MetricStat, StandardUnit,
};
use endpoint::{Endpoint, REGION};

/// A whole minute, so that it is its own period; recent enough for CloudWatch (two weeks).
fn a_minute_of_today() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    i64::try_from(now).unwrap() / 60 * 60 - 3600
}

fn sdk(endpoint: &Endpoint) -> Client {
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint.url())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}

fn host(name: &str) -> Dimension {
    Dimension::builder().name("Host").value(name).build()
}

fn datum(name: &str, second: i64, value: f64) -> MetricDatum {
    MetricDatum::builder()
        .metric_name(name)
        .dimensions(host("a"))
        .timestamp(DateTime::from_secs(second))
        .unit(StandardUnit::Percent)
        .value(value)
        .build()
}

async fn statistics(endpoint: &Endpoint, name: &str, from: i64, to: i64) -> Vec<(i64, f64)> {
    let (from, to) = (from.to_string(), to.to_string());
    let answer = endpoint
        .aws(&[
            "cloudwatch",
            "get-metric-statistics",
            "--namespace",
            "Lab/Test",
            "--metric-name",
            name,
            "--dimensions",
            "Name=Host,Value=a",
            "--start-time",
            &from,
            "--end-time",
            &to,
            "--period",
            "60",
            "--statistics",
            "Average",
        ])
        .await
        .unwrap();
    let mut points: Vec<_> = answer["Datapoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| {
            // The CLI shows a time as it came over the wire: in this protocol, as seconds.
            let second = point["Timestamp"]
                .as_i64()
                .unwrap_or_else(|| panic!("no time: {point}"));
            (
                second,
                point["Average"]
                    .as_f64()
                    .unwrap_or_else(|| panic!("no value: {point}")),
            )
        })
        .collect();
    points.sort_by_key(|point| point.0);
    points
}

#[tokio::test]
async fn what_the_rust_sdk_puts_the_cli_reads_with_its_times_and_values() {
    let endpoint = Endpoint::start().await;
    let start = a_minute_of_today();
    // A whole number, a fraction and a negative one: all three are doubles.
    let sent = [(start, 5.0), (start + 60, 0.1), (start + 120, -2.5e-3)];
    sdk(&endpoint)
        .put_metric_data()
        .namespace("Lab/Test")
        .set_metric_data(Some(
            sent.iter()
                .map(|(second, value)| datum("Load", *second, *value))
                .collect(),
        ))
        .send()
        .await
        .unwrap();
    assert_eq!(
        statistics(&endpoint, "Load", start, start + 180).await,
        sent
    );
    assert_eq!(endpoint.requests()["cloudwatch:PutMetricData"], 1);
}

#[tokio::test]
async fn a_request_large_enough_to_be_packed_arrives_whole() {
    let endpoint = Endpoint::start().await;
    let start = a_minute_of_today();
    // The SDK packs bodies from 10,240 bytes on.
    let sent: Vec<(i64, f64)> = (0..1000_i32)
        .map(|n| (start + i64::from(n % 50) * 60, f64::from(n)))
        .collect();
    sdk(&endpoint)
        .put_metric_data()
        .namespace("Lab/Test")
        .set_metric_data(Some(
            sent.iter()
                .map(|(second, value)| datum("Many", *second, *value))
                .collect(),
        ))
        .send()
        .await
        .unwrap();
    let expected: Vec<(i64, f64)> = (0..50_i32)
        .map(|minute| {
            let values = (0..20).map(|round| f64::from(minute + 50 * round));
            (start + i64::from(minute) * 60, values.sum::<f64>() / 20.0)
        })
        .collect();
    assert_eq!(
        statistics(&endpoint, "Many", start, start + 3600).await,
        expected
    );
}

#[tokio::test]
async fn what_the_cli_puts_the_rust_sdk_reads() {
    let endpoint = Endpoint::start().await;
    let start = a_minute_of_today();
    for (second, value) in [(start, "1"), (start + 60, "2.25")] {
        endpoint
            .aws(&[
                "cloudwatch",
                "put-metric-data",
                "--namespace",
                "Lab/Test",
                "--metric-name",
                "Queue",
                "--dimensions",
                "Host=a",
                "--timestamp",
                &second.to_string(),
                "--value",
                value,
            ])
            .await
            .unwrap();
    }
    let metric = Metric::builder()
        .namespace("Lab/Test")
        .metric_name("Queue")
        .dimensions(host("a"))
        .build();
    let query = MetricDataQuery::builder()
        .id("q")
        .metric_stat(
            MetricStat::builder()
                .metric(metric)
                .period(60)
                .stat("Maximum")
                .build(),
        )
        .build();
    let answer = sdk(&endpoint)
        .get_metric_data()
        .start_time(DateTime::from_secs(start))
        .end_time(DateTime::from_secs(start + 180))
        .metric_data_queries(query)
        .send()
        .await
        .unwrap();
    let [series] = answer.metric_data_results() else {
        panic!("{answer:?}")
    };
    // The latest first, unless asked otherwise.
    assert_eq!(
        series.timestamps(),
        [DateTime::from_secs(start + 60), DateTime::from_secs(start)]
    );
    assert_eq!(series.values(), [2.25, 1.0]);
}

#[tokio::test]
async fn a_metric_is_all_its_dimensions_and_periods_begin_with_the_request() {
    let endpoint = Endpoint::start().await;
    let client = sdk(&endpoint);
    let start = a_minute_of_today();
    let plain = MetricDatum::builder()
        .metric_name("Load")
        .timestamp(DateTime::from_secs(start + 10))
        .value(1.0)
        .build();
    let of_disk = Dimension::builder().name("Disk").value("sda").build();
    let both = MetricDatum::builder()
        .metric_name("Load")
        .dimensions(host("a"))
        .dimensions(of_disk)
        .timestamp(DateTime::from_secs(start + 10))
        .value(3.0)
        .build();
    let data = vec![plain.clone(), plain, datum("Load", start + 30, 2.0), both];
    client
        .put_metric_data()
        .namespace("Lab/Test")
        .set_metric_data(Some(data))
        .send()
        .await
        .unwrap();

    // Only the one with exactly that dimension, at the beginning of its period.
    assert_eq!(
        statistics(&endpoint, "Load", start, start + 120).await,
        [(start, 2.0)]
    );
    let metric = Metric::builder()
        .namespace("Lab/Test")
        .metric_name("Load")
        .build();
    let stat = MetricStat::builder()
        .metric(metric)
        .period(60)
        .stat("SampleCount")
        .build();
    let answer = client
        .get_metric_data()
        .start_time(DateTime::from_secs(start + 5))
        .end_time(DateTime::from_secs(start + 120))
        .metric_data_queries(MetricDataQuery::builder().id("q").metric_stat(stat).build())
        .send()
        .await
        .unwrap();
    let series = &answer.metric_data_results()[0];
    assert_eq!(
        (series.timestamps(), series.values()),
        (&[DateTime::from_secs(start)][..], &[2.0][..])
    );
    let listed = client
        .list_metrics()
        .namespace("Lab/Test")
        .send()
        .await
        .unwrap();
    assert_eq!(listed.metrics().len(), 3, "{listed:?}");
}

#[tokio::test]
async fn alarms_come_back_with_the_types_they_went_in_with() {
    let endpoint = Endpoint::start().await;
    let client = sdk(&endpoint);
    client
        .put_metric_alarm()
        .alarm_name("full")
        .namespace("Lab/Test")
        .metric_name("Load")
        .comparison_operator(aws_sdk_cloudwatch::types::ComparisonOperator::GreaterThanThreshold)
        .evaluation_periods(3)
        .period(60)
        .statistic(aws_sdk_cloudwatch::types::Statistic::Average)
        .threshold(90.0)
        .send()
        .await
        .unwrap();
    let answer = client.describe_alarms().send().await.unwrap();
    let [alarm] = answer.metric_alarms() else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (
            alarm.threshold(),
            alarm.evaluation_periods(),
            alarm.period()
        ),
        (Some(90.0), Some(3), Some(60))
    );
    let updated = alarm.state_updated_timestamp().unwrap().secs();
    assert!(
        (updated - a_minute_of_today()).abs() < 2 * 3600,
        "{updated}"
    );
}

#[tokio::test]
async fn errors_keep_their_code_and_message() {
    let endpoint = Endpoint::start().await;
    let client = sdk(&endpoint);
    let missing = client
        .get_dashboard()
        .dashboard_name("nobodys")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(
        missing.is_dashboard_not_found_error() || missing.code() == Some("ResourceNotFound"),
        "{missing:?}"
    );
    assert!(
        missing.message().unwrap_or_default().contains("Dashboard"),
        "{missing:?}"
    );

    let not_a_number = client
        .put_metric_data()
        .namespace("Lab/Test")
        .metric_data(datum("Load", a_minute_of_today(), f64::NAN))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(
        not_a_number.code(),
        Some("InvalidParameterValue"),
        "{not_a_number:?}"
    );
}
