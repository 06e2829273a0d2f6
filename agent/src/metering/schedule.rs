//! When to measure: at the beginning of each interval of the clock on the wall, once an interval. Pure.

use std::time::Duration;

/// A clock that was set back by no more than this is waited for; beyond it, measuring begins anew.
const WAITED_OUT: Duration = Duration::from_secs(120);

/// Which intervals have been measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    interval_ms: i64,
    last: Option<i64>,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Measure, and say that it was at this time (milliseconds since 1970 UTC).
    Measure(i64),
    /// Nothing yet, for so long.
    Wait(Duration),
}

impl Schedule {
    /// Measures every `interval`; `measured_ms` was the last time, before a restart.
    #[must_use]
    pub fn new(interval: Duration, measured_ms: Option<i64>) -> Self {
        let interval_ms = (interval.as_millis() as i64).max(1);
        Self {
            interval_ms,
            last: measured_ms.map(|at| at.div_euclid(interval_ms)),
        }
    }

    /// How long the interval of now goes on; none if nothing was ever measured.
    #[must_use]
    pub fn left(&self, unix_ms: i64) -> Option<Duration> {
        self.last?;
        let left_ms = self.interval_ms - unix_ms.rem_euclid(self.interval_ms);
        Some(Duration::from_millis(left_ms as u64))
    }

    /// What to do at this time. An interval whose beginning was missed is measured late rather than never, and never twice.
    pub fn turn(&mut self, unix_ms: i64) -> Turn {
        let slot = unix_ms.div_euclid(self.interval_ms);
        // The first time at once, so that a host that has just booted is seen.
        let Some(last) = self.last else {
            self.last = Some(slot);
            return Turn::Measure(unix_ms);
        };
        let wait_ms = (last + 1) * self.interval_ms - unix_ms;
        let wait = Duration::from_millis(wait_ms.max(0) as u64);
        let interval = Duration::from_millis(self.interval_ms as u64);
        if slot > last || wait > interval + WAITED_OUT {
            self.last = Some(slot);
            return Turn::Measure(slot * self.interval_ms);
        }
        Turn::Wait(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn wait(ms: u64) -> Turn {
        Turn::Wait(Duration::from_millis(ms))
    }

    #[test]
    fn the_first_time_is_now_and_then_at_full_intervals() {
        let mut schedule = Schedule::new(MINUTE, None);
        assert_eq!(schedule.turn(90_500), Turn::Measure(90_500));
        assert_eq!(schedule.turn(90_501), wait(29_499));
        assert_eq!(schedule.turn(120_003), Turn::Measure(120_000));
        assert_eq!(schedule.turn(120_004), wait(59_996));
    }

    #[test]
    fn a_slow_measurement_makes_neither_a_gap_nor_a_double() {
        let mut schedule = Schedule::new(MINUTE, Some(60_000));
        assert_eq!(schedule.turn(120_000), Turn::Measure(120_000));
        // It took 70 s.
        assert_eq!(schedule.turn(190_000), Turn::Measure(180_000));
        assert_eq!(schedule.turn(190_001), wait(49_999));
    }

    #[test]
    fn an_interval_that_was_measured_before_a_restart_is_not_measured_again() {
        let mut schedule = Schedule::new(MINUTE, Some(120_000));
        assert_eq!(schedule.turn(150_000), wait(30_000));
        assert_eq!(schedule.turn(180_000), Turn::Measure(180_000));
    }

    #[test]
    fn a_clock_that_jumps_ahead_leaves_out_what_never_was() {
        let mut schedule = Schedule::new(MINUTE, Some(0));
        assert_eq!(schedule.turn(3_600_007), Turn::Measure(3_600_000));
        assert_eq!(schedule.turn(3_600_008), wait(59_992));
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_is_waited_for_and_much_is_begun_anew() {
        let mut schedule = Schedule::new(MINUTE, Some(600_000));
        assert_eq!(schedule.turn(590_000), wait(70_000));
        assert_eq!(schedule.turn(300_000), Turn::Measure(300_000));
        assert_eq!(schedule.turn(300_001), wait(59_999));
    }
}
