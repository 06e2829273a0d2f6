//! How often a parameter is asked for. Pure.
//!
//! GetParameter is limited for a whole account and region: 40 a second, unless more is paid for. Source: AWS general reference, "Systems Manager
//! endpoints and quotas". A thousand hosts that look once a minute take 17 of them.

use std::time::Duration;

use crate::ship::backoff::Random;

/// The first wait before there is any configuration; the next ones are twice as long each.
const FIRST: Duration = Duration::from_secs(1);
/// While there is too much asking, an agent looks no less often than this.
const SELDOM: Duration = Duration::from_secs(16 * 60);

/// When to look next.
#[derive(Debug)]
pub(super) struct Pace {
    random: Random,
    /// Between two looks, on average: each wait is up to a quarter more or less.
    every: Duration,
    /// Failures in a row.
    failures: u32,
    /// By how much the service has slowed this agent down, as a power of two.
    slowed: u32,
}

impl Pace {
    /// Looks `every` so long; the seed tells hosts apart.
    pub(super) fn new(every: Duration, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            every,
            failures: 0,
            slowed: 0,
        }
    }

    pub(super) fn answered(&mut self) {
        self.failures = 0;
        self.slowed = 0;
    }

    pub(super) fn failed(&mut self, throttled: bool) {
        self.failures = self.failures.saturating_add(1);
        if throttled {
            self.slowed = self.slowed.saturating_add(1);
        }
    }

    /// To the next look of an agent that has a configuration.
    pub(super) fn between_looks(&mut self) -> Duration {
        let wait = self.slow();
        self.spread(wait)
    }

    /// To the next look of an agent that waits for one.
    pub(super) fn before_it_begins(&mut self) -> Duration {
        // What was given and does not hold changes as seldom as any other.
        let wait = match self.failures {
            0 => self.every,
            failures => doubled(FIRST, failures - 1).min(self.slow()),
        };
        self.spread(wait)
    }

    fn slow(&self) -> Duration {
        doubled(self.every, self.slowed).min(SELDOM.max(self.every))
    }

    fn spread(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(0.75 + 0.5 * self.random.share())
    }
}

fn doubled(wait: Duration, times: u32) -> Duration {
    wait.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The shortest and the longest of many waits, in seconds.
    fn waits(pace: &mut Pace, wait: impl Fn(&mut Pace) -> Duration) -> (u64, u64) {
        let waits: Vec<u64> = (0..1000).map(|_| wait(pace).as_secs()).collect();
        let bounds = waits.iter().min().zip(waits.iter().max());
        bounds.map_or((0, 0), |(least, most)| (*least, *most))
    }

    #[test]
    fn hosts_look_about_each_minute_and_not_all_at_once() {
        let mut pace = Pace::new(MINUTE, 1);
        assert_eq!(waits(&mut pace, Pace::between_looks), (45, 74));
        // A network that is away is no reason to look more often, or less.
        pace.failed(false);
        assert_eq!(waits(&mut pace, Pace::between_looks), (45, 74));
    }

    #[test]
    fn whoever_is_throttled_looks_less_often_until_it_is_answered() {
        let mut pace = Pace::new(MINUTE, 1);
        let mut longest = Vec::new();
        for _ in 0..40 {
            pace.failed(true);
            longest.push(waits(&mut pace, Pace::between_looks).1);
        }
        assert_eq!(longest[..3], [149, 299, 599]);
        let seldom = SELDOM.as_secs();
        assert!(
            longest[3..]
                .iter()
                .all(|longest| (seldom..seldom * 5 / 4).contains(longest))
        );
        pace.answered();
        assert_eq!(waits(&mut pace, Pace::between_looks), (45, 74));
    }

    #[test]
    fn whoever_waits_for_its_first_asks_soon_and_then_less_and_less_often() {
        let mut pace = Pace::new(MINUTE, 1);
        let mut longest = Vec::new();
        for _ in 0..40 {
            pace.failed(false);
            longest.push(waits(&mut pace, Pace::before_it_begins).1);
        }
        assert_eq!(longest[..6], [1, 2, 4, 9, 19, 39]);
        assert!(
            longest[6..]
                .iter()
                .all(|longest| (60..75).contains(longest))
        );
        pace.answered();
        assert_eq!(waits(&mut pace, Pace::before_it_begins), (45, 74));
    }
}
