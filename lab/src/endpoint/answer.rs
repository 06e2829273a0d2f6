//! Answers: good ones, errors, and what faults leave of them.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::call::Api;
use super::error::AwsError;
use super::faults::Kind;
use super::service::Reset;
use crate::metrics::Protocol;

/// How CloudWatch Logs' answers are written.
const JSON: &str = "application/x-amz-json-1.1";

/// A body.
#[derive(Debug)]
pub(crate) struct Answer {
    data: Option<Bytes>,
    announced: u64,
    then_ends: bool,
}

impl Answer {
    pub(crate) fn whole(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        Self {
            announced: data.len() as u64,
            data: Some(data),
            then_ends: false,
        }
    }

    /// Half of it comes, then the connection ends.
    fn cut_short(data: impl Into<Bytes>) -> Self {
        let whole = data.into();
        Self {
            announced: whole.len() as u64,
            data: Some(whole.slice(..whole.len() / 2)),
            then_ends: true,
        }
    }

    /// It is announced as shorter than it is, so that a client reads what is no JSON.
    fn mislabelled(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        let announced = data.len().saturating_sub(1);
        Self {
            announced: announced as u64,
            data: Some(data.slice(..announced)),
            then_ends: false,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        Poll::Ready(match self.data.take() {
            Some(data) => Some(Ok(Frame::data(data))),
            None if self.then_ends => Some(Err(Reset)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && !self.then_ends
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}

/// A good answer, or what a fault leaves of it.
pub(super) fn good(body: Vec<u8>, kind: Option<Kind>, api: Api) -> Response<Answer> {
    let body = match kind {
        Some(Kind::Garbage) => Answer::whole("<html>not what you expect"),
        Some(Kind::Truncated) => Answer::cut_short(body),
        Some(Kind::WrongLength) => Answer::mislabelled(body),
        _ => Answer::whole(body),
    };
    response(StatusCode::OK, body, api)
}

/// An error.
pub(super) fn refusal(error: &AwsError, api: Api) -> Response<Answer> {
    let (status, code, body) = match api {
        Api::Logs => {
            let body = serde_json::json!({"__type": error.code, "message": error.message});
            (error.status, None, body.to_string().into_bytes())
        }
        Api::Metrics(protocol) => {
            let refusal = protocol.refuse(error);
            (refusal.status, refusal.query_error, refusal.body)
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = response(status, Answer::whole(body), api);
    if let Some(code) = code.and_then(|code| HeaderValue::try_from(code).ok()) {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

fn response(status: StatusCode, body: Answer, api: Api) -> Response<Answer> {
    let length = body.announced;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = match api {
        Api::Logs => JSON,
        Api::Metrics(protocol) => protocol.content_type(),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if api == Api::Metrics(Protocol::Cbor) {
        headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    }
    if let Ok(id) = HeaderValue::from_str(&request_id()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// An id as `x-amzn-requestid` holds it; they differ within a process.
fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    format!("{process:08x}-0000-4000-8000-{number:012x}")
}
