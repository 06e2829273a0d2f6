//! What the service manager is told (sd_notify(3)). Where none listens, nothing happens.

use std::time::Duration;

use diagnostics::terminal;
use sd_notify::NotifyState;

/// How often the watchdog is patted within its limit: a late pat is no hang.
const PATS: u32 = 4;

/// The agent holds its configuration and follows signals. It may not ship yet: `status` says what it waits for.
pub fn ready(status: &str) {
    // A second line would be an assignment of its own.
    let status = terminal::inline(status);
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// One line for `systemctl status`.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(&terminal::inline(status))]);
}

/// A reload begins; [`ready`] ends it.
pub fn reloading() {
    // From systemd 253 on, it has to say when.
    match NotifyState::monotonic_usec_now() {
        Ok(when) => tell(&[NotifyState::Reloading, when]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The end is near, and takes so long at most. The unit's own limit is extended where it is shorter.
pub fn stopping(limit: Duration) {
    let limit_us = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(limit_us),
        NotifyState::Status(&format!(
            "sends what was read, for {} at most",
            humantime::format_duration(limit)
        )),
    ]);
}

/// Every part has made progress.
pub fn pat() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`pat`] is expected; `None` if nobody waits for it.
#[must_use]
pub fn pat_interval() -> Option<Duration> {
    let mut limit_us = 0;
    sd_notify::watchdog_enabled(false, &mut limit_us)
        .then(|| Duration::from_micros(limit_us) / PATS)
        .filter(|interval| !interval.is_zero())
}

fn tell(state: &[NotifyState<'_>]) {
    // A manager that can't be told anything is not helped by an agent that ends.
    let _ = sd_notify::notify(false, state);
}
