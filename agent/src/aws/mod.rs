//! The narrow way to CloudWatch Logs.
//!
//! `logs` makes the calls, `read_back` and `query` those that read a stream again, over the SDK: it finds credentials, resolves
//! endpoints, signs and reads answers. What is ours:
//! `http` (connections), `bounds` (how much of an answer is read), `body` (a finished body, sent as it is), `call` (one try, with a time limit), `classify` and `explain`
//! (what a failure means, to a program and to people; both pure), `clock` (what answers tell about this host's clock).

mod access;
mod body;
mod bounds;
mod call;
mod classify;
mod clock;
mod explain;
mod failure;
mod http;
mod logs;
mod metrics;
mod parameters;
mod query;
mod read_back;

pub use access::Access;
pub use clock::ServiceTime;
pub(crate) use explain::causes;
pub use failure::{Failure, FailureKind, RejectedInfo};
pub use http::{Http, HttpError, Proxy};
pub use logs::{ConnectError, Logs, Options, Timeouts};
pub use metrics::{Metrics, PutFailure, Remark};
pub use parameters::{Parameter, Parameters};
