//! Each operation: its request read, the store asked or changed, its answer written.

mod describe;
mod events;
mod queries;

use serde::Serialize;
use serde_json::json;

use super::store::{Put, Store};
use super::wire::{self, required};
use crate::endpoint::AwsError;

/// Where and when a request is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'c> {
    pub(crate) region: &'c str,
    /// The service's clock, in microseconds since the epoch.
    pub(crate) now_us: i64,
    /// Events that were taken later are not shown yet, in the same unit.
    pub(crate) visible_us: i64,
}

/// Answers any operation but PutLogEvents.
pub(crate) fn answer(
    operation: &str,
    body: &[u8],
    store: &mut Store,
    context: &Context<'_>,
) -> Result<Vec<u8>, AwsError> {
    let now_ms = context.now_us / 1000;
    match operation {
        "CreateLogGroup" => {
            let ask: wire::CreateLogGroup = wire::read(body)?;
            let name = required(ask.log_group_name, "logGroupName")?;
            store.create_group(&name, ask.log_group_class.as_deref(), ask.tags, now_ms)?;
        }
        "DeleteLogGroup" => store.delete_group(&of_group(body)?)?,
        "CreateLogStream" => {
            let (group, stream) = of_stream(body)?;
            store.create_stream(&group, &stream, now_ms)?;
        }
        "DeleteLogStream" => {
            let (group, stream) = of_stream(body)?;
            store.delete_stream(&group, &stream)?;
        }
        "PutRetentionPolicy" => {
            let ask: wire::PutRetentionPolicy = wire::read(body)?;
            let group = required(ask.log_group_name, "logGroupName")?;
            let days = required(ask.retention_in_days, "retentionInDays")?;
            store.set_retention(&group, Some(days))?;
        }
        "DeleteRetentionPolicy" => store.set_retention(&of_group(body)?, None)?,
        "DescribeLogGroups" => return describe::describe_groups(wire::read(body)?, store, context),
        "DescribeLogStreams" => {
            return describe::describe_streams(wire::read(body)?, store, context);
        }
        "GetLogEvents" => return events::get_events(wire::read(body)?, store, context),
        "FilterLogEvents" => return events::filter_events(wire::read(body)?, store, context),
        "StartQuery" => return queries::start(wire::read(body)?, store, context),
        "GetQueryResults" => return queries::results(wire::read(body)?, store, context),
        "StopQuery" => return queries::stop(wire::read(body)?, store, context),
        "TagResource" => {
            let ask: wire::OfResource = wire::read(body)?;
            let group = resource(ask.resource_arn)?;
            store.tag(&group, required(ask.tags, "tags")?)?;
        }
        "UntagResource" => {
            let ask: wire::OfResource = wire::read(body)?;
            let group = resource(ask.resource_arn)?;
            store.untag(&group, &required(ask.tag_keys, "tagKeys")?)?;
        }
        "ListTagsForResource" => {
            let ask: wire::OfResource = wire::read(body)?;
            return tags(store, &resource(ask.resource_arn)?);
        }
        "TagLogGroup" => {
            let ask: wire::TagLogGroup = wire::read(body)?;
            let group = required(ask.log_group_name, "logGroupName")?;
            store.tag(&group, required(ask.tags, "tags")?)?;
        }
        "UntagLogGroup" => {
            let ask: wire::UntagLogGroup = wire::read(body)?;
            let group = required(ask.log_group_name, "logGroupName")?;
            store.untag(&group, &required(ask.tags, "tags")?)?;
        }
        "ListTagsLogGroup" => return tags(store, &of_group(body)?),
        other => return Err(unknown(other)),
    }
    Ok(b"{}".to_vec())
}

/// An operation that this endpoint does not know, or that the service does not.
pub(crate) fn unknown(operation: &str) -> AwsError {
    AwsError::client(
        "UnknownOperationException",
        format!("{operation} is not an operation of this CloudWatch Logs endpoint"),
    )
}

/// The answer of a PutLogEvents that was not refused.
pub(crate) fn put_answer(put: &Put) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Rejected {
        #[serde(skip_serializing_if = "Option::is_none")]
        too_new_log_event_start_index: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        too_old_log_event_end_index: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expired_log_event_end_index: Option<usize>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        next_sequence_token: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        rejected_log_events_info: Option<Rejected>,
    }
    to_json(&Answer {
        // Ignored by the service since 2023; it still sends one.
        next_sequence_token: "49668712932016478233298016442112543098265987812345678901",
        rejected_log_events_info: (!put.rejected.is_none()).then_some(Rejected {
            too_new_log_event_start_index: put.rejected.too_new_start,
            too_old_log_event_end_index: put.rejected.too_old_end,
            expired_log_event_end_index: put.rejected.expired_end,
        }),
    })
}

fn of_group(body: &[u8]) -> Result<String, AwsError> {
    let ask: wire::OfGroup = wire::read(body)?;
    required(ask.log_group_name, "logGroupName")
}

fn of_stream(body: &[u8]) -> Result<(String, String), AwsError> {
    let ask: wire::OfStream = wire::read(body)?;
    let group = required(ask.log_group_name, "logGroupName")?;
    Ok((group, required(ask.log_stream_name, "logStreamName")?))
}

/// The group of `logGroupName` or `logGroupIdentifier` (a name or an ARN): one of them, and not both.
fn either(name: Option<String>, identifier: Option<String>) -> Result<String, AwsError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) if identifier.starts_with("arn:") => resource(Some(identifier)),
        (None, Some(identifier)) => Ok(identifier),
        (None, None) => Err(AwsError::invalid(
            "Either logGroupName or logGroupIdentifier must be specified.",
        )),
        (Some(_), Some(_)) => Err(AwsError::invalid(
            "Only one of logGroupName and logGroupIdentifier can be specified.",
        )),
    }
}

/// The group of an ARN, with or without the `:*` at its end.
fn resource(arn: Option<String>) -> Result<String, AwsError> {
    let arn = required(arn, "resourceArn")?;
    let name = arn.split_once(":log-group:").map(|(_, name)| name);
    let name = name.ok_or_else(|| AwsError::invalid(format!("Invalid resource ARN: {arn}")))?;
    Ok(name.strip_suffix(":*").unwrap_or(name).to_owned())
}

/// A limit of the request, within what the model allows.
fn limit(asked: Option<i64>, most: usize) -> Result<usize, AwsError> {
    let Some(asked) = asked else { return Ok(most) };
    let relation = match usize::try_from(asked) {
        Ok(limit @ 1..) if limit <= most => return Ok(limit),
        Ok(1..) => format!("less than or equal to {most}"),
        _ => "greater than or equal to 1".to_owned(),
    };
    Err(AwsError::constraint(
        "limit",
        Some(&asked.to_string()),
        &format!("Member must have value {relation}"),
    ))
}

fn tags(store: &Store, group: &str) -> Result<Vec<u8>, AwsError> {
    Ok(to_json(&json!({"tags": store.group(group)?.tags})))
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    // What is written here has string keys only, so it cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}
