//! StartQuery, GetQueryResults and StopQuery.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::super::limits::{PAGE_BYTES, PAGE_EVENTS, QUERY_CHARS, QUERY_EVENTS};
use super::super::store::{Query, QueryState, Shown, Store};
use super::super::tokens;
use super::super::wire::{self, required};
use super::{Context, resource, to_json};
use crate::endpoint::AwsError;
use crate::logs::insights::{Insight, malformed};

pub(super) fn start(
    ask: wire::StartQuery,
    store: &mut Store,
    context: &Context<'_>,
) -> Result<Vec<u8>, AwsError> {
    let group = one_group(&ask)?;
    let start_s = seconds("startTime", ask.start_time)?;
    let end_s = seconds("endTime", ask.end_time)?;
    if end_s < start_s {
        return Err(AwsError::invalid(
            "Query's start time must not be after its end time.",
        ));
    }
    if ask.query_language.is_some_and(|it| it != "CWLI") {
        return Err(AwsError::invalid(
            "This endpoint knows queries of Logs Insights (CWLI) only.",
        ));
    }
    let text = required(ask.query_string, "queryString")?;
    if text.chars().count() > QUERY_CHARS {
        return Err(malformed("The query is too long."));
    }
    let mut insight = Insight::parse(&text)?;
    if let Some(limit) = ask.limit {
        let limit = usize::try_from(limit).ok();
        let limit = limit.filter(|limit| (1..=QUERY_EVENTS).contains(limit));
        let limit = limit.ok_or_else(|| {
            AwsError::constraint(
                "limit",
                None,
                &format!("Member must have value between 1 and {QUERY_EVENTS}"),
            )
        })?;
        insight.limit = insight.limit.min(limit);
    }
    let id = store.start_query(Query {
        group,
        insight,
        // The service makes milliseconds of both as they are: of the last second only the first instant is in
        // (github.com/aws/aws-sdk/issues/280).
        from_ms: start_s.saturating_mul(1000),
        to_ms: end_s.saturating_mul(1000),
        started_us: context.now_us,
        visible_us: context.visible_us,
        stopped: false,
    })?;
    Ok(to_json(&json!({ "queryId": id })))
}

/// `logGroupName`, or a list of one of the two kinds with one group in it.
fn one_group(ask: &wire::StartQuery) -> Result<String, AwsError> {
    let mut named: Vec<&String> = ask.log_group_name.iter().collect();
    let lists = [&ask.log_group_names, &ask.log_group_identifiers];
    let given = lists.iter().filter(|list| list.is_some()).count() + named.len();
    named.extend(lists.into_iter().flatten().flatten());
    match named[..] {
        [one] if given == 1 && one.starts_with("arn:") => resource(Some(one.clone())),
        [one] if given == 1 => Ok(one.clone()),
        _ if given != 1 => Err(AwsError::invalid(
            "Exactly one of logGroupName, logGroupNames and logGroupIdentifiers must be specified.",
        )),
        _ => Err(AwsError::invalid(
            "This endpoint queries one log group at a time.",
        )),
    }
}

fn seconds(member: &str, value: Option<i64>) -> Result<i64, AwsError> {
    match required(value, member)? {
        negative @ ..0 => Err(AwsError::constraint(
            member,
            Some(&negative.to_string()),
            "Member must have value greater than or equal to 0",
        )),
        seconds => Ok(seconds),
    }
}

pub(super) fn results(
    ask: wire::OfQuery,
    store: &Store,
    context: &Context<'_>,
) -> Result<Vec<u8>, AwsError> {
    let id = required(ask.query_id, "queryId")?;
    let query = store.query(&id)?;
    let skip = match ask.next_token.as_deref() {
        None => 0,
        Some(token) => {
            let count = tokens::read_opaque(token)?;
            count.parse().map_err(|_| tokens::invalid())?
        }
    };
    let state = query.state(context.now_us);
    let found = match state {
        QueryState::Scheduled | QueryState::Cancelled => Vec::new(),
        QueryState::Complete => store.found(query),
        // "Partial results": those of the first half, as if it had come so far.
        QueryState::Running => {
            let mut found = store.found(query);
            found.truncate(found.len() / 2);
            found
        }
    };
    let mut room_bytes = PAGE_BYTES;
    let mut rows = Vec::new();
    for (stream, event) in found.iter().skip(skip).take(PAGE_EVENTS) {
        // One is always shown, however long it is.
        if event.message.len() > room_bytes && !rows.is_empty() {
            break;
        }
        room_bytes = room_bytes.saturating_sub(event.message.len());
        rows.push(row(query, stream, event));
    }
    let shown = skip + rows.len();
    let bytes: usize = found.iter().map(|(_, event)| event.message.len()).sum();
    let mut answer = json!({
        "queryLanguage": "CWLI",
        "status": state.word(),
        "statistics": {
            "recordsMatched": found.len(),
            "recordsScanned": found.len(),
            "bytesScanned": bytes,
        },
        "results": rows,
    });
    if state == QueryState::Complete && shown < found.len() {
        answer["nextToken"] = tokens::opaque(&shown.to_string()).into();
    }
    Ok(to_json(&answer))
}

fn row(query: &Query, stream: &str, event: &Shown<'_>) -> Json {
    let field = |name: &str, value: String| json!({ "field": name, "value": value });
    let mut row: Vec<Json> = query
        .insight
        .fields
        .iter()
        .map(|name| {
            let value = match *name {
                "@timestamp" => utc(event.unix_ms),
                "@ingestionTime" => utc(event.ingested_us / 1000),
                "@logStream" => stream.to_owned(),
                _ => event.message.to_owned(),
            };
            field(name, value)
        })
        .collect();
    // Of each event, where it lies: for GetLogRecord.
    let place = format!(
        "{}/{stream}/{}/{}",
        query.group, event.unix_ms, event.ingested_us
    );
    row.push(field("@ptr", STANDARD.encode(place)));
    row.into()
}

/// `2026-11-23 07:00:37.123`.
fn utc(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map_or_else(
        |_| unix_ms.to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
    )
}

pub(super) fn stop(
    ask: wire::OfQuery,
    store: &mut Store,
    context: &Context<'_>,
) -> Result<Vec<u8>, AwsError> {
    let id = required(ask.query_id, "queryId")?;
    let stopped = store.stop_query(&id, context.now_us)?;
    if !stopped {
        return Err(AwsError::invalid(
            "Specified query is not running; it has ended before.",
        ));
    }
    Ok(to_json(&json!({ "success": true })))
}
