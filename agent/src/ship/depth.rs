//! How many calls are worth having under way: as many as it takes to keep the line busy, and no more, since each holds a body in memory.

use std::collections::VecDeque;
use std::time::Duration;

/// About what the agent needs to fill a batch and hand it over. So many more calls are worth having under way as this fits into the time
/// a call takes.
const FILL: Duration = Duration::from_millis(7);
/// One that is under way, and one that takes its place.
const LEAST: usize = 2;
/// So many puts back it is remembered how long one took.
const REMEMBERED: usize = 16;

/// The depth, from how long calls take.
#[derive(Debug, Default)]
pub(super) struct Depth {
    /// How long the last puts took, from the decision to the answer.
    times: VecDeque<Duration>,
}

impl Depth {
    /// A put was answered.
    pub(super) fn took(&mut self, time: Duration) {
        self.times.truncate(REMEMBERED - 1);
        self.times.push_front(time);
    }

    /// How many calls are worth having under way. The fastest of the last ones tells how far away the service is; what the others
    /// took longer they spent waiting for each other, and more of them would wait longer.
    pub(super) fn calls(&self) -> usize {
        let fastest = self.times.iter().min().copied().unwrap_or_default();
        let fills = fastest.as_micros() / FILL.as_micros();
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
        assert_eq!(after(&[60; 50]), 10);
        assert_eq!(after(&[60, 60, 3]), 2);
        assert_eq!(after(&[3, 90, 90]), 2, "a busy host is not a far service");
        assert_eq!(after(&[[3].as_slice(), &[60; 16]].concat()), 10);
    }
}
