//! Time, handed in: stages have no clock of their own.

use std::time::Duration;

/// One instant, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since an arbitrary start; never goes back. For waits, ages and intervals.
    pub monotonic: Duration,
    /// Milliseconds since 1970-01-01 UTC by the host's clock, which may jump. For time stamps only.
    pub unix_ms: i64,
}
