//! Batches to test with.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::account::{BatchId, GenerationId, Span};
use crate::batch::{Added, Batch, Batcher, Limits};
use crate::clock::Now;
use crate::target::Target;

/// A target of the group `group`.
pub(super) fn target(stream: &str) -> Arc<Target> {
    Arc::new(Target {
        group: "group".into(),
        stream: stream.into(),
        retention_days: Some(7),
        class: Default::default(),
    })
}

/// A batch of these events for the stream `stream`, made by the batcher. Each event is one byte longer in its file.
pub(super) fn batch(id: u64, events: &[(i64, &str)]) -> Batch {
    batch_for(&target("stream"), id, events)
}

pub(super) fn batch_for(target: &Arc<Target>, id: u64, events: &[(i64, &str)]) -> Batch {
    let now = Now {
        monotonic: Duration::ZERO,
        unix_ms: 0,
    };
    let mut batcher = Batcher::new(Limits::default(), id);
    let mut start = 0;
    for (unix_ms, message) in events {
        let end = start + message.len() as u64 + 1;
        let span = Span {
            generation: GenerationId(id),
            start,
            end,
        };
        assert_eq!(
            batcher.add(target, span, *unix_ms, message, now),
            Added::Taken
        );
        start = end;
    }
    batcher.flush_all(now);
    let batch = batcher.sealed().unwrap();
    assert_eq!(batch.id, BatchId(id));
    batch
}

/// The events of a request body.
pub(super) fn events(body: &[u8]) -> Vec<(i64, String)> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let events = body["logEvents"].as_array().unwrap().iter();
    events
        .map(|event| {
            (
                event["timestamp"].as_i64().unwrap(),
                event["message"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// The messages of a request body.
pub(super) fn messages(body: &[u8]) -> Vec<String> {
    events(body)
        .into_iter()
        .map(|(_, message)| message)
        .collect()
}
