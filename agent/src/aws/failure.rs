//! What a call that failed tells, without the SDK's types: enough for a pure decision about what to do next.

use std::time::Duration;

/// What went wrong, as far as it decides what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection was made (refused, no route, no such name, TLS, proxy): the request has not arrived.
    NotSent,
    /// It may have arrived: time-out, reset, or an answer that broke off.
    Unknown,
    /// Throttled, or a quota reached.
    Throttled,
    /// The service says that it failed (5xx). It may have taken the request all the same.
    Service,
    /// The group or the stream is not there.
    NotFound,
    /// It is there already (a group or a stream that was to be made).
    AlreadyExists,
    /// Another call changes the same thing at this moment.
    Aborted,
    /// The service finds something wrong in the request; the same request will fail again.
    Invalid,
    /// The service has these very events already (an answer of older versions of the API).
    AlreadyAccepted,
    /// No credentials, expired ones, a wrong signature (a clock that is off, too), or a permission that is missing.
    Denied,
    /// Anything else that the service answered.
    Other,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// The service's own code, such as `ThrottlingException`.
    pub code: Option<String>,
    /// For people: what happened, where, and what can be done.
    pub message: String,
    /// How long the service asks to wait.
    pub retry_after: Option<Duration>,
}

/// Which events of a request the service did not take, by their index in it (`rejectedLogEventsInfo`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RejectedInfo {
    /// Events before this index are older than the service takes.
    pub too_old_end: Option<usize>,
    /// Events before this index are older than the group's retention.
    pub expired_end: Option<usize>,
    /// Events from this index on are too far ahead.
    pub too_new_start: Option<usize>,
}
