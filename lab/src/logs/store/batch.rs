//! The events of one PutLogEvents, as they are before the service takes them: one text, and where each event ends in it.

use super::super::limits::{
    BATCH_BYTES, BATCH_EVENTS, DAY_MS, EVENT_BYTES, EVENT_OVERHEAD_BYTES, NEWEST_MS, OLDEST_MS,
    SPAN_MS,
};
use super::super::names;
use crate::endpoint::AwsError;

/// Events in the order of the request. Its memory can be used again.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    text: String,
    events: Vec<Pending>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    unix_ms: i64,
    end: usize,
}

/// Which events of a batch the service does not take (`RejectedLogEventsInfo`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Events before this index are older than 14 days.
    pub too_old_end: Option<usize>,
    /// Events before this index are older than the group's retention.
    pub expired_end: Option<usize>,
    /// Events from this index on are more than two hours ahead.
    pub too_new_start: Option<usize>,
}

impl Rejected {
    /// Whether all events are taken.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Range of the events that are taken, of `len`.
    pub(super) fn taken(&self, len: usize) -> std::ops::Range<usize> {
        let start = self.too_old_end.max(self.expired_end).unwrap_or(0);
        let end = self.too_new_start.unwrap_or(len);
        start..end.max(start)
    }
}

impl Batch {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.events.clear();
    }

    /// Adds an event: its time in milliseconds since the epoch, and its message.
    pub fn push(&mut self, unix_ms: i64, message: &str) {
        self.text.push_str(message);
        self.close(unix_ms);
    }

    /// Where a message is to be written, before [`close`](Self::close).
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.text
    }

    /// Ends the event whose message was written to [`text`](Self::text).
    pub(crate) fn close(&mut self, unix_ms: i64) {
        self.events.push(Pending {
            unix_ms,
            end: self.text.len(),
        });
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it holds no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Size as the service counts it: messages in UTF-8, and 26 bytes for each event.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len() + EVENT_OVERHEAD_BYTES * self.events.len()
    }

    /// Keeps the first `len` events.
    pub fn truncate(&mut self, len: usize) {
        self.events.truncate(len);
        self.text
            .truncate(self.events.last().map_or(0, |last| last.end));
    }

    /// Time and message of each event, in order.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &str)> {
        let mut start = 0;
        self.events.iter().map(move |event| {
            let message = &self.text[start..event.end];
            start = event.end;
            (event.unix_ms, message)
        })
    }

    /// Checks what does not depend on the group: constraints of the model, order and sizes.
    pub(super) fn check(&self) -> Result<(), AwsError> {
        if self.events.is_empty() {
            return Err(names::length_error("logEvents", None, false, 1));
        }
        if self.events.len() > BATCH_EVENTS {
            return Err(names::length_error("logEvents", None, true, BATCH_EVENTS));
        }
        let mut before_ms = i64::MIN;
        let mut in_order = true;
        let mut largest_bytes = 0;
        let mut start = 0;
        for (index, event) in self.events.iter().enumerate() {
            let bytes = event.end - start;
            if bytes == 0 {
                let member = format!("logEvents.{}.member.message", index + 1);
                return Err(names::length_error(&member, Some(""), false, 1));
            }
            if event.unix_ms < 0 {
                let member = format!("logEvents.{}.member.timestamp", index + 1);
                return Err(AwsError::constraint(
                    &member,
                    Some(&event.unix_ms.to_string()),
                    "Member must have value greater than or equal to 0",
                ));
            }
            largest_bytes = largest_bytes.max(bytes);
            in_order &= event.unix_ms >= before_ms;
            before_ms = event.unix_ms;
            start = event.end;
        }
        let too_large = |what: &str, bytes, limit| {
            AwsError::invalid(format!(
                "{what} too large: {bytes} bytes exceeds limit of {limit}"
            ))
        };
        let largest_bytes = largest_bytes + EVENT_OVERHEAD_BYTES;
        if largest_bytes > EVENT_BYTES {
            return Err(too_large("Log event", largest_bytes, EVENT_BYTES));
        }
        if self.bytes() > BATCH_BYTES {
            return Err(too_large("Upload", self.bytes(), BATCH_BYTES));
        }
        if !in_order {
            return Err(AwsError::invalid(
                "Log events in a single PutLogEvents request must be in chronological order.",
            ));
        }
        Ok(())
    }

    /// Which events are outside the time that the service takes; checks the span of the others.
    pub(super) fn window(
        &self,
        now_ms: i64,
        retention_days: Option<u16>,
    ) -> Result<Rejected, AwsError> {
        let first_from = |least_ms: i64| {
            self.events
                .partition_point(|event| event.unix_ms < least_ms)
        };
        let end = |least_ms: i64| Some(first_from(least_ms)).filter(|end| *end > 0);
        let rejected = Rejected {
            too_old_end: end(now_ms - OLDEST_MS),
            expired_end: retention_days.and_then(|days| end(now_ms - i64::from(days) * DAY_MS)),
            too_new_start: Some(first_from(now_ms + NEWEST_MS + 1))
                .filter(|start| *start < self.events.len()),
        };
        let valid = &self.events[rejected.taken(self.events.len())];
        if let (Some(first), Some(last)) = (valid.first(), valid.last())
            && last.unix_ms - first.unix_ms > SPAN_MS
        {
            return Err(AwsError::invalid(
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
            ));
        }
        Ok(rejected)
    }
}
