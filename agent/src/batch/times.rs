//! The times of lines that have none of their own: that of their reading, and never one that a batch before has.

use crate::clock::Now;

/// A line's time is at most so much later than that of its reading. Further the host's clock is not waited for when it was set back: then
/// the times of the lines fall, too.
pub const READING_AHEAD_MS_MAX: i64 = 10_000;

/// When an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this time, in milliseconds since 1970, as its own text or the line before says.
    At(i64),
    /// Nobody knows: it gets the time of its reading.
    Reading,
}

impl From<i64> for When {
    fn from(unix_ms: i64) -> Self {
        When::At(unix_ms)
    }
}

impl When {
    /// The time, if the event is read now.
    #[inline]
    pub(super) fn unix_ms(self, now: Now) -> i64 {
        match self {
            When::At(unix_ms) => unix_ms,
            When::Reading => now.unix_ms,
        }
    }
}

/// The times of reading that a stream's lines have got.
#[derive(Debug)]
pub(super) struct Times {
    /// The next one is not before that.
    least_ms: i64,
    /// Whether the open batch has one of them.
    open: bool,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            least_ms: i64::MIN,
            open: false,
        }
    }
}

impl Times {
    /// The time of a line that is read now.
    pub(super) fn of_reading(&self, now: Now) -> i64 {
        let now_ms = now.unix_ms.max(0);
        if self.least_ms <= now_ms.saturating_add(READING_AHEAD_MS_MAX) {
            self.least_ms.max(now_ms)
        } else {
            now_ms
        }
    }

    /// A line of the open batch has got this one.
    pub(super) fn gave(&mut self, unix_ms: i64) {
        (self.least_ms, self.open) = (unix_ms, true);
    }

    /// The open batch takes no more: what follows has later times.
    pub(super) fn seal(&mut self) {
        if std::mem::take(&mut self.open) {
            self.least_ms = self.least_ms.saturating_add(1);
        }
    }

    /// Whether a line that is read now would not get the time of now.
    pub(super) fn is_ahead(&self, now: Now) -> bool {
        self.of_reading(now) > now.unix_ms.max(0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn at(ms: i64) -> Now {
        Now {
            monotonic: Duration::ZERO,
            unix_ms: NOW_MS + ms,
        }
    }

    fn give(times: &mut Times, ms: i64) -> i64 {
        let given = times.of_reading(at(ms));
        times.gave(given);
        given - NOW_MS
    }

    #[test]
    fn each_batch_begins_after_the_last_time_of_the_one_before() {
        let mut times = Times::default();
        assert_eq!([0, 0, 3].map(|ms| give(&mut times, ms)), [0, 0, 3]);
        times.seal();
        assert!(times.is_ahead(at(3)) && !times.is_ahead(at(4)));
        assert_eq!([3, 3, 4, 5].map(|ms| give(&mut times, ms)), [4, 4, 4, 5]);
        times.seal();
        times.seal();
        assert_eq!(
            give(&mut times, 5),
            6,
            "a batch without such a line takes no time"
        );
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_is_waited_for_and_one_that_is_far_off_is_followed() {
        let mut times = Times::default();
        assert_eq!(give(&mut times, 0), 0);
        assert_eq!(give(&mut times, -READING_AHEAD_MS_MAX), 0);
        assert_eq!(
            give(&mut times, -READING_AHEAD_MS_MAX - 1),
            -READING_AHEAD_MS_MAX - 1
        );
        assert_eq!(give(&mut times, -5_000), -5_000);
    }

    #[test]
    fn a_clock_before_1970_gives_a_time_that_the_service_takes() {
        let now = Now {
            monotonic: Duration::ZERO,
            unix_ms: -5,
        };
        assert_eq!(Times::default().of_reading(now), 0);
        assert!(!Times::default().is_ahead(now));
    }
}
