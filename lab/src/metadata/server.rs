//! The HTTP side of the metadata service.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::notice::Notices;
use super::tokens::{MAX_TTL_SECONDS, Tokens};
use super::tree::Tree;
use crate::hub::Hub;
use crate::records::{Instance, InstanceState};

/// The service's port on the gateway's address (the link-local address of EC2 is never used).
pub(crate) const PORT: u16 = 1338;

const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// Versions that clients ask for by date; all show the same tree.
const VERSIONS: &[&str] = &[
    "1.0",
    "2009-04-04",
    "2014-11-05",
    "2016-09-02",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "latest",
];

/// The metadata service of one lab.
pub(crate) struct Metadata {
    listener: TcpListener,
    context: Arc<Context>,
}

struct Context {
    hub: Arc<Hub>,
    notices: Arc<Notices>,
    tokens: Tokens,
}

impl Metadata {
    pub(crate) async fn bind(
        gateway: Ipv4Addr,
        hub: Arc<Hub>,
        notices: Arc<Notices>,
    ) -> Result<Self> {
        let listener = TcpListener::bind((gateway, PORT))
            .await
            .with_context(|| format!("could not listen on {gateway}:{PORT}"))?;
        Ok(Self {
            listener,
            context: Arc::new(Context {
                hub,
                notices,
                tokens: Tokens::default(),
            }),
        })
    }

    /// Serves until cancelled.
    pub(crate) async fn serve(self) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok((stream, peer)) = self.listener.accept().await else {
                // Out of descriptors, most likely: others may be freed meanwhile.
                tokio::time::sleep(crate::front_door::ACCEPT_PAUSE).await;
                continue;
            };
            let context = self.context.clone();
            connections.spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let context = context.clone();
                    async move { Ok::<_, Infallible>(context.respond(peer.ip(), &request).await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
            while connections.try_join_next().is_some() {}
        }
    }
}

impl Context {
    async fn respond(&self, peer: IpAddr, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let records = self.hub.records();
        let Some(instance) = records.instances.iter().find(|one| {
            one.state != InstanceState::Terminated
                && one.private_ip.as_deref() == Some(&peer.to_string())
        }) else {
            return plain(
                StatusCode::NOT_FOUND,
                "no instance of this lab has your address\n",
            );
        };
        if instance.http_endpoint == "disabled" {
            return plain(StatusCode::FORBIDDEN, "");
        }
        match *request.method() {
            Method::PUT if request.uri().path() == "/latest/api/token" => {
                self.token(&instance.id, request)
            }
            Method::GET => self.get(instance, request).await,
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
        }
    }

    fn token(&self, instance: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        // A request that came through a proxy gets no token.
        if request.headers().contains_key("x-forwarded-for") {
            return plain(StatusCode::FORBIDDEN, "");
        }
        let ttl = request
            .headers()
            .get(TTL_HEADER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        match ttl.and_then(|ttl| {
            self.tokens
                .issue(instance, ttl, Instant::now())
                .map(|token| (ttl, token))
        }) {
            Some((ttl, token)) => {
                let mut response = plain(StatusCode::OK, &token);
                response
                    .headers_mut()
                    .insert(TTL_HEADER, ttl.min(MAX_TTL_SECONDS).into());
                response
            }
            None => plain(StatusCode::BAD_REQUEST, ""),
        }
    }

    async fn get(&self, instance: &Instance, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        match request.headers().get(TOKEN_HEADER) {
            Some(token)
                if !token.to_str().is_ok_and(|token| {
                    self.tokens.accepts(&instance.id, token, Instant::now())
                }) =>
            {
                return plain(StatusCode::UNAUTHORIZED, "");
            }
            None if instance.http_tokens == "required" => {
                return plain(StatusCode::UNAUTHORIZED, "");
            }
            _ => {}
        }
        let path = percent_decoded(request.uri().path());
        if path == "/" {
            return plain(StatusCode::OK, &VERSIONS.join("\n"));
        }
        let (version, rest) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or((path.trim_start_matches('/'), ""));
        if !VERSIONS.contains(&version) {
            return plain(StatusCode::NOT_FOUND, "");
        }
        let rest = rest.trim_end_matches('/');
        if let Some(role) = rest.strip_prefix("meta-data/iam/security-credentials/") {
            return self.credentials(instance, role).await;
        }
        let notice = self.notices.of(&instance.id);
        match Tree::of(instance, notice.as_ref()).get(rest) {
            Some(value) if rest == "user-data" => bytes(
                StatusCode::OK,
                base64::engine::general_purpose::STANDARD
                    .decode(value)
                    .unwrap_or_default(),
            ),
            Some(value) => plain(StatusCode::OK, &value),
            None => plain(StatusCode::NOT_FOUND, ""),
        }
    }

    async fn credentials(&self, instance: &Instance, role: &str) -> Response<Full<Bytes>> {
        if instance.role_name.as_deref() != Some(role) {
            return plain(StatusCode::NOT_FOUND, "");
        }
        match self.hub.control().credentials(instance).await {
            Ok(credentials) => {
                let value = serde_json::json!({
                    "Code": "Success",
                    "LastUpdated": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    "Type": "AWS-HMAC",
                    "AccessKeyId": credentials.access_key_id,
                    "SecretAccessKey": credentials.secret_access_key,
                    "Token": credentials.token,
                    "Expiration": credentials.expiration,
                });
                plain(StatusCode::OK, &format!("{value:#}"))
            }
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}\n")),
        }
    }
}

/// Tag keys may hold any character, so clients escape them.
fn percent_decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| path.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn plain(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    bytes(status, body.as_bytes().to_vec())
}

fn bytes(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static("text/plain"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_tag_keys_are_read() {
        assert_eq!(
            percent_decoded("/latest/meta-data/tags/instance/a%20b%2Fc"),
            "/latest/meta-data/tags/instance/a b/c"
        );
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
