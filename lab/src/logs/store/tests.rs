#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::super::limits::{
    BATCH_BYTES, BATCH_EVENTS, DAY_MS, EVENT_BYTES, EVENT_OVERHEAD_BYTES, NEWEST_MS, OLDEST_MS,
    PAGE_EVENTS, SPAN_MS,
};
use super::*;

const NOW_MS: i64 = 1_800_000_000_000;
const NOW_US: i64 = NOW_MS * 1000;

fn store() -> Store {
    let mut store = Store::default();
    store.create_group("g", None, None, NOW_MS).unwrap();
    store.create_stream("g", "s", NOW_MS).unwrap();
    store
}

fn batch(events: &[(i64, &str)]) -> Batch {
    let mut batch = Batch::default();
    for (unix_ms, message) in events {
        batch.push(*unix_ms, message);
    }
    batch
}

fn put(store: &mut Store, events: &[(i64, &str)]) -> Result<Put, AwsError> {
    store.put("g", "s", &batch(events), NOW_US)
}

fn messages(store: &Store) -> Vec<String> {
    let events = store.events("g", "s").unwrap();
    events.into_iter().map(|event| event.message).collect()
}

/// The batch is refused as a whole, with a message that holds `words`, and nothing of it is kept.
fn refused(store: &mut Store, batch: &Batch, words: &str) {
    let error = store.put("g", "s", batch, NOW_US).unwrap_err();
    assert_eq!(error.code, "InvalidParameterException");
    assert!(error.message.contains(words), "{error}");
    assert_eq!(store.held().events, 0);
}

#[test]
fn a_batch_is_counted_as_its_utf8_and_26_for_each_event() {
    let mut store = store();
    let half = "x".repeat(BATCH_BYTES / 2 - EVENT_OVERHEAD_BYTES);
    let full = batch(&[(NOW_MS, &half), (NOW_MS, &half)]);
    assert_eq!(full.bytes(), BATCH_BYTES);
    refused(
        &mut store,
        &batch(&[(NOW_MS, &half), (NOW_MS, &(half.clone() + "x"))]),
        "Upload too large: 1048577 bytes exceeds limit of 1048576",
    );
    assert_eq!(store.put("g", "s", &full, NOW_US).unwrap().taken, 2);
    // Two bytes of UTF-8 count as two.
    let umlauts = "ä".repeat(BATCH_BYTES / 4);
    let events = [(NOW_MS, umlauts.as_str()), (NOW_MS, &umlauts)];
    assert!(put(&mut store, &events).is_err());
}

#[test]
fn an_event_is_at_most_a_mebibyte_with_its_overhead() {
    let mut store = store();
    let most = "x".repeat(EVENT_BYTES - EVENT_OVERHEAD_BYTES);
    refused(
        &mut store,
        &batch(&[(NOW_MS, &(most.clone() + "x"))]),
        "Log event too large: 1048577 bytes exceeds limit of 1048576",
    );
    assert_eq!(put(&mut store, &[(NOW_MS, &most)]).unwrap().taken, 1);
}

#[test]
fn a_batch_holds_one_to_ten_thousand_events_none_of_them_empty() {
    let mut store = store();
    let many = vec![(NOW_MS, "x"); BATCH_EVENTS + 1];
    refused(&mut store, &batch(&[]), "greater than or equal to 1");
    refused(&mut store, &batch(&many), "less than or equal to 10000");
    refused(
        &mut store,
        &batch(&[(NOW_MS, "x"), (NOW_MS, "")]),
        "logEvents.2.member.message",
    );
    assert_eq!(put(&mut store, &many[1..]).unwrap().taken, BATCH_EVENTS);
}

#[test]
fn events_are_in_order_of_time() {
    let mut store = store();
    refused(
        &mut store,
        &batch(&[(NOW_MS, "a"), (NOW_MS - 1, "b")]),
        "chronological order",
    );
    assert!(put(&mut store, &[(NOW_MS, "a"), (NOW_MS, "b")]).is_ok());
}

#[test]
fn a_batch_spans_a_day_of_those_events_that_are_valid() {
    let mut store = store();
    let first_ms = NOW_MS - SPAN_MS;
    refused(
        &mut store,
        &batch(&[(first_ms - 1, "a"), (NOW_MS, "b")]),
        "cannot span more than 24 hours",
    );
    assert!(put(&mut store, &[(first_ms, "a"), (NOW_MS, "b")]).is_ok());
    let with_old = [
        (NOW_MS - OLDEST_MS - 1, "old"),
        (first_ms, "a"),
        (NOW_MS, "b"),
    ];
    assert_eq!(put(&mut store, &with_old).unwrap().taken, 2);
}

#[test]
fn what_is_too_old_or_too_new_is_rejected_and_the_rest_taken() {
    let mut store = store();
    let oldest_ms = NOW_MS - OLDEST_MS;
    let done = put(
        &mut store,
        &[(oldest_ms - 1, "too old"), (oldest_ms, "old")],
    )
    .unwrap();
    assert_eq!((done.taken, done.rejected.too_old_end), (1, Some(1)));
    let newest_ms = NOW_MS + NEWEST_MS;
    let done = put(
        &mut store,
        &[(newest_ms, "new"), (newest_ms + 1, "too new")],
    )
    .unwrap();
    assert_eq!((done.taken, done.rejected.too_new_start), (1, Some(1)));
    assert_eq!(messages(&store), ["old", "new"]);
    let done = put(&mut store, &[(0, "a"), (1, "b")]).unwrap();
    assert_eq!((done.taken, done.rejected.too_old_end), (0, Some(2)));
}

#[test]
fn what_is_older_than_the_retention_is_expired() {
    let mut store = store();
    store.set_retention("g", Some(3)).unwrap();
    let events = [
        (NOW_MS - OLDEST_MS - 1, "too old"),
        (NOW_MS - 3 * DAY_MS - 1, "expired"),
        (NOW_MS - 3 * DAY_MS, "kept"),
    ];
    let done = put(&mut store, &events).unwrap();
    let rejected = Rejected {
        too_old_end: Some(1),
        expired_end: Some(2),
        too_new_start: None,
    };
    assert_eq!((done.taken, done.rejected), (1, rejected));
    store.set_retention("g", None).unwrap();
    assert_eq!(put(&mut store, &events[1..2]).unwrap().taken, 1);
}

#[test]
fn all_events_of_a_call_are_taken_at_one_instant() {
    let mut store = store();
    store
        .put("g", "s", &batch(&[(NOW_MS, "a"), (NOW_MS, "b")]), NOW_US)
        .unwrap();
    store
        .put("g", "s", &batch(&[(NOW_MS, "c")]), NOW_US + 5)
        .unwrap();
    let times: Vec<i64> = store
        .events("g", "s")
        .unwrap()
        .iter()
        .map(|event| event.ingested_us)
        .collect();
    assert_eq!(times, [NOW_US, NOW_US, NOW_US + 5]);
}

#[test]
fn what_is_not_there_is_not_found_and_what_is_there_exists() {
    let mut store = store();
    let code = |result: Result<(), AwsError>| result.unwrap_err().code;
    assert_eq!(
        code(store.create_group("g", None, None, 0)),
        "ResourceAlreadyExistsException"
    );
    assert_eq!(
        code(store.create_stream("g", "s", 0)),
        "ResourceAlreadyExistsException"
    );
    for result in [
        store.create_stream("x", "s", 0),
        store.delete_stream("g", "x"),
        store.delete_group("x"),
        store.set_retention("x", Some(1)),
        store
            .put("g", "x", &batch(&[(NOW_MS, "a")]), NOW_US)
            .map(drop),
        store
            .put("x", "s", &batch(&[(NOW_MS, "a")]), NOW_US)
            .map(drop),
    ] {
        assert_eq!(code(result), "ResourceNotFoundException");
    }
    store.delete_stream("g", "s").unwrap();
    assert_eq!(store.events("g", "s"), None);
}

const ALL: Window = Window {
    from_ms: 0,
    to_ms: i64::MAX,
    visible_us: i64::MAX,
    limit: PAGE_EVENTS,
};

fn shown(page: &Page<'_>) -> Vec<String> {
    page.events()
        .map(|event| event.message.to_owned())
        .collect()
}

#[test]
fn pages_go_by_time_in_both_directions_and_end_where_they_stand() {
    let mut store = store();
    put(&mut store, &[(NOW_MS + 2, "c"), (NOW_MS + 3, "d")]).unwrap();
    put(&mut store, &[(NOW_MS, "a"), (NOW_MS + 2, "c2")]).unwrap();
    let two = Window { limit: 2, ..ALL };
    let page = store
        .page("g", "s", &two, Cursor::After(Place::HEAD))
        .unwrap();
    assert_eq!(shown(&page), ["a", "c"]);
    let next = Cursor::After(page.forward);
    let page = store.page("g", "s", &two, next).unwrap();
    assert_eq!(shown(&page), ["c2", "d"]);
    let (end, back) = (page.forward, page.backward);
    let page = store.page("g", "s", &two, Cursor::After(end)).unwrap();
    assert_eq!((shown(&page), page.forward), (vec![], end));
    let page = store.page("g", "s", &two, Cursor::Before(back)).unwrap();
    assert_eq!(shown(&page), ["a", "c"]);
    // An event that comes later is found from the old end.
    put(&mut store, &[(NOW_MS + 3, "e")]).unwrap();
    let page = store.page("g", "s", &two, Cursor::After(end)).unwrap();
    assert_eq!(shown(&page), ["e"]);
    let page = store
        .page("g", "s", &two, Cursor::Before(Place::END))
        .unwrap();
    assert_eq!(shown(&page), ["d", "e"]);
}

#[test]
fn a_page_holds_a_mebibyte() {
    let mut store = store();
    let third = "x".repeat(BATCH_BYTES / 3);
    for _ in 0..2 {
        put(&mut store, &[(NOW_MS, &third), (NOW_MS, &third)]).unwrap();
    }
    let page = store
        .page("g", "s", &ALL, Cursor::After(Place::HEAD))
        .unwrap();
    assert_eq!(page.events().count(), 2);
    let next = Cursor::After(page.forward);
    let page = store.page("g", "s", &ALL, next).unwrap();
    assert_eq!(page.events().count(), 2);
}

#[test]
fn an_event_shows_only_when_its_time_of_being_seen_has_come() {
    let mut store = store();
    put(&mut store, &[(NOW_MS, "a")]).unwrap();
    let unseen = Window {
        visible_us: NOW_US - 1,
        ..ALL
    };
    let page = store
        .page("g", "s", &unseen, Cursor::After(Place::HEAD))
        .unwrap();
    assert_eq!(page.events().count(), 0);
    let (found, _) = store
        .filter("g", |_| true, &unseen, &Pattern::default(), 0)
        .unwrap();
    assert_eq!(found, []);
    assert_eq!(messages(&store), ["a"]);
}

#[test]
fn a_filter_interleaves_streams_by_time() {
    let mut store = store();
    store.create_stream("g", "t", NOW_MS).unwrap();
    put(&mut store, &[(NOW_MS, "a x"), (NOW_MS + 2, "c x")]).unwrap();
    let other = batch(&[(NOW_MS + 1, "b x"), (NOW_MS + 1, "b")]);
    store.put("g", "t", &other, NOW_US).unwrap();
    let pattern = Pattern::parse("x").unwrap();
    let two = Window { limit: 2, ..ALL };
    let found = |skip, chosen: fn(&str) -> bool| {
        let (events, more) = store.filter("g", chosen, &two, &pattern, skip).unwrap();
        let events: Vec<(&str, &str)> = events
            .into_iter()
            .map(|(stream, event)| (stream, event.message))
            .collect();
        (events, more)
    };
    assert_eq!(found(0, |_| true), (vec![("s", "a x"), ("t", "b x")], true));
    assert_eq!(found(2, |_| true), (vec![("s", "c x")], false));
    assert_eq!(found(0, |name| name == "t"), (vec![("t", "b x")], false));
}

#[test]
fn a_million_lines_cost_little_more_than_their_bytes() {
    let mut store = store();
    let line = "x".repeat(220);
    let mut full = Batch::default();
    while full.bytes() + line.len() + EVENT_OVERHEAD_BYTES <= BATCH_BYTES {
        full.push(NOW_MS, &line);
    }
    let mut sent = 0;
    while sent < 200_000 {
        sent += store.put("g", "s", &full, NOW_US).unwrap().taken;
    }
    let held = store.held();
    assert_eq!(held.events, sent as u64);
    let ratio = held.memory_bytes as f64 / held.message_bytes as f64;
    assert!(ratio < 1.3, "{ratio}");
}

fn query(text: &str, from_ms: i64, to_ms: i64, visible_us: i64) -> Query {
    Query {
        group: "g".into(),
        insight: crate::logs::insights::Insight::parse(text).unwrap(),
        from_ms,
        to_ms,
        started_us: NOW_US,
        visible_us,
        stopped: false,
    }
}

fn found(store: &Store, query: &Query) -> Vec<String> {
    let found = store.found(query).into_iter();
    found
        .map(|(stream, event)| format!("{stream} {}", event.message))
        .collect()
}

#[test]
fn a_query_finds_what_its_stream_had_in_its_time_when_it_began() {
    let mut store = store();
    store.create_stream("g", "t", NOW_MS).unwrap();
    put(
        &mut store,
        &[(NOW_MS, "a"), (NOW_MS + 1, "b"), (NOW_MS + 2, "c")],
    )
    .unwrap();
    store
        .put("g", "t", &batch(&[(NOW_MS, "other")]), NOW_US)
        .unwrap();
    store
        .put("g", "s", &batch(&[(NOW_MS + 1, "later")]), NOW_US + 7)
        .unwrap();
    let text = r#"fields @timestamp, @message | filter @logStream = "s" | sort @timestamp asc"#;
    let all = query(text, NOW_MS, NOW_MS + 1, NOW_US);
    assert_eq!(found(&store, &all), ["s a", "s b"]);
    let later = query(text, NOW_MS, NOW_MS + 1, NOW_US + 7);
    assert_eq!(found(&store, &later), ["s a", "s b", "s later"]);
    let newest = query("fields @message | limit 2", 0, i64::MAX, NOW_US);
    assert_eq!(found(&store, &newest), ["s c", "s b"]);
}

#[test]
fn a_query_waits_runs_and_ends_or_is_stopped() {
    let mut store = store();
    let id = store
        .start_query(query("fields @message", 0, i64::MAX, 0))
        .unwrap();
    let state = |store: &Store, after_us| store.query(&id).unwrap().state(NOW_US + after_us);
    assert_eq!(state(&store, 0), QueryState::Scheduled);
    assert_eq!(state(&store, 50_000), QueryState::Running);
    assert_eq!(state(&store, 300_000), QueryState::Complete);
    assert!(store.stop_query(&id, NOW_US + 1).unwrap());
    assert_eq!(state(&store, 300_000), QueryState::Cancelled);
    assert_eq!(
        store.query("x").unwrap_err().code,
        "ResourceNotFoundException"
    );
}

#[test]
fn a_query_of_a_time_before_its_group_is_refused_though_older_events_are_there() {
    let mut store = store();
    put(&mut store, &[(NOW_MS - 5_000, "old")]).unwrap();
    let early = query("fields @message", 0, NOW_MS - 1, NOW_US);
    let error = store.start_query(early).unwrap_err();
    assert_eq!(error.code, "MalformedQueryException");
    let reaching = query("fields @message", 0, NOW_MS, NOW_US);
    assert_eq!(found(&store, &reaching), ["s old"]);
    assert!(store.start_query(reaching).is_ok());
}

#[test]
fn only_groups_of_the_standard_class_give_their_streams() {
    let mut store = Store::default();
    for class in CLASSES {
        store
            .create_group(&format!("/{class}"), Some(class), None, NOW_MS)
            .unwrap();
    }
    assert!(store.gives("/STANDARD", "GetLogEvents").is_ok());
    for class in &CLASSES[1..] {
        let error = store
            .gives(&format!("/{class}"), "GetLogEvents")
            .unwrap_err();
        assert_eq!(error.code, "InvalidOperationException");
        assert!(error.message.contains(class), "{error}");
    }
    let of_delivery = Query {
        group: "/DELIVERY".into(),
        ..query("fields @message", 0, i64::MAX, 0)
    };
    assert_eq!(
        store.start_query(of_delivery).unwrap_err().code,
        "InvalidOperationException"
    );
}
