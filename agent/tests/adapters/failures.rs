//! What is made of everything that can go wrong on the way.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use aws_config::identity::IdentityCache;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use baker_agent::aws::{Failure, FailureKind, Http, Logs, Options, Proxy, Timeouts};
use bytes::Bytes;

use crate::server::{Reply, Server};
use crate::{config, logs_at, logs_with, signature, target};

fn body() -> Bytes {
    Bytes::from_static(b"{\"logEvents\":[]}")
}

async fn failure(reply: Reply) -> Failure {
    // Only where no answer comes is there anything to wait for.
    let call = match reply {
        Reply::Silence => Duration::from_millis(200),
        _ => Duration::from_secs(60),
    };
    let server = Server::start(move |_| reply.clone());
    let short = Options {
        timeouts: Timeouts {
            call,
            ..Timeouts::default()
        },
        ..Options::default()
    };
    logs_with(&server.url(), &Proxy::Direct, None, &short)
        .put(&target(), body(), None)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn what_nobody_listened_to_was_not_sent() {
    let address = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    let url = format!("http://{address}");
    let failure = logs_at(&url)
        .put(&target(), body(), None)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent, "{failure:?}");
    assert!(
        failure.message.contains(&url) && failure.message.contains("refused"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn what_was_sent_and_not_answered_may_have_arrived() {
    for reply in [Reply::Close, Reply::Cut, Reply::Silence] {
        let failure = failure(reply.clone()).await;
        assert_eq!(failure.kind, FailureKind::Unknown, "{reply:?}: {failure:?}");
    }
    let failure = failure(Reply::status(200, "{\"rejectedLogEventsInfo\":")).await;
    assert_eq!(failure.kind, FailureKind::Unknown, "{failure:?}");
}

#[tokio::test]
async fn a_handshake_that_hangs_or_fails_was_not_sent() {
    // A server that takes connections and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    // One that answers with something else.
    let plain = Server::start(|_| Reply::json("{}"));
    let short = Options {
        timeouts: Timeouts {
            connect: Duration::from_millis(200),
            ..Timeouts::default()
        },
        ..Options::default()
    };
    for address in [silent.local_addr().unwrap(), plain.address] {
        let failure = logs_with(&format!("https://{address}"), &Proxy::Direct, None, &short)
            .put(&target(), body(), None)
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotSent, "{failure:?}");
    }
}

#[tokio::test]
async fn answers_mean_what_they_say() {
    use FailureKind::*;
    for (status, body, kind, code) in [
        (
            400,
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
            Throttled,
            Some("ThrottlingException"),
        ),
        (
            400,
            r#"{"__type":"com.amazonaws.logs#ResourceNotFoundException","message":"The specified log stream does not exist."}"#,
            NotFound,
            Some("ResourceNotFoundException"),
        ),
        (
            400,
            r#"{"__type":"DataAlreadyAcceptedException","message":"-","expectedSequenceToken":"1"}"#,
            AlreadyAccepted,
            Some("DataAlreadyAcceptedException"),
        ),
        (
            400,
            r#"{"__type":"InvalidParameterException","message":"Log events in a single PutLogEvents request must be in chronological order."}"#,
            Invalid,
            Some("InvalidParameterException"),
        ),
        (
            400,
            r#"{"__type":"AccessDeniedException","Message":"User: x is not authorized to perform: logs:PutLogEvents"}"#,
            Denied,
            Some("AccessDeniedException"),
        ),
        (
            503,
            r#"{"__type":"ServiceUnavailableException"}"#,
            Service,
            Some("ServiceUnavailableException"),
        ),
        (502, "<html>Bad Gateway</html>", Service, None),
        (413, "", Invalid, None),
        (500, "", Service, None),
    ] {
        let failure = failure(Reply::status(status, body)).await;
        assert_eq!(failure.kind, kind, "{status} {body}: {failure:?}");
        assert_eq!(failure.code.as_deref(), code, "{failure:?}");
    }
}

#[tokio::test]
async fn the_time_the_service_asks_for_is_handed_on() {
    let reply = Reply::Answer(
        429,
        vec![("retry-after", "7".into())],
        r#"{"__type":"ThrottlingException"}"#.into(),
    );
    let failure = failure(reply).await;
    assert_eq!(failure.kind, FailureKind::Throttled);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
}

/// A provider that fails, or never answers.
#[derive(Debug)]
enum NoCredentials {
    Fails,
    Hangs,
}

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        match self {
            NoCredentials::Fails => {
                Provided::ready(Err(CredentialsError::not_loaded("nobody has any")))
            }
            NoCredentials::Hangs => Provided::new(std::future::pending()),
        }
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent_and_the_remedy_is_told() {
    for (provider, load_timeout, call) in [
        (NoCredentials::Fails, 60_000, 60_000),
        // The provider hangs: first the limit for credentials is over, then the call's own.
        (NoCredentials::Hangs, 100, 60_000),
        (NoCredentials::Hangs, 60_000, 100),
    ] {
        let server = Server::start(|_| Reply::json("{}"));
        let cache = IdentityCache::lazy()
            .load_timeout(Duration::from_millis(load_timeout))
            .build();
        let config = config(&server.url(), Http::direct())
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(provider))
            .identity_cache(cache)
            .build();
        let options = Options {
            timeouts: Timeouts {
                call: Duration::from_millis(call),
                ..Timeouts::default()
            },
            ..Options::default()
        };
        let failure = Logs::over(&config, &options)
            .unwrap()
            .put(&target(), body(), None)
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
        assert!(
            failure.message.contains("give the instance a role"),
            "{failure:?}"
        );
        assert_eq!(server.requests().len(), 0);
    }
}

/// A date as HTTP writes it.
fn http_date(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .unwrap()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

#[tokio::test]
async fn a_wrong_clock_is_told_and_then_signed_around() {
    const HOUR: Duration = Duration::from_secs(3600);
    let server = Server::start(|_| {
        let date = http_date(SystemTime::now() - HOUR);
        Reply::Answer(
            400,
            vec![("date", date)],
            r#"{"__type":"InvalidSignatureException","message":"Signature not yet current"}"#
                .into(),
        )
    });
    let logs = logs_at(&server.url());
    assert_eq!(logs.clock_ahead_ms(), None);
    let failure = logs.put(&target(), body(), None).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(
        failure.message.contains("ahead of the service's: set it"),
        "{}",
        failure.message
    );
    let ahead_ms = logs.clock_ahead_ms().unwrap();
    assert!((3_500_000..3_700_000).contains(&ahead_ms), "{ahead_ms}");
    // From then on, requests carry the service's time.
    let _ = logs.put(&target(), body(), None).await;
    let requests = server.requests();
    let shift = signature::time(&requests[0])
        .duration_since(signature::time(&requests[1]))
        .unwrap();
    assert!(shift > HOUR / 2, "{shift:?}");
}
