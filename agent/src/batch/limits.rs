//! What the service takes, what the host gives, and what is done with an event that is outside of it.

use std::time::Duration;

use crate::account::Rejected;

/// A batch, counted as the UTF-8 bytes of its messages plus [`EVENT_OVERHEAD_BYTES`] each.
/// Source: API reference of PutLogEvents, "maximum batch size".
pub const BATCH_BYTES_MAX: usize = 1_048_576;
/// What the service adds for each event. Source: as above.
pub const EVENT_OVERHEAD_BYTES: usize = 26;
/// Events of one batch. Source: as above.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// From the first to the last event of a batch: 24 hours. Source: as above.
pub const BATCH_SPAN_MS_MAX: i64 = DAY_MS;
/// Older events are not taken: 14 days. Source: as above.
pub const AGE_MS_MAX: i64 = 14 * DAY_MS;
/// Events further ahead are not taken: two hours. Source: as above.
pub const AHEAD_MS_MAX: i64 = 2 * 60 * 60 * 1000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A request body's own size. JSON adds at most 15 bytes an event to what the service counts (1,200,000 bytes in all) as long
/// as nothing is escaped; this leaves 10 % for quotes. Only an event that is alone in its batch may be larger.
pub const BODY_BYTES_MAX: usize = 1_310_720;
/// With less, a single event of the largest size, every byte of it escaped as `\u00XX`, would not fit.
pub const MEMORY_BYTES_MIN: usize = 6 * BATCH_BYTES_MAX + 2 * BODY_BYTES_MAX;
/// Eight full batches and the room to sort one. So many are filled only where calls take long; fast ones need two or three.
pub const MEMORY_BYTES_DEFAULT: usize = 14 * 1024 * 1024;
/// By default, what a busy stream waits between two requests.
pub const FLUSH_DEFAULT: Duration = Duration::from_millis(500);
/// By default, requests a second for batches that are not full. A region allows an account 5,000 (800 in small ones).
/// Source: quotas of CloudWatch Logs, "PutLogEvents throttle limit".
pub const REQUESTS_PER_SECOND_DEFAULT: u32 = 50;

/// What the batcher may use, and how long it may keep an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The least time between two requests of one stream, unless batches are full. Zero: as fast as it is driven.
    pub flush: Duration,
    /// Bounds all request bodies together: open, sealed and in flight. Less than [`MEMORY_BYTES_MIN`] is taken as that.
    pub memory_bytes: usize,
    /// How many batches that are not full leave in a second, over all streams. With more streams than that, each waits longer.
    pub requests_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            flush: FLUSH_DEFAULT,
            memory_bytes: MEMORY_BYTES_DEFAULT,
            requests_per_second: REQUESTS_PER_SECOND_DEFAULT,
        }
    }
}

/// What to do with an event's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is sent with its own.
    Own,
    /// It is further ahead than the service takes. Rather a line at the time of its reading than none.
    Restamp,
    /// It can't be sent.
    No(Rejected),
}

/// Judges an event by its time, and by its size in bytes of UTF-8.
pub(super) fn admit(
    unix_ms: i64,
    message_bytes: usize,
    retention_days: Option<u32>,
    now_ms: i64,
) -> Admission {
    if message_bytes == 0 || message_bytes > BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES {
        return Admission::No(Rejected::Invalid);
    }
    let age_ms = now_ms.saturating_sub(unix_ms);
    if age_ms > AGE_MS_MAX || unix_ms < 0 {
        return Admission::No(Rejected::TooOld);
    }
    if let Some(days) = retention_days
        && age_ms > i64::from(days) * DAY_MS
    {
        return Admission::No(Rejected::Expired);
    }
    if age_ms < -AHEAD_MS_MAX {
        return Admission::Restamp;
    }
    Admission::Own
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn the_edges_of_what_the_service_takes_are_taken_and_what_is_beyond_is_not() {
        let at = |ms| admit(ms, 10, None, NOW);
        assert_eq!(at(NOW), Admission::Own);
        assert_eq!(at(NOW - AGE_MS_MAX), Admission::Own);
        assert_eq!(at(NOW - AGE_MS_MAX - 1), Admission::No(Rejected::TooOld));
        assert_eq!(at(NOW + AHEAD_MS_MAX), Admission::Own);
        assert_eq!(at(NOW + AHEAD_MS_MAX + 1), Admission::Restamp);
        assert_eq!(at(i64::MAX), Admission::Restamp);
        assert_eq!(at(i64::MIN), Admission::No(Rejected::TooOld));
    }

    #[test]
    fn what_is_older_than_the_retention_is_not_sent() {
        let at = |ms| admit(ms, 10, Some(3), NOW);
        assert_eq!(at(NOW - 3 * DAY_MS), Admission::Own);
        assert_eq!(at(NOW - 3 * DAY_MS - 1), Admission::No(Rejected::Expired));
        assert_eq!(at(NOW - AGE_MS_MAX - 1), Admission::No(Rejected::TooOld));
    }

    #[test]
    fn no_empty_and_no_oversized_event_is_sent() {
        let of = |bytes| admit(NOW, bytes, None, NOW);
        assert_eq!(of(0), Admission::No(Rejected::Invalid));
        assert_eq!(of(1), Admission::Own);
        assert_eq!(of(BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES), Admission::Own);
        assert_eq!(
            of(BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES + 1),
            Admission::No(Rejected::Invalid)
        );
    }

    #[test]
    fn a_clock_before_1970_rejects_nothing_of_the_present() {
        assert_eq!(admit(5, 10, None, 0), Admission::Own);
    }
}
