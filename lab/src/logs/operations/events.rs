//! GetLogEvents and FilterLogEvents.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::limits::{FILTER_STREAMS, PAGE_EVENTS};
use super::super::pattern::Pattern;
use super::super::store::{Cursor, Place, Shown, Store, StreamFacts, Window};
use super::super::wire::{self, required};
use super::super::{names, tokens};
use super::{Context, either, limit, to_json};
use crate::endpoint::AwsError;

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

pub(super) fn get_events(
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
    store.gives(&group, "GetLogEvents")?;
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

pub(super) fn filter_events(
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
    store.gives(&group, "FilterLogEvents")?;
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
