//! How many calls are worth having under way: as many as it takes to keep the line busy, and no more, since each holds a body in memory.

use std::time::Duration;

/// About what the agent needs to fill a batch and hand it over. So many more calls are worth having under way as this fits into the time
/// a call takes.
const FILL: Duration = Duration::from_millis(8);
/// One that is under way, and one that takes its place.
const LEAST: usize = 2;
/// How much of the mean a new measurement is.
const WEIGHT: f64 = 0.25;

/// The depth, from how long calls take.
#[derive(Debug, Default)]
pub(super) struct Depth {
    /// How long a put takes, from the decision to its answer.
    mean: Duration,
}

impl Depth {
    /// A put was answered.
    pub(super) fn took(&mut self, time: Duration) {
        self.mean = self.mean.mul_f64(1.0 - WEIGHT) + time.mul_f64(WEIGHT);
    }

    /// How many calls are worth having under way.
    pub(super) fn calls(&self) -> usize {
        let fills = self.mean.as_micros() / FILL.as_micros();
        usize::try_from(fills)
            .unwrap_or(usize::MAX)
            .saturating_add(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ms: &[u64]) -> usize {
        let mut depth = Depth::default();
        for ms in ms {
            depth.took(Duration::from_millis(*ms));
        }
        depth.calls()
    }

    #[test]
    fn slow_answers_are_worth_more_calls_under_way() {
        assert_eq!(after(&[]), 2);
        assert_eq!(after(&[3; 50]), 2);
        assert_eq!(after(&[60; 50]), 9);
        assert_eq!(after(&[60, 60, 3, 3, 3, 3, 3, 3, 3, 3]), 2);
    }
}
