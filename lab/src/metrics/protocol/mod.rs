//! The three protocols that clients of CloudWatch speak: RPC v2 CBOR (current SDKs), awsJson 1.0, and the Query protocol (older SDKs). Between
//! them and the operations stands one form: JSON as awsJson writes it, times as seconds, numbers that JSON does not have as texts.

mod query;
mod xml;

use ciborium::Value as Cbor;
use serde_json::{Value as Json, json};

use super::numbers_under;
use crate::cbor;
use crate::endpoint::AwsError;

/// How a request is written, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Cbor,
    Json,
    Query,
}

/// An error as it is written.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// `x-amzn-query-error`: the code that clients of the older protocol know the error by.
    pub(crate) query_error: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Protocol {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Cbor => "application/cbor",
            Self::Json => "application/x-amz-json-1.0",
            Self::Query => "text/xml",
        }
    }

    /// Reads a request's body, unpacked.
    pub(crate) fn read(self, body: &[u8]) -> Result<Json, AwsError> {
        match self {
            Self::Cbor if body.is_empty() => Ok(json!({})),
            Self::Cbor => {
                let parsed: Cbor = ciborium::from_reader(body)
                    .map_err(|error| AwsError::serialization(format!("no CBOR: {error}")))?;
                cbor::to_json_with_all_numbers(&parsed)
                    .map_err(|error| AwsError::serialization(error.to_string()))
            }
            Self::Json if body.is_empty() => Ok(json!({})),
            Self::Json => serde_json::from_slice(body)
                .map_err(|error| AwsError::serialization(format!("no JSON: {error}"))),
            Self::Query => query::read(body),
        }
    }

    /// Writes an answer.
    pub(crate) fn write(self, operation: &str, answer: Option<Json>) -> Vec<u8> {
        match self {
            Self::Cbor => encode(&answer.unwrap_or_else(|| json!({}))),
            Self::Json => answer.unwrap_or_else(|| json!({})).to_string().into_bytes(),
            Self::Query => xml::answer(operation, answer.as_ref()).into_bytes(),
        }
    }

    /// Writes an error.
    pub(crate) fn refuse(self, error: &AwsError) -> Refusal {
        let places: Vec<Json> = error
            .places
            .iter()
            .map(|(path, message)| json!({"DataPath": path, "Message": message}))
            .collect();
        let fault = if error.status < 500 {
            "Sender"
        } else {
            "Receiver"
        };
        let code = query_code(error.code);
        if self == Self::Query {
            let body = xml::refusal(fault, code, &error.message, &places);
            return Refusal {
                status: query_status(error),
                query_error: None,
                body: body.into_bytes(),
            };
        }
        let shape = shape(error.code);
        let mut body = json!({
            "__type": format!("com.amazonaws.cloudwatch#{}", shape.unwrap_or(error.code)),
            "message": error.message,
            // Some errors of the model spell it so.
            "Message": error.message,
        });
        if !places.is_empty() {
            body["dashboardValidationMessages"] = Json::Array(places);
        }
        Refusal {
            status: error.status,
            query_error: shape.map(|_| format!("{code};{fault}")),
            body: match self {
                Self::Cbor => encode(&body),
                _ => body.to_string().into_bytes(),
            },
        }
    }
}

fn encode(json: &Json) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Answers hold nothing that CBOR cannot say, and writing to memory does not fail.
    if let Ok(value) = cbor::from_json(json, &numbers_under) {
        let _ = ciborium::into_writer(&value, &mut bytes);
    }
    bytes
}

/// The name of an error's shape where the model (2010-08-01) has one; the code is that of the Query protocol.
fn shape(code: &str) -> Option<&'static str> {
    Some(match code {
        "InvalidParameterValue" => "InvalidParameterValueException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        "MissingParameter" => "MissingRequiredParameterException",
        "InvalidParameterInput" => "DashboardInvalidInputError",
        "ResourceNotFound" => "DashboardNotFoundError",
        "InvalidNextToken" => "InvalidNextToken",
        "InternalFailure" => "InternalServiceFault",
        _ => return None,
    })
}

/// What the Query protocol calls an error of all services ("Common Error Types" of the API reference).
fn query_code(code: &str) -> &str {
    match code {
        "ThrottlingException" => "Throttling",
        "AccessDeniedException" => "AccessDenied",
        "ExpiredTokenException" => "ExpiredToken",
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "IncompleteSignatureException" => "IncompleteSignature",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "RequestEntityTooLargeException" => "RequestEntityTooLarge",
        "ServiceUnavailableException" => "ServiceUnavailable",
        "InternalFailure" => "InternalServiceError",
        "SerializationException" => "MalformedInput",
        other => other,
    }
}

/// The Query protocol answers 403 where the JSON protocols answer 400: to who may not ask.
fn query_status(error: &AwsError) -> u16 {
    match error.code {
        "AccessDeniedException"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException" => 403,
        _ => error.status,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn one_request_reads_alike_in_all_protocols() {
        let json = json!({
            "Namespace": "CWAgent",
            "MetricData": [{
                "MetricName": "cpu_usage_active",
                "Dimensions": [{"Name": "cpu", "Value": "cpu-total"}],
                "Timestamp": 1_790_000_000.5,
                "Value": 2.0,
                "StorageResolution": 60,
            }],
        });
        let form = "Action=PutMetricData&Version=2010-08-01&Namespace=CWAgent\
            &MetricData.member.1.MetricName=cpu_usage_active&MetricData.member.1.Timestamp=2026-09-21T14%3A13%3A20.500Z\
            &MetricData.member.1.Dimensions.member.1.Name=cpu&MetricData.member.1.Dimensions.member.1.Value=cpu-total\
            &MetricData.member.1.Value=2&MetricData.member.1.StorageResolution=60";
        let cbor = encode(&json);
        for (protocol, body) in [
            (Protocol::Json, json.to_string().into_bytes()),
            (Protocol::Cbor, cbor),
            (Protocol::Query, form.as_bytes().to_vec()),
        ] {
            assert_eq!(protocol.read(&body).unwrap(), json, "{protocol:?}");
        }
    }

    #[test]
    fn numbers_that_json_does_not_have_arrive_as_texts() {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Cbor::Float);
        let mut body = Vec::new();
        ciborium::into_writer(&Cbor::Array(values.to_vec()), &mut body).unwrap();
        let read = Protocol::Cbor.read(&body).unwrap();
        assert_eq!(read, json!(["NaN", "Infinity", "-Infinity"]));
    }

    #[test]
    fn an_error_is_written_as_each_protocols_clients_know_it() {
        let error = AwsError::client("InvalidParameterValue", "The value <NaN> is invalid.");
        let json = Protocol::Json.refuse(&error);
        assert_eq!(
            json.query_error.as_deref(),
            Some("InvalidParameterValue;Sender")
        );
        let body: Json = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(
            body["__type"],
            "com.amazonaws.cloudwatch#InvalidParameterValueException"
        );
        let xml = String::from_utf8(Protocol::Query.refuse(&error).body).unwrap();
        assert!(xml.contains("<Code>InvalidParameterValue</Code><Message>The value &lt;NaN&gt; is invalid.</Message>"), "{xml}");
        let denied = AwsError::client("AccessDeniedException", "no");
        assert_eq!(Protocol::Cbor.refuse(&denied).status, 400);
        assert_eq!(Protocol::Query.refuse(&denied).status, 403);
        let throttled = Protocol::Query.refuse(&AwsError::throttled());
        assert!(
            String::from_utf8(throttled.body)
                .unwrap()
                .contains("<Code>Throttling</Code>")
        );
    }
}
