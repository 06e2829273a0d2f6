//! This host's clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use super::Now;

/// What this host's clocks say.
#[must_use]
pub fn now() -> Now {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        monotonic: monotonic(),
        unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
    }
}

/// Time since the host was booted, that during which it slept included: else the service's time, which is kept as a distance from it,
/// would be wrong when it wakes.
#[must_use]
pub fn monotonic() -> Duration {
    let Ok(since_boot) = clock_gettime(ClockId::CLOCK_BOOTTIME) else {
        return since_start();
    };
    Duration::from(since_boot)
}

/// Linux has had the other clock since 2.6.39; whatever runs this without it is to have some time.
fn since_start() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
