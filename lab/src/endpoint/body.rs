//! Bodies of requests: read whole, at a rate if a fault says so, and unpacked.

use std::io::Read as _;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::error::AwsError;
pub(super) use crate::logs::limits::BODY_BYTES;

/// Whether the body is a form, as in the Query protocol.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"))
}

/// How a body is packed.
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// By gzip, as the CloudWatch agent does.
    Gzip,
}

/// How the headers say that the body is packed.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding, AwsError> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Ok(Encoding::Plain),
        Some(b"gzip") => Ok(Encoding::Gzip),
        Some(other) => Err(AwsError::serialization(format!(
            "the content encoding '{}' is not known",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// Unpacks a body; one that holds more than any request may is refused.
pub(super) fn inflate(body: &[u8], into: &mut Vec<u8>) -> Result<(), AwsError> {
    into.clear();
    let most = BODY_BYTES as u64 + 1;
    let mut limited = flate2::read::MultiGzDecoder::new(body).take(most);
    limited
        .read_to_end(into)
        .map_err(|error| AwsError::serialization(format!("the body is no gzip: {error}")))?;
    if into.len() > BODY_BYTES {
        return Err(AwsError::serialization(format!(
            "the body holds more than {BODY_BYTES} bytes"
        )));
    }
    Ok(())
}

/// Why there is no body.
pub(super) enum BodyError {
    /// It is larger than any request may be.
    TooLarge,
    /// The client broke off.
    BrokenOff,
}

/// Reads a body to its end.
pub(super) async fn read_body<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    into: &mut Vec<u8>,
    bytes_per_second: Option<u64>,
) -> Result<(), BodyError> {
    into.clear();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > BODY_BYTES {
        return Err(BodyError::TooLarge);
    }
    into.reserve(announced);
    while let Some(frame) = body.frame().await {
        let data: Bytes = match frame.map_err(|_| BodyError::BrokenOff)?.into_data() {
            Ok(data) => data,
            Err(_trailers) => continue,
        };
        if into.len() + data.len() > BODY_BYTES {
            return Err(BodyError::TooLarge);
        }
        into.extend_from_slice(&data);
        if let Some(rate) = bytes_per_second {
            tokio::time::sleep(Duration::from_secs_f64(data.len() as f64 / rate as f64)).await;
        }
    }
    Ok(())
}
