//! What goes over the wire, and what comes back.

use std::io::Read;

use baker_agent::aws::{Options, Proxy, RejectedInfo};
use baker_agent::target::{GroupClass, Target};
use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::server::{Reply, Server};
use crate::{logs_at, logs_with, signature, target};

/// As no serialiser would write it, so that it is surely ours that arrives.
fn body() -> Bytes {
    let mut text =
        String::from("{ \"logGroupName\":\"app\",\"logStreamName\":\"i-1/syslog\",\"logEvents\":[");
    for line in 0..4_000 {
        text += &format!(
            "{{\"timestamp\":{line},\"message\":\"line {line} \\u00e9 {}\"}},",
            "x".repeat(200)
        );
    }
    text.pop();
    text += "]}";
    Bytes::from(text)
}

#[tokio::test]
async fn a_finished_body_arrives_as_it_is_under_a_valid_signature() {
    let server = Server::start(|_| Reply::json("{}"));
    let logs = logs_at(&server.url());
    let hash = Sha256::digest(body()).into();
    for sha256 in [None, Some(hash)] {
        let rejected = logs.put(&target(), body(), sha256).await.unwrap();
        assert_eq!(rejected, RejectedInfo::default());
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.action(), "PutLogEvents");
        assert_eq!(
            request.header("content-type"),
            Some("application/x-amz-json-1.1")
        );
        assert_eq!(
            request.header("content-length"),
            Some(&*body().len().to_string())
        );
        assert!(request.body == body(), "the body is not ours");
        assert!(signature::is_valid(&request, "http"));
    }
}

#[tokio::test]
async fn a_hash_that_is_given_is_believed() {
    let server = Server::start(|_| Reply::json("{}"));
    logs_at(&server.url())
        .put(&target(), body(), Some([7; 32]))
        .await
        .unwrap();
    // That it is wrong here proves that nothing hashed the body again.
    assert!(!signature::is_valid(&server.requests()[0], "http"));
}

#[tokio::test]
async fn a_compressed_body_unpacks_to_ours_under_a_valid_signature() {
    let server = Server::start(|_| Reply::json("{}"));
    let options = Options {
        gzip: true,
        ..Options::default()
    };
    logs_with(&server.url(), &Proxy::Direct, None, &options)
        .put(&target(), body(), Some([7; 32]))
        .await
        .unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    assert!(signature::is_valid(request, "http"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(request.body.as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(unpacked == body());
    assert!(request.body.len() < unpacked.len() / 4);
}

#[tokio::test]
async fn rejected_events_are_told_by_their_index() {
    let server = Server::start(|_| {
        Reply::json(
            r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":3,"expiredLogEventEndIndex":5,"tooNewLogEventStartIndex":9}}"#,
        )
    });
    let rejected = logs_at(&server.url())
        .put(&target(), body(), None)
        .await
        .unwrap();
    assert_eq!(
        rejected,
        RejectedInfo {
            too_old_end: Some(3),
            expired_end: Some(5),
            too_new_start: Some(9)
        }
    );
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let server = Server::start(|_| Reply::json("{}"));
    let logs = logs_at(&server.url());
    for _ in 0..5 {
        logs.put(&target(), body(), None).await.unwrap();
    }
    logs.create_stream(&target()).await.unwrap();
    assert_eq!((server.requests().len(), server.connections()), (6, 1));
}

#[tokio::test]
async fn groups_and_streams_are_made_as_the_target_says() {
    let server = Server::start(|_| Reply::json("{}"));
    let logs = logs_at(&server.url());
    let rare = Target {
        class: GroupClass::InfrequentAccess,
        retention_days: None,
        ..target()
    };
    logs.create_group(&target()).await.unwrap();
    logs.create_group(&rare).await.unwrap();
    let essentials = Target {
        class: GroupClass::Essentials,
        ..rare.clone()
    };
    logs.create_group(&essentials).await.unwrap();
    logs.set_retention(&target()).await.unwrap();
    logs.set_retention(&rare).await.unwrap();
    logs.create_stream(&target()).await.unwrap();
    let asked: Vec<_> = server
        .requests()
        .iter()
        .map(|it| (it.action().to_owned(), it.json()))
        .collect();
    let expected = [
        ("CreateLogGroup", json!({"logGroupName": "app"})),
        (
            "CreateLogGroup",
            json!({"logGroupName": "app", "logGroupClass": "INFREQUENT_ACCESS"}),
        ),
        (
            "CreateLogGroup",
            json!({"logGroupName": "app", "logGroupClass": "ESSENTIALS"}),
        ),
        (
            "PutRetentionPolicy",
            json!({"logGroupName": "app", "retentionInDays": 30}),
        ),
        (
            "CreateLogStream",
            json!({"logGroupName": "app", "logStreamName": "i-1/syslog"}),
        ),
    ];
    assert_eq!(
        asked,
        expected.map(|(action, body)| (action.to_owned(), body))
    );
}

/// Three pages, the second of them empty; the end is told by a token that stays the same.
fn pages() -> Server {
    Server::start(|request| {
        let page = request.json();
        let page = page["nextToken"].as_str().unwrap_or("start");
        let (events, next) = match page {
            "start" => (
                json!([{"timestamp": 10, "message": "a"}, {"timestamp": 11, "message": "b"}]),
                "f/1",
            ),
            "f/1" => (json!([]), "f/2"),
            "f/2" => (json!([{"timestamp": 12, "message": "c"}]), "f/3"),
            _ => (json!([]), "f/3"),
        };
        Reply::json(
            &json!({"events": events, "nextForwardToken": next, "nextBackwardToken": "b/1"})
                .to_string(),
        )
    })
}

#[tokio::test]
async fn a_stream_is_read_back_to_its_end_and_over_empty_pages() {
    let server = pages();
    let events = logs_at(&server.url())
        .read_back(&target(), 10, 12)
        .await
        .unwrap();
    let expected = [(10, "a"), (11, "b"), (12, "c")];
    assert_eq!(events, expected.map(|(time, text)| (time, text.to_owned())));
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    let first = requests[0].json();
    // The service leaves out what is at the end time itself.
    assert_eq!(
        (&first["startTime"], &first["endTime"]),
        (&json!(10), &json!(13))
    );
    assert_eq!(first["startFromHead"], json!(true));
}

#[tokio::test]
async fn of_what_is_read_back_only_what_is_wanted_is_kept() {
    let server = pages();
    let events = logs_at(&server.url())
        .read_back_where(&target(), 10, 12, |_, message| message == "c")
        .await
        .unwrap();
    assert_eq!(events, [(12, "c".to_owned())]);
}

/// A group whose streams only a query reads; it takes two questions.
fn infrequent() -> Server {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Server::start(move |request| match request.action() {
        "GetLogEvents" => Reply::status(
            400,
            r#"{"__type":"InvalidOperationException","message":"The log group app is of log-group-class INFREQUENT_ACCESS."}"#,
        ),
        "StartQuery" => Reply::json(r#"{"queryId":"q-1"}"#),
        _ => {
            let row = |time: &str, text: &str| {
                json!([
                    {"field": "@timestamp", "value": time},
                    {"field": "@message", "value": text},
                    {"field": "@ptr", "value": "-"},
                ])
            };
            let page = match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => {
                    json!({"status": "Running", "results": [row("1970-01-01 00:00:10.000", "half")]})
                }
                1 => json!({"status": "Complete", "nextToken": "n", "results": [
                    row("1970-01-01 00:00:10.009", "before"),
                    row("1970-01-01 00:00:10.010", "a"),
                ]}),
                _ => json!({"status": "Complete", "results": [
                    row("1970-01-01 00:00:10.012", "b"),
                    row("1970-01-01 00:00:10.013", "after"),
                ]}),
            };
            Reply::json(&page.to_string())
        }
    })
}

#[tokio::test]
async fn a_group_whose_class_gives_no_streams_is_read_back_by_a_query() {
    let rare = Target {
        class: GroupClass::InfrequentAccess,
        ..target()
    };
    let essentials = Target {
        class: GroupClass::Essentials,
        ..target()
    };
    for (target, actions) in [
        (rare, 4),
        // Somebody else made the group, and we do not know its class.
        (target(), 5),
        // Nobody says whether the streams of such a group can be read.
        (essentials, 5),
    ] {
        let server = infrequent();
        let events = logs_at(&server.url())
            .read_back(&target, 10_010, 10_012)
            .await
            .unwrap();
        let expected = [(10_010, "a"), (10_012, "b")];
        assert_eq!(events, expected.map(|(time, text)| (time, text.to_owned())));
        let requests = server.requests();
        assert_eq!(requests.len(), actions);
        let start = requests.iter().find(|it| it.action() == "StartQuery");
        let start = start.unwrap().json();
        assert_eq!(
            (&start["startTime"], &start["endTime"]),
            (&json!(10), &json!(11))
        );
    }
}

/// A group that was made after the events happened: a query whose time ends before is refused, whatever is in the group.
#[tokio::test]
async fn a_query_of_a_time_before_the_group_reaches_to_now() {
    let asked = std::sync::Mutex::new(Vec::new());
    let server = Server::start(move |request| match request.action() {
        "StartQuery" => {
            let end = request.json()["endTime"].as_i64().unwrap();
            let mut asked = asked.lock().unwrap();
            asked.push(end);
            match asked.len() {
                1 => Reply::status(
                    400,
                    r#"{"__type":"MalformedQueryException","message":"Query's end date and time is either before the log groups creation time or exceeds the log groups log retention settings"}"#,
                ),
                _ if end > asked[0] + 1_000_000 => Reply::json(r#"{"queryId":"q-1"}"#),
                _ => Reply::status(400, r#"{"__type":"MalformedQueryException"}"#),
            }
        }
        _ => {
            let row = |time: &str, text: &str| {
                json!([
                    {"field": "@timestamp", "value": time},
                    {"field": "@message", "value": text},
                ])
            };
            // What follows the time that was asked for has no end.
            Reply::json(
                &json!({"status": "Complete", "nextToken": "more", "results": [
                    row("1970-01-01 00:00:10.010", "a"),
                    row("1970-01-01 00:00:10.012", "b"),
                    row("1970-01-02 00:00:00.000", "later"),
                ]})
                .to_string(),
            )
        }
    });
    let rare = Target {
        class: GroupClass::InfrequentAccess,
        ..target()
    };
    let events = logs_at(&server.url())
        .read_back(&rare, 10_010, 10_012)
        .await
        .unwrap();
    assert_eq!(events, [(10_010, "a".to_owned()), (10_012, "b".to_owned())]);
    let actions: Vec<_> = server
        .requests()
        .iter()
        .map(|it| it.action().to_owned())
        .collect();
    assert_eq!(actions, ["StartQuery", "StartQuery", "GetQueryResults"]);
}
