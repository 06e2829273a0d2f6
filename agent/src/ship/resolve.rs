//! What of a doubtful batch is missing in its stream: `batch − (stream − known)`, as multisets of (time, message).
//!
//! Lines may be equal, to the millisecond, within a batch and between batches. So it is counted how often each stands in the
//! stream, how many of these are known to be others', and the rest is taken for ours.

use std::collections::HashMap;

use crate::batch::{Batch, Entry};

/// How events are recognised in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// By time and message.
    Exact,
    /// By message alone, within the batch's window of time: after a restart, if the times of its lines were those of their reading and
    /// can't be told again.
    Message,
}

/// The indices of the `candidates` (indices into the batch's events) that are missing in the stream. `stream` is what stands in it
/// in the batch's window of time; `known` is what of that is known to be of other batches.
pub(super) fn missing<'a>(
    batch: &Batch,
    candidates: &[u32],
    by: Match,
    stream: &[(i64, String)],
    known: impl IntoIterator<Item = (i64, &'a str)>,
) -> Vec<u32> {
    let keys: Vec<(i64, String)> = candidates
        .iter()
        .map(|index| key(batch, *index, by))
        .collect();
    let mut left: HashMap<(i64, &str), i64> = keys
        .iter()
        .map(|(unix_ms, message)| ((*unix_ms, message.as_str()), 0))
        .collect();
    let time = |unix_ms| if by == Match::Exact { unix_ms } else { 0 };
    for (unix_ms, message) in stream {
        if let Some(count) = left.get_mut(&(time(*unix_ms), message.as_str())) {
            *count += 1;
        }
    }
    for (unix_ms, message) in known {
        if let Some(count) = left.get_mut(&(time(unix_ms), message)) {
            *count -= 1;
        }
    }
    let mut missing = Vec::new();
    for (index, (unix_ms, message)) in candidates.iter().zip(&keys) {
        match left.get_mut(&(*unix_ms, message.as_str())) {
            Some(count) if *count > 0 => *count -= 1,
            _ => missing.push(*index),
        }
    }
    missing
}

/// The time and message of an event.
pub(super) fn event(batch: &Batch, index: u32) -> (i64, String) {
    let entry = batch.events[index as usize];
    // The batcher wrote it, so it is JSON; were it not, it would be found missing and sent, never lost.
    let message = serde_json::from_slice(message_json(batch, &entry)).unwrap_or_default();
    (entry.unix_ms, message)
}

fn key(batch: &Batch, index: u32, by: Match) -> (i64, String) {
    let (unix_ms, message) = event(batch, index);
    (if by == Match::Exact { unix_ms } else { 0 }, message)
}

/// The message as the JSON string that stands in the body.
fn message_json<'b>(batch: &'b Batch, entry: &Entry) -> &'b [u8] {
    let event = &batch.body[entry.start as usize..entry.end as usize];
    const BEFORE: &[u8] = br#","message":"#;
    let digits = event
        .iter()
        .position(|byte| *byte == b',')
        .unwrap_or_default();
    &event[digits + BEFORE.len()..event.len() - 1]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ship::testing::batch;

    fn owned(events: &[(i64, &str)]) -> Vec<(i64, String)> {
        events
            .iter()
            .map(|(unix_ms, message)| (*unix_ms, (*message).to_owned()))
            .collect()
    }

    #[test]
    fn what_stands_in_the_stream_and_is_nobody_elses_has_landed() {
        let batch = batch(0, &[(1, "a"), (1, "a"), (2, "b"), (3, "c\"")]);
        let all = [0, 1, 2, 3];
        let stream = owned(&[(1, "a"), (2, "b"), (3, "c\""), (9, "x")]);
        assert_eq!(missing(&batch, &all, Match::Exact, &stream, []), [1]);
        assert_eq!(
            missing(&batch, &all, Match::Exact, &stream, [(1, "a")]),
            [0, 1]
        );
        assert_eq!(
            missing(
                &batch,
                &all,
                Match::Exact,
                &stream,
                [(1, "a"), (1, "a"), (2, "b")]
            ),
            [0, 1, 2],
            "more known than seen"
        );
        assert_eq!(missing(&batch, &all, Match::Exact, &[], []), all);
        assert_eq!(
            missing(&batch, &[2, 3], Match::Exact, &stream, []),
            [0; 0],
            "only what was asked for"
        );
    }

    #[test]
    fn without_times_the_message_alone_decides() {
        let batch = batch(0, &[(5, "a"), (6, "a"), (7, "b")]);
        let stream = owned(&[(1, "a"), (2, "a")]);
        assert_eq!(
            missing(&batch, &[0, 1, 2], Match::Message, &stream, []),
            [2]
        );
        assert_eq!(
            missing(&batch, &[0, 1, 2], Match::Message, &stream, [(9, "a")]),
            [1, 2]
        );
        assert_eq!(
            missing(&batch, &[0, 1, 2], Match::Exact, &stream, []),
            [0, 1, 2]
        );
    }

    proptest! {
        /// Sending what is missing makes the stream hold exactly what others and this batch put into it.
        #[test]
        fn what_is_missing_completes_the_stream(
            events in prop::collection::vec((0..3_i64, "[ab\"]{1,2}"), 1..12),
            landed in prop::collection::vec(any::<bool>(), 12),
            others in prop::collection::vec((0..3_i64, "[ab\"]{1,2}"), 0..12),
        ) {
            let mut events = events;
            events.sort_by_key(|event| event.0);
            let refs: Vec<(i64, &str)> = events.iter().map(|(unix_ms, message)| (*unix_ms, &**message)).collect();
            let batch = batch(0, &refs);
            let mut stream = others.clone();
            stream.extend(events.iter().zip(&landed).filter(|(_, landed)| **landed).map(|(event, _)| event.clone()));
            let all: Vec<u32> = (0..events.len() as u32).collect();
            let missing = missing(&batch, &all, Match::Exact, &stream, others.iter().map(|(unix_ms, message)| (*unix_ms, &**message)));
            stream.extend(missing.iter().map(|index| event(&batch, *index)));
            let mut expected = others;
            expected.extend(events);
            stream.sort();
            expected.sort();
            prop_assert_eq!(stream, expected);
        }
    }
}
