//! The rules of the service and the account of bytes, checked by one who knows nothing of how batches are made.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::account::{Filtered, GenerationId};

const NOW_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 60 * 60 * 1000;

fn now(ms: u64) -> Now {
    Now {
        monotonic: Duration::from_millis(ms),
        unix_ms: NOW_MS + ms as i64,
    }
}

fn target(name: &str) -> Arc<Target> {
    Arc::new(Target {
        group: "group".into(),
        stream: name.into(),
        retention_days: None,
        class: Default::default(),
    })
}

fn span(generation: u64, start: u64, bytes: u64) -> Span {
    Span {
        generation: GenerationId(generation),
        start,
        end: start + bytes,
    }
}

/// Checks what PutLogEvents would check, and gives the events.
fn validate(batch: &Batch) -> Vec<(i64, String)> {
    let body: Value = serde_json::from_slice(&batch.body).unwrap();
    assert_eq!(body["logGroupName"], *batch.target.group);
    assert_eq!(body["logStreamName"], *batch.target.stream);
    let events: Vec<(i64, String)> = body["logEvents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["timestamp"].as_i64().unwrap(),
                event["message"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert!(!events.is_empty() && events.len() <= 10_000);
    assert!(
        events
            .iter()
            .map(|(_, message)| message.len() + 26)
            .sum::<usize>()
            <= 1_048_576
    );
    assert!(events.is_sorted_by_key(|(unix_ms, _)| *unix_ms));
    assert!(events.last().unwrap().0 - events[0].0 <= 24 * HOUR_MS);
    assert_eq!(
        (batch.first_ms, batch.last_ms),
        (events[0].0, events.last().unwrap().0)
    );
    assert_eq!(events.len(), batch.events.len());
    for (entry, (unix_ms, message)) in batch.events.iter().zip(&events) {
        let json: Value =
            serde_json::from_slice(&batch.body[entry.start as usize..entry.end as usize]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"timestamp": unix_ms, "message": message})
        );
        assert_eq!(entry.unix_ms, *unix_ms);
    }
    let mut of_parts: Vec<u64> = batch
        .parts
        .iter()
        .map(|part| part.not_shipped.iter().map(|(_, bytes)| bytes).sum())
        .collect();
    for entry in &batch.events {
        of_parts[entry.part as usize] += u64::from(entry.bytes);
    }
    assert_eq!(
        of_parts,
        batch
            .parts
            .iter()
            .map(|part| part.span.bytes())
            .collect::<Vec<_>>(),
        "each byte of a part is sent or has a fate"
    );
    events
}

/// Nothing is under way that anything would have to wait for.
fn free(_: &Arc<Target>, _: i64, _: i64) -> bool {
    true
}

fn drain(batcher: &mut Batcher) -> Vec<Batch> {
    std::iter::from_fn(|| batcher.sealed()).collect()
}

#[test]
fn the_first_line_after_quiet_leaves_at_once_and_the_next_ones_after_the_interval() {
    let mut batcher = Batcher::new(Limits::default(), 7);
    let stream = target("a");
    let flush = FLUSH_DEFAULT.as_millis() as u64;
    assert_eq!(batcher.next_due(free), None);
    assert_eq!(
        batcher.add(&stream, span(1, 0, 3), NOW_MS, "one", now(1000)),
        Added::Taken
    );
    assert_eq!(batcher.next_due(free), Some(now(1000).monotonic));
    batcher.flush(now(1000), free);
    let first = batcher.sealed().unwrap();
    assert_eq!(
        (first.id, validate(&first)),
        (BatchId(7), vec![(NOW_MS, "one".to_owned())])
    );

    batcher.add(&stream, span(1, 3, 3), NOW_MS, "two", now(1010));
    batcher.add(&stream, span(1, 6, 5), NOW_MS, "three", now(1020));
    batcher.flush(now(1020), free);
    assert!(batcher.sealed().is_none(), "the stream is busy");
    assert_eq!(batcher.next_due(free), Some(now(1000 + flush).monotonic));
    batcher.flush(now(1000 + flush), free);
    assert_eq!(validate(&batcher.sealed().unwrap()).len(), 2);

    batcher.add(&stream, span(1, 11, 4), NOW_MS, "four", now(60_000));
    assert_eq!(
        batcher.next_due(free),
        Some(now(60_000).monotonic),
        "quiet again"
    );
}

#[test]
fn a_batch_ends_at_each_rule_of_the_service() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let stream = target("a");
    for at in 0..10_001 {
        batcher.add(&stream, span(1, at, 1), NOW_MS, "x", now(0));
    }
    assert_eq!(
        drain(&mut batcher)
            .iter()
            .map(|batch| validate(batch).len())
            .collect::<Vec<_>>(),
        [10_000]
    );

    let half = "y".repeat(BATCH_BYTES_MAX / 2 - EVENT_OVERHEAD_BYTES);
    let stream = target("b");
    for at in 0..3 {
        batcher.add(&stream, span(1, at, 1), NOW_MS, &half, now(0));
    }
    assert_eq!(
        drain(&mut batcher)
            .iter()
            .map(|batch| validate(batch).len())
            .collect::<Vec<_>>(),
        [2]
    );

    let stream = target("c");
    for (at, unix_ms) in [NOW_MS - 24 * HOUR_MS, NOW_MS, NOW_MS + 1]
        .into_iter()
        .enumerate()
    {
        batcher.add(&stream, span(1, at as u64, 1), unix_ms, "z", now(0));
    }
    assert_eq!(
        drain(&mut batcher)
            .iter()
            .map(|batch| validate(batch).len())
            .collect::<Vec<_>>(),
        [2]
    );
}

/// Lines of about 222 bytes of one file, so many of each second, as batches.
fn of_seconds(per_second: i64, lines: i64) -> Vec<Batch> {
    let mut batcher = Batcher::new(
        Limits {
            memory_bytes: usize::MAX / 2,
            ..Limits::default()
        },
        0,
    );
    let stream = target("a");
    for line in 0..lines {
        let unix_ms = NOW_MS - 24 * HOUR_MS + line / per_second * 1000;
        let message = "x".repeat(180 + (line * 7919 % 80) as usize);
        let span = span(1, line as u64, 1);
        assert_eq!(
            batcher.add(&stream, span, unix_ms, &message, now(0)),
            Added::Taken
        );
    }
    drain(&mut batcher)
}

/// How full the batch is.
fn fullness(batch: &Batch) -> f64 {
    let events = validate(batch);
    let bytes: usize = events.iter().map(|(_, message)| message.len() + 26).sum();
    let of_bytes = bytes as f64 / BATCH_BYTES_MAX as f64;
    of_bytes.max(events.len() as f64 / BATCH_EVENTS_MAX as f64)
}

fn share_no_time(batches: &[Batch]) -> bool {
    batches
        .windows(2)
        .all(|pair| pair[0].last_ms < pair[1].first_ms)
}

#[test]
fn a_batch_ends_where_the_second_does_and_is_nearly_full() {
    for (per_second, least) in [
        (1, 0.95),
        (10, 0.95),
        (300, 0.9),
        (1000, 0.85),
        (1500, 0.65),
        (2500, 0.55),
        (4000, 0.9),
    ] {
        let batches = of_seconds(per_second, 40_000);
        assert!(batches.len() > 5);
        assert!(share_no_time(&batches), "{per_second} lines a second");
        let full = batches.iter().map(fullness).sum::<f64>() / batches.len() as f64;
        assert!(full >= least, "{per_second} lines a second: {full}");
    }
}

#[test]
fn more_lines_of_one_second_than_a_batch_takes_fill_batches() {
    let batches = of_seconds(10_000, 40_000);
    for pair in batches.windows(2) {
        assert!(fullness(&pair[0]) >= 0.99 || pair[0].last_ms < pair[1].first_ms);
    }
}

#[test]
fn batches_of_lines_without_a_time_share_none_although_all_are_read_at_once() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let stream = target("a");
    let line = "x".repeat(1000);
    for at in 0..5000 {
        let span = span(1, at, 1);
        // Nothing of it is a matter of where a batch ends.
        let now = now(at / 700);
        assert_eq!(
            batcher.add(&stream, span, When::Reading, &line, now),
            Added::Taken
        );
    }
    let batches = drain(&mut batcher);
    assert!(batches.len() >= 4 && share_no_time(&batches));
    assert!(batches.iter().all(|batch| fullness(batch) > 0.99));
    assert!(batches.last().unwrap().last_ms < now(4999 / 700).unix_ms + 5);
}

#[test]
fn what_would_have_to_wait_goes_on_growing_up_to_where_the_time_rises() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let stream = target("a");
    let add = |batcher: &mut Batcher, at: u64, ahead_ms: i64| {
        let unix_ms = NOW_MS + ahead_ms;
        batcher.add(&stream, span(1, at, 1), unix_ms, "line", now(at));
    };
    // A batch up to this time is under way.
    let is_free = |_: &Arc<Target>, first_ms: i64, _: i64| first_ms > NOW_MS;
    add(&mut batcher, 0, 0);
    assert_eq!(
        batcher.next_due(is_free),
        None,
        "an answer wakes the engine"
    );
    batcher.flush(now(1), is_free);
    assert!(!batcher.has_sealed());
    add(&mut batcher, 1, 0);
    assert!(!batcher.has_sealed());
    add(&mut batcher, 2, 1000);
    add(&mut batcher, 3, 1000);
    let waits = batcher.sealed().unwrap();
    assert_eq!((validate(&waits).len(), waits.last_ms), (2, NOW_MS));
    let flush = FLUSH_DEFAULT.as_millis() as u64;
    assert_eq!(batcher.next_due(is_free), Some(now(2 + flush).monotonic));
    batcher.flush(now(2 + flush), is_free);
    assert_eq!(batcher.sealed().unwrap().first_ms, NOW_MS + 1000);
    // What waited and is free now is due at once.
    add(&mut batcher, 600, 0);
    batcher.flush(now(5000), is_free);
    assert!(!batcher.has_sealed());
    assert!(
        batcher
            .next_due(free)
            .is_some_and(|due| due <= now(5000).monotonic)
    );
    batcher.flush(now(5000), free);
    assert!(batcher.has_sealed());
}

#[test]
fn lines_of_one_time_stay_as_they_came_when_a_batch_is_sorted() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let stream = target("a");
    let lines = [(5, "a"), (4, "x"), (5, "b"), (4, "y"), (5, "c"), (4, "z")];
    for (at, (ms, line)) in (0..).zip(lines) {
        batcher.add(&stream, span(at % 2, at, 1), NOW_MS + ms, line, now(0));
    }
    batcher.flush_all(now(0));
    let events = validate(&batcher.sealed().unwrap());
    let lines: String = events.into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, "xyzabc");
}

#[test]
fn a_line_too_far_ahead_is_sent_with_the_time_of_its_reading() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    batcher.add(
        &target("a"),
        span(1, 0, 1),
        NOW_MS + 3 * HOUR_MS,
        "x",
        now(0),
    );
    batcher.flush_all(now(0));
    assert_eq!(
        validate(&batcher.sealed().unwrap()),
        [(NOW_MS, "x".to_owned())]
    );
    assert_eq!(batcher.restamped(), 1);
}

#[test]
fn filtered_bytes_join_the_part_before_them_or_are_left_to_the_caller() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let stream = target("a");
    let empty = Fate::Filtered(Filtered::Empty);
    assert!(!batcher.skip(&stream, span(1, 0, 1), empty));
    batcher.add(&stream, span(1, 1, 4), NOW_MS, "line", now(0));
    assert!(batcher.skip(&stream, span(1, 5, 1), empty));
    assert!(batcher.skip(&stream, span(1, 6, 2), empty));
    assert!(
        !batcher.skip(&stream, span(1, 9, 1), empty),
        "not what comes next"
    );
    assert!(
        !batcher.skip(&stream, span(2, 8, 1), empty),
        "of another file"
    );
    assert!(!batcher.skip(&target("b"), span(1, 8, 1), empty));
    batcher.flush_all(now(0));
    let batch = batcher.sealed().unwrap();
    validate(&batch);
    assert_eq!(
        batch.parts,
        [Part {
            span: span(1, 1, 7),
            not_shipped: vec![(empty, 3)]
        }]
    );
}

#[test]
fn the_largest_event_fits_however_it_is_escaped_even_into_the_least_memory() {
    let limits = Limits {
        memory_bytes: 0,
        ..Limits::default()
    };
    let mut batcher = Batcher::new(limits, 0);
    let message = "\u{1}".repeat(BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES);
    for at in 0..3 {
        assert_eq!(
            batcher.add(&target("a"), span(1, at, 1), NOW_MS, &message, now(at)),
            Added::Taken
        );
        assert_eq!(
            batcher.add(&target("b"), span(1, at, 1), NOW_MS, &message, now(at)),
            Added::Full
        );
        batcher.flush_all(now(at));
        for batch in drain(&mut batcher) {
            validate(&batch);
            batcher.release(batch);
        }
    }
}

#[test]
fn a_crowd_of_busy_streams_keeps_half_of_the_memory_on_its_way() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let streams: Vec<_> = (0..100).map(|n| target(&n.to_string())).collect();
    let line = "x".repeat(1000);
    let mut at = 0;
    while streams
        .iter()
        .all(|stream| batcher.add(stream, span(1, at, 1), NOW_MS, &line, now(0)) == Added::Taken)
    {
        at += 1;
    }
    let sealed = drain(&mut batcher);
    let sealed_bytes: usize = sealed.iter().map(|batch| batch.memory_bytes).sum();
    assert!(
        sealed_bytes >= batcher.memory_bytes() / 3,
        "{sealed_bytes} of {}",
        batcher.memory_bytes()
    );
    assert!(batcher.memory_bytes() <= MEMORY_BYTES_DEFAULT);
}

#[test]
fn a_thousand_streams_of_one_line_cost_little_and_leave_in_time() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let streams: Vec<_> = (0..1000).map(|n| target(&n.to_string())).collect();
    for stream in &streams {
        assert_eq!(
            batcher.add(stream, span(1, 0, 1), NOW_MS, "line", now(0)),
            Added::Taken
        );
    }
    assert!(
        batcher.memory_bytes() < 6 * 1024 * 1024,
        "{}",
        batcher.memory_bytes()
    );
    let mut left = 0;
    let mut at = Duration::ZERO;
    while let Some(due) = batcher.next_due(free)
        && left < 1000
    {
        at = at.max(due);
        let now = Now {
            monotonic: at,
            unix_ms: NOW_MS,
        };
        batcher.flush(now, free);
        left += drain(&mut batcher)
            .into_iter()
            .map(|batch| batcher.release(batch))
            .count();
    }
    assert_eq!(left, 1000);
    assert!(
        (Duration::from_secs(15)..=Duration::from_secs(20)).contains(&at),
        "{at:?}"
    );
}

#[test]
fn after_quiet_no_memory_is_held() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let line = "x".repeat(200_000);
    batcher.add(&target("a"), span(1, 0, 1), NOW_MS, &line, now(0));
    batcher.flush(now(0), free);
    let batch = batcher.sealed().unwrap();
    batcher.release(batch);
    batcher.flush(now(10), free);
    assert!(!batcher.pool.is_trim(), "kept for the next batch");
    let due = batcher.next_due(free).unwrap();
    let now = Now {
        monotonic: due,
        unix_ms: NOW_MS,
    };
    batcher.flush(now, free);
    assert!(batcher.pool.is_trim());
    assert_eq!(batcher.next_due(free), None, "nothing wakes the engine");
}

#[test]
fn streams_that_are_gone_are_forgotten() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    for n in 0..10_000 {
        let at = now(n * 1000);
        batcher.add(&target(&n.to_string()), span(n, 0, 1), NOW_MS, "line", at);
        batcher.flush(at, free);
        let batch = batcher.sealed().unwrap();
        batcher.release(batch);
    }
    assert!(
        batcher.streams.len() <= 2 * SWEEP_MIN,
        "{}",
        batcher.streams.len()
    );
}

#[test]
fn a_batch_that_the_ledger_knows_is_written_again_to_the_byte() {
    let mut batcher = Batcher::new(Limits::default(), 0);
    let stream = target("a");
    let lines = [
        (NOW_MS + 5, "late", 1, 0),
        (NOW_MS, "early \"1\"", 2, 0),
        (NOW_MS, "early 2", 1, 10),
    ];
    for (unix_ms, line, generation, start) in lines {
        batcher.add(&stream, span(generation, start, 10), unix_ms, line, now(0));
    }
    batcher.flush_all(now(0));
    let batch = batcher.sealed().unwrap();

    let mut again = Batcher::new(Limits::default(), 9);
    let mut draft = again.reopen(&stream, batch.parts.clone(), now(99));
    for (unix_ms, line, generation, _) in lines {
        let part = batch
            .parts
            .iter()
            .position(|part| part.span.generation == GenerationId(generation))
            .unwrap();
        assert!(again.readd(&mut draft, part as u32, 10, unix_ms, line));
    }
    let rebuilt = again.reseal(draft, batch.id);
    assert_eq!(
        (rebuilt.id, &rebuilt.body, &rebuilt.events, &rebuilt.parts),
        (batch.id, &batch.body, &batch.events, &batch.parts)
    );
    again.release(rebuilt);
    assert_eq!(again.memory_bytes(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Add {
        stream: usize,
        ahead_ms: i64,
        message: String,
        times: usize,
    },
    Skip {
        stream: usize,
        bytes: u64,
    },
    Flush {
        after_ms: u64,
    },
    Take,
    Release {
        index: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let time = prop_oneof![8 => 0..2000_i64, 2 => -30 * HOUR_MS..HOUR_MS, 1 => -400 * HOUR_MS..400 * HOUR_MS];
    let message = prop_oneof![
        6 => "[ -~]{0,40}".prop_map(String::from),
        2 => "(\\PC|[\"\\\\\\x00-\\x20]){1,30}".prop_map(String::from),
        1 => ("(\\PC|[\"\\\\\\x00-\\x20]){1,10}", 1..10_000_usize).prop_map(|(text, times)| text.repeat(times)),
    ];
    prop_oneof![
        8 => (0..4_usize, time, message, prop_oneof![4 => 1..4_usize, 1 => 1..100_usize])
            .prop_map(|(stream, ahead_ms, message, times)| Step::Add { stream, ahead_ms, message, times }),
        2 => (0..4_usize, 1..50_u64).prop_map(|(stream, bytes)| Step::Skip { stream, bytes }),
        2 => (0..1500_u64).prop_map(|after_ms| Step::Flush { after_ms }),
        2 => Just(Step::Take),
        2 => (0..20_usize).prop_map(|index| Step::Release { index }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes in whatever order: each batch is valid, each event is in exactly one, and memory stays within its bound.
    #[test]
    fn batches_are_valid_complete_and_bounded(steps in prop::collection::vec(step(), 1..60), memory_bytes in prop_oneof![Just(0), Just(MEMORY_BYTES_DEFAULT)]) {
        let limits = Limits { memory_bytes, ..Limits::default() };
        let bound = memory_bytes.max(MEMORY_BYTES_MIN);
        let mut batcher = Batcher::new(limits, 0);
        let streams: Vec<_> = (0..4).map(|n| target(&n.to_string())).collect();
        let mut offsets = [0_u64; 4];
        let mut expected: BTreeMap<(usize, i64, String), usize> = BTreeMap::new();
        let mut restamped: BTreeMap<(usize, String), usize> = BTreeMap::new();
        let mut arrived = BTreeMap::new();
        let mut held: Vec<Batch> = Vec::new();
        let mut at = 0;
        let take = |batcher: &mut Batcher, held: &mut Vec<Batch>, arrived: &mut BTreeMap<_, usize>| {
            for batch in drain(batcher) {
                let stream = streams.iter().position(|stream| *stream == batch.target).unwrap();
                for (unix_ms, message) in validate(&batch) {
                    *arrived.entry((stream, unix_ms, message)).or_default() += 1;
                }
                held.push(batch);
            }
        };
        for step in steps {
            match step {
                Step::Add { stream, ahead_ms, message, times } => for _ in 0..times {
                    let unix_ms = now(at).unix_ms + ahead_ms;
                    let bytes = message.len() as u64 + 1;
                    let span = span(stream as u64, offsets[stream], bytes);
                    match batcher.add(&streams[stream], span, unix_ms, &message, now(at)) {
                        Added::Taken => {
                            if ahead_ms > 2 * HOUR_MS {
                                *restamped.entry((stream, message.clone())).or_default() += 1;
                            } else {
                                *expected.entry((stream, unix_ms, message.clone())).or_default() += 1;
                            }
                            offsets[stream] += bytes;
                        }
                        Added::Full => {
                            take(&mut batcher, &mut held, &mut arrived);
                            prop_assert!(!held.is_empty(), "full, and nothing to wait for");
                            break;
                        }
                        Added::Rejected(why) => {
                            prop_assert!(message.is_empty() || message.len() > BATCH_BYTES_MAX - 26 || ahead_ms < -14 * 24 * HOUR_MS, "{why:?}");
                            batcher.skip(&streams[stream], span, Fate::Rejected(why));
                            offsets[stream] += bytes;
                        }
                    }
                },
                Step::Skip { stream, bytes } => {
                    batcher.skip(&streams[stream], span(stream as u64, offsets[stream], bytes), Fate::Filtered(Filtered::Pattern));
                    offsets[stream] += bytes;
                }
                Step::Flush { after_ms } => {
                    at += after_ms;
                    batcher.flush(now(at), free);
                    prop_assert!(batcher.next_due(free).is_none_or(|due| due > now(at).monotonic));
                }
                Step::Take => take(&mut batcher, &mut held, &mut arrived),
                Step::Release { index } => if index < held.len() {
                    batcher.release(held.swap_remove(index));
                },
            }
            prop_assert!(batcher.memory_bytes() <= bound - BODY_BYTES_MAX);
        }
        batcher.flush_all(now(at));
        take(&mut batcher, &mut held, &mut arrived);
        // What is left besides the lines with their own times got one of its reading.
        for ((stream, unix_ms, message), times) in arrived {
            let own = expected.remove(&(stream, unix_ms, message.clone())).unwrap_or_default();
            prop_assert!(own <= times);
            if own < times {
                prop_assert!((NOW_MS..=now(at).unix_ms + READING_AHEAD_MS_MAX).contains(&unix_ms));
                let left = restamped.get_mut(&(stream, message)).unwrap();
                *left = left.checked_sub(times - own).unwrap();
            }
        }
        prop_assert!(expected.is_empty() && restamped.values().all(|left| *left == 0));
        for batch in held {
            batcher.release(batch);
        }
        prop_assert_eq!(batcher.memory_bytes(), 0);
    }
}
