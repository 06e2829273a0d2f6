//! How long to wait before the next try, and how many calls may be under way.

use std::time::Duration;

/// The first wait is random below this, the second below twice as much, and so on.
const BASE: Duration = Duration::from_millis(100);
/// What a service may ask for is followed up to here; nobody means more.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Random numbers for jitter (SplitMix64, Steele et al. 2014): small, seeded, and good enough to be spread.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Exponential backoff with full jitter: anything from nothing to `cap`, or to `100 ms · 2^attempt` as long as that is less.
    pub(crate) fn backoff(&mut self, attempt: u32, cap: Duration) -> Duration {
        let bound = BASE
            .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX))
            .min(cap);
        bound.mul_f64(self.share())
    }

    /// Something from 0 on, and below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Something between `from` and twice that.
    pub(super) fn about(&mut self, from: Duration) -> Duration {
        from + from.mul_f64(self.share())
    }
}

/// Why the gate closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody answers, or nothing that makes sense.
    Unreachable,
    /// The service says that it fails.
    Failing,
    /// The service says that there is too much.
    Throttled,
}

impl Trouble {
    /// When an endpoint is back, catching up begins within this time.
    fn cap(self) -> Duration {
        match self {
            Trouble::Unreachable => Duration::from_secs(1),
            Trouble::Failing | Trouble::Throttled => Duration::from_secs(5),
        }
    }
}

/// How many calls may be under way, over all targets. As TCP does it: doubles until the point where it last was too much, then grows
/// slowly; halves on a throttle; and starts again with one call, a probe, when nobody answers.
#[derive(Debug)]
pub(super) struct Gate {
    max: f64,
    window: f64,
    threshold: f64,
    closed_until: Duration,
    attempts: u32,
    /// Calls that left before the last trouble tell nothing new about it.
    epoch: u64,
}

impl Gate {
    pub(super) fn new(in_flight: usize) -> Self {
        let max = in_flight.max(1) as f64;
        Gate {
            max,
            window: max,
            threshold: max,
            closed_until: Duration::ZERO,
            attempts: 0,
            epoch: 0,
        }
    }

    /// Another bound from now on; what was learnt of the service stays.
    pub(super) fn set_max(&mut self, in_flight: usize) {
        let max = in_flight.max(1) as f64;
        if max > self.max {
            // The way there is found as after a throttle.
            self.threshold = self.threshold.max(self.max);
        }
        self.max = max;
        self.window = self.window.min(max);
        self.threshold = self.threshold.min(max);
    }

    /// How many calls may be under way.
    pub(super) fn window(&self) -> usize {
        self.window as usize
    }

    /// The instant from which a call may leave.
    pub(super) fn opens(&self) -> Duration {
        self.closed_until
    }

    /// To be remembered with each call that leaves.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How often it has failed since it last went well.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The service has answered, whatever it was that it said.
    pub(super) fn answered(&mut self) {
        self.attempts = 0;
        let step = if self.window < self.threshold {
            1.0
        } else {
            1.0 / self.window
        };
        self.window = (self.window + step).min(self.max);
    }

    /// A call of that epoch met trouble.
    pub(super) fn trouble(
        &mut self,
        trouble: Trouble,
        epoch: u64,
        retry_after: Option<Duration>,
        now: Duration,
        random: &mut Random,
    ) {
        let wait = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        if epoch < self.epoch {
            self.closed_until = self.closed_until.max(now + wait);
            return;
        }
        self.epoch += 1;
        match trouble {
            Trouble::Throttled => {
                self.threshold = (self.window / 2.0).max(1.0);
                self.window = self.threshold;
            }
            Trouble::Unreachable | Trouble::Failing => self.window = 1.0,
        }
        let backoff = random.backoff(self.attempts, trouble.cap());
        self.attempts = self.attempts.saturating_add(1);
        self.closed_until = self.closed_until.max(now + backoff.max(wait));
    }

    /// Lets one try through at once: there may be no later one.
    pub(super) fn open(&mut self) {
        self.closed_until = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    #[test]
    fn waits_grow_to_the_cap_and_are_spread_over_all_of_it() {
        let mut random = Random::new(1);
        let cap = Duration::from_secs(5);
        for (attempt, bound_ms) in [
            (0, 100),
            (1, 200),
            (5, 3200),
            (6, 5000),
            (40, 5000),
            (u32::MAX, 5000),
        ] {
            let waits: Vec<_> = (0..1000).map(|_| random.backoff(attempt, cap)).collect();
            let bound = Duration::from_millis(bound_ms);
            assert!(waits.iter().all(|wait| *wait <= bound));
            assert!(
                waits.iter().any(|wait| *wait < bound / 10)
                    && waits.iter().any(|wait| *wait > bound / 10 * 9)
            );
        }
    }

    #[test]
    fn one_probe_at_a_time_while_nobody_answers_and_soon_all_again() {
        let (mut gate, mut random) = (Gate::new(8), Random::new(1));
        for _ in 0..20 {
            let now = gate.opens();
            gate.trouble(Trouble::Unreachable, gate.epoch(), None, now, &mut random);
            assert_eq!(gate.window(), 1);
            assert!(gate.opens() <= now + Duration::from_secs(1));
        }
        for _ in 0..7 {
            gate.answered();
        }
        assert_eq!(gate.window(), 8);
    }

    #[test]
    fn a_throttle_halves_once_for_all_calls_that_were_under_way() {
        let (mut gate, mut random) = (Gate::new(8), Random::new(1));
        let epoch = gate.epoch();
        for _ in 0..8 {
            gate.trouble(Trouble::Throttled, epoch, None, ZERO, &mut random);
        }
        assert_eq!((gate.window(), gate.attempts()), (4, 1));
        gate.answered();
        assert_eq!(
            gate.window(),
            4,
            "beyond the threshold it grows by one in a round"
        );
        for _ in 0..4 {
            gate.answered();
        }
        assert_eq!(gate.window(), 5);
    }

    #[test]
    fn what_the_service_asks_for_is_followed_within_reason() {
        let (mut gate, mut random) = (Gate::new(8), Random::new(1));
        gate.trouble(
            Trouble::Throttled,
            0,
            Some(Duration::from_secs(7)),
            ZERO,
            &mut random,
        );
        assert_eq!(gate.opens(), Duration::from_secs(7));
        gate.trouble(
            Trouble::Throttled,
            0,
            Some(Duration::MAX),
            ZERO,
            &mut random,
        );
        assert_eq!(gate.opens(), RETRY_AFTER_MAX);
    }
}
