//! What a process costs, as the kernel counts it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// One reading of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    /// Time on a processor, all threads, those that ended too.
    pub(crate) cpu: Duration,
    /// Memory now (VmRSS).
    pub(crate) rss_bytes: u64,
    /// Of it, what is this process's alone, and its part of what is shared (PSS).
    pub(crate) pss_bytes: u64,
    /// Most memory so far (VmHWM).
    pub(crate) peak_rss_bytes: u64,
    /// Context switches of the threads there are, voluntary and not: an upper bound of wake-ups.
    pub(crate) switches: u64,
    /// Open descriptors.
    pub(crate) descriptors: u64,
    /// Threads.
    pub(crate) threads: u64,
}

/// Reads what process `pid` has cost so far. `None` when it is gone.
pub(crate) fn read(pid: i32) -> Option<Reading> {
    let root = Path::new("/proc").join(pid.to_string());
    let status = fs::read_to_string(root.join("status")).ok()?;
    let mut switches = 0;
    for thread in fs::read_dir(root.join("task")).ok()?.flatten() {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        switches += field(&status, "voluntary_ctxt_switches:").unwrap_or_default();
        switches += field(&status, "nonvoluntary_ctxt_switches:").unwrap_or_default();
    }
    Some(Reading {
        cpu: cpu(pid)?,
        rss_bytes: field(&status, "VmRSS:")? * 1024,
        pss_bytes: pss(&root).unwrap_or_default(),
        peak_rss_bytes: field(&status, "VmHWM:")? * 1024,
        switches,
        descriptors: u64::try_from(fs::read_dir(root.join("fd")).ok()?.count()).unwrap(),
        threads: field(&status, "Threads:")?,
    })
}

/// The process's CPU clock: nanoseconds, where `/proc/PID/stat` counts hundredths of a second.
fn cpu(pid: i32) -> Option<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).ok()?;
    clock_gettime(clock).ok().map(Duration::from)
}

/// Only root and the process's own user may read it.
fn pss(root: &Path) -> Option<u64> {
    let rollup = fs::read_to_string(root.join("smaps_rollup")).ok()?;
    Some(field(&rollup, "Pss:")? * 1024)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The processor time of all children of this process that were waited for.
pub(crate) fn children_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(u64::try_from(time.tv_sec()).unwrap())
            + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap())
    };
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// The yardstick: what `openssl dgst -sha256` takes on a processor for this file.
pub(crate) fn openssl_sha256(file: &Path) -> Duration {
    let before = children_cpu();
    let output = Command::new("openssl")
        .args(["dgst", "-sha256"])
        .arg(file)
        .output()
        .expect("openssl is the yardstick; install it (apt-get install openssl)");
    assert!(output.status.success(), "openssl failed: {output:?}");
    children_cpu() - before
}

/// How busy the machine is: no figure means much without it.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("?").to_owned()
}

/// The median of some figures; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value below which the given part of the figures lies (nearest rank); 0 of none.
pub(crate) fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}
