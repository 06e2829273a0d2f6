//! Requests in awsJson 1.1.

mod put;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::endpoint::AwsError;

pub(crate) use put::put_log_events;

/// Reads the request of an operation. Members that are not known are ignored, as the service does.
pub(crate) fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, AwsError> {
    serde_json::from_slice(body).map_err(|error| AwsError::serialization(error.to_string()))
}

/// A member that must be there.
pub(crate) fn required<T>(value: Option<T>, member: &str) -> Result<T, AwsError> {
    value.ok_or_else(|| AwsError::missing(member))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateLogGroup {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_group_class: Option<String>,
    pub(crate) tags: Option<BTreeMap<String, String>>,
}

/// DeleteLogGroup, DeleteRetentionPolicy, ListTagsLogGroup.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfGroup {
    pub(crate) log_group_name: Option<String>,
}

/// CreateLogStream, DeleteLogStream.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfStream {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_stream_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutRetentionPolicy {
    pub(crate) log_group_name: Option<String>,
    pub(crate) retention_in_days: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeLogGroups {
    pub(crate) log_group_name_prefix: Option<String>,
    pub(crate) log_group_name_pattern: Option<String>,
    pub(crate) log_group_class: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeLogStreams {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_group_identifier: Option<String>,
    pub(crate) log_stream_name_prefix: Option<String>,
    pub(crate) order_by: Option<String>,
    #[serde(default)]
    pub(crate) descending: Option<bool>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetLogEvents {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_group_identifier: Option<String>,
    pub(crate) log_stream_name: Option<String>,
    pub(crate) start_time: Option<i64>,
    pub(crate) end_time: Option<i64>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
    pub(crate) start_from_head: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilterLogEvents {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_group_identifier: Option<String>,
    pub(crate) log_stream_names: Option<Vec<String>>,
    pub(crate) log_stream_name_prefix: Option<String>,
    pub(crate) start_time: Option<i64>,
    pub(crate) end_time: Option<i64>,
    pub(crate) filter_pattern: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) limit: Option<i64>,
    pub(crate) start_from_head: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartQuery {
    pub(crate) query_language: Option<String>,
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_group_names: Option<Vec<String>>,
    pub(crate) log_group_identifiers: Option<Vec<String>>,
    pub(crate) start_time: Option<i64>,
    pub(crate) end_time: Option<i64>,
    pub(crate) query_string: Option<String>,
    pub(crate) limit: Option<i64>,
}

/// GetQueryResults, StopQuery.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfQuery {
    pub(crate) query_id: Option<String>,
    pub(crate) next_token: Option<String>,
}

/// TagResource, UntagResource, ListTagsForResource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfResource {
    pub(crate) resource_arn: Option<String>,
    pub(crate) tags: Option<BTreeMap<String, String>>,
    pub(crate) tag_keys: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagLogGroup {
    pub(crate) log_group_name: Option<String>,
    pub(crate) tags: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UntagLogGroup {
    pub(crate) log_group_name: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
}
