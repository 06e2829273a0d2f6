//! How much may be said: a burst, then one line in a while.

use std::time::{Duration, Instant};

/// So many lines may be said at once: a start that goes wrong in every file has to be understood.
pub(super) const BURST_LINES: f64 = 200.0;
/// In the long run one line in so long, 360 an hour: less than a line a request, even of an agent that is quiet otherwise.
pub(super) const PACE: Duration = Duration::from_secs(10);

/// How many lines may be said now.
#[derive(Debug)]
pub(super) struct Budget {
    lines: f64,
    at: Instant,
}

impl Budget {
    /// All that may be said at once.
    pub(super) fn full(now: Instant) -> Self {
        Self {
            lines: BURST_LINES,
            at: now,
        }
    }

    /// Takes `lines` if there is any room; more than there is room for, once.
    pub(super) fn take(&mut self, lines: usize, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at);
        self.lines = (self.lines + since.as_secs_f64() / PACE.as_secs_f64()).min(BURST_LINES);
        self.at = now;
        let room = self.lines >= 1.0;
        if room {
            self.lines -= lines as f64;
        }
        room
    }
}
