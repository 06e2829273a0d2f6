//! Which operation of which API a request calls, as its headers, its path or its form say.

use hyper::http::request::Parts;

use crate::front_door::{form_value, rpc_operation};
use crate::logs;
use crate::metrics::{self, Protocol};

/// The header of Smithy's protocols.
const PROTOCOL_HEADER: &str = "smithy-protocol";
const RPC_CBOR: &str = "rpc-v2-cbor";

/// An API of this endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// CloudWatch Logs, in awsJson 1.1.
    Logs,
    /// CloudWatch metrics and dashboards, in one of the three protocols that clients speak.
    Metrics(Protocol),
}

impl Api {
    /// Name in a signature's scope.
    pub(crate) fn signing_name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics(_) => "monitoring",
        }
    }
}

/// What a request calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) api: Api,
    pub(crate) operation: String,
}

impl Call {
    /// What cannot be told apart is a call of CloudWatch Logs, which answers that it knows no such operation.
    pub(crate) fn unknown() -> Self {
        Self {
            api: Api::Logs,
            operation: "unknown".into(),
        }
    }

    /// The call, if the request's head says it; a form (the Query protocol) does not.
    pub(crate) fn of_head(head: &Parts) -> Option<Self> {
        let text = |name: &str| head.headers.get(name)?.to_str().ok();
        let call = |api, operation: &str| {
            Some(Self {
                api,
                operation: operation.to_owned(),
            })
        };
        if let Some(target) = text("x-amz-target") {
            return match target.split_once('.')? {
                (logs::TARGET, operation) => call(Api::Logs, operation),
                (metrics::TARGET, operation) => call(Api::Metrics(Protocol::Json), operation),
                _ => None,
            };
        }
        match rpc_operation(head.uri.path())? {
            (metrics::TARGET, operation) if text(PROTOCOL_HEADER) == Some(RPC_CBOR) => {
                call(Api::Metrics(Protocol::Cbor), operation)
            }
            _ => None,
        }
    }

    /// The call of a form: all services of this protocol name their operation alike, so its API version tells CloudWatch's.
    pub(crate) fn of_form(form: &[u8]) -> Option<Self> {
        let version = form_value(form, "Version")?;
        (version == metrics::QUERY_VERSION).then_some(())?;
        Some(Self {
            api: Api::Metrics(Protocol::Query),
            operation: form_value(form, "Action")?,
        })
    }

    /// Whether this endpoint answers it, or (behind a front door) somebody else has to.
    pub(crate) fn is_ours(&self) -> bool {
        match self.api {
            Api::Logs => true,
            Api::Metrics(_) => metrics::OPERATIONS.contains(&&*self.operation),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use hyper::Request;

    use super::*;

    fn of_head(uri: &str, headers: &[(&str, &str)]) -> Option<Call> {
        let mut request = Request::builder().method("POST").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Call::of_head(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn every_protocol_names_its_operation_and_its_api() {
        let target = |target| of_head("/", &[("x-amz-target", target)]).unwrap();
        assert_eq!(target("Logs_20140328.PutLogEvents").api, Api::Logs);
        let json = target("GraniteServiceVersion20100801.PutMetricData");
        assert_eq!(json.api, Api::Metrics(Protocol::Json));
        assert!(json.is_ours());
        assert!(!target("GraniteServiceVersion20100801.PutMetricAlarm").is_ours());
        let path = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
        let rpc = of_head(path, &[("smithy-protocol", "rpc-v2-cbor")]).unwrap();
        assert_eq!(rpc.api, Api::Metrics(Protocol::Cbor));
        assert_eq!(rpc.operation, "ListMetrics");
        let query = Call::of_form(b"Action=GetMetricData&Version=2010-08-01").unwrap();
        assert_eq!(query.api, Api::Metrics(Protocol::Query));
    }

    #[test]
    fn other_services_are_left_to_others() {
        assert_eq!(
            of_head("/", &[("x-amz-target", "AmazonSSM.GetParameter")]),
            None
        );
        assert_eq!(
            of_head(
                "/service/Other/operation/X",
                &[("smithy-protocol", "rpc-v2-cbor")]
            ),
            None
        );
        let path = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
        assert_eq!(of_head(path, &[]), None, "in no protocol that is known");
        assert_eq!(
            Call::of_form(b"Action=RunInstances&Version=2016-11-15"),
            None
        );
        assert_eq!(Call::of_form(b"Version=2010-08-01"), None);
    }
}
