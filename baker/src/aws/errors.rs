//! What an AWS error means for a bake, and what its reader can do.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What kind of trouble an AWS error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Too many requests; passes.
    Throttled,
    /// A server error, a lost connection, or a time-out; passes.
    Transient,
    /// The thing is not there, or not visible yet.
    NotFound,
    /// The thing is there already.
    Exists,
    /// The thing is in use, or in a state that does not allow this.
    Busy,
    /// The caller may not do this.
    Unauthorized,
    /// The credentials are wrong or expired.
    BadCredentials,
    /// An account limit is reached.
    Quota,
    /// AWS has no such machine free there now.
    Capacity,
    /// That instance type does not exist there.
    Unsupported,
    /// Anything else: the request itself is refused.
    Refused,
}

impl Class {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Class::Throttled | Class::Transient)
    }
}

/// Classifies by AWS's error code, and by the HTTP status where there is none or an unknown one.
#[must_use]
fn classify(code: Option<&str>, status: Option<u16>) -> Class {
    match code.unwrap_or_default() {
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "SnapshotCreationPerVolumeRateExceeded" => {
            return Class::Throttled;
        }
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "Unavailable"
        | "RequestTimeout"
        | "RequestTimeoutException" => return Class::Transient,
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            return Class::Unauthorized;
        }
        "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "OptInRequired" => return Class::BadCredentials,
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientCapacity"
        | "SpotMaxPriceTooLow" => return Class::Capacity,
        "Unsupported" | "InvalidInstanceType" | "UnsupportedOperation" => {
            return Class::Unsupported;
        }
        "VcpuLimitExceeded"
        | "InstanceLimitExceeded"
        | "ResourceLimitExceeded"
        | "SecurityGroupLimitExceeded"
        | "VolumeLimitExceeded"
        | "MaxIOPSLimitExceeded"
        | "ImageQuotaExceeded" => return Class::Quota,
        "DependencyViolation"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "InvalidSnapshot.InUse"
        | "InvalidGroup.InUse" => return Class::Busy,
        "InvalidGroup.Duplicate" | "InvalidAMIName.Duplicate" | "InvalidPermission.Duplicate" => {
            return Class::Exists;
        }
        "ParameterNotFound" | "InvalidAMIID.Unavailable" => return Class::NotFound,
        code if code.ends_with(".NotFound") => return Class::NotFound,
        _ => {}
    }
    match status {
        Some(429) => Class::Throttled,
        // Not implemented: stays so.
        Some(501) => Class::Refused,
        Some(500..) => Class::Transient,
        _ => Class::Refused,
    }
}

/// A call that AWS refused, or that did not get through.
#[derive(Debug, Clone)]
pub struct CallError {
    /// `ec2:RunInstances`: also the name of the permission.
    pub operation: &'static str,
    /// What kind of trouble.
    pub class: Class,
    /// AWS's error code, if AWS answered.
    pub code: Option<String>,
    /// AWS's words, or the transport's.
    pub message: String,
}

impl Error for CallError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation;
        if self.class == Class::Unauthorized {
            let (message, encoded) = split_encoded(&self.message);
            write!(
                f,
                "no permission for {operation}: {message}; ask for {operation} in the caller's policy"
            )?;
            return match encoded {
                Some(_) => f.write_str(
                    ", or see the reason with `aws sts decode-authorization-message --encoded-message …`",
                ),
                None => Ok(()),
            };
        }
        match &self.code {
            Some(code) => write!(f, "{operation}: {code}: {}", self.message)?,
            None => write!(f, "{operation} got no answer: {}", self.message)?,
        }
        f.write_str(match self.class {
            Class::BadCredentials => {
                "; check the credentials (expired? another account? `aws sts get-caller-identity` tells)"
            }
            Class::Quota => "; raise the quota in Service Quotas, or end what uses it",
            Class::Capacity => "; name more [build].instance_types, or another subnet",
            Class::Unsupported => "; name another of [build].instance_types, or another subnet",
            Class::Throttled => "; the account makes too many requests, try again later",
            Class::Transient if self.code.is_none() => {
                "; check the network (VPN, proxy, AWS_ENDPOINT_URL) and try again"
            }
            Class::Transient => "; try again",
            _ => "",
        })
    }
}

/// EC2 appends hundreds of characters that only `decode-authorization-message` understands.
fn split_encoded(message: &str) -> (&str, Option<&str>) {
    const MARK: &str = "Encoded authorization failure message:";
    match message.split_once(MARK) {
        Some((before, encoded)) => (before.trim().trim_end_matches('.'), Some(encoded.trim())),
        None => (message.trim().trim_end_matches('.'), None),
    }
}

/// Turns an SDK error into ours.
pub trait Explain<T> {
    /// Names the operation (`ec2:RunInstances`) and classifies the error.
    ///
    /// # Errors
    /// The call's own.
    fn explain(self, operation: &'static str) -> Result<T, CallError>;
}

impl<T, E> Explain<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn explain(self, operation: &'static str) -> Result<T, CallError> {
        self.map_err(|error| {
            let status = error
                .raw_response()
                .map(|response| response.status().as_u16());
            let answered = matches!(error, SdkError::ServiceError(_));
            let class = if answered {
                classify(error.code(), status)
            } else {
                match &error {
                    SdkError::ConstructionFailure(_) => Class::Refused,
                    _ => Class::Transient,
                }
            };
            let code = error.code().map(str::to_owned).or_else(|| {
                status
                    .filter(|_| answered)
                    .map(|status| format!("HTTP {status}"))
            });
            let message = match error.message() {
                Some(message) => message.to_owned(),
                None => chain(&error),
            };
            CallError {
                operation,
                class,
                code,
                message,
            }
        })
    }
}

/// An error's causes, innermost last; the SDK's outer words (`dispatch failure`) say the least.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        cause = error.source();
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_aws_means_by_them() {
        for (code, status, class) in [
            ("RequestLimitExceeded", 503, Class::Throttled),
            ("InvalidInstanceID.NotFound", 400, Class::NotFound),
            ("InvalidAMIID.NotFound", 400, Class::NotFound),
            ("InvalidGroup.Duplicate", 400, Class::Exists),
            ("InvalidAMIName.Duplicate", 400, Class::Exists),
            ("DependencyViolation", 400, Class::Busy),
            ("InsufficientInstanceCapacity", 500, Class::Capacity),
            ("UnauthorizedOperation", 403, Class::Unauthorized),
            ("RequestExpired", 400, Class::BadCredentials),
            ("VcpuLimitExceeded", 400, Class::Quota),
            ("Unavailable", 503, Class::Transient),
            ("SomethingNew", 500, Class::Transient),
            ("SomethingNew", 429, Class::Throttled),
            ("InvalidParameterValue", 400, Class::Refused),
        ] {
            assert_eq!(classify(Some(code), Some(status)), class, "{code} {status}");
        }
        assert_eq!(classify(None, Some(502)), Class::Transient);
        assert_eq!(classify(None, Some(501)), Class::Refused);
        assert_eq!(classify(None, None), Class::Refused);
    }

    #[test]
    fn a_missing_permission_is_named_and_the_encoded_part_is_not_shown() {
        let error = CallError {
            operation: "ec2:RunInstances",
            class: Class::Unauthorized,
            code: Some("UnauthorizedOperation".into()),
            message: "You are not authorized to perform this operation. Encoded authorization failure message: \
                      4y5jAAAA"
                .into(),
        };
        let shown = error.to_string();
        assert_eq!(
            shown,
            "no permission for ec2:RunInstances: You are not authorized to perform this operation; ask for \
             ec2:RunInstances in the caller's policy, or see the reason with \
             `aws sts decode-authorization-message --encoded-message …`"
        );
    }
}
