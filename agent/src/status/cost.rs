//! What this process costs, as the kernel counts it.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

/// What a process costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory that is resident now (`VmRSS`).
    pub resident_bytes: u64,
    /// The most that ever was (`VmHWM`).
    pub peak_bytes: u64,
    /// Time on a processor since the start, all threads, in milliseconds.
    pub cpu_ms: u64,
}

impl Cost {
    /// Reads proc_pid_status(5) and getrusage(2); `None` where that can't be.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        Some(Self {
            resident_bytes: bytes(&status, "VmRSS:")?,
            peak_bytes: bytes(&status, "VmHWM:")?,
            cpu_ms: ms(usage.user_time()) + ms(usage.system_time()),
        })
    }
}

fn bytes(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

fn ms(time: TimeVal) -> u64 {
    let us = time.tv_sec().saturating_mul(1_000_000) + time.tv_usec();
    u64::try_from(us / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let cost = Cost::of_this_process().unwrap_or_default();
        assert!(cost.resident_bytes > 1024 * 1024 && cost.peak_bytes >= cost.resident_bytes / 2);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_none() {
        assert_eq!(bytes("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12 * 1024));
        for status in ["", "VmRSS:", "VmRSS: much kB", "VmHWM: 1 kB"] {
            assert_eq!(bytes(status, "VmRSS:"), None, "{status}");
        }
    }
}
