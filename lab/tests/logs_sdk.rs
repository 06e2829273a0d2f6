//! The AWS SDK for Rust against CloudWatch Logs by itself, with its signatures checked. Needs no root and no lab.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudwatchlogs::config::Credentials;
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_cloudwatchlogs::{Client, Config};
use lab::logs::{self, Kind, Script, When};

const DAY_MS: i64 = 86_400_000;

fn client(endpoint: &logs::Endpoint, secret_key: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint.url())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", secret_key, None, None, "test"))
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

fn event(unix_ms: i64, message: &str) -> InputLogEvent {
    InputLogEvent::builder()
        .timestamp(unix_ms)
        .message(message)
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_sdk_writes_reads_back_and_understands_every_kind_of_answer() {
    let endpoint = logs::Endpoint::start(logs::Config::default()).unwrap();
    let client = client(&endpoint, "test");
    let group = client.create_log_group().log_group_name("g");
    group.clone().send().await.unwrap();
    let again = group.send().await.unwrap_err();
    assert!(
        again
            .into_service_error()
            .is_resource_already_exists_exception()
    );
    let stream = client.create_log_stream().log_group_name("g");
    stream.log_stream_name("s").send().await.unwrap();

    let now_ms = jiff::Timestamp::now().as_millisecond();
    let put = || {
        client
            .put_log_events()
            .log_group_name("g")
            .log_stream_name("s")
            .log_events(event(now_ms - 15 * DAY_MS, "old"))
            .log_events(event(now_ms, "line \u{fc}"))
    };
    let answer = put().send().await.unwrap();
    let rejected = answer.rejected_log_events_info().unwrap();
    assert_eq!(rejected.too_old_log_event_end_index(), Some(1));
    assert_eq!(rejected.too_new_log_event_start_index(), None);

    endpoint.set_faults(Script::put_log_events([
        (When::Nth(1), Kind::Throttle),
        (When::Nth(2), Kind::ExpiredToken),
        (When::Nth(3), Kind::Reset { taken: true }),
    ]));
    for code in [
        Some("ThrottlingException"),
        Some("ExpiredTokenException"),
        None,
    ] {
        assert_eq!(put().send().await.unwrap_err().code(), code);
    }
    let page = client
        .get_log_events()
        .log_group_name("g")
        .log_stream_name("s")
        .start_time(now_ms)
        .end_time(now_ms + 1)
        .start_from_head(true)
        .send()
        .await
        .unwrap();
    let messages: Vec<&str> = page
        .events()
        .iter()
        .filter_map(|event| event.message())
        .collect();
    assert_eq!(messages, ["line ü", "line ü"]);
}

#[tokio::test]
async fn the_sdk_is_refused_with_another_key_and_by_another_clock() {
    let endpoint = logs::Endpoint::start(logs::Config::default()).unwrap();
    let code = async |secret_key: &str| {
        let asked = client(&endpoint, secret_key).describe_log_groups().send();
        asked
            .await
            .err()
            .and_then(|error| error.code().map(str::to_owned))
    };
    assert_eq!(code("test").await, None);
    assert_eq!(
        code("other").await.as_deref(),
        Some("InvalidSignatureException")
    );
    endpoint.set_clock_offset_ms(10 * 60 * 1000);
    assert_eq!(
        code("test").await.as_deref(),
        Some("InvalidSignatureException")
    );
}
