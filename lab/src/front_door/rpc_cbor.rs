//! CloudWatch's RPC v2 CBOR protocol, which AWS's current SDKs speak, in terms of its JSON protocol, which moto speaks.

use std::io::Read as _;

use ciborium::Value as Cbor;
use flate2::read::GzDecoder;
use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value as Json, json};

use super::identify::rpc_operation;
use crate::cbor;
use crate::metrics::numbers_under;

/// CloudWatch's name in the paths and targets of its protocols.
const CLOUDWATCH: &str = "GraniteServiceVersion20100801";
const PROTOCOL_HEADER: &str = "smithy-protocol";
const PROTOCOL: &str = "rpc-v2-cbor";
const CBOR_TYPE: &str = "application/cbor";
const JSON_TYPE: &str = "application/x-amz-json-1.0";
/// Far more than any request may hold (PutMetricData: 1 MB; CloudWatch API reference): a guard against gzip bombs.
const UNPACKED_LIMIT_BYTES: u64 = 16 << 20;

/// A request that cannot be translated: the client's mistake, said in CloudWatch's terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct BadRequest {
    code: &'static str,
    message: String,
}

impl BadRequest {
    fn new(code: &'static str, message: impl ToString) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }
}

/// The operation, if this is a request in CloudWatch's CBOR protocol.
pub(super) fn operation<'a>(path: &'a str, headers: &HeaderMap) -> Option<&'a str> {
    let protocol = headers
        .get(PROTOCOL_HEADER)
        .and_then(|value| value.to_str().ok());
    match rpc_operation(path)? {
        (CLOUDWATCH, operation) if protocol == Some(PROTOCOL) => Some(operation),
        _ => None,
    }
}

/// The request's body and headers for the JSON protocol (on path `/`).
pub(super) fn request(
    operation: &str,
    headers: &mut HeaderMap,
    body: &[u8],
) -> Result<Vec<u8>, BadRequest> {
    let unpacked = unpack(headers, body)?;
    let parsed = match unpacked.is_empty() {
        true => Cbor::Map(Vec::new()),
        false => ciborium::from_reader(&*unpacked).map_err(|error| {
            BadRequest::new(
                "SerializationException",
                format!("the body is not CBOR: {error}"),
            )
        })?,
    };
    let json =
        cbor::to_json(&parsed).map_err(|error| BadRequest::new("InvalidParameterValue", error))?;
    let target = HeaderValue::try_from(format!("{CLOUDWATCH}.{operation}"))
        .map_err(|_| BadRequest::new("InvalidAction", format!("no operation '{operation}'")))?;
    headers.insert("x-amz-target", target);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON_TYPE));
    for header in [CONTENT_ENCODING, CONTENT_LENGTH] {
        headers.remove(header);
    }
    for header in [PROTOCOL_HEADER, "accept"] {
        headers.remove(header);
    }
    Ok(json.to_string().into_bytes())
}

fn unpack(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, BadRequest> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => Ok(body.to_vec()),
        Some(b"gzip") => {
            let mut unpacked = Vec::new();
            GzDecoder::new(body)
                .take(UNPACKED_LIMIT_BYTES + 1)
                .read_to_end(&mut unpacked)
                .map_err(|error| {
                    BadRequest::new(
                        "SerializationException",
                        format!("the body is not gzip: {error}"),
                    )
                })?;
            match unpacked.len() as u64 > UNPACKED_LIMIT_BYTES {
                true => Err(BadRequest::new(
                    "RequestEntityTooLarge",
                    "the unpacked body is too large",
                )),
                false => Ok(unpacked),
            }
        }
        Some(other) => Err(BadRequest::new(
            "SerializationException",
            format!(
                "the content encoding '{}' is not known",
                String::from_utf8_lossy(other)
            ),
        )),
    }
}

/// moto's JSON answer as the CBOR answer: its body, and the headers changed to match.
pub(super) fn response(headers: &mut HeaderMap, body: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut json: Json = if body.is_empty() {
        json!({})
    } else {
        serde_json::from_slice(body)?
    };
    // CBOR errors name their shape in full, with whatever namespace; the JSON ones carry the message twice.
    if json.get("__type").is_some() {
        let message = json
            .get("message")
            .or(json.get("Message"))
            .cloned()
            .unwrap_or_default();
        json = json!({ "__type": json["__type"], "message": message, "Message": message });
    }
    mark(headers);
    Ok(encode(
        &cbor::from_json(&json, &numbers_under).unwrap_or(Cbor::Map(Vec::new())),
    ))
}

/// The answer to a request that could not be translated.
pub(super) fn refusal(error: &BadRequest) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut headers = HeaderMap::new();
    mark(&mut headers);
    // For clients that knew the service by its older protocol (the awsQueryCompatible trait).
    if let Ok(value) = HeaderValue::try_from(format!("{};Sender", error.code)) {
        headers.insert("x-amzn-query-error", value);
    }
    let body = Cbor::Map(vec![
        (Cbor::Text("__type".into()), Cbor::Text(error.code.into())),
        (
            Cbor::Text("message".into()),
            Cbor::Text(error.message.clone()),
        ),
    ]);
    (StatusCode::BAD_REQUEST, headers, encode(&body))
}

fn mark(headers: &mut HeaderMap) {
    headers.insert(PROTOCOL_HEADER, HeaderValue::from_static(PROTOCOL));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CBOR_TYPE));
    headers.remove(CONTENT_LENGTH);
}

fn encode(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = ciborium::into_writer(value, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write as _;

    use super::*;

    fn text(value: &str) -> Cbor {
        Cbor::Text(value.into())
    }

    fn cbor_headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(PROTOCOL_HEADER, HeaderValue::from_static(PROTOCOL));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CBOR_TYPE));
        headers
    }

    fn put_metric_data() -> Vec<u8> {
        let datum = Cbor::Map(vec![
            (text("MetricName"), text("Load")),
            (
                text("Timestamp"),
                Cbor::Tag(1, Box::new(Cbor::Float(1_790_000_000.5))),
            ),
            (text("Value"), Cbor::Float(2.0)),
        ]);
        encode(&Cbor::Map(vec![
            (text("Namespace"), text("N")),
            (text("MetricData"), Cbor::Array(vec![datum])),
        ]))
    }

    #[test]
    fn only_cloudwatch_in_cbor_is_translated() {
        let path = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
        assert_eq!(operation(path, &cbor_headers()), Some("PutMetricData"));
        assert_eq!(operation(path, &HeaderMap::new()), None);
        assert_eq!(
            operation("/service/Other/operation/PutMetricData", &cbor_headers()),
            None
        );
        assert_eq!(operation("/", &cbor_headers()), None);
    }

    #[test]
    fn a_request_becomes_the_json_protocol_packed_or_not() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&put_metric_data()).unwrap();
        for (encoding, body) in [
            (None, put_metric_data()),
            (Some("gzip"), packed.finish().unwrap()),
        ] {
            let mut headers = cbor_headers();
            if let Some(encoding) = encoding {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            let body = request("PutMetricData", &mut headers, &body).unwrap();
            assert_eq!(
                serde_json::from_slice::<Json>(&body).unwrap(),
                json!({
                    "Namespace": "N",
                    "MetricData": [{"MetricName": "Load", "Timestamp": 1_790_000_000.5, "Value": 2.0}],
                })
            );
            assert_eq!(
                headers["x-amz-target"],
                "GraniteServiceVersion20100801.PutMetricData"
            );
            assert_eq!(headers[CONTENT_TYPE], JSON_TYPE);
            assert!(
                !headers.contains_key(CONTENT_ENCODING) && !headers.contains_key(PROTOCOL_HEADER)
            );
        }
    }

    #[test]
    fn a_bomb_and_a_damaged_body_are_refused() {
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        bomb.write_all(&vec![0; usize::try_from(UNPACKED_LIMIT_BYTES).unwrap() + 1])
            .unwrap();
        let mut headers = cbor_headers();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let bomb = bomb.finish().unwrap();
        assert_eq!(
            request("PutMetricData", &mut headers.clone(), &bomb)
                .unwrap_err()
                .code,
            "RequestEntityTooLarge"
        );
        assert_eq!(
            request("PutMetricData", &mut headers, b"no gzip")
                .unwrap_err()
                .code,
            "SerializationException"
        );
        assert_eq!(
            request("PutMetricData", &mut cbor_headers(), &[0xff])
                .unwrap_err()
                .code,
            "SerializationException"
        );
    }

    #[test]
    fn a_value_that_is_no_number_is_refused_as_cloudwatch_does() {
        let body = encode(&Cbor::Map(vec![(text("Value"), Cbor::Float(f64::NAN))]));
        let error = request("PutMetricData", &mut cbor_headers(), &body).unwrap_err();
        let (status, headers, _) = refusal(&error);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(
            headers["x-amzn-query-error"],
            "InvalidParameterValue;Sender"
        );
    }

    #[test]
    fn an_answer_gets_times_and_floats() {
        let mut headers = HeaderMap::new();
        let json = json!({"MetricDataResults": [{"Id": "q", "Timestamps": [1_790_000_000], "Values": [5]}]});
        let body = response(&mut headers, json.to_string().as_bytes()).unwrap();
        let expected = Cbor::Map(vec![(
            text("MetricDataResults"),
            Cbor::Array(vec![Cbor::Map(vec![
                (text("Id"), text("q")),
                (
                    text("Timestamps"),
                    Cbor::Array(vec![Cbor::Tag(
                        1,
                        Box::new(Cbor::Integer(1_790_000_000.into())),
                    )]),
                ),
                (text("Values"), Cbor::Array(vec![Cbor::Float(5.0)])),
            ])]),
        )]);
        assert_eq!(ciborium::from_reader::<Cbor, _>(&*body).unwrap(), expected);
        assert_eq!(headers[PROTOCOL_HEADER], PROTOCOL);
    }
}
