//! A rate limit as AWS's throttles are: a bucket that holds a second's worth of calls and fills steadily.

/// Calls are let through while there is a token in the bucket.
#[derive(Debug, Clone)]
pub(crate) struct Throttle {
    per_second: f64,
    tokens: f64,
    filled_us: Option<i64>,
}

impl Throttle {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            per_second: f64::from(per_second),
            tokens: f64::from(per_second),
            filled_us: None,
        }
    }

    /// Whether a call at `now_us` (microseconds since the epoch) is let through.
    pub(crate) fn lets(&mut self, now_us: i64) -> bool {
        // A clock that was set back fills nothing.
        let passed_us = now_us
            .saturating_sub(self.filled_us.unwrap_or(now_us))
            .max(0);
        self.filled_us = Some(now_us);
        let filled = self.tokens + passed_us as f64 / 1e6 * self.per_second;
        self.tokens = filled.min(self.per_second);
        let lets = self.tokens >= 1.0;
        if lets {
            self.tokens -= 1.0;
        }
        lets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lets_through_what_the_rate_says() {
        let mut throttle = Throttle::new(50);
        let burst = (0..100).filter(|_| throttle.lets(0)).count();
        assert_eq!(burst, 50);
        let half_a_second = (0..100).filter(|_| throttle.lets(500_000)).count();
        assert_eq!(half_a_second, 25);
        let long_after = (0..100).filter(|_| throttle.lets(60_000_000)).count();
        assert_eq!(long_after, 50);
        assert!(!throttle.lets(0), "a clock set back fills nothing");
    }
}
