//! Signature Version 4 as the service checks it: recomputed from the request and the secret key.

use std::fmt::Write as _;

use hmac::{Hmac, Mac as _};
use hyper::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest as _, Sha256};

use super::error::AwsError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// By how much a signature's date may differ from the service's clock (Signature Version 4: five minutes).
const CLOCK_SKEW_S: i64 = 5 * 60;
const TERMINATOR: &str = "aws4_request";
const DATE_HEADER: &str = "x-amz-date";
const PAYLOAD_HEADER: &str = "x-amz-content-sha256";
/// `20261123T061500Z`.
const DATE_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// Credentials that the endpoint knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

impl Default for Credentials {
    /// `test` and `test`.
    fn default() -> Self {
        Self {
            access_key: "test".into(),
            secret_key: "test".into(),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// What is signed besides the headers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'r> {
    pub(crate) method: &'r str,
    pub(crate) path: &'r str,
    pub(crate) query: &'r str,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) body: &'r [u8],
}

/// The Authorization header, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authorization<'h> {
    pub(crate) access_key: &'h str,
    date: &'h str,
    pub(crate) region: &'h str,
    service: &'h str,
    signed_headers: &'h str,
    signature: &'h str,
}

impl<'h> Authorization<'h> {
    /// Reads the header; checks its form and that its scope is `wanted`, the API's signing name; not the signature.
    pub(crate) fn read(headers: &'h HeaderMap, wanted: &str) -> Result<Self, AwsError> {
        let header = headers.get(AUTHORIZATION).ok_or_else(|| {
            AwsError::client(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )
        })?;
        let text = header.to_str().unwrap_or_default();
        let incomplete = |why: String| AwsError::client("IncompleteSignatureException", why);
        let Some(parameters) = text.strip_prefix(ALGORITHM) else {
            return Err(incomplete(format!(
                "Unsupported AWS 'algorithm': '{}'.",
                text.split(' ').next().unwrap_or_default()
            )));
        };
        let parameter = |name: &str| {
            let found = parameters.split(',').find_map(|parameter| {
                let (key, value) = parameter.trim().split_once('=')?;
                (key == name && !value.is_empty()).then_some(value)
            });
            found.ok_or_else(|| {
                incomplete(format!(
                    "Authorization header requires '{name}' parameter. Authorization={text}"
                ))
            })
        };
        let scope: Vec<&str> = parameter("Credential")?.split('/').collect();
        let [access_key, date, region, service, terminator] = scope[..] else {
            return Err(incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
                scope.join("/")
            )));
        };
        let signature = Self {
            access_key,
            date,
            region,
            service,
            signed_headers: parameter("SignedHeaders")?,
            signature: parameter("Signature")?,
        };
        if service != wanted || terminator != TERMINATOR {
            return Err(invalid(&format!(
                "Credential should be scoped to correct service: '{wanted}'."
            )));
        }
        Ok(signature)
    }

    /// Checks date and signature.
    pub(crate) fn verify(
        &self,
        request: &Signed<'_>,
        secret_key: &str,
        now_s: i64,
    ) -> Result<(), AwsError> {
        let date = text(request.headers, DATE_HEADER);
        self.check_date(date, now_s)?;
        let digest = hex(&Sha256::digest(request.body));
        let said = text(request.headers, PAYLOAD_HEADER);
        if !said.is_empty() && said != digest {
            return Err(invalid(
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ));
        }
        let canonical = self.canonical(request, &digest);
        let to_sign = format!(
            "{ALGORITHM}\n{date}\n{}/{}/{}/{TERMINATOR}\n{}",
            self.date,
            self.region,
            self.service,
            hex(&Sha256::digest(canonical.as_bytes()))
        );
        let key = [self.date, self.region, self.service, TERMINATOR]
            .iter()
            .fold(format!("AWS4{secret_key}").into_bytes(), |key, word| {
                sign(&key, word)
            });
        if hex(&sign(&key, &to_sign)) != self.signature {
            return Err(invalid(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
            ));
        }
        Ok(())
    }

    fn check_date(&self, date: &str, now_s: i64) -> Result<(), AwsError> {
        let parsed = jiff::civil::DateTime::strptime(DATE_FORMAT, date)
            .and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC));
        let Ok(signed_at) = parsed else {
            return Err(AwsError::client(
                "IncompleteSignatureException",
                format!(
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (got '{date}')"
                ),
            ));
        };
        if !date.starts_with(self.date) {
            return Err(invalid(&format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{date}', from '{date}'.",
                self.date
            )));
        }
        let signed_s = signed_at.timestamp().as_second();
        let shown = |second: i64| {
            jiff::Timestamp::from_second(second)
                .map(|at| at.strftime(DATE_FORMAT).to_string())
                .unwrap_or_default()
        };
        let now = shown(now_s);
        if signed_s < now_s - CLOCK_SKEW_S {
            let bound = shown(now_s - CLOCK_SKEW_S);
            return Err(invalid(&format!(
                "Signature expired: {date} is now earlier than {bound} ({now} - 5 min.)"
            )));
        }
        if signed_s > now_s + CLOCK_SKEW_S {
            let bound = shown(now_s + CLOCK_SKEW_S);
            return Err(invalid(&format!(
                "Signature not yet current: {date} is still later than {bound} ({now} + 5 min.)"
            )));
        }
        Ok(())
    }

    fn canonical(&self, request: &Signed<'_>, digest: &str) -> String {
        let mut query: Vec<&str> = request
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .collect();
        query.sort_unstable();
        let mut canonical = format!(
            "{}\n{}\n{}\n",
            request.method,
            request.path,
            query.join("&")
        );
        for name in self.signed_headers.split(';') {
            let mut values = Vec::new();
            for value in request.headers.get_all(name) {
                let value = value.to_str().unwrap_or_default();
                values.push(value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
            }
            // Writing to a string cannot fail.
            let _ = writeln!(canonical, "{name}:{}", values.join(","));
        }
        let _ = write!(canonical, "\n{}\n{digest}", self.signed_headers);
        canonical
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn invalid(message: &str) -> AwsError {
    AwsError::client("InvalidSignatureException", message)
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes a key of any length, so this never falls back.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const DATE: &str = "20261123T061500Z";
    const SIGNED_HEADERS: &str = "host;x-amz-date;x-amz-target";

    fn now_s() -> i64 {
        "2026-11-23T06:15:00Z"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_second()
    }

    /// Headers as a client signs them.
    fn signed(body: &[u8], secret: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:1".parse().unwrap());
        headers.insert(DATE_HEADER, DATE.parse().unwrap());
        headers.insert(
            "x-amz-target",
            "Logs_20140328.PutLogEvents".parse().unwrap(),
        );
        let canonical = format!(
            "POST\n/\n\nhost:127.0.0.1:1\nx-amz-date:{DATE}\nx-amz-target:Logs_20140328.PutLogEvents\n\n{SIGNED_HEADERS}\n{}",
            hex(&Sha256::digest(body))
        );
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{DATE}\n20261123/eu-west-1/logs/aws4_request\n{}",
            hex(&Sha256::digest(canonical))
        );
        let mut key = format!("AWS4{secret}").into_bytes();
        for word in ["20261123", "eu-west-1", "logs", "aws4_request"] {
            key = sign(&key, word);
        }
        let header = format!(
            "AWS4-HMAC-SHA256 Credential=AK/20261123/eu-west-1/logs/aws4_request, SignedHeaders={SIGNED_HEADERS}, Signature={}",
            hex(&sign(&key, &to_sign))
        );
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        headers
    }

    fn verify(headers: &HeaderMap, body: &[u8], now_s: i64) -> Result<(), AwsError> {
        let request = Signed {
            method: "POST",
            path: "/",
            query: "",
            headers,
            body,
        };
        Authorization::read(headers, "logs")?.verify(&request, "secret", now_s)
    }

    #[test]
    fn the_derivation_is_that_of_the_documented_example() {
        // "Deriving the signing key" of the Signature Version 4 documentation.
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for word in ["20150830", "us-east-1", "iam", "aws4_request"] {
            key = sign(&key, word);
        }
        assert_eq!(
            hex(&key),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }

    #[test]
    fn a_signature_holds_for_this_key_this_body_and_these_headers_only() {
        let headers = signed(b"body", "secret");
        assert_eq!(verify(&headers, b"body", now_s()), Ok(()));
        let code = |result: Result<(), AwsError>| result.unwrap_err().code;
        assert_eq!(
            code(verify(&headers, b"Body", now_s())),
            "InvalidSignatureException"
        );
        assert_eq!(
            code(verify(&signed(b"body", "other"), b"body", now_s())),
            "InvalidSignatureException"
        );
        let mut other = headers.clone();
        other.insert(
            "x-amz-target",
            "Logs_20140328.DeleteLogGroup".parse().unwrap(),
        );
        assert_eq!(
            code(verify(&other, b"body", now_s())),
            "InvalidSignatureException"
        );
        let mut other = headers;
        other.insert(PAYLOAD_HEADER, "0".repeat(64).parse().unwrap());
        assert_eq!(
            code(verify(&other, b"body", now_s())),
            "InvalidSignatureException"
        );
    }

    #[test]
    fn a_date_is_good_for_five_minutes_in_both_directions() {
        let headers = signed(b"", "secret");
        for off_s in [-300, 0, 300] {
            assert_eq!(verify(&headers, b"", now_s() + off_s), Ok(()));
        }
        let message = |off_s| verify(&headers, b"", now_s() + off_s).unwrap_err().message;
        assert_eq!(
            message(301),
            "Signature expired: 20261123T061500Z is now earlier than 20261123T061501Z (20261123T062001Z - 5 min.)"
        );
        assert!(message(-301).starts_with("Signature not yet current: "));
    }

    #[test]
    fn a_header_that_lacks_or_lies_is_told_from_a_wrong_signature() {
        let code = |headers: &HeaderMap| verify(headers, b"", now_s()).unwrap_err().code;
        assert_eq!(
            code(&HeaderMap::new()),
            "MissingAuthenticationTokenException"
        );
        let good = signed(b"", "secret");
        let header = good[AUTHORIZATION].to_str().unwrap();
        for (from, to, expected) in [
            ("Signature=", "Signatur=", "IncompleteSignatureException"),
            ("SignedHeaders=", "x=", "IncompleteSignatureException"),
            ("AK/20261123", "AK", "IncompleteSignatureException"),
            ("AWS4-HMAC-SHA256", "Bearer", "IncompleteSignatureException"),
            ("/logs/", "/ec2/", "InvalidSignatureException"),
            ("AK/20261123", "AK/20261122", "InvalidSignatureException"),
        ] {
            let mut headers = good.clone();
            headers.insert(AUTHORIZATION, header.replace(from, to).parse().unwrap());
            assert_eq!(code(&headers), expected, "{to}");
        }
        let mut headers = good.clone();
        headers.remove(DATE_HEADER);
        assert_eq!(code(&headers), "IncompleteSignatureException");
    }
}
