//! What an answer, or the lack of one, means. Pure.
//!
//! Codes: the API reference of CloudWatch Logs (errors of PutLogEvents, CreateLogGroup, CreateLogStream, GetLogEvents) and its
//! list of common errors; of Systems Manager those of GetParameter.

use super::failure::FailureKind;

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// No credentials could be had, so nothing was sent.
    NoCredentials,
    /// The request could not be made, or no connection could.
    NotSent,
    /// It was handed to a connection, and no whole answer came back.
    NoAnswer,
    /// The service, or something before it, answered with an error.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The service's own code; something before the service has none.
        code: Option<&'a str>,
    },
}

/// What it means.
pub(super) fn classify(seen: Seen<'_>) -> FailureKind {
    match seen {
        Seen::NoCredentials => FailureKind::Denied,
        Seen::NotSent => FailureKind::NotSent,
        Seen::NoAnswer => FailureKind::Unknown,
        Seen::Answer { status, code } => code
            .and_then(by_code)
            .unwrap_or_else(|| by_status(status, code.is_some())),
    }
}

fn by_code(code: &str) -> Option<FailureKind> {
    Some(match code {
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "LimitExceededException"
        | "ServiceQuotaExceededException"
        | "SlowDown" => FailureKind::Throttled,
        "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalServerException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => FailureKind::Service,
        "ResourceNotFoundException" | "ParameterNotFound" | "ParameterVersionNotFound" => {
            FailureKind::NotFound
        }
        "ResourceAlreadyExistsException" => FailureKind::AlreadyExists,
        // An invalid token is an answer of older versions of the API: another writer was faster.
        "OperationAbortedException" | "InvalidSequenceTokenException" => FailureKind::Aborted,
        "DataAlreadyAcceptedException" => FailureKind::AlreadyAccepted,
        "InvalidParameterException"
        | "InvalidParameterValue"
        | "InvalidParameterCombination"
        | "InvalidOperationException"
        | "InvalidAction"
        | "MissingParameter"
        | "MissingParameterException"
        | "ValidationError"
        | "ValidationException"
        | "SerializationException"
        | "MalformedQueryString"
        | "UnknownOperationException"
        | "UnsupportedOperationException"
        | "RequestEntityTooLarge"
        | "RequestEntityTooLargeException" => FailureKind::Invalid,
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestTimeTooSkewed"
        | "RequestExpired"
        | "AuthFailure"
        | "AccessDenied"
        | "AccessDeniedException"
        | "NotAuthorized"
        | "UnauthorizedOperation"
        | "OptInRequired" => FailureKind::Denied,
        // The service gave up waiting for the rest of the request; nobody says that it threw the beginning away.
        "RequestTimeout" | "RequestTimeoutException" => FailureKind::Unknown,
        _ => return None,
    })
}

fn by_status(status: u16, coded: bool) -> FailureKind {
    match status {
        // An answer that says "taken" and can't be read.
        200..300 => FailureKind::Unknown,
        401 | 403 | 407 => FailureKind::Denied,
        408 => FailureKind::Unknown,
        413 => FailureKind::Invalid,
        429 => FailureKind::Throttled,
        // From the service itself, a code that is not known yet about a request that it does not like. Without a code, it is
        // not even sure who answers.
        400 if coded => FailureKind::Invalid,
        501 => FailureKind::Other,
        500.. => FailureKind::Service,
        _ => FailureKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> FailureKind {
        classify(Seen::Answer {
            status,
            code: Some(code),
        })
    }

    #[test]
    fn codes_mean_what_the_service_means_by_them() {
        use FailureKind::*;
        for (status, code, kind) in [
            (400, "ThrottlingException", Throttled),
            (400, "LimitExceededException", Throttled),
            (429, "TooManyRequestsException", Throttled),
            (429, "SomethingNew", Throttled),
            (500, "InternalFailure", Service),
            (503, "ServiceUnavailableException", Service),
            (500, "SomethingNew", Service),
            (400, "ResourceNotFoundException", NotFound),
            (400, "ResourceAlreadyExistsException", AlreadyExists),
            (400, "OperationAbortedException", Aborted),
            (400, "InvalidSequenceTokenException", Aborted),
            (400, "DataAlreadyAcceptedException", AlreadyAccepted),
            (400, "InvalidParameterException", Invalid),
            (400, "SerializationException", Invalid),
            (413, "SomethingNew", Invalid),
            (400, "SomethingNew", Invalid),
            (400, "UnrecognizedClientException", Denied),
            (400, "ExpiredTokenException", Denied),
            (403, "ExpiredToken", Denied),
            (400, "InvalidSignatureException", Denied),
            (403, "RequestTimeTooSkewed", Denied),
            (400, "AccessDeniedException", Denied),
            (408, "RequestTimeoutException", Unknown),
        ] {
            assert_eq!(answer(status, code), kind, "{status} {code}");
        }
    }

    #[test]
    fn without_a_code_the_status_decides() {
        use FailureKind::*;
        for (status, kind) in [
            (200, Unknown),
            (301, Other),
            (400, Other),
            (403, Denied),
            (404, Other),
            (407, Denied),
            (408, Unknown),
            (413, Invalid),
            (429, Throttled),
            (500, Service),
            (501, Other),
            (502, Service),
            (503, Service),
            (504, Service),
        ] {
            assert_eq!(
                classify(Seen::Answer { status, code: None }),
                kind,
                "{status}"
            );
        }
    }

    #[test]
    fn only_what_was_never_handed_over_is_surely_not_there() {
        assert_eq!(classify(Seen::NotSent), FailureKind::NotSent);
        assert_eq!(classify(Seen::NoAnswer), FailureKind::Unknown);
        assert_eq!(classify(Seen::NoCredentials), FailureKind::Denied);
    }
}
