//! Queries, from their start to their results.
//!
//! A query takes a moment, and it sees what was there to be seen when it began. Results are looked for when they are asked for, so that
//! a query keeps no events.

use super::super::insights::{Insight, malformed};
use super::super::limits::{QUERIES, QUERY_SCHEDULED_US, QUERY_US};
use super::read::{self, Shown, Window};
use super::{DELIVERY, Store};
use crate::endpoint::AwsError;

/// A query that was started.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) group: String,
    pub(crate) insight: Insight,
    /// First time, inclusive.
    pub(crate) from_ms: i64,
    /// Last time, inclusive.
    pub(crate) to_ms: i64,
    pub(crate) started_us: i64,
    /// Events that were taken later are not seen.
    pub(crate) visible_us: i64,
    pub(crate) stopped: bool,
}

/// How far a query has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryState {
    Scheduled,
    Running,
    Complete,
    Cancelled,
}

impl QueryState {
    /// The service's word for it (model: `QueryStatus`).
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Running => "Running",
            Self::Complete => "Complete",
            Self::Cancelled => "Cancelled",
        }
    }
}

impl Query {
    pub(crate) fn state(&self, now_us: i64) -> QueryState {
        match now_us.saturating_sub(self.started_us) {
            _ if self.stopped => QueryState::Cancelled,
            ..QUERY_SCHEDULED_US => QueryState::Scheduled,
            QUERY_SCHEDULED_US..QUERY_US => QueryState::Running,
            QUERY_US.. => QueryState::Complete,
        }
    }
}

impl Store {
    /// StartQuery; returns the query's id.
    pub(crate) fn start_query(&mut self, query: Query) -> Result<String, AwsError> {
        let group = self.group(&query.group)?;
        if group.class == DELIVERY {
            return Err(AwsError::client(
                "InvalidOperationException",
                format!(
                    "The log group {} is of log-group-class {DELIVERY}. StartQuery is not supported for this log class.",
                    query.group
                ),
            ));
        }
        // A query of a time before there was a group is refused, even if older events were put into it since.
        if query.to_ms < group.created_ms {
            return Err(malformed(
                "Query's end date and time is either before the log groups creation time or exceeds the log groups log retention settings",
            ));
        }
        self.started += 1;
        let id = format!(
            "{:08x}-51ab-4000-8000-{:012x}",
            self.started,
            query.started_us & 0xffff_ffff_ffff
        );
        if self.queries.len() == QUERIES {
            self.queries.pop_first();
        }
        self.queries.insert(id.clone(), query);
        Ok(id)
    }

    pub(crate) fn query(&self, id: &str) -> Result<&Query, AwsError> {
        self.queries.get(id).ok_or_else(no_query)
    }

    /// StopQuery; `false`: it had ended.
    pub(crate) fn stop_query(&mut self, id: &str, now_us: i64) -> Result<bool, AwsError> {
        let query = self.queries.get_mut(id).ok_or_else(no_query)?;
        let runs = matches!(
            query.state(now_us),
            QueryState::Scheduled | QueryState::Running
        );
        query.stopped |= runs;
        Ok(runs)
    }

    /// All that a query finds, with the names of streams, in its order.
    pub(crate) fn found(&self, query: &Query) -> Vec<(&str, Shown<'_>)> {
        let Ok(group) = self.group(&query.group) else {
            // It was deleted since.
            return Vec::new();
        };
        let chosen = query.insight.stream.as_deref();
        let streams = group
            .streams
            .iter()
            .filter(|(name, _)| chosen.is_none_or(|chosen| chosen == name.as_str()))
            .map(|(name, stream)| (name.as_str(), stream))
            .collect();
        let window = Window {
            from_ms: query.from_ms,
            to_ms: query.to_ms,
            visible_us: query.visible_us,
            limit: query.insight.limit,
        };
        let mut found = read::all(streams, &window);
        if query.insight.descending {
            found.reverse();
        }
        found.truncate(query.insight.limit);
        found
    }
}

fn no_query() -> AwsError {
    AwsError::client(
        "ResourceNotFoundException",
        "The specified query does not exist.",
    )
}
