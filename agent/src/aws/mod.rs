//! The narrow way to CloudWatch Logs.

mod failure;

pub use failure::{Failure, FailureKind, RejectedInfo};
