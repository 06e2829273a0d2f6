//! Errors as the service answers them: HTTP status, code, and a message in its wording.

use std::fmt;

/// An error of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    /// HTTP status.
    pub status: u16,
    /// Code, as in `__type`.
    pub code: &'static str,
    /// What the service says.
    pub message: String,
    /// What is wrong at which place of a dashboard's body (PutDashboard): (JSON pointer, message).
    pub places: Vec<(String, String)>,
}

impl AwsError {
    /// An error that the caller made (status 400, as in all of awsJson).
    pub(crate) fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code,
            message: message.into(),
            places: Vec::new(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::client("InvalidParameterException", message)
    }

    /// A member of the request breaks a constraint of the model: `1 validation error detected: Value 'x' at 'y' failed …`.
    pub(crate) fn constraint(member: &str, value: Option<&str>, constraint: &str) -> Self {
        let value = match value {
            Some(value) => format!("Value '{value}'"),
            None => "Value".to_owned(),
        };
        Self::invalid(format!(
            "1 validation error detected: {value} at '{member}' failed to satisfy constraint: {constraint}"
        ))
    }

    /// A member that must be there is not.
    pub(crate) fn missing(member: &str) -> Self {
        Self::invalid(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ))
    }

    pub(crate) fn no_group() -> Self {
        Self::client(
            "ResourceNotFoundException",
            "The specified log group does not exist.",
        )
    }

    pub(crate) fn no_stream() -> Self {
        Self::client(
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        )
    }

    pub(crate) fn exists(what: &str) -> Self {
        Self::client(
            "ResourceAlreadyExistsException",
            format!("The specified {what} already exists"),
        )
    }

    pub(crate) fn throttled() -> Self {
        Self::client("ThrottlingException", "Rate exceeded")
    }

    pub(crate) fn too_large(most_bytes: usize) -> Self {
        Self {
            status: 413,
            ..Self::client(
                "RequestEntityTooLargeException",
                format!("Request size exceeded the limit of {most_bytes} bytes"),
            )
        }
    }

    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::client("SerializationException", message)
    }

    pub(crate) fn unavailable(status: u16) -> Self {
        let code = match status {
            500 => "InternalFailure",
            _ => "ServiceUnavailableException",
        };
        Self {
            status,
            code,
            message: "The service cannot complete the request.".into(),
            places: Vec::new(),
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status, self.message)
    }
}

impl std::error::Error for AwsError {}
