//! Proxies and private certificate authorities.

use std::path::PathBuf;

use baker_agent::aws::{FailureKind, Options, Proxy};
use bytes::Bytes;

use crate::server::{Reply, Server, certificates};
use crate::{logs_with, signature, target};

fn body() -> Bytes {
    Bytes::from_static(b"{\"logEvents\":[]}")
}

fn through(proxy: &Server, credentials: &str, except: &str) -> Proxy {
    Proxy::Through {
        url: format!("http://{credentials}{}", proxy.address),
        except: except.into(),
    }
}

fn bundle(folder: &tempfile::TempDir, pem: &str) -> PathBuf {
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    path
}

#[tokio::test]
async fn a_plain_endpoint_is_asked_through_the_proxy() {
    let proxy = Server::start(|_| Reply::json("{}"));
    // Nobody but a proxy could resolve this name.
    let logs = logs_with(
        "http://logs.invalid",
        &through(&proxy, "user:pass@", ""),
        None,
        &Options::default(),
    );
    logs.put(&target(), body(), None).await.unwrap();
    let request = &proxy.requests()[0];
    assert_eq!(request.target, "http://logs.invalid/");
    assert_eq!(
        request.header("proxy-authorization"),
        Some("Basic dXNlcjpwYXNz")
    );
    assert!(signature::is_valid(request, "http"));
}

#[tokio::test]
async fn what_is_excepted_is_asked_directly() {
    let proxy = Server::start(|_| Reply::status(500, ""));
    let server = Server::start(|_| Reply::json("{}"));
    logs_with(
        &server.url(),
        &through(&proxy, "", "127.0.0.0/8"),
        None,
        &Options::default(),
    )
    .put(&target(), body(), None)
    .await
    .unwrap();
    assert_eq!((server.requests().len(), proxy.connections()), (1, 0));
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_and_trusts_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, tls) = certificates(&["logs.invalid"]);
    let server = Server::start_tls(tls, |_| Reply::json("{}"));
    let tunnel = Server::start_tunnel(server.address);
    let logs = logs_with(
        "https://logs.invalid",
        &through(&tunnel, "user:pass@", ""),
        Some(&bundle(&folder, &authority)),
        &Options::default(),
    );
    for _ in 0..2 {
        logs.put(&target(), body(), None).await.unwrap();
    }
    let asked = &tunnel.requests()[0];
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("CONNECT", "logs.invalid:443")
    );
    assert_eq!(
        asked.header("proxy-authorization"),
        Some("Basic dXNlcjpwYXNz")
    );
    let requests = server.requests();
    assert_eq!((requests.len(), server.connections()), (2, 1));
    assert!(signature::is_valid(&requests[0], "https"));
    // The proxy's password is the proxy's business.
    assert_eq!(requests[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn a_proxy_that_refuses_sent_nothing() {
    let refusing = Server::start(|_| Reply::status(407, ""));
    let failure = logs_with(
        "https://logs.invalid",
        &through(&refusing, "", ""),
        None,
        &Options::default(),
    )
    .put(&target(), body(), None)
    .await
    .unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent, "{failure:?}");
}

#[tokio::test]
async fn a_certificate_of_a_stranger_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (_, tls) = certificates(&["localhost"]);
    let (other, _) = certificates(&["localhost"]);
    let server = Server::start_tls(tls, |_| Reply::json("{}"));
    let failure = logs_with(
        &format!("https://localhost:{}", server.address.port()),
        &Proxy::Direct,
        Some(&bundle(&folder, &other)),
        &Options::default(),
    )
    .put(&target(), body(), None)
    .await
    .unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent, "{failure:?}");
    assert!(
        failure.message.contains("certificate"),
        "{}",
        failure.message
    );
    assert_eq!(server.requests().len(), 0);
}
