//! Metrics on the wire: what goes over it, and what comes back.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as Given;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use baker_agent::aws::{Access, FailureKind, Http, Metrics, Options, Proxy};
use bytes::Bytes;
use ciborium::{Value, cbor};

use crate::server::{Reply, Server};
use crate::{config, signature, target};

fn access(url: &str) -> Access {
    let http = Http::new(None, &Proxy::Direct, 4).unwrap();
    Access::over(config(url, http), &Options::default())
}

fn metrics_at(url: &str) -> Metrics {
    access(url).metrics(None).unwrap()
}

/// An answer of the service's protocol.
fn answer(status: u16, body: &Value) -> Reply {
    let mut bytes = Vec::new();
    ciborium::into_writer(body, &mut bytes).unwrap();
    let headers = vec![
        ("smithy-protocol", "rpc-v2-cbor".to_owned()),
        ("content-type", "application/cbor".to_owned()),
    ];
    Reply::Bytes(status, headers, bytes)
}

fn empty() -> Reply {
    answer(200, &cbor!({}).unwrap())
}

fn refused(status: u16, code: &str, message: &str) -> Reply {
    let body = cbor!({ "__type" => code, "message" => message });
    answer(status, &body.unwrap())
}

const BODY: &[u8] = b"\xa2\x69Namespace\x67CWAgent\x6aMetricData\x80";

#[tokio::test]
async fn a_finished_body_arrives_compressed_under_a_valid_signature() {
    let server = Server::start(|_| empty());
    let body = [BODY, &[0; 5_000]].concat();
    metrics_at(&server.url())
        .put("CWAgent", body.clone())
        .await
        .unwrap();
    let request = &server.requests()[0];
    let target = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
    assert_eq!((&*request.method, &*request.target), ("POST", target));
    assert_eq!(request.header("content-type"), Some("application/cbor"));
    assert_eq!(request.header("smithy-protocol"), Some("rpc-v2-cbor"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(request.body.as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(unpacked == body && request.body.len() < 200);
    let url = format!("http://{}{target}", request.header("host").unwrap());
    assert!(signature::is_valid_for(request, "monitoring", &url));
}

#[tokio::test]
async fn what_an_answer_means_is_known() {
    let named = "The value NaN for parameter MetricData.member.3.Value is invalid.";
    for (reply, kind, words) in [
        (
            refused(400, "InvalidParameterValue", named),
            FailureKind::Invalid,
            "MetricData.member.3.Value",
        ),
        (
            refused(400, "MissingParameter", "no"),
            FailureKind::Invalid,
            "MissingParameter",
        ),
        (
            refused(413, "RequestEntityTooLarge", "no"),
            FailureKind::Invalid,
            "no",
        ),
        (
            refused(400, "ThrottlingException", "Rate exceeded"),
            FailureKind::Throttled,
            "Rate exceeded",
        ),
        (
            refused(500, "InternalServiceError", "no"),
            FailureKind::Service,
            "no",
        ),
        (
            refused(503, "ServiceUnavailableException", "no"),
            FailureKind::Service,
            "no",
        ),
        (
            refused(403, "AccessDeniedException", "no"),
            FailureKind::Denied,
            "cloudwatch:PutMetricData",
        ),
        (
            refused(403, "ExpiredTokenException", "no"),
            FailureKind::Denied,
            "expired",
        ),
        (Reply::status(502, "<html>"), FailureKind::Service, "502"),
        (Reply::Close, FailureKind::Unknown, "PutMetricData"),
        (Reply::Cut, FailureKind::Unknown, "PutMetricData"),
    ] {
        let shown = format!("{reply:?}");
        let server = Server::start(move |_| reply.clone());
        let metrics = metrics_at(&server.url());
        let put = metrics.put("CWAgent", BODY.to_vec()).await;
        let failure = put.unwrap_err();
        assert_eq!(failure.kind, kind, "{shown}: {failure:?}");
        assert!(failure.message.contains(words), "{shown}: {failure:?}");
        assert!(failure.message.contains("CWAgent"), "{failure:?}");
        assert_eq!(server.requests().len(), 1, "{shown}: tried once");
    }
    // Nobody listens there any more.
    let gone = Server::start(|_| empty()).url();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", nobody.local_addr().unwrap());
    drop((gone, nobody));
    let failure = metrics_at(&nowhere).put("CWAgent", BODY.to_vec()).await;
    assert_eq!(failure.unwrap_err().kind, FailureKind::NotSent);
}

#[tokio::test]
async fn samples_are_counted_over_all_that_is_shown() {
    let points = cbor!({
        "Label" => "cpu_usage_active",
        "Datapoints" => [{ "SampleCount" => 2.0 }, { "SampleCount" => 1.0 }]
    });
    let points = points.unwrap();
    let server = Server::start(move |_| answer(200, &points));
    let dimensions = [("InstanceId".to_owned(), "i-1".to_owned())];
    let seen = metrics_at(&server.url())
        .samples(
            "CWAgent",
            "cpu_usage_active",
            &dimensions,
            1_700_000_040_000,
            60,
        )
        .await;
    assert_eq!(seen, Ok(3.0));
    let request = &server.requests()[0];
    assert!(request.target.ends_with("/GetMetricStatistics"));
    let asked: Value = ciborium::from_reader(request.body.as_slice()).unwrap();
    let field = |name: &str| {
        let fields = asked.as_map().unwrap().iter();
        let found = fields.clone().find(|(key, _)| key.as_text() == Some(name));
        found.map(|(_, value)| value.clone()).unwrap()
    };
    let seconds = |name| match field(name) {
        Value::Tag(1, seconds) => match *seconds {
            Value::Float(seconds) => seconds as i64,
            other => i64::try_from(other.as_integer().unwrap()).unwrap(),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (seconds("StartTime"), seconds("EndTime")),
        (1_700_000_040, 1_700_000_100)
    );
    assert_eq!(field("Period").as_integer(), Some(60.into()));
}

#[tokio::test]
async fn a_service_without_samples_has_none() {
    let nothing = cbor!({ "Label" => "x", "Datapoints" => [] }).unwrap();
    let server = Server::start(move |_| answer(200, &nothing));
    let seen = metrics_at(&server.url())
        .samples("CWAgent", "x", &[], 0, 1)
        .await;
    assert_eq!(seen, Ok(0.0));
}

/// Counts how often it is asked.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl ProvideCredentials for Counted {
    fn provide_credentials<'a>(&'a self) -> Given<'a>
    where
        Self: 'a,
    {
        self.0.fetch_add(1, Ordering::SeqCst);
        Given::ready(Ok(Credentials::new(
            "AKID", "secret", None, None, "counted",
        )))
    }
}

#[tokio::test]
async fn logs_and_metrics_share_credentials_and_connections() {
    let server = Server::start(|request| match request.action() {
        "PutLogEvents" => Reply::json("{}"),
        _ => empty(),
    });
    let counted = Counted::default();
    let http = Http::new(None, &Proxy::Direct, 4).unwrap();
    let config = config(&server.url(), http)
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(counted.clone()))
        .identity_cache(IdentityCache::lazy().build())
        .build();
    let access = Access::over(config, &Options::default());
    let (logs, metrics) = (access.logs().unwrap(), access.metrics(None).unwrap());
    let body = Bytes::from_static(b"{\"logEvents\":[]}");
    logs.put(&target(), body, None).await.unwrap();
    metrics.put("CWAgent", BODY.to_vec()).await.unwrap();
    assert_eq!(counted.0.load(Ordering::SeqCst), 1);
    assert_eq!((server.requests().len(), server.connections()), (2, 1));
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own() {
    let (logs, metrics) = (
        Server::start(|_| Reply::json("{}")),
        Server::start(|_| empty()),
    );
    let access = access(&logs.url());
    let client = access.metrics(Some(&metrics.url())).unwrap();
    client.put("CWAgent", BODY.to_vec()).await.unwrap();
    assert_eq!((logs.requests().len(), metrics.requests().len()), (0, 1));
}
