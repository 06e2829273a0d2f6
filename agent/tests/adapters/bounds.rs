//! Whatever answers, so much of it is read, and so long is waited for it.

use std::future::Future;
use std::time::Duration;

use baker_agent::aws::{Access, FailureKind, Http, Logs, Options, Proxy, Timeouts};
use baker_agent::host::{HostError, Metadata};
use bytes::Bytes;
use serde_json::json;

use crate::metadata::{TOKEN, search};
use crate::server::{Reply, Request, Server};
use crate::{config, logs_at, logs_with, target};

const MIB: usize = 1024 * 1024;
/// What the buffers of both ends of a connection on loopback take besides what is read, at most.
const BUFFERS: usize = 16 * MIB;

const CHUNKED: &str = "HTTP/1.1 200 -\r\ntransfer-encoding: chunked\r\n\r\n";
const SIZED: &str = "HTTP/1.1 200 -\r\ncontent-length: 1000000000000\r\n\r\n";
const UNSIZED: &str = "HTTP/1.1 200 -\r\n\r\n";

/// A test that hangs tells nothing, so all of them are bounded from outside, too.
async fn bounded<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), call)
        .await
        .unwrap()
}

fn body() -> Bytes {
    Bytes::from_static(b"{\"logEvents\":[]}")
}

fn logs_for(server: &Server, call: Duration) -> Logs {
    let options = Options {
        timeouts: Timeouts {
            call,
            ..Timeouts::default()
        },
        ..Options::default()
    };
    logs_with(&server.url(), &Proxy::Direct, None, &options)
}

/// Long enough for what is not waited for.
const PATIENT: Duration = Duration::from_secs(50);

#[tokio::test]
async fn an_answer_without_an_end_may_mean_that_the_events_arrived() {
    for (what, head, piece) in [
        ("in chunks", CHUNKED, &b"8\r\nxxxxxxxx\r\n"[..]),
        ("in chunks of a byte", CHUNKED, b"1\r\nx\r\n"),
        ("of a length that it tells", SIZED, b"x"),
        ("until the connection is closed", UNSIZED, b"x"),
        ("of white space", SIZED, b" "),
        (
            "packed",
            "HTTP/1.1 200 -\r\ncontent-encoding: gzip\r\n\r\n",
            b"\0",
        ),
    ] {
        let server = Server::start(move |_| Reply::Endless(head.into(), piece));
        let failure = bounded(logs_for(&server, PATIENT).put(&target(), body(), None))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unknown, "{what}: {failure:?}");
        assert!(
            failure.message.contains("more than 65536 bytes"),
            "{what}: {}",
            failure.message
        );
        assert!(server.taken() < BUFFERS, "{what}: {} bytes", server.taken());
    }
}

#[tokio::test]
async fn an_error_without_an_end_is_the_error_that_its_status_says() {
    use FailureKind::*;
    for (status, kind) in [
        (400, Other),
        (403, Denied),
        (429, Throttled),
        (503, Service),
    ] {
        let head = format!("HTTP/1.1 {status} -\r\n\r\n");
        let server = Server::start(move |_| Reply::Endless(head.clone(), b"<html>"));
        let failure = bounded(logs_for(&server, PATIENT).put(&target(), body(), None))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, kind, "{status}: {failure:?}");
        assert!(
            failure.message.contains("more than 65536 bytes"),
            "{}",
            failure.message
        );
        assert!(
            server.taken() < BUFFERS,
            "{status}: {} bytes",
            server.taken()
        );
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_not_read_to_it() {
    for (what, head, piece) in [
        ("one long line", "HTTP/1.1 200 -\r\nx: ", &b"x"[..]),
        ("many lines", "HTTP/1.1 200 -\r\n", b"x-y: z\r\n"),
        ("a chunk's extension", CHUNKED, b"1;x=y"),
        (
            "trailers",
            "HTTP/1.1 200 -\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            b"x-y: z\r\n",
        ),
        ("no HTTP", "", b"x"),
    ] {
        let server = Server::start(move |_| Reply::Endless(head.into(), piece));
        let failure = bounded(logs_for(&server, PATIENT).put(&target(), body(), None))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unknown, "{what}: {failure:?}");
        assert!(server.taken() < BUFFERS, "{what}: {} bytes", server.taken());
    }
}

/// Nothing of these is kept, so there is no bound of bytes: time is bounded.
#[tokio::test]
async fn an_answer_that_only_drips_or_never_begins_is_waited_for_no_longer_than_a_call() {
    const PAUSE: Duration = Duration::from_millis(5);
    for reply in [
        Reply::Drip(SIZED.into(), PAUSE),
        Reply::Drip("HTTP/1.1 200 -\r\nx: ".into(), PAUSE),
        Reply::Endless(String::new(), b"HTTP/1.1 100 -\r\n\r\n"),
    ] {
        let server = Server::start({
            let reply = reply.clone();
            move |_| reply.clone()
        });
        let failure =
            bounded(logs_for(&server, Duration::from_millis(300)).put(&target(), body(), None))
                .await
                .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unknown, "{reply:?}: {failure:?}");
    }
}

#[tokio::test]
async fn what_is_packed_is_never_unpacked() {
    let server = Server::start(|_| {
        let gzip = vec![("content-encoding", "gzip".to_owned())];
        Reply::Answer(200, gzip, "{}".into())
    });
    let logs = logs_at(&server.url());
    // It is read as it is: as if nobody had said that it is packed.
    logs.put(&target(), body(), None).await.unwrap();
}

#[tokio::test]
async fn the_longest_page_that_the_service_may_send_is_read() {
    // 1 MB of events, of characters that JSON writes with six bytes each.
    let events: Vec<_> = (0..10_000)
        .map(|at| {
            json!({"timestamp": 10, "ingestionTime": 1_700_000_000_000_i64 + at, "message": "\u{1}".repeat(78)})
        })
        .collect();
    let page = json!({
        "events": events,
        "nextForwardToken": "f/".to_owned() + &"3".repeat(56),
        "nextBackwardToken": "b/".to_owned() + &"3".repeat(56),
    })
    .to_string();
    assert!(page.len() > 5 * MIB);
    let server = Server::start(move |request| match request.json()["nextToken"].as_str() {
        None => Reply::json(&page),
        Some(token) => Reply::json(&json!({"events": [], "nextForwardToken": token}).to_string()),
    });
    let found = bounded(logs_for(&server, PATIENT).read_back(&target(), 0, 20))
        .await
        .unwrap();
    assert_eq!(found.len(), 10_000);
}

#[tokio::test]
async fn what_is_read_back_has_an_end() {
    for action in ["GetLogEvents", "StartQuery", "GetQueryResults"] {
        let server = Server::start(move |request| match request.action() {
            asked if asked == action => Reply::Endless(UNSIZED.into(), b"x"),
            "GetLogEvents" => Reply::status(
                400,
                r#"{"__type":"InvalidOperationException","message":"no streams"}"#,
            ),
            _ => Reply::json(r#"{"queryId":"q-1"}"#),
        });
        let failure = bounded(logs_for(&server, PATIENT).read_back(&target(), 0, 20))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unknown, "{action}: {failure:?}");
        assert!(
            failure.message.contains(" bytes, which no answer"),
            "{failure:?}"
        );
        assert!(
            server.taken() < 2 * 32 * MIB + BUFFERS,
            "{action}: {}",
            server.taken()
        );
    }
}

#[tokio::test]
async fn pages_without_an_end_are_given_up() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let at = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let page = match request.action() {
            "GetLogEvents" => json!({"events": [], "nextForwardToken": format!("f/{at}")}),
            "StartQuery" => json!({"queryId": "q-1"}),
            _ => json!({"status": "Complete", "results": [], "nextToken": format!("{at}")}),
        };
        Reply::json(&page.to_string())
    })
    .forget();
    let logs = logs_at(&server.url());
    let rare = baker_agent::target::Target {
        class: baker_agent::target::GroupClass::InfrequentAccess,
        ..target()
    };
    for target in [target(), rare] {
        let failure = bounded(logs.read_back(&target, 0, 20)).await.unwrap_err();
        assert!(failure.message.contains("pages"), "{failure:?}");
    }
}

/// One place bounds what every service answers.
#[tokio::test]
async fn metrics_are_bounded_as_logs_are() {
    let server = Server::start(|_| Reply::Endless(CHUNKED.into(), b"8\r\nxxxxxxxx\r\n"));
    let http = Http::new(None, &Proxy::Direct, 4).unwrap();
    let options = Options {
        timeouts: Timeouts {
            call: PATIENT,
            ..Timeouts::default()
        },
        ..Options::default()
    };
    let metrics = Access::over(config(&server.url(), http), &options)
        .metrics(None)
        .unwrap();
    let failures = [
        bounded(metrics.put("CWAgent", Vec::new())).await.err(),
        bounded(metrics.samples("CWAgent", "cpu", &[], 0, 60))
            .await
            .err(),
        bounded(metrics.put_dashboard("web", "{}"))
            .await
            .err()
            .map(|refused| refused.failure),
    ];
    for failure in failures {
        let failure = failure.unwrap();
        assert_eq!(failure.kind, FailureKind::Unknown, "{failure:?}");
        assert!(
            failure.message.contains(" bytes, which no answer"),
            "{failure:?}"
        );
    }
    assert!(server.taken() < 3 * (MIB + BUFFERS), "{}", server.taken());
}

/// Metadata that answers well up to `path`, and there without an end.
fn metadata_until(path: &'static str, reply: Reply) -> Server {
    Server::start(move |request: &Request| match request.target.as_str() {
        asked if asked == path => reply.clone(),
        "/latest/api/token" => {
            let ttl = vec![("x-aws-ec2-metadata-token-ttl-seconds", "21600".to_owned())];
            Reply::Answer(200, ttl, TOKEN.into())
        }
        "/latest/dynamic/instance-identity/document" => Reply::json(r#"{"instanceId": "i-1"}"#),
        "/latest/meta-data/tags/instance" => Reply::json("Name"),
        _ => Reply::json("shop"),
    })
}

#[tokio::test]
async fn metadata_without_an_end_is_no_reason_for_another_id() {
    for path in [
        "/latest/api/token",
        "/latest/dynamic/instance-identity/document",
        "/latest/meta-data/tags/instance",
        "/latest/meta-data/tags/instance/Name",
    ] {
        for reply in [
            Reply::Endless(SIZED.into(), b"x\n"),
            Reply::Endless(CHUNKED.into(), b"2\r\nx\n\r\n"),
            Reply::Endless("HTTP/1.1 500 -\r\n\r\n".into(), b"x"),
            Reply::Drip(SIZED.into(), Duration::from_millis(5)),
        ] {
            let server = metadata_until(path, reply.clone());
            let found = bounded(search(Metadata::At(server.url()))).await;
            let error = found.unwrap_err();
            assert!(
                matches!(error, HostError::Metadata { .. }),
                "{path}: {reply:?}: {error}"
            );
            // Some are asked for more than once.
            assert!(
                server.taken() < 4 * BUFFERS,
                "{path}: {reply:?}: {}",
                server.taken()
            );
        }
    }
}
