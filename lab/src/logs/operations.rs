//! Each operation: its request read, the store asked or changed, its answer written.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::error::AwsError;
use super::limits::{DESCRIBE_ITEMS, FILTER_STREAMS, PAGE_EVENTS};
use super::names;
use super::pattern::Pattern;
use super::store::{Cursor, Group, Place, Put, Shown, Store, StreamFacts, Window};
use super::tokens;
use super::wire::{self, required};

/// The account of all ARNs, as moto's.
pub(crate) const ACCOUNT: &str = "123456789012";

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
        "DescribeLogGroups" => return describe_groups(wire::read(body)?, store, context),
        "DescribeLogStreams" => return describe_streams(wire::read(body)?, store, context),
        "GetLogEvents" => return get_events(wire::read(body)?, store, context),
        "FilterLogEvents" => return filter_events(wire::read(body)?, store, context),
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

fn describe_groups(
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
                .is_none_or(|class| *class == group.class)
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

fn describe_streams(
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    log_stream_name: Option<&'e str>,
    timestamp: i64,
    message: &'e str,
    ingestion_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
}

impl<'e> Event<'e> {
    fn of(shown: &Shown<'e>) -> Self {
        Self {
            log_stream_name: None,
            timestamp: shown.unix_ms,
            message: shown.message,
            ingestion_time: shown.ingested_us / 1000,
            event_id: None,
        }
    }
}

fn get_events(
    ask: wire::GetLogEvents,
    store: &mut Store,
    context: &Context<'_>,
) -> Result<Vec<u8>, AwsError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'e> {
        events: Vec<Event<'e>>,
        next_forward_token: String,
        next_backward_token: String,
    }
    let group = either(ask.log_group_name, ask.log_group_identifier)?;
    let stream = required(ask.log_stream_name, "logStreamName")?;
    let window = Window {
        from_ms: time("startTime", ask.start_time)?.unwrap_or(0),
        // "Events with a timestamp equal to or later than this time are not included."
        to_ms: time("endTime", ask.end_time)?.map_or(i64::MAX, |end_ms| end_ms - 1),
        visible_us: context.visible_us,
        limit: limit(ask.limit, PAGE_EVENTS)?,
    };
    let cursor = match ask.next_token.as_deref() {
        Some(token) => tokens::cursor(token)?,
        None if ask.start_from_head == Some(true) => Cursor::After(Place::HEAD),
        None => Cursor::Before(Place::END),
    };
    let page = store.page(&group, &stream, &window, cursor)?;
    let answer = Answer {
        events: page.events().map(|shown| Event::of(&shown)).collect(),
        next_forward_token: tokens::events(Cursor::After(page.forward)),
        next_backward_token: tokens::events(Cursor::Before(page.backward)),
    };
    Ok(to_json(&answer))
}

fn filter_events(
    ask: wire::FilterLogEvents,
    store: &Store,
    context: &Context<'_>,
) -> Result<Vec<u8>, AwsError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'e> {
        events: Vec<Event<'e>>,
        // "No longer supported. This parameter returns an empty list."
        searched_log_streams: [(); 0],
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    let group = either(ask.log_group_name, ask.log_group_identifier)?;
    if ask.log_stream_names.is_some() && ask.log_stream_name_prefix.is_some() {
        return Err(AwsError::invalid(
            "LogStream names and LogStream name prefix are mutually exclusive parameters.",
        ));
    }
    if ask.start_from_head == Some(false) {
        return Err(AwsError::invalid(
            "This endpoint does not support startFromHead=false in FilterLogEvents.",
        ));
    }
    if let Some(prefix) = &ask.log_stream_name_prefix {
        names::stream_at("logStreamNamePrefix", prefix)?;
    }
    if let Some(named) = &ask.log_stream_names {
        if named.is_empty() || named.len() > FILTER_STREAMS {
            let over = !named.is_empty();
            let bound = if over { FILTER_STREAMS } else { 1 };
            return Err(names::length_error("logStreamNames", None, over, bound));
        }
        let streams: BTreeMap<&str, StreamFacts> = store.group(&group)?.streams().collect();
        if named
            .iter()
            .any(|name| !streams.contains_key(name.as_str()))
        {
            return Err(AwsError::no_stream());
        }
    }
    let window = Window {
        from_ms: time("startTime", ask.start_time)?.unwrap_or(0),
        // "Events with a timestamp later than this time are not returned."
        to_ms: time("endTime", ask.end_time)?.unwrap_or(i64::MAX),
        visible_us: context.visible_us,
        limit: limit(ask.limit, PAGE_EVENTS)?,
    };
    let skip = match ask.next_token.as_deref() {
        None => 0,
        Some(token) => {
            let count = tokens::read_opaque(token)?;
            count.parse().map_err(|_| tokens::invalid())?
        }
    };
    let pattern = Pattern::parse(ask.filter_pattern.as_deref().unwrap_or_default())?;
    let prefix = ask.log_stream_name_prefix.unwrap_or_default();
    let chosen = |name: &str| {
        let named = ask.log_stream_names.as_ref();
        name.starts_with(&prefix) && named.is_none_or(|named| named.iter().any(|one| one == name))
    };
    let (found, more) = store.filter(&group, chosen, &window, &pattern, skip)?;
    let next_token = more.then(|| tokens::opaque(&(skip + found.len()).to_string()));
    let events = found
        .iter()
        .enumerate()
        .map(|(index, (stream, shown))| Event {
            log_stream_name: Some(stream),
            event_id: Some(format!("{:0>36}{:0>20}", shown.ingested_us, skip + index)),
            ..Event::of(shown)
        });
    Ok(to_json(&Answer {
        events: events.collect(),
        searched_log_streams: [],
        next_token,
    }))
}

fn time(member: &str, unix_ms: Option<i64>) -> Result<Option<i64>, AwsError> {
    match unix_ms {
        Some(unix_ms) if unix_ms < 0 => Err(AwsError::constraint(
            member,
            Some(&unix_ms.to_string()),
            "Member must have value greater than or equal to 0",
        )),
        other => Ok(other),
    }
}

fn tags(store: &Store, group: &str) -> Result<Vec<u8>, AwsError> {
    Ok(to_json(&json!({"tags": store.group(group)?.tags})))
}

fn with_token(mut json: Json, token: Option<String>) -> Json {
    if let Some(token) = token {
        json["nextToken"] = token.into();
    }
    json
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    // What is written here has string keys only, so it cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}
