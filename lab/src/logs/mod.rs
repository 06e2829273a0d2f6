//! CloudWatch Logs as the lab keeps it: groups, streams and events, with the service's real limits.
//!
//! The [endpoint](crate::endpoint) reads a request (`wire`, a batch of events straight into the text where it will lie) and changes or asks the
//! [store](Store) (`operations`). Store and patterns are pure: time is handed in.
//!
//! Events are kept in memory, at little more than the bytes of their messages, until the endpoint ends.

// Leaves.
mod insights;
pub mod limits;
mod names;
mod pattern;
mod tokens;

// What the service keeps, and what it is asked.
mod operations;
mod store;
pub(crate) mod wire;

/// Precedes an operation's name in `X-Amz-Target`, with a dot between.
pub(crate) const TARGET: &str = "Logs_20140328";

pub use crate::endpoint::{
    AwsError, Config, Credentials, Endpoint, Kind, Latency, Note, Rule, Script, Settings, Stats,
    When,
};
pub(crate) use operations::{Context, answer, put_answer, unknown};
pub use store::{Batch, Held, Put, Rejected, Store, StoredEvent};
