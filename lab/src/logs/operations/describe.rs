//! DescribeLogGroups and DescribeLogStreams.

use serde_json::{Value as Json, json};

use super::super::limits::DESCRIBE_ITEMS;
use super::super::store::{Group, Store, StreamFacts};
use super::super::{names, tokens, wire};
use super::{Context, either, limit, to_json};
use crate::endpoint::{ACCOUNT, AwsError};

/// Named items of a page, and the token of the next page.
type Paged<T> = (Vec<(String, T)>, Option<String>);

/// One page of `all`, and the token of the next one. A token is the name of the last item of the page before.
fn paged<T>(
    all: Vec<(String, T)>,
    token: Option<&str>,
    limit: usize,
) -> Result<Paged<T>, AwsError> {
    let start = match token {
        None => 0,
        Some(token) => {
            let last = tokens::read_opaque(token)?;
            let at = all.iter().position(|(name, _)| *name == last);
            at.ok_or_else(tokens::invalid)? + 1
        }
    };
    let more = all.len() > start + limit;
    let page: Vec<_> = all.into_iter().skip(start).take(limit).collect();
    let next = page
        .last()
        .filter(|_| more)
        .map(|(name, _)| tokens::opaque(name));
    Ok((page, next))
}

pub(super) fn describe_groups(
    ask: wire::DescribeLogGroups,
    store: &Store,
    context: &Context<'_>,
) -> Result<Vec<u8>, AwsError> {
    if ask.log_group_name_prefix.is_some() && ask.log_group_name_pattern.is_some() {
        return Err(AwsError::invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    if let Some(prefix) = &ask.log_group_name_prefix {
        names::group(prefix)?;
    }
    if let Some(class) = &ask.log_group_class {
        names::class(class)?;
    }
    let limit = limit(ask.limit, DESCRIBE_ITEMS)?;
    let prefix = ask.log_group_name_prefix.unwrap_or_default();
    // "If you specify a string for this parameter, the operation returns only log groups that have names that match": case-sensitive substring.
    let pattern = ask.log_group_name_pattern.unwrap_or_default();
    let chosen = store.groups().filter(|(name, group)| {
        name.starts_with(&prefix)
            && name.contains(&pattern)
            && ask
                .log_group_class
                .as_ref()
                .is_none_or(|class| kind(class) == kind(&group.class))
    });
    let all = chosen
        .map(|(name, group)| (name.to_owned(), group))
        .collect();
    let (page, next) = paged(all, ask.next_token.as_deref(), limit)?;
    let groups = page
        .iter()
        .map(|(name, group)| group_json(name, group, context));
    Ok(to_json(&with_token(
        json!({"logGroups": groups.collect::<Vec<_>>()}),
        next,
    )))
}

/// "If you specify either INFREQUENT_ACCESS or ESSENTIALS, the results include log groups in both."
fn kind(class: &str) -> &str {
    match class {
        "ESSENTIALS" => "INFREQUENT_ACCESS",
        other => other,
    }
}

fn group_json(name: &str, group: &Group, context: &Context<'_>) -> Json {
    let arn = format!("arn:aws:logs:{}:{ACCOUNT}:log-group:{name}", context.region);
    let mut json = json!({
        "logGroupName": name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "storedBytes": group.stored_bytes(),
        "logGroupClass": group.class,
    });
    if let Some(days) = group.retention_days {
        json["retentionInDays"] = days.into();
    }
    json
}

pub(super) fn describe_streams(
    ask: wire::DescribeLogStreams,
    store: &Store,
    context: &Context<'_>,
) -> Result<Vec<u8>, AwsError> {
    let group_name = either(ask.log_group_name, ask.log_group_identifier)?;
    let by_time = match ask.order_by.as_deref() {
        None | Some("LogStreamName") => false,
        Some("LastEventTime") => true,
        Some(other) => {
            return Err(AwsError::constraint(
                "orderBy",
                Some(other),
                "Member must satisfy enum value set: [LogStreamName, LastEventTime]",
            ));
        }
    };
    if let Some(prefix) = &ask.log_stream_name_prefix {
        names::stream_at("logStreamNamePrefix", prefix)?;
        if by_time {
            return Err(AwsError::invalid(
                "Cannot order by LastEventTime with a logStreamNamePrefix.",
            ));
        }
    }
    let limit = limit(ask.limit, DESCRIBE_ITEMS)?;
    let prefix = ask.log_stream_name_prefix.unwrap_or_default();
    let group = store.group(&group_name)?;
    let chosen = group
        .streams()
        .filter(|(name, _)| name.starts_with(&prefix));
    let mut all: Vec<(String, StreamFacts)> = chosen
        .map(|(name, facts)| (name.to_owned(), facts))
        .collect();
    if by_time {
        all.sort_by_key(|(_, facts)| facts.range_ms.map_or(0, |(_, last_ms)| last_ms));
    }
    if ask.descending == Some(true) {
        all.reverse();
    }
    let (page, next) = paged(all, ask.next_token.as_deref(), limit)?;
    let streams = page
        .iter()
        .map(|(name, facts)| stream_json(&group_name, name, facts, context));
    Ok(to_json(&with_token(
        json!({"logStreams": streams.collect::<Vec<_>>()}),
        next,
    )))
}

fn stream_json(group: &str, name: &str, facts: &StreamFacts, context: &Context<'_>) -> Json {
    let mut json = json!({
        "logStreamName": name,
        "creationTime": facts.created_ms,
        "arn": format!("arn:aws:logs:{}:{ACCOUNT}:log-group:{group}:log-stream:{name}", context.region),
        // "No longer supported for log streams": always zero.
        "storedBytes": 0,
    });
    if let Some((first_ms, last_ms)) = facts.range_ms {
        json["firstEventTimestamp"] = first_ms.into();
        json["lastEventTimestamp"] = last_ms.into();
    }
    if let Some(ingested_us) = facts.last_ingested_us {
        json["lastIngestionTime"] = (ingested_us / 1000).into();
    }
    json
}

fn with_token(mut json: Json, token: Option<String>) -> Json {
    if let Some(token) = token {
        json["nextToken"] = token.into();
    }
    json
}
