//! How many requests a second leave for batches that are not full.

use std::time::Duration;

/// A batch that has been due for this long leaves whatever the pace: every line well within a minute.
const LATE: Duration = Duration::from_secs(20);
/// After quiet, the requests of this much time may leave at once.
const BURST: Duration = Duration::from_secs(1);

/// A rate with a burst, as one point in time (the generic cell rate algorithm): where the next request would stand if all were
/// evenly spread. With ever more streams each of them waits longer, and the rate stays.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Duration,
}

impl Pace {
    pub(super) fn new(requests_per_second: u32) -> Self {
        Pace {
            interval: Duration::from_secs(1) / requests_per_second.max(1),
            next: Duration::ZERO,
        }
    }

    /// From now on.
    pub(super) fn set_rate(&mut self, requests_per_second: u32) {
        self.interval = Pace::new(requests_per_second).interval;
    }

    /// The instant from which a batch that is due at `due` may leave.
    pub(super) fn opens(&self, due: Duration) -> Duration {
        let paced = (self.next + self.interval).saturating_sub(BURST.max(self.interval));
        due.max(paced.min(due + LATE))
    }

    /// One has left.
    pub(super) fn took(&mut self, now: Duration) {
        // What leaves late leaves no debt behind, else all that follows would be late, too.
        self.next = (self.next.max(now) + self.interval).min(now + BURST.max(self.interval));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seals as a batcher with `streams` streams does that are always busy; gives the instants, in order.
    fn run(streams: u32, per_second: u32, flush: Duration, until: Duration) -> Vec<Duration> {
        let mut pace = Pace::new(per_second);
        let mut due = vec![Duration::ZERO; streams as usize];
        let mut left = Vec::new();
        let mut now = Duration::ZERO;
        while now < until {
            let (index, opens) = due
                .iter()
                .enumerate()
                .min_by_key(|(_, d)| **d)
                .map(|(i, d)| (i, pace.opens(*d)))
                .expect("a stream");
            now = now.max(opens);
            pace.took(now);
            due[index] = now + flush;
            left.push(now);
        }
        left
    }

    #[test]
    fn few_streams_are_not_held_back() {
        let left = run(10, 50, Duration::from_millis(500), Duration::from_secs(100));
        assert!((1990..=2010).contains(&left.len()), "{}", left.len());
    }

    #[test]
    fn many_streams_share_the_rate() {
        let left = run(
            500,
            50,
            Duration::from_millis(500),
            Duration::from_secs(100),
        );
        assert!((5000..=5060).contains(&left.len()), "{}", left.len());
    }

    #[test]
    fn no_stream_waits_for_longer_than_the_bound_however_many_there_are() {
        // 5,000 streams at 50 a second would each wait for 100 seconds. In each round all of them have left once.
        let left = run(
            5000,
            50,
            Duration::from_millis(500),
            Duration::from_secs(60),
        );
        for (from, to) in left.iter().zip(&left[5000..]) {
            assert!(
                *to - *from <= LATE + Duration::from_millis(500),
                "{from:?} {to:?}"
            );
        }
    }

    #[test]
    fn a_rate_below_one_a_second_still_lets_one_through() {
        let mut pace = Pace::new(0);
        assert_eq!(pace.opens(Duration::ZERO), Duration::ZERO);
        pace.took(Duration::ZERO);
        assert_eq!(pace.opens(Duration::ZERO), Duration::from_secs(1));
    }
}
