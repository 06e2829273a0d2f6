//! When a reading leaves. Pure.
//!
//! All hosts measure at the same instants; if all sent at them too, a fleet would be throttled. So each host has its own delay, the same for as long as it
//! lives: its points still come each interval, and their times are those of measuring.

use std::time::Duration;

use super::pack::stored_ms;
use crate::ship::backoff::Random;
use crate::spool::Reading;

/// Points of shorter intervals are collected for so long.
const FLUSH_MS: i64 = 10_000;
/// No reading waits longer than this for its turn.
const MAX_DELAY_MS: i64 = 30_000;

/// A host's turns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    interval_ms: i64,
    /// Which of many hosts this is, from 0 to 1.
    place: f64,
}

impl Spread {
    /// `seed` tells hosts apart.
    pub(super) fn new(interval: Duration, seed: u64) -> Self {
        Self {
            interval_ms: interval_ms(interval),
            place: Random::new(seed).share(),
        }
    }

    /// The same host with another interval.
    pub(super) fn with(self, interval: Duration) -> Self {
        Self {
            interval_ms: interval_ms(interval),
            ..self
        }
    }

    /// How long a reading has to wait yet.
    pub(super) fn leaves(&self, reading: &Reading, now_ms: i64) -> Duration {
        let step_ms = i64::from(reading.scope.resolution_s.max(1)) * 1_000;
        // What is stored together leaves together.
        let (ready_ms, period_ms) = match self.interval_ms < step_ms {
            true => (stored_ms(reading) + step_ms, step_ms),
            false => (reading.at_ms, self.interval_ms),
        };
        let period_ms = period_ms.max(FLUSH_MS);
        let phase_ms = (self.place * (period_ms / 2).min(MAX_DELAY_MS) as f64) as i64;
        let turn_ms = ready_ms + (phase_ms - ready_ms).rem_euclid(period_ms);
        let wait_ms = turn_ms - now_ms;
        // The clock was set back: by then it may be anything.
        if wait_ms > 2 * period_ms {
            return Duration::ZERO;
        }
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
    }
}

fn interval_ms(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis())
        .unwrap_or(i64::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::spool::Scope;

    const MINUTE: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

    fn reading(at_ms: i64, resolution_s: u32) -> Reading {
        Reading {
            seq: 1,
            at_ms,
            scope: Arc::new(Scope {
                resolution_s,
                ..Scope::default()
            }),
            values: Vec::new(),
        }
    }

    /// When a reading leaves, in milliseconds after it was measured.
    fn delay(interval: Duration, seed: u64, at_ms: i64, resolution_s: u32) -> i64 {
        let wait = Spread::new(interval, seed).leaves(&reading(at_ms, resolution_s), at_ms);
        wait.as_millis() as i64
    }

    #[test]
    fn hosts_take_turns_within_half_a_minute_and_keep_them() {
        let delays: Vec<i64> = (0..200)
            .map(|seed| delay(MINUTE, seed, 600_000, 60))
            .collect();
        assert!(delays.iter().all(|delay| (0..30_000).contains(delay)));
        for part in 0..10 {
            let part = part * 3_000..(part + 1) * 3_000;
            let here = delays.iter().filter(|delay| part.contains(*delay)).count();
            assert!((5..50).contains(&here), "{part:?}: {here}");
        }
        for minute in 1..9 {
            assert_eq!(delay(MINUTE, 7, minute * 60_000, 60), delays[7]);
        }
    }

    #[test]
    fn seconds_are_collected_for_ten_of_them() {
        let turn = |at_ms| at_ms + delay(SECOND, 3, at_ms, 1);
        let turns: Vec<i64> = (0..30).map(|n| turn(60_000 + n * 1_000)).collect();
        for (n, turn) in turns.iter().enumerate() {
            assert!((0..10_000).contains(&(turn - 60_000 - n as i64 * 1_000)));
        }
        let mut different = turns.clone();
        different.dedup();
        assert!((3..=4).contains(&different.len()), "{turns:?}");
    }

    #[test]
    fn what_is_stored_by_the_minute_waits_for_the_minute_s_end() {
        for second in [0, 1, 30, 59] {
            let at_ms = 600_000 + second * 1_000;
            let turn = at_ms + delay(SECOND, 5, at_ms, 60);
            assert!((660_000..690_000).contains(&turn), "{second}: {turn}");
            assert_eq!(turn, 600_000 + delay(SECOND, 5, 600_000, 60));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nothing() {
        let spread = Spread::new(MINUTE, 1);
        let hour = reading(3_600_000, 60);
        assert_eq!(spread.leaves(&hour, 0), Duration::ZERO);
        assert_eq!(spread.leaves(&hour, 7_200_000), Duration::ZERO);
    }
}
