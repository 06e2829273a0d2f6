//! Which operation of which service a request is for, as far as the request says.

use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, Uri};

/// Begins the paths of Smithy's RPC v2 protocols: `/service/NAME/operation/OPERATION`.
const RPC_PATH: &str = "/service/";
const UNKNOWN: &str = "unknown";

/// An operation, named as IAM names it: `ec2:RunInstances`, `cloudwatch:PutMetricData`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    /// IAM's prefix of the service.
    pub(super) service: String,
    /// Name of the operation; the HTTP method for services whose requests do not name one (S3).
    pub(super) name: String,
    /// Region that the request is signed for.
    pub(super) region: String,
}

impl Operation {
    /// Whether the request may have changed which hosts there should be.
    pub(super) fn may_change_hosts(&self) -> bool {
        let launches = matches!(
            self.service.as_str(),
            "ec2" | "autoscaling" | "cloudformation"
        );
        launches
            && !["Describe", "Get", "List", "Search"]
                .iter()
                .any(|prefix| self.name.starts_with(prefix))
    }
}

/// What a request is for. `form` is its body, if that is a form.
pub(super) fn identify(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    form: Option<&[u8]>,
) -> Operation {
    let (region, service) = signed_scope(uri, headers);
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok());
    let name = target
        .and_then(|target| target.rsplit('.').next())
        .or_else(|| rpc_operation(uri.path()).map(|(_, operation)| operation))
        .map(str::to_owned)
        .or_else(|| form.and_then(|form| form_value(form, "Action")))
        .or_else(|| {
            uri.query()
                .and_then(|query| form_value(query.as_bytes(), "Action"))
        })
        .unwrap_or_else(|| method.to_string());
    Operation {
        service: iam_prefix(&service).to_owned(),
        name,
        region,
    }
}

/// Service and operation of an RPC v2 path.
pub(crate) fn rpc_operation(path: &str) -> Option<(&str, &str)> {
    let (service, operation) = path.strip_prefix(RPC_PATH)?.split_once("/operation/")?;
    (!service.is_empty() && !operation.is_empty()).then_some((service, operation))
}

/// (region, service) of SigV4's credential scope, `KEY/DATE/REGION/SERVICE/aws4_request`, in the header or in the query.
fn signed_scope(uri: &Uri, headers: &HeaderMap) -> (String, String) {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let scope = header
        .and_then(|header| {
            header
                .split_once("Credential=")?
                .1
                .split([',', ' '])
                .next()
                .map(str::to_owned)
        })
        .or_else(|| {
            uri.query()
                .and_then(|query| form_value(query.as_bytes(), "X-Amz-Credential"))
        });
    let parts: Vec<&str> = scope.as_deref().unwrap_or_default().split('/').collect();
    match parts[..] {
        [_, _, region, service, "aws4_request"] => (region.to_owned(), service.to_owned()),
        _ => (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
    }
}

/// A service signs with one name and is called another in policies.
fn iam_prefix(signing_name: &str) -> &str {
    match signing_name {
        "monitoring" => "cloudwatch",
        other => other,
    }
}

/// The value of `key` in a form or query string.
pub(crate) fn form_value(form: &[u8], key: &str) -> Option<String> {
    form.split(|byte| *byte == b'&').find_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        (&pair[..equals] == key.as_bytes()).then(|| percent_decode(&pair[equals + 1..]))
    })
}

/// Undoes the encoding of a form's text.
pub(crate) fn percent_decode(text: &[u8]) -> String {
    let hex = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high * 16 + low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn signed(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    }

    fn name_of(
        method: Method,
        uri: &str,
        pairs: &[(&'static str, &str)],
        form: Option<&[u8]>,
    ) -> String {
        let operation = identify(&method, &uri.parse().unwrap(), &headers(pairs), form);
        format!(
            "{}:{} in {}",
            operation.service, operation.name, operation.region
        )
    }

    #[test]
    fn every_protocol_names_its_operation() {
        let sign = |service| signed(service);
        let form = b"Version=2016-11-15&Action=RunInstances&ImageId=ami-1".as_slice();
        assert_eq!(
            name_of(
                Method::POST,
                "/",
                &[("authorization", &sign("ec2"))],
                Some(form)
            ),
            "ec2:RunInstances in eu-west-1"
        );
        let json = [
            ("authorization", &*sign("ssm")),
            ("x-amz-target", "AmazonSSM.GetParameter"),
        ];
        assert_eq!(
            name_of(Method::POST, "/", &json, None),
            "ssm:GetParameter in eu-west-1"
        );
        let rpc = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
        assert_eq!(
            name_of(
                Method::POST,
                rpc,
                &[("authorization", &sign("monitoring"))],
                None
            ),
            "cloudwatch:PutMetricData in eu-west-1"
        );
        assert_eq!(
            name_of(
                Method::PUT,
                "/bucket/key",
                &[("authorization", &sign("s3"))],
                None
            ),
            "s3:PUT in eu-west-1"
        );
    }

    #[test]
    fn a_presigned_request_says_it_in_its_query() {
        let uri = "/?Action=GetCallerIdentity&X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fsts%2Faws4_request";
        assert_eq!(
            name_of(Method::GET, uri, &[], None),
            "sts:GetCallerIdentity in us-east-1"
        );
    }

    #[test]
    fn an_unsigned_request_is_counted_too() {
        assert_eq!(
            name_of(Method::GET, "/", &[], None),
            "unknown:GET in unknown"
        );
        assert_eq!(
            name_of(
                Method::GET,
                "/",
                &[("authorization", "Credential=a/b")],
                None
            ),
            "unknown:GET in unknown"
        );
    }

    #[test]
    fn only_requests_that_may_change_hosts_wake_the_lab() {
        let operation = |service: &str, name: &str| Operation {
            service: service.into(),
            name: name.into(),
            region: String::new(),
        };
        for (service, name) in [
            ("ec2", "RunInstances"),
            ("ec2", "DeregisterImage"),
            ("ec2", "CreateTags"),
            ("autoscaling", "SetDesiredCapacity"),
            ("cloudformation", "CreateStack"),
        ] {
            assert!(
                operation(service, name).may_change_hosts(),
                "{service}:{name}"
            );
        }
        for (service, name) in [
            ("ec2", "DescribeInstances"),
            ("ec2", "GetConsoleOutput"),
            ("logs", "PutLogEvents"),
        ] {
            assert!(
                !operation(service, name).may_change_hosts(),
                "{service}:{name}"
            );
        }
    }
}
