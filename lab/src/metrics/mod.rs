//! CloudWatch's metrics and dashboards as the lab keeps them, with the service's real limits.
//!
//! The [endpoint](crate::endpoint) reads a request in whichever of three `protocol`s it comes. PutMetricData is checked as a whole (`put`): all
//! of its data is taken, or none. The `Store` keeps each datum as it came; what is asked of them (`queries`) is computed when it is asked.
//! Dashboards are kept if their body keeps the rules (`dashboard_body`). All of it is pure: time is handed in.
//!
//! What it does not have (alarms, metric streams, insight rules, most of metric math), it refuses; behind a lab's front door moto answers those requests.

// Leaves.
mod ask;
pub mod limits;
mod numbers;
mod protocol;

// What the service keeps, and what it is asked.
mod dashboard_body;
mod dashboards;
mod expressions;
mod put;
mod queries;
mod statistics;
mod store;

use serde_json::Value as Json;

use crate::endpoint::AwsError;

pub(crate) use dashboards::{Dashboards, not_found};
pub(crate) use numbers::numbers_under;
pub(crate) use protocol::Protocol;
pub(crate) use put::read_put;
pub(crate) use store::Store;
pub use store::{Arrived, StatisticSet};

/// CloudWatch's name in the targets and paths of its protocols.
pub(crate) const TARGET: &str = "GraniteServiceVersion20100801";
/// The version that forms of the Query protocol name.
pub(crate) const QUERY_VERSION: &str = "2010-08-01";
/// What this endpoint answers.
pub(crate) const OPERATIONS: [&str; 8] = [
    "DeleteDashboards",
    "GetDashboard",
    "GetMetricData",
    "GetMetricStatistics",
    "ListDashboards",
    "ListMetrics",
    "PutDashboard",
    "PutMetricData",
];

/// Of what and when a question is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'c> {
    /// The region's data.
    pub(crate) store: &'c Store,
    /// The service's clock, in microseconds since the epoch.
    pub(crate) now_us: i64,
    /// Data that was taken later is not shown yet, in the same unit.
    pub(crate) visible_us: i64,
}

/// Answers any operation but PutMetricData; `None` is an answer without content.
pub(crate) fn answer(
    operation: &str,
    ask: &Json,
    context: &Context<'_>,
    dashboards: &mut Dashboards,
) -> Result<Option<Json>, AwsError> {
    let now_ms = context.now_us / 1000;
    match operation {
        "GetMetricData" => queries::get_metric_data(ask, context).map(Some),
        "GetMetricStatistics" => queries::get_metric_statistics(ask, context).map(Some),
        "ListMetrics" => queries::list_metrics(ask, context).map(Some),
        "PutDashboard" => dashboards.put(ask, now_ms).map(Some),
        "GetDashboard" => dashboards.get(ask).map(Some),
        "ListDashboards" => dashboards.list(ask).map(Some),
        "DeleteDashboards" => dashboards.delete(ask).map(|()| None),
        other => Err(AwsError::client(
            "InvalidAction",
            format!("{other} is not an operation of this CloudWatch endpoint"),
        )),
    }
}

/// A request, packed or unpacked, is no larger than it may be.
pub(crate) fn check_size(bytes: usize) -> Result<(), AwsError> {
    if bytes <= limits::REQUEST_BYTES {
        return Ok(());
    }
    Err(AwsError {
        message: format!(
            "Request size {bytes} exceeded {} bytes",
            limits::REQUEST_BYTES
        ),
        ..AwsError::too_large(limits::REQUEST_BYTES)
    })
}
