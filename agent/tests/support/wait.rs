//! Waits that look for a condition, and say what they saw when it does not come.

use std::time::{Duration, Instant};

/// Looks every few milliseconds until `look` gives something. After `limit` it gives up and returns `None`.
pub(crate) fn until<T>(
    limit: Duration,
    every: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if started.elapsed() > limit {
            return None;
        }
        std::thread::sleep(every);
    }
}

/// Microseconds since 1970 by the host's clock, which the endpoint of the same host stamps arrivals with.
pub(crate) fn unix_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap().as_micros()).unwrap()
}
